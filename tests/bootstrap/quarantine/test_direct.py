"""Redriving past the stream: the consumer itself, in the operator's process."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from bootstrap.quarantine.direct import DirectConsumer
from bootstrap.quarantine.redrive import RedriveOutcome, redrive
from replicator.consumer.outcome import Reason
from tests.support.bootstrap.quarantine_harness import MIB, QuarantineHarness, padded
from tests.support.fakes.errors import client_error
from tests.support.replicator.consumer_harness import (
    LEDGER,
    SHARD,
    START,
    TARGET,
    aggregate,
    change,
    document,
    item,
    probe,
)

pytestmark = pytest.mark.promise("C1", "C2", "C3")

PLACE = f"{SHARD}:77"


@pytest.fixture
def world() -> QuarantineHarness:
    return QuarantineHarness()


def unfit(key: str) -> dict[str, Any]:
    """An insert that this table refuses: its key is a number."""
    image = {"pk": {"N": key}}
    return document(None, image, Keys=image)


def how(outcome: Any) -> list[str]:
    return [text for _, text in outcome.ended]


def test_a_record_of_any_size_is_applied_without_the_stream(world: QuarantineHarness) -> None:
    world.keep(padded("a", 5 * MIB))
    outcome = world.redrive(direct=True)
    assert how(outcome) == ["1 applied"]
    assert (world.kinesis.calls, world.open()) == (0, [])
    assert world.target("a") is not None
    (note,) = world.resolved().values()
    assert (note["how"], note["detail"]) == ("direct", "1 applied")


def test_an_old_change_is_superseded_here_too(world: QuarantineHarness) -> None:
    """C2."""
    world.keep(document(None, item("a", 1), START))
    world.handle(document(item("a", 1), item("a", 2), START + 5))
    assert how(world.redrive(direct=True)) == ["1 superseded"]
    assert (world.value("a"), world.open()) == ("2", [])


def test_what_the_target_still_rejects_stays_as_it_was(world: QuarantineHarness) -> None:
    key = world.keep(unfit("1"))
    before = world.quarantine()
    (left,) = world.redrive(direct=True).left
    assert "still cannot be applied" in left.why
    assert world.quarantine() == before
    assert world.open() == [key]


def test_two_parts_of_one_aggregate_do_not_overwrite_each_other(world: QuarantineHarness) -> None:
    """C3: Lambda's event has no place for the sub-sequence."""
    parts = [world.keep(unfit(f"{n}"), sub=n, sequence=77, aggregated=True) for n in range(3)]
    before = world.quarantine()
    assert len(world.redrive(parts[1], parts[2], direct=True).left) == 2
    assert world.quarantine() == before


def test_a_part_that_is_kept_for_another_reason_now_is_kept_under_its_own_name(
    world: QuarantineHarness,
) -> None:
    world.keep(unfit("0"), sub=0, sequence=77, aggregated=True)
    key = world.keep(unfit("1"), Reason.MISSING_IMAGE, sub=1, sequence=77, aggregated=True)
    assert how(world.redrive(key, direct=True)) == ["1 quarantined one by one"]
    assert world.open() == [f"open/rejected-by-target/{SHARD}/77-{n}.json" for n in (0, 1)]


def test_an_outage_leaves_it_open_and_says_what_failed(world: QuarantineHarness) -> None:
    key = world.keep(document(None, item("a")))
    denied = client_error("TransactWriteItems", "AccessDeniedException", "role may not PutItem")
    world.faults.fail(denied, operation="TransactWriteItems", times=1000)
    (left,) = world.redrive(direct=True).left
    assert "role may not PutItem" in left.why
    assert left.passing
    assert (world.open(), world.resolved()) == ([key], {})


def test_a_parked_record_is_read_here_while_its_park_stands(world: QuarantineHarness) -> None:
    world.settings(parks={"SS": [PLACE]})
    world.keep(document(None, item("a", 4)), Reason.PARKED, sequence=77)
    assert how(world.redrive(direct=True)) == ["1 applied"]
    assert (world.value("a"), world.open()) == ("4", [])


def test_a_parked_aggregate_ends_part_by_part(world: QuarantineHarness) -> None:
    world.settings(parks={"SS": [PLACE]})
    whole = aggregate(document(None, item("a", 1)), unfit("1"), document(None, item("c", 3)))
    world.keep(whole, Reason.PARKED, sequence=77)
    assert how(world.redrive(direct=True)) == ["2 applied, 1 quarantined one by one"]
    assert world.open() == [f"open/rejected-by-target/{SHARD}/77-1.json"]
    assert (world.value("a"), world.value("c")) == ("1", "3")


def test_a_tie_found_on_the_way_is_noted_before_it_is_applied(world: QuarantineHarness) -> None:
    """C1."""
    a, b = item("a", 0), item("a", 1)
    world.handle(document(a, b))
    world.keep(document(b, a), sequence=77)
    assert how(world.redrive(direct=True)) == ["1 applied"]
    assert world.open() == [f"open/ambiguous-order/{SHARD}/77-0.json"]
    assert world.value("a") == "0"


@pytest.mark.promise("C9")
def test_a_gate_that_closes_behind_the_look_for_a_switch_holds_here_too(
    world: QuarantineHarness,
) -> None:
    world.keep(document(None, item("a")), sequence=77)
    context = world.quarantine_context()

    def built_while_the_gate_closes() -> DirectConsumer:
        world.settings(closed={"S": "attempt-1"})
        return context.consumer()

    closing = dataclasses.replace(context, consumer=built_while_the_gate_closes)
    chosen = list(context.store.open_objects())
    redrive(closing, chosen, RedriveOutcome(), direct=True, named=False)
    assert world.open() == [f"open/late-write/{SHARD}/77-0.json"]
    assert world.target("a") is None


def test_what_arrived_long_ago_leaves_an_entry_without_expiry(world: QuarantineHarness) -> None:
    """The record keeps the arrival that it had: older ones of its key may wait behind it."""
    world.replicating()
    world.keep(document(None, item("a")))
    world.clock.advance(2 * 86_400)
    world.redrive(direct=True)
    entry = world.ledger(change(None, item("a")))
    assert entry is not None
    assert "x" not in entry


# -- whole events ------------------------------------------------------------------------------


def test_events_that_lambda_gave_up_on_are_listed_and_marked_as_such(
    world: QuarantineHarness,
) -> None:
    key = world.fail(document(None, item("a")))
    (kept,) = world.kept()
    assert (kept.key, kept.reason, kept.shard, kept.is_event) == (key, "on-failure", SHARD, True)


def test_an_event_is_refused_through_the_stream(world: QuarantineHarness) -> None:
    key = world.fail(document(None, item("a")))
    (left,) = world.redrive().left
    assert "--direct" in left.fix
    assert world.open() == [key]


def test_an_event_ends_record_by_record_and_leaves_its_bucket(world: QuarantineHarness) -> None:
    """C3, C7."""
    key = world.fail(document(None, item("a", 1)), unfit("1"), document(None, item("c", 3)))
    assert how(world.redrive(direct=True)) == ["2 applied, 1 quarantined one by one"]
    assert world.open() == [f"open/rejected-by-target/{SHARD}/9001-0.json"]
    assert (world.value("a"), world.value("c")) == ("1", "3")
    assert not world.s3.buckets["on-failure"]
    assert list(world.resolved()) == [f"resolved/{key}"]


def test_a_probe_in_an_event_proves_nothing(world: QuarantineHarness) -> None:
    world.fail(document(None, item("a", 1)), probe())
    world.redrive(direct=True)
    assert not [row for row in world.rows() if row.startswith(b"probe:")]
    assert world.open() == []


def test_an_event_that_does_not_end_stays_whole(world: QuarantineHarness) -> None:
    key = world.fail(document(None, item("a", 1)), document(None, item("b", 1)))
    broken = client_error("TransactWriteItems", "InternalServerError", "?", status=500)
    world.faults.fail(broken, operation="TransactWriteItems", times=1000)
    assert world.redrive(direct=True).left[0].passing
    assert world.open() == [key]
    assert not world.dynamodb.scan(TableName=TARGET)["Items"]
    assert world.dynamodb.scan(TableName=LEDGER)["Items"] == []


def test_no_event_is_too_bad_to_be_resolved(world: QuarantineHarness) -> None:
    """C3: there is no stream to leave it in, so however many are bad, each is kept by itself."""
    key = world.fail(*[unfit(f"{n}") for n in range(40)], document(None, item("a", 7)))
    assert how(world.redrive(direct=True)) == ["1 applied, 40 quarantined one by one"]
    assert world.open() == sorted(
        f"open/rejected-by-target/{SHARD}/{9000 + n}-0.json" for n in range(40)
    )
    assert list(world.resolved()) == [f"resolved/{key}"]
    assert world.value("a") == "7"
