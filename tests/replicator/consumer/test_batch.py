"""One invocation from event to report: C1 to C4 as far as one consumer is concerned."""

from __future__ import annotations

import itertools
import json
import traceback
from collections.abc import Iterator
from typing import Any

import pytest

from replicator.consumer.consumer import BatchFailedError
from tests.support.fakes import errors
from tests.support.fakes.errors import Faults
from tests.support.replicator.consumer_harness import (
    SHARD,
    START,
    ConsumerHarness,
    FailWrites,
    Watch,
    aggregate,
    as_bytes,
    document,
    event,
    item,
    spread,
)
from tests.support.replicator.deliveries import deliveries

pytestmark = pytest.mark.promise("C1", "C2", "C3", "C4")

TOO_BIG = {"S": "x" * 420_000}


@pytest.fixture
def world() -> ConsumerHarness:
    return ConsumerHarness()


# What happens to records of one batch.


def test_changes_are_applied_and_nothing_is_reported(world: ConsumerHarness) -> None:
    report = world.consumer.handle(event(*spread([1, 2, 3])), 60_000)
    assert report == {"batchItemFailures": []}
    assert [world.value(f"k{n}") for n in range(3)] == ["1", "2", "3"]
    assert world.meter.last == {"ChangesReceived": 3, "ChangesApplied": 3}


def test_only_the_newest_change_of_a_key_is_written(world: ConsumerHarness) -> None:
    watch = Watch(world.dynamodb)
    steps = [document(item("a", n), item("a", n + 1), START + n) for n in range(5)]
    assert world.handle(steps[3], steps[0], steps[4], steps[1], steps[2]) is None
    assert world.value("a") == "5"
    assert watch.operations.count("TransactWriteItems") == 1
    assert world.meter.last == {
        "ChangesReceived": 5,
        "ChangesApplied": 1,
        "ChangesSuperseded": 4,
    }


def test_when_the_newest_is_quarantined_the_next_newest_takes_its_place(
    world: ConsumerHarness,
) -> None:
    assert (
        world.handle(
            document(None, item("a", 1), START),
            document(item("a", 1), item("a", 2), START + 1),
            document(item("a", 2), item("a", 3, big=TOO_BIG), START + 2),
        )
        is None
    )
    assert world.value("a") == "2"
    assert world.reasons() == ["rejected-by-target"]
    assert world.meter.last == {
        "ChangesReceived": 3,
        "ChangesApplied": 1,
        "ChangesSuperseded": 1,
        "ChangesQuarantined": 1,
    }


def test_when_all_newer_ones_are_quarantined_the_oldest_is_applied(world: ConsumerHarness) -> None:
    world.handle(
        document(item("a", 2), item("a", 3, big=TOO_BIG), START + 2),
        document(None, item("a", 1), START),
        document(item("a", 1), item("a", 2, big=TOO_BIG), START + 1),
    )
    assert world.value("a") == "1"
    assert len(world.quarantine()) == 2


def test_an_older_change_has_not_ended_while_the_newer_one_has_not(world: ConsumerHarness) -> None:
    """Were it reported superseded, and the newer one rejected later, it would be lost."""
    world.dynamodb.faults = FailWrites("a")
    batch = [document(None, item("a", 1)), document(item("a", 1), item("a", 2), START + 1)]
    assert world.handle(document(None, item("b")), *batch, millis=20_000) == "1001"
    assert world.meter.last["ChangesRetried"] == 2


def test_a_failed_record_is_reported_and_the_others_are_applied(world: ConsumerHarness) -> None:
    world.dynamodb.faults = FailWrites("k2")
    assert world.handle(*spread([1, 1, 1, 1]), millis=20_000) == "1002"
    world.dynamodb.faults = Faults()
    assert [world.value(f"k{n}") for n in range(4)] == ["1", "1", None, "1"]
    assert world.handle(*spread([1, 1, 1, 1])[2:], first=1002) is None
    assert world.value("k2") == "1"
    assert world.meter.last == {
        "ChangesReceived": 2,
        "ChangesApplied": 1,
        "ChangesSuperseded": 1,
    }


def test_the_lowest_failed_sequence_number_is_found_as_a_number(world: ConsumerHarness) -> None:
    world.dynamodb.faults = FailWrites("k1", "k3")
    assert world.handle(*spread([1] * 5), first=98, millis=20_000) == "99"


def test_a_failed_record_fails_its_aggregate(world: ConsumerHarness) -> None:
    world.dynamodb.faults = FailWrites("k3")
    docs = spread([1] * 5)
    assert world.handle(docs[0], aggregate(*docs[1:4]), docs[4], millis=20_000) == "1001"
    assert world.meter.last["ChangesRetried"] == 1


def test_aggregated_and_plain_records_mix(world: ConsumerHarness) -> None:
    docs = spread([1] * 5)
    assert world.handle(docs[0], aggregate(*docs[1:4]), docs[4]) is None
    assert all(world.value(f"k{n}") == "1" for n in range(5))


def test_the_same_record_twice_in_a_batch_is_applied_once(world: ConsumerHarness) -> None:
    watch = Watch(world.dynamodb)
    twice = document(None, item("a"))
    assert world.handle(twice, twice, twice) is None
    assert world.meter.last == {
        "ChangesReceived": 3,
        "ChangesApplied": 1,
        "ChangesSuperseded": 2,
    }
    assert watch.operations.count("TransactWriteItems") == 1


def test_an_empty_event_succeeds(world: ConsumerHarness) -> None:
    assert world.consumer.handle({"Records": []}, 60_000) == {"batchItemFailures": []}


@pytest.mark.parametrize("bad", [None, {}, {"Records": [{}]}, [], "text"])
def test_an_event_that_is_none_fails_the_invocation(world: ConsumerHarness, bad: Any) -> None:
    with pytest.raises(BatchFailedError):
        world.consumer.handle(bad, 60_000)


def test_a_bug_fails_the_invocation_so_that_lambda_halves_the_batch_and_quotes_nothing(
    world: ConsumerHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bug(*_: Any) -> Any:
        raise KeyError("secret-content")

    monkeypatch.setattr(world.consumer.parts.writer, "apply", bug)
    with pytest.raises(BatchFailedError) as raised:
        world.handle(document(None, item("a")))
    shown = "".join(traceback.format_exception(raised.value)) + world.output.getvalue()
    assert "KeyError" in shown
    assert "secret" not in shown


def test_the_record_that_a_batch_waits_for_is_named_with_the_reason(world: ConsumerHarness) -> None:
    world.dynamodb.faults = FailWrites("b")
    assert world.handle(*(document(None, item(key)) for key in "abc")) == "1001"
    [ended] = [entry for entry in world.log if entry.getMessage() == "Ended"]
    assert (ended.shardId, ended.sequenceNumber) == (SHARD, "1001")
    assert ended.why == "AccessDeniedException"


def test_nothing_is_written_when_too_little_time_is_left(world: ConsumerHarness) -> None:
    watch = Watch(world.dynamodb, world.s3)
    assert world.handle(*spread([1]), b"garbage", millis=7_000) == "1000"
    assert watch.operations == []


# What is kept instead of applied.


def test_an_unreadable_record_is_kept_whole_and_the_others_are_applied(
    world: ConsumerHarness,
) -> None:
    assert world.handle(b"gar\xffbage", document(None, item("a"))) is None
    (key, kept) = next(iter(world.quarantine().items()))
    assert key == f"open/unreadable/{SHARD}/1000-0.json"
    assert kept["data"] == "Z2Fy/2JhZ2U="
    assert world.value("a") == "1"


def test_a_bad_record_inside_an_aggregate_is_kept_alone(world: ConsumerHarness) -> None:
    good = spread([1, 1])
    assert world.handle(aggregate(good[0], b"garbage", good[1])) is None
    assert list(world.quarantine()) == [f"open/unreadable/{SHARD}/1000-1.json"]
    assert world.value("k0") == world.value("k1") == "1"


def test_a_redelivered_record_is_kept_once(world: ConsumerHarness) -> None:
    world.handle(b"garbage")
    world.handle(b"garbage")
    assert len(world.quarantine()) == 1


def test_a_record_that_cannot_be_kept_is_reported_failed(world: ConsumerHarness) -> None:
    world.s3_faults.fail(errors.access_denied("PutObject"), times=1_000)
    assert world.handle(document(None, item("a")), b"garbage", millis=20_000) == "1001"
    world.s3.faults = Faults()
    assert world.handle(b"garbage", first=1001) is None
    assert world.reasons() == ["unreadable"]


def test_while_a_rejected_change_cannot_be_kept_nothing_of_its_key_has_ended(
    world: ConsumerHarness,
) -> None:
    world.s3_faults.fail(errors.unavailable("PutObject"), times=1_000)
    older, newer = (
        document(None, item("a")),
        document(item("a"), item("a", 2, b=TOO_BIG), START + 1),
    )
    assert world.handle(older, newer, millis=20_000) == "1000"
    world.s3.faults = Faults()
    assert world.handle(older, newer) is None
    assert world.value("a") == "1"


def test_passing_trouble_with_the_quarantine_is_sat_out(world: ConsumerHarness) -> None:
    world.s3_faults.fail(errors.unavailable("PutObject"), times=3)
    assert world.handle(b"garbage") is None
    assert world.reasons() == ["unreadable"]


@pytest.mark.parametrize("depth", [32, 150, 320, 990])
def test_no_depth_of_nesting_stops_the_lane(world: ConsumerHarness, depth: int) -> None:
    deep: dict[str, Any] = {"N": "1"}
    for _ in range(depth):
        deep = {"L": [{"M": {"x": deep}}]} if depth < 990 else {"L": [deep]}
    text = json.dumps(document(None, item("a", deep="DEEP")))
    record = text.replace('"DEEP"', _nested(deep)).encode()
    assert world.handle(record, document(None, item("b"))) is None
    assert world.value("b") == "1"
    assert len(world.quarantine()) == 1


def _nested(value: Any) -> str:
    """JSON of a value that is too deep for `json.dumps`."""
    parts: list[str] = []
    closing: list[str] = []
    while True:
        ((tag, held),) = value.items()
        if tag == "N":
            return "".join(parts) + '{"N":"1"}' + "".join(reversed(closing))
        parts.append('{"L":[')
        closing.append("]}")
        value = held[0]
        if "M" in value:
            parts.append('{"M":{"x":')
            closing.append("}}")
            value = value["M"]["x"]


# Keys and texts that are not Unicode, such as DynamoDB would not have written.


def test_a_lone_surrogate_is_no_reason_to_stop(world: ConsumerHarness) -> None:
    odd = json.dumps(document(None, item("a", text={"S": "\ud800"}))).encode()
    pair = json.dumps(document(None, item("c", text={"S": "\U0001f600"}))).encode()
    assert b"\\ud83d" in pair
    assert world.handle(odd, document(None, item("b")), pair) is None
    assert world.value("b") == world.value("c") == "1"
    assert world.reasons() == ["unreadable"]


# Systematic faults.


@pytest.mark.parametrize(
    "error",
    [
        errors.access_denied,
        errors.expired_credentials,
        lambda operation: errors.client_error(operation, "ResourceNotFoundException", "no table"),
        lambda operation: errors.client_error(operation, "KMSDisabledException", "key disabled"),
        lambda operation: errors.client_error(operation, "SomethingNewException", "?"),
    ],
)
def test_a_systematic_fault_quarantines_nothing(world: ConsumerHarness, error: Any) -> None:
    world.faults.fail(error("TransactWriteItems"), operation="TransactWriteItems", times=10_000)
    assert world.handle(*spread([1] * 3), millis=20_000) == "1000"
    assert world.quarantine() == {}


def test_a_missing_permission_is_named(world: ConsumerHarness) -> None:
    world.faults.fail(errors.access_denied("TransactWriteItems"), operation="TransactWriteItems")
    world.handle(*spread([1]))
    assert "dynamodb:TransactWriteItems" in world.output.getvalue()
    assert "\nTry: " in world.output.getvalue()


# Two changes of one time.


def test_an_ambiguous_order_is_noted_before_the_doubtful_write(world: ConsumerHarness) -> None:
    world.handle(document(item("a", 1), item("a", 2)))
    watch = Watch(world.dynamodb, world.s3)
    assert world.handle(document(item("a", 2), item("a", 1)), first=2000) is None
    tail = watch.operations[-3:]
    assert tail == ["TransactWriteItems", "PutObject", "TransactWriteItems"]
    assert world.value("a") == "1"
    assert list(world.quarantine()) == [f"open/ambiguous-order/{SHARD}/2000-0.json"]
    assert world.meter.last["ChangesApplied"] == 1


def test_without_the_note_the_doubtful_write_is_not_made(world: ConsumerHarness) -> None:
    world.handle(document(item("a", 1), item("a", 2)))
    world.s3_faults.fail(errors.access_denied("PutObject"), times=1_000)
    doubtful = document(item("a", 2), item("a", 1))
    assert world.handle(doubtful, first=2000, millis=20_000) == "2000"
    assert world.value("a") == "2"


def test_unrelated_images_of_one_time_are_kept_and_not_applied(world: ConsumerHarness) -> None:
    world.handle(document(None, item("a", 2)))
    assert world.handle(document(None, item("a", 3))) is None
    assert world.value("a") == "2"
    assert world.reasons() == ["ambiguous-order"]


Step = tuple[int, str]


def times(length: int) -> Iterator[list[Step]]:
    """Times that never decrease, in one precision or both, up to four in a millisecond."""
    same = [(START, "u")] * length
    yield same
    yield [(START + step, "u") for step in range(length)]
    yield [(START + step // 2, "u") for step in range(length)]
    yield [(START, "m")] * length
    for switch in range(1, length):
        yield [(START, "m")] * switch + [(START + 100 * n, "u") for n in range(length - switch)]
        yield [(START + 100 * n, "u") for n in range(switch)] + [(START, "m")] * (length - switch)
    yield [(START + 100, "u"), (START, "m"), (START + 200, "u"), (START, "m")][:length]


def histories(length: int) -> Iterator[list[dict[str, Any]]]:
    for images in itertools.product([None, 1, 2], repeat=length + 1):
        if any(before == after for before, after in itertools.pairwise(images)):
            continue
        for when in times(length):
            yield [
                document(
                    None if images[n] is None else item("KEY", images[n]),
                    None if images[n + 1] is None else item("KEY", images[n + 1]),
                    micros,
                    precision="m" if precision == "m" else "u",
                )
                for n, (micros, precision) in enumerate(when)
            ]


def renamed(history: list[dict[str, Any]], key: str) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = json.loads(json.dumps(history).replace('"KEY"', f'"{key}"'))
    return made


def last_value(history: list[dict[str, Any]]) -> str | None:
    new = history[-1]["dynamodb"].get("NewImage")
    return None if new is None else new["value"]["N"]


@pytest.mark.parametrize("length", [1, 2, 3, pytest.param(4, marks=pytest.mark.slow)])
def test_in_order_delivery_in_batches_of_any_size_is_right(length: int) -> None:
    """Up to four changes in one timestamp or millisecond, precisions mixed."""
    world = ConsumerHarness()
    world.dynamodb.check_shapes = False
    for number, history in enumerate(histories(length)):
        for cuts in itertools.product([False, True], repeat=length - 1):
            key = f"k{number}-{cuts}"
            batch: list[Any] = []
            for step, cut in zip(renamed(history, key), [*cuts, True], strict=True):
                batch.append(step)
                if cut:
                    world.handle(*batch)
                    batch = []
            assert world.value(key) == last_value(history), (history, cuts)


def test_any_delivery_in_one_batch_of_two_changes_of_one_time_is_right_or_noted() -> None:
    for length in (2, 3):
        for number, history in enumerate(histories(length)):
            micros = [step["dynamodb"]["ApproximateCreationDateTime"] for step in history]
            if len({len(str(each)) for each in micros}) > 1 or micros.count(micros[0]) > 2:
                continue
            world = ConsumerHarness()
            world.dynamodb.check_shapes = False
            for delivery in list(deliveries(length))[number % 7 :: 7]:
                key = f"k{delivery}"
                steps = renamed(history, key)
                before = set(world.quarantine())
                first = 1000 + 100 * len(before)
                world.handle(*(steps[step] for step in delivery), first=first)
                noted = set(world.quarantine()) - before
                assert world.value(key) == last_value(history) or noted, (history, delivery)


# Redelivery.


def test_a_redelivered_batch_is_looked_up_by_the_container_that_had_it(
    world: ConsumerHarness,
) -> None:
    batch = spread([1] * 300)
    world.handle(*batch)
    watch = Watch(world.dynamodb)
    world.handle(*batch)
    assert "TransactWriteItems" not in watch.operations
    world.consumer = world.container()
    world.handle(*batch)
    assert watch.operations.count("TransactWriteItems") == 1


def test_a_batch_of_one_is_named_before_it_is_touched(
    world: ConsumerHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Dead(BaseException):
        pass

    def die(*_: Any, **__: Any) -> Any:
        raise Dead

    from replicator.consumer import kinesis_records

    monkeypatch.setattr(kinesis_records, "a2b_base64", die)
    logged: list[Any] = []
    monkeypatch.setattr(world.consumer.logger, "info", lambda *a, **k: logged.append((a, k)))
    with pytest.raises(Dead):
        world.handle(as_bytes(document(None, item("a"))), first=4711)
    assert logged[0][1]["extra"] == {"shardId": SHARD, "sequenceNumber": "4711"}
