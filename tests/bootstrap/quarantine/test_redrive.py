"""Redriving through the stream: what is marked resolved, when, and what the guard makes of it."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from bootstrap.core.errors import AccessDeniedError, BlockedError, UnavailableError
from bootstrap.core.suggestions import template
from bootstrap.quarantine import view
from bootstrap.quarantine.packing import AGGREGATE_BYTES
from bootstrap.quarantine.redrive import RedriveOutcome, redrive
from bootstrap.quarantine.store import ObjectContent, QuarantinedObject
from replicator.consumer.outcome import Reason
from tests.support.bootstrap.quarantine_harness import MIB, QuarantineHarness, padded
from tests.support.fakes.errors import Killed, client_error
from tests.support.replicator.consumer_harness import SHARD, START, aggregate, document, item

pytestmark = pytest.mark.promise("C2", "C3", "C4")

THROTTLED = "ProvisionedThroughputExceededException"


@pytest.fixture
def world() -> QuarantineHarness:
    return QuarantineHarness()


def test_what_is_redriven_is_applied_and_marked_resolved_with_who_and_when(
    world: QuarantineHarness,
) -> None:
    key = world.keep(document(None, item("a", 7)))
    outcome = world.redrive()
    assert (outcome.sent, outcome.records, outcome.left) == (1, 1, [])
    assert world.open() == []
    note = world.resolved()[key.replace("open/", "resolved/")]
    assert note == {"how": "redriven", "by": "ann@desk", "at": "2026-01-01T00:00:00Z"}
    assert world.deliver() is None
    assert world.value("a") == "7"


def test_a_resolved_object_still_holds_the_record(world: QuarantineHarness) -> None:
    key = world.keep(document(None, item("a")))
    before = world.quarantine()[key]
    world.redrive()
    after = world.quarantine()[key.replace("open/", "resolved/")]
    assert {name: after[name] for name in before} == before


def test_a_redriven_old_change_is_superseded_and_never_a_step_back(
    world: QuarantineHarness,
) -> None:
    """C2."""
    world.keep(document(None, item("a", 1), START))
    world.handle(document(item("a", 1), item("a", 2), START + 5))
    world.redrive()
    assert world.deliver() is None
    assert world.value("a") == "2"
    assert world.meter.last["ChangesSuperseded"] == 1


def test_a_redriven_insert_does_not_bring_a_deleted_item_back(world: QuarantineHarness) -> None:
    """C2."""
    world.keep(document(None, item("a", 1), START))
    world.handle(document(item("a", 1), None, START + 5))
    world.redrive()
    world.deliver()
    assert world.target("a") is None


def test_only_what_the_stream_accepted_is_resolved_and_the_rest_is_put_again(
    world: QuarantineHarness,
) -> None:
    for n in range(3):
        world.keep(padded(f"k{n}", 2 * MIB))
    world.kinesis.answers = [["", THROTTLED], [THROTTLED], [""], ["InternalFailure"]]
    seen: list[int] = []
    put = world.kinesis.put_records

    def watched(**request: object) -> object:
        seen.append(len(world.open()))
        return put(**request)

    world.kinesis.put_records = watched  # type: ignore[method-assign, assignment]
    outcome = world.redrive()
    # Open before each call: what was taken by the one before is gone, and nothing else.
    assert seen == [3, 2, 2, 1, 1]
    assert (outcome.sent, world.open()) == (3, [])
    assert len(world.kinesis.taken) == 3


def test_a_stream_that_refuses_everything_leaves_everything_open(world: QuarantineHarness) -> None:
    keys = [world.keep(document(None, item(f"k{n}"))) for n in range(3)]
    world.kinesis.answers = [[THROTTLED]] * 100
    outcome = RedriveOutcome()
    began = world.clock()
    with pytest.raises(UnavailableError, match=f"(?s)no more records.*{THROTTLED}.*Try: ") as error:
        world.redrive(into=outcome)
    assert error.value.exit_code == 3
    assert (outcome.sent, world.open(), world.resolved()) == (0, keys, {})
    assert 1 < world.clock() - began < 120


def test_a_denied_call_leaves_everything_open(world: QuarantineHarness) -> None:
    key = world.keep(document(None, item("a")))
    world.stream_faults.fail(client_error("PutRecords", "AccessDeniedException", "no"))
    with pytest.raises(AccessDeniedError):
        world.redrive()
    assert world.open() == [key]


def test_a_call_of_unknown_outcome_is_made_again_and_changes_nothing_twice(
    world: QuarantineHarness,
) -> None:
    world.keep(document(None, item("a", 3)))
    lost = client_error("PutRecords", "InternalFailure", "?", status=500)
    world.stream_faults.fail(lost, after_the_work=True)
    assert world.redrive().sent == 1
    assert len(world.kinesis.taken) == 2
    assert world.deliver() is None
    assert (world.value("a"), world.meter.last["ChangesReceived"]) == ("3", 2)


@pytest.mark.parametrize("unmentioned", [1, 3])
def test_an_answer_that_does_not_speak_of_every_record_accepts_none(
    world: QuarantineHarness, unmentioned: int
) -> None:
    """C3: which of its results belong to which records is a guess."""
    for n in range(3):
        world.keep(padded(f"k{n}", 5 * MIB // 4))
    world.kinesis.unmentioned = unmentioned
    seen: list[int] = []
    put = world.kinesis.put_records

    def watched(**request: object) -> object:
        seen.append(len(world.open()))
        return put(**request)

    world.kinesis.put_records = watched  # type: ignore[method-assign, assignment]
    assert world.redrive().sent == 3
    assert seen == [3, 3]
    assert (len(world.kinesis.taken), world.open()) == (6, [])
    assert world.deliver() is None
    assert world.meter.last["ChangesReceived"] == 6
    assert all(world.target(f"k{n}") for n in range(3))


@pytest.mark.parametrize("operation", ["PutObject", "DeleteObject"])
def test_killed_between_accept_and_mark_it_is_redriven_again_and_superseded(
    world: QuarantineHarness, operation: str
) -> None:
    """C4."""
    key = world.keep(document(None, item("a", 3)))
    world.s3_faults.fail(Killed(), operation=operation)
    with pytest.raises(Killed):
        world.redrive()
    assert world.open() == [key]
    world.deliver()
    assert world.redrive().sent == 1
    assert world.open() == []
    assert world.deliver() is None
    assert world.meter.last == {"ChangesReceived": 1, "ChangesSuperseded": 1}


def test_what_still_cannot_be_applied_comes_back_and_is_not_redriven_in_circles(
    world: QuarantineHarness,
) -> None:
    """C3: the same run never sees it again, as everything is listed before the first is sent."""
    world.keep(document(None, item("a"), Keys={"pk": {"N": "1"}}, NewImage={"pk": {"N": "1"}}))
    assert world.redrive().sent == 1
    world.deliver()
    assert len(world.open()) == 1
    assert world.reasons() == ["rejected-by-target"] * 2


# -- how it is packed --------------------------------------------------------------------------


def test_small_records_share_a_kinesis_record(world: QuarantineHarness) -> None:
    for n in range(40):
        world.keep(document(None, item(f"k{n}", n)))
    outcome = world.redrive()
    assert (outcome.sent, outcome.records) == (40, 1)
    assert world.deliver() is None
    assert [world.value(f"k{n}") for n in range(40)] == [str(n) for n in range(40)]


def test_an_aggregate_is_no_larger_than_the_library_allows(world: QuarantineHarness) -> None:
    for n in range(5):
        world.keep(padded(f"k{n}", 400_000))
    assert world.redrive().records == 3
    assert all(len(each["Data"]) <= AGGREGATE_BYTES for each in world.kinesis.taken)


@pytest.mark.parametrize(("size", "aggregated"), [(MIB - 100, True), (MIB, False)])
def test_what_does_not_fit_into_an_aggregate_goes_as_a_plain_record(
    world: QuarantineHarness, size: int, aggregated: bool
) -> None:
    record = padded("a", size)
    world.keep(record)
    world.redrive()
    (taken,) = world.kinesis.taken
    assert taken["Data"].startswith(b"\xf3\x89\x9a\xc2") is aggregated
    assert (taken["Data"] == record) is not aggregated
    assert world.deliver() is None
    assert world.target("a") is not None


def test_what_is_larger_than_lambda_hands_over_is_refused_and_goes_direct(
    world: QuarantineHarness,
) -> None:
    fits = world.keep(padded("fits", 4 * MIB))
    key = world.keep(padded("large", 4 * MIB + 1))
    outcome = world.redrive()
    assert (outcome.sent, [left.stored.key for left in outcome.left]) == (1, [key])
    shown = view.summarize_redrive(
        "orders", outcome, direct=False, command=template(["--stack", "prod"])
    )
    assert f"Try: python -m bootstrap quarantine redrive --stack prod {key} --direct" in shown
    assert (world.open(), fits in world.open()) == ([key], False)


def test_no_call_asks_more_of_the_stream_than_it_takes(world: QuarantineHarness) -> None:
    """The fake refuses more than 500 records or 10 MiB in a call."""
    for n in range(7):
        world.keep(padded(f"k{n}", 2 * MIB))
    assert world.redrive().sent == 7
    assert world.kinesis.calls == 4


# -- aggregates --------------------------------------------------------------------------------


def test_the_second_part_of_an_aggregate_is_redriven_by_itself(world: QuarantineHarness) -> None:
    parts = [document(None, item("a", 1)), document(None, item("b", 2))]
    world.keep(parts[1], sub=1, sequence=77, aggregated=True)
    world.redrive()
    assert world.deliver() is None
    assert (world.target("a"), world.value("b")) == (None, "2")


def test_an_aggregate_that_was_kept_whole_goes_as_it_was_received(world: QuarantineHarness) -> None:
    whole = aggregate(document(None, item("a", 1)), document(None, item("b", 2)))
    key = world.keep(whole, Reason.PARKED)
    world.redrive(key)
    (taken,) = world.kinesis.taken
    assert taken["Data"] == whole
    assert world.deliver() is None
    assert (world.value("a"), world.value("b")) == ("1", "2")


def test_a_part_that_looks_like_an_aggregate_itself_is_none(world: QuarantineHarness) -> None:
    """On the stream by itself it would be unpacked, and applied as what it never was."""
    part = aggregate(document(None, item("a", 1)))
    key = world.keep(part, Reason.UNREADABLE, sub=1, aggregated=True)
    for direct in (False, True):
        assert len(world.redrive(direct=direct).left) == 1
    assert (world.open(), world.target("a")) == ([key], None)


def test_an_aggregate_is_not_packed_into_another(world: QuarantineHarness) -> None:
    world.keep(document(None, item("x", 9)))
    whole = aggregate(document(None, item("a", 1)), document(None, item("b", 2)))
    world.keep(whole, Reason.UNREADABLE)
    assert world.redrive().records == 2
    assert world.deliver() is None
    assert [world.value(key) for key in "xab"] == ["9", "1", "2"]


# -- what is left open -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"garbage", "no readable change"),
        ({"tableName": "orders", "probe": "p", "n": 1}, "probe"),
        (document(None, item("a"), table="customers"), "customers"),
        (b"\xf3\x89\x9a\xc2" + b"broken aggregate, wrong checksum", "no readable change"),
    ],
)
@pytest.mark.parametrize("direct", [False, True])
def test_what_no_redrive_can_mend_is_left_open_and_says_why(
    world: QuarantineHarness, data: object, why: str, direct: bool
) -> None:
    key = world.keep(data, Reason.UNREADABLE)
    (left,) = world.redrive(direct=direct).left
    assert why in left.why
    assert (world.open(), world.kinesis.calls, world.rows()) == ([key], 0, [])


@pytest.mark.parametrize("direct", [False, True])
def test_what_also_holds_changes_of_this_table_is_not_said_to_be_rubbish(
    world: QuarantineHarness, direct: bool
) -> None:
    """C3: discarded on such advice, they would be lost."""
    whole = aggregate(document(None, item("a"), table="customers"), document(None, item("b")))
    key = world.keep(whole, Reason.PARKED)
    (left,) = world.redrive(key, direct=direct).left
    assert "customers" in left.why
    assert "write it again in the source" in left.fix
    assert world.open() == [key]


def test_one_that_is_left_open_does_not_stop_the_others(world: QuarantineHarness) -> None:
    world.keep(b"garbage", Reason.UNREADABLE)
    world.keep(document(None, item("a")))
    outcome = world.redrive()
    assert (outcome.sent, len(outcome.left)) == (1, 1)


def test_a_parked_record_blocks_its_shard_again_only_if_it_is_named(
    world: QuarantineHarness,
) -> None:
    key = world.keep(document(None, item("a")), Reason.PARKED)
    (left,) = world.redrive().left
    assert "--direct" in left.fix
    assert world.open() == [key]
    assert world.redrive(key).sent == 1


def test_a_parked_record_shares_its_kinesis_record_with_no_other(world: QuarantineHarness) -> None:
    """It can be parked by itself again."""
    keys = [world.keep(document(None, item(f"k{n}"))) for n in range(3)]
    keys.append(world.keep(document(None, item("deadly")), Reason.PARKED))
    assert world.redrive(*keys).records == 2


def test_a_record_without_a_partition_key_is_put_back_under_one(world: QuarantineHarness) -> None:
    """Inside an aggregate a key may be empty; Kinesis takes none by itself."""
    key = world.keep(padded("a", 2 * MIB))
    body = {**world.quarantine()[key], "partitionKey": ""}
    world.s3.put_object(Bucket="quarantine", Key=key, Body=json.dumps(body).encode())
    assert world.redrive().sent == 1


def test_a_foreign_object_in_the_bucket_is_left_alone(world: QuarantineHarness) -> None:
    world.s3.put_object(Bucket="quarantine", Key="open/notes.txt", Body=b"hello")
    (left,) = world.redrive().left
    assert (left.stored.key, left.stored.reason) == ("open/notes.txt", "unknown")


def test_what_somebody_else_resolved_meanwhile_is_counted_and_no_error(
    world: QuarantineHarness,
) -> None:
    key = world.keep(document(None, item("a")))
    kept = world.kept()
    world.s3.delete_object(Bucket="quarantine", Key=key)
    from bootstrap.quarantine.redrive import redrive

    outcome = RedriveOutcome()
    redrive(world.quarantine_context(), kept, outcome, direct=False, named=False)
    assert (outcome.gone, outcome.sent) == (1, 0)
    assert SHARD in kept[0].key


# -- beside a switch ---------------------------------------------------------------------------


@pytest.mark.promise("C9")
def test_a_redrive_puts_nothing_more_once_a_switch_has_armed_the_consumer(
    world: QuarantineHarness,
) -> None:
    world.keep(document(None, item("a")))
    world.kinesis.answers = [[THROTTLED]]
    context = world.quarantine_context()
    chosen = list(context.store.open_objects())

    class _ArmedWhileItWaits:
        def sleep(self, seconds: float) -> None:
            world.settings(armed={"S": "attempt1"})

        def now_micros(self) -> int:
            return world.clock.now_micros()

        def monotonic(self) -> float:
            return world.clock.monotonic()

    armed = dataclasses.replace(context, clock=_ArmedWhileItWaits())
    with pytest.raises(BlockedError, match="`quarantine redrive` is refused"):
        redrive(armed, chosen, RedriveOutcome(), direct=False, named=False)
    assert world.kinesis.taken == []
    assert len(world.open()) == 1


@pytest.mark.promise("C9")
def test_a_direct_redrive_looks_for_a_switch_again_after_half_a_minute(
    world: QuarantineHarness,
) -> None:
    for name in ("a", "b"):
        world.keep(document(None, item(name)))
    context = world.quarantine_context()
    built = context.consumer()
    run = built.run

    def run_while_a_switch_arms(stored: QuarantinedObject, content: ObjectContent) -> Any:
        done = run(stored, content)
        world.settings(armed={"S": "attempt1"})  # half a minute later
        return done

    built.run = run_while_a_switch_arms  # type: ignore[method-assign]
    beside = dataclasses.replace(context, consumer=lambda: built)
    chosen = list(context.store.open_objects())
    with pytest.raises(BlockedError, match="`quarantine redrive --direct` is refused"):
        redrive(beside, chosen, RedriveOutcome(), direct=True, named=False)
    assert len(world.open()) == 1
