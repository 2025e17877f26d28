"""The demo's check of a bulk put: by the log of writes, and without the operator's tool."""

from __future__ import annotations

from infra.local.results.load_check import check_load
from infra.local.workload.server_writes import ServerWrite

LOADER = "arn:aws:iam::222222222222:role/replicate/prod-importer"
SESSION = "arn:aws:sts::222222222222:assumed-role/prod-importer/bootstrap"
CONSUMER = "arn:aws:sts::222222222222:assumed-role/prod-consumer/function"


def writes(*callers: str) -> list[ServerWrite]:
    return [
        ServerWrite(10.0 + n, "222222222222", "orders-replica", caller, f"{n:032x}")
        for n, caller in enumerate(callers)
    ]


def test_a_bulk_put_before_every_change_is_counted_and_good() -> None:
    found = check_load(writes(SESSION, SESSION, LOADER, CONSUMER, CONSUMER), LOADER, 0)
    assert (found.puts, found.late_puts, found.seconds) == (3, 0, 2.0)
    assert list(found.problems()) == []
    assert found.as_json() == {
        "mode": "bulk",
        "puts": 3,
        "late_puts": 0,
        "seconds": 2.0,
        "imports": 0,
    }


def test_a_put_after_the_consumers_first_write_is_a_problem() -> None:
    found = check_load(writes(SESSION, CONSUMER, SESSION), LOADER, 0)
    (problem,) = found.problems()
    assert problem.startswith("1 puts of the bulk put came after the consumer's first write")


def test_an_import_in_place_of_a_bulk_put_is_a_problem() -> None:
    problems = list(check_load(writes(CONSUMER), LOADER, 1).problems())
    assert problems == [
        "No item was put into the target by a bulk put.",
        "1 imports were made, and the stack says bulk put.",
    ]
    assert list(check_load([], LOADER, 0).problems()) == [problems[0]]


def test_another_role_or_account_whose_name_is_alike_is_not_the_one_that_loads() -> None:
    other = SESSION.replace("prod-importer", "prod-importer-2")
    elsewhere = SESSION.replace("222222222222", "111111111111")
    assert check_load(writes(other, elsewhere), LOADER, 0).puts == 0
