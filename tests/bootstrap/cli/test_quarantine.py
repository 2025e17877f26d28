"""The commands: what they show, what they ask, and how they end."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result

from bootstrap.cli import options as cli_options
from bootstrap.cli import quarantine
from bootstrap.cli.main import main
from replicator.consumer.outcome import Reason
from tests.support.bootstrap.quarantine_harness import MIB, OUTPUTS, QuarantineHarness, padded
from tests.support.replicator.consumer_harness import (
    BUCKET,
    SHARD,
    START,
    aggregate,
    as_bytes,
    document,
    item,
)

THROTTLED = "ProvisionedThroughputExceededException"
Run = Callable[..., Result]


@pytest.fixture
def world() -> QuarantineHarness:
    return QuarantineHarness()


@pytest.fixture
def run(world: QuarantineHarness, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(quarantine, "contexts_of", lambda options: [world.quarantine_context()])

    def run(*arguments: str, answer: str | None = None) -> Result:
        if answer is not None:
            monkeypatch.setattr(cli_options, "stdin_is_terminal", lambda: True)
        return CliRunner().invoke(main, arguments, input=answer)

    return run


# -- list ----------------------------------------------------------------------------------------


def test_a_list_has_key_reason_time_size_and_age_and_counts_the_reasons(
    world: QuarantineHarness, run: Run
) -> None:
    key = world.keep(b"garbage", Reason.UNREADABLE)
    world.keep(b"more garbage", Reason.UNREADABLE)
    event = world.fail(document(None, item("a")))
    world.clock.advance(7200)
    shown = run("quarantine", "list")
    assert shown.exit_code == 0
    assert "orders: 3 in quarantine (1 on-failure, 2 unreadable)" in shown.output
    (line,) = [line for line in shown.output.splitlines() if line.endswith(key)]
    assert line.split() == ["unreadable", "2026-01-01T00:00:00Z", "2", "h", *line.split()[4:]]
    (line,) = [line for line in shown.output.splitlines() if line.endswith(event)]
    assert line.startswith("event")


def test_a_list_for_machines_has_the_place_in_the_stream(
    world: QuarantineHarness, run: Run
) -> None:
    key = world.keep(b"garbage", Reason.UNREADABLE, sequence=77, sub=2, aggregated=True)
    shown = json.loads(run("quarantine", "list", "--json").output)
    assert (shown["table"], shown["counts"]) == ("orders", {"unreadable": 1})
    (found,) = shown["objects"]
    assert found | {"size": 0} == {
        "key": key,
        "reason": "unreadable",
        "kind": "record",
        "shardId": SHARD,
        "sequence": "77-2",
        "size": 0,
        "since": "2026-01-01T00:00:00Z",
        "ageSeconds": 0,
    }


def test_a_list_goes_through_every_page_and_leaves_out_what_is_resolved(
    world: QuarantineHarness, run: Run
) -> None:
    for n in range(1050):
        world.s3.put_object(Bucket=BUCKET, Key=f"open/parked/{SHARD}/{n}-0.json", Body=b"{}")
    world.s3.put_object(Bucket=BUCKET, Key=f"resolved/parked/{SHARD}/1-0.json", Body=b"{}")
    assert json.loads(run("quarantine", "list", "--json").output)["counts"] == {"parked": 1050}


def test_an_empty_quarantine_is_said_to_be_empty(run: Run) -> None:
    assert run("quarantine", "list").output == "orders: the quarantine is empty\n"


# -- show ----------------------------------------------------------------------------------------

SECRET = "hunter2"


def test_content_is_shown_only_when_it_is_asked_for(world: QuarantineHarness, run: Run) -> None:
    secret = document(None, item("a", 1, word={"S": SECRET}))
    key = world.keep(secret)
    world.keep(aggregate(secret, b"\xff" + SECRET.encode()), Reason.PARKED, sequence=78)
    for each in (key, f"open/parked/{SHARD}/78-0.json"):
        for more in ((), ("--json",)):
            assert SECRET not in run("quarantine", "show", each, *more).output
            assert run("quarantine", "show", each, *more).exit_code == 0
        assert SECRET in run("quarantine", "show", each, "--show-values").output


def test_a_rejection_is_shown_by_its_code_as_awss_message_may_quote_the_item(
    world: QuarantineHarness, run: Run
) -> None:
    key = world.keep(document(None, item("a")))
    body = json.loads(world.s3.buckets[BUCKET][key].body)
    body["detail"] = f"ValidationException: bad value {SECRET}"
    world.s3.put_object(Bucket=BUCKET, Key=key, Body=json.dumps(body))
    assert "ValidationException" in run("quarantine", "show", key).output
    assert SECRET not in run("quarantine", "show", key).output
    assert SECRET in run("quarantine", "show", key, "--show-values").output


def test_show_tells_the_key_digest_version_and_place(world: QuarantineHarness, run: Run) -> None:
    from tests.support.replicator.consumer_harness import change

    key = world.keep(document(None, item("a")), sequence=77)
    shown = json.loads(run("quarantine", "show", key.removeprefix("open/"), "--json").output)
    (record,) = shown["records"]
    assert record["says"] == [
        {
            "change": "INSERT",
            "keyDigest": change(None, item("a")).key.hex(),
            "made": "2026-01-01T00:00:00.000Z",
            "precision": "us",
        }
    ]
    assert (record["sequenceNumber"], record["shardId"]) == ("77", SHARD)
    assert record["size"] == len(as_bytes(document(None, item("a"))))


def test_show_reads_whole_events(world: QuarantineHarness, run: Run) -> None:
    key = world.fail(document(None, item("a")), b"garbage")
    shown = json.loads(run("quarantine", "show", key, "--json").output)
    assert [next(iter(record["says"][0])) for record in shown["records"]] == ["change", "unusable"]
    assert shown["detail"] == "PayloadSizeExceeded"


def test_a_key_that_is_not_open_is_a_usage_error_that_says_where_to_look(run: Run) -> None:
    for command in ("show", "redrive", "discard"):
        ended = run("quarantine", command, "open/unreadable/x/1-0.json")
        assert ended.exit_code == 2
        assert "Try: `python -m bootstrap quarantine list`" in ended.output


# -- redrive ---------------------------------------------------------------------------------------


def test_redrive_says_what_it_did_and_what_it_left(world: QuarantineHarness, run: Run) -> None:
    world.keep(document(None, item("a")))
    key = world.keep(b"garbage", Reason.UNREADABLE)
    ended = run("quarantine", "redrive", "--all")
    assert ended.exit_code == 1
    assert "orders: 1 back on the stream in 1 records, 1 left open" in ended.output
    assert f"  {key}\n" in ended.output
    assert "Try: " in ended.output


def test_redrive_of_one_key_leaves_the_others(world: QuarantineHarness, run: Run) -> None:
    keys = [world.keep(document(None, item(f"k{n}"))) for n in range(3)]
    assert run("quarantine", "redrive", keys[1]).exit_code == 0
    assert world.open() == [keys[0], keys[2]]


@pytest.mark.parametrize(
    ("first", "message"),
    [("", "1 back on the stream in 1 records"), (THROTTLED, "nothing was redriven")],
)
def test_redrive_tells_what_went_through_before_it_failed(
    world: QuarantineHarness, run: Run, first: str, message: str
) -> None:
    for n in range(2):
        world.keep(padded(f"k{n}", 2 * MIB))
    refused = THROTTLED
    world.kinesis.answers = [[first, refused], *[[refused, refused]] * 50]
    ended = run("quarantine", "redrive", "--all")
    assert ended.exit_code == 3
    assert f"orders: {message}\n" in ended.output
    assert f"accepts no more records ({refused}" in ended.output


@pytest.mark.parametrize("command", ["redrive", "discard"])
@pytest.mark.parametrize("arguments", [(), ("--all", "open/x")])
def test_all_and_keys_exclude_each_other(
    run: Run, command: str, arguments: tuple[str, ...]
) -> None:
    assert run("quarantine", command, *arguments).exit_code == 2


# -- discard ---------------------------------------------------------------------------------------


def test_discard_moves_to_resolved_with_who_and_when(world: QuarantineHarness, run: Run) -> None:
    key = world.keep(b"garbage", Reason.UNREADABLE)
    other = world.keep(b"more", Reason.UNREADABLE)
    assert run("quarantine", "discard", key, "--yes").exit_code == 0
    assert world.open() == [other]
    assert world.resolved() == {
        key.replace("open/", "resolved/"): {
            "how": "discarded",
            "by": "ann@desk",
            "at": "2026-01-01T00:00:00Z",
        }
    }
    assert (world.kinesis.calls, world.rows()) == (0, [])


@pytest.mark.parametrize(("answer", "left"), [("n\n", 2), ("", 2), ("y\n", 0)])
def test_discard_asks_first(world: QuarantineHarness, run: Run, answer: str, left: int) -> None:
    world.keep(b"garbage", Reason.UNREADABLE)
    world.fail(document(None, item("a")))
    ended = run("quarantine", "discard", "--all", answer=answer)
    assert "Discard 2 of orders (1 on-failure, 1 unreadable)?" in ended.output
    assert (len(world.open()), ended.exit_code) == (left, 1 if left else 0)


def test_where_nobody_can_answer_discard_does_nothing(world: QuarantineHarness, run: Run) -> None:
    world.keep(b"garbage", Reason.UNREADABLE)
    ended = run("quarantine", "discard", "--all")
    assert (ended.exit_code, len(world.open())) == (2, 1)
    assert "Try: python -m bootstrap quarantine discard" in ended.output
    assert ended.output.endswith(" --all --yes\n")


def test_a_foreign_object_can_be_discarded_and_is_kept_as_it_was(
    world: QuarantineHarness, run: Run
) -> None:
    world.s3.put_object(Bucket=BUCKET, Key="open/notes.txt", Body=b"\xffhello")
    assert run("quarantine", "discard", "open/notes.txt", "--yes").exit_code == 0
    assert json.loads(world.s3.buckets[BUCKET]["resolved/notes.txt"].body)["unparsed"] == "/2hlbGxv"


# -- park ------------------------------------------------------------------------------------------


def test_a_parked_record_is_quarantined_unread_and_its_neighbours_are_applied(
    world: QuarantineHarness, run: Run
) -> None:
    """The round trip: parked, quarantined whole, unparked, redriven, applied."""
    parked = run("park", SHARD, "1001")
    assert parked.exit_code == 0
    assert "within 30 seconds" in parked.output
    batch = [document(None, item(key, n)) for n, key in enumerate("abc")]
    assert world.handle(*batch) is None
    assert world.open() == [f"open/parked/{SHARD}/1001-0.json"]
    assert [world.value(key) for key in "abc"] == ["0", None, "2"]

    assert run("unpark", SHARD, "1001").exit_code == 0
    world.clock.advance(31)
    world.redrive(*world.open())
    assert world.deliver() is None
    assert (world.value("b"), world.open()) == ("1", [])


def test_a_consumer_that_has_read_its_settings_goes_by_a_park_within_30_seconds(
    world: QuarantineHarness, run: Run
) -> None:
    world.handle(document(None, item("x")), first=1)
    run("park", SHARD, "1000")
    world.clock.advance(30)
    world.handle(document(None, item("a"), START))
    assert world.reasons() == ["parked"]


def test_parking_disturbs_nothing_else_in_the_settings(world: QuarantineHarness, run: Run) -> None:
    world.settings(floor={"N": "5"}, expire={"BOOL": True})
    run("park", SHARD, "1")
    run("park", SHARD, "2")
    run("park", SHARD, "2")
    settings = world.quarantine_context().ledger.settings()
    assert (settings.floor, settings.expire) == (5, True)
    shown = run("park", "--list").output
    assert shown == f"orders: 2 parked\n  {SHARD} 1\n  {SHARD} 2\n"
    run("unpark", SHARD, "1")
    run("unpark", SHARD, "2")
    assert run("park", "--list").output == "orders: nothing is parked\n"
    settings = world.quarantine_context().ledger.settings()
    assert (settings.floor, settings.expire) == (5, True)
    assert world.handle(document(None, item("a"))) is None


@pytest.mark.parametrize(
    "arguments",
    [
        ("shard-3", "1"),
        (f"{SHARD}x", "1"),
        (SHARD, "one"),
        (SHARD, "007"),
        (SHARD, "1" * 130),
        (SHARD,),
        (),
        ("--list", SHARD),
    ],
)
def test_a_park_that_could_name_no_record_is_refused(
    world: QuarantineHarness, run: Run, arguments: tuple[str, ...]
) -> None:
    ended = run("park", *arguments)
    assert ended.exit_code == 2
    assert "Try: " in ended.output
    assert world.rows() == []


def test_unparking_what_is_not_parked_says_so(run: Run) -> None:
    assert run("unpark", SHARD, "1").exit_code == 2


def test_with_several_tables_a_key_or_a_shard_needs_its_table(
    world: QuarantineHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = dataclasses.replace(
        world.quarantine_context(), table=dataclasses.replace(OUTPUTS, source_table="x")
    )
    monkeypatch.setattr(
        quarantine, "contexts_of", lambda options: [world.quarantine_context(), other]
    )
    for arguments in (
        ("park", SHARD, "1"),
        ("unpark", SHARD, "1"),
        ("quarantine", "show", "open/a"),
        ("quarantine", "redrive", "open/a"),
        ("quarantine", "discard", "open/a", "--yes"),
    ):
        ended = CliRunner().invoke(main, arguments)
        assert ended.exit_code == 2
        assert "--table with one of: orders, x" in ended.output
    assert (
        CliRunner().invoke(main, ["quarantine", "list"]).output.count("the quarantine is empty")
        == 2
    )
    shown = json.loads(CliRunner().invoke(main, ["quarantine", "list", "--json"]).output)
    assert [each["table"] for each in shown["tables"]] == ["orders", "x"]


@pytest.mark.parametrize(
    "command",
    [["quarantine", name] for name in ("list", "show", "redrive", "discard")]
    + [["park"], ["unpark"]],
)
def test_every_command_explains_itself_with_an_example(command: list[str]) -> None:
    shown = CliRunner().invoke(main, [*command, "--help"]).output
    assert f"python -m bootstrap {' '.join(command)} " in shown
