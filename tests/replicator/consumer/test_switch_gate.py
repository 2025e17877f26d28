"""The consumer during a switch: late writes are noted, and a closed gate lets nothing through."""

from __future__ import annotations

from typing import Any

import pytest

from replicator.late_write_rows import LateWrite, LateWritesRow, late_writes_key
from replicator.probes import PROTOCOL
from replicator.settings import ARMED_SECONDS
from tests.support.fakes import errors
from tests.support.fakes.errors import Call, Faults
from tests.support.replicator.consumer_harness import (
    LEDGER,
    SHARD,
    START,
    ConsumerHarness,
    Watch,
    change,
    document,
    item,
    probe,
    spread,
)

pytestmark = pytest.mark.promise("C3", "C9")

NONCE = "attempt-1"
ARMED = {"armed": {"S": NONCE}, "mark": {"N": str(START)}}
CLOSED = {**ARMED, "closed": {"S": NONCE}}
TIME_TO_LIVE = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}


@pytest.fixture
def world() -> ConsumerHarness:
    return ConsumerHarness()


def expiry(key: str, micros: int) -> dict[str, Any]:
    """The record of a deletion by the source's time to live."""
    return document(item(key), None, micros) | {"userIdentity": TIME_TO_LIVE}


def late(world: ConsumerHarness) -> LateWritesRow | None:
    key = {"k": {"B": late_writes_key(NONCE, SHARD)}}
    found = world.dynamodb.get_item(TableName=LEDGER, Key=key).get("Item")
    return LateWritesRow.from_item(found) if found else None


def late_row(world: ConsumerHarness) -> LateWritesRow:
    found = late(world)
    assert found is not None
    return found


# Armed: every change is applied, and those after the mark are noted.


def test_a_change_after_the_mark_is_applied_and_noted(world: ConsumerHarness) -> None:
    world.settings(**ARMED)
    before, after = document(None, item("a"), START), document(None, item("b"), START + 7)
    assert world.handle(before, after) is None
    assert (world.value("a"), world.value("b")) == ("1", "1")
    row = late_row(world)
    assert (row.changes, row.newest, row.deletions) == (1, START + 7, 0)
    assert row.notes == (LateWrite(change(None, item("b")).key, START + 7, f"{SHARD}:1001"),)
    assert world.meter.last["LateWrites"] == 1


def test_a_deletion_by_time_to_live_is_no_late_write(world: ConsumerHarness) -> None:
    world.handle(document(None, item("a"), START - 5))
    world.settings(**ARMED)
    assert world.handle(expiry("a", START + 7), first=2000) is None
    assert world.value("a") is None
    assert late(world) is None


def test_a_person_who_deletes_is_a_late_write(world: ConsumerHarness) -> None:
    """Only the service itself deletes by time to live, whatever else a record's identity says."""
    world.settings(**ARMED)
    identity = {"type": "AssumedRole", "principalId": "dynamodb.amazonaws.com"}
    world.handle(document(item("a"), None, START + 7) | {"userIdentity": identity})
    assert late_row(world).changes == 1


def test_notes_of_invocations_add_up_and_keep_the_newest(world: ConsumerHarness) -> None:
    world.settings(**ARMED)
    world.handle(document(None, item("a"), START + 9))
    world.handle(document(None, item("b"), START + 4), first=2000)
    row = late_row(world)
    assert (row.changes, row.newest, len(row.notes)) == (2, START + 9, 2)


def test_a_note_keeps_twenty_changes_and_counts_all(world: ConsumerHarness) -> None:
    world.settings(**ARMED)
    world.handle(*(document(None, item(f"k{n}"), START + 1 + n) for n in range(50)))
    row = late_row(world)
    assert (row.changes, len(row.notes)) == (50, 20)
    assert row.notes[-1].version == START + 50


def test_without_its_note_a_late_write_has_not_ended(world: ConsumerHarness) -> None:
    world.settings(**ARMED)
    failing = world.dynamodb.faults = NoRows(b"late:")
    early, after = document(None, item("a"), START), document(None, item("b"), START + 7)
    assert world.handle(early, after, probe(), millis=30_000) == "1001"
    assert not [row for row in world.rows() if row.startswith(b"probe:")]
    world.dynamodb.faults = Faults()
    assert world.handle(after, probe(), first=1001) is None
    assert failing.refused
    assert late_row(world).newest == START + 7


def test_two_containers_lose_none_of_their_notes(world: ConsumerHarness) -> None:
    world.settings(**ARMED)
    other = world.container()

    class InBetween(Faults):
        done = False

        def after(self, call: Call) -> None:
            note = call.operation == "GetItem" and "late:" in repr(call.request)
            if note and not self.done:
                self.done = True
                world.consumer, mine = other, world.consumer
                world.handle(document(None, item("b"), START + 9), first=3000)
                world.consumer = mine

    world.dynamodb.faults = InBetween()
    assert world.handle(document(None, item("a"), START + 7)) is None
    assert (late_row(world).changes, late_row(world).newest) == (2, START + 9)


@pytest.mark.parametrize("row", [ARMED, CLOSED])
def test_an_invocation_is_short_while_a_switch_is_under_way(
    world: ConsumerHarness, row: dict[str, Any]
) -> None:
    world.settings(**row)
    world.handle(probe())  # reads the settings
    began = world.clock.monotonic()
    world.faults.fail(errors.throttled("TransactWriteItems"), times=1_000)
    world.handle(*spread([1, 2]), millis=120_000)
    assert world.clock.monotonic() - began <= ARMED_SECONDS


# Closed: nothing is written, and nothing is lost.


def test_behind_a_closed_gate_no_item_is_written(world: ConsumerHarness) -> None:
    world.settings(**CLOSED)
    watch = Watch(world.dynamodb)
    assert world.handle(document(None, item("a"), START + 7), expiry("b", START + 8)) is None
    assert "TransactWriteItems" not in watch.operations
    assert world.value("a") is None


def test_what_comes_behind_a_closed_gate_is_whole_in_quarantine(world: ConsumerHarness) -> None:
    world.settings(**CLOSED)
    world.handle(document(None, item("a"), START + 7))
    assert list(world.quarantine()) == [f"open/late-write/{SHARD}/1000-0.json"]
    assert late_row(world).changes == 1
    assert world.meter.last == {"ChangesReceived": 1, "ChangesQuarantined": 1, "LateWrites": 1}


def test_a_change_before_the_mark_is_held_back_as_well(world: ConsumerHarness) -> None:
    """The drain was wrong about it: the switch has to take itself back."""
    world.settings(**CLOSED)
    world.handle(document(None, item("a"), START - 7))
    assert world.reasons() == ["late-write"]
    assert late_row(world).changes == 1


def test_what_was_applied_before_the_gate_closed_is_superseded(world: ConsumerHarness) -> None:
    older, newer = document(None, item("a"), START - 9), document(item("a"), item("a", 2), START)
    world.handle(older, newer)
    world.settings(**CLOSED)
    assert world.handle(older, newer) is None
    assert world.meter.last == {"ChangesReceived": 2, "ChangesSuperseded": 2}
    assert (world.quarantine(), late(world)) == ({}, None)


def test_each_change_of_a_key_is_held_back_on_its_own(world: ConsumerHarness) -> None:
    """Nothing is folded: a deletion by time to live does not stand for the write before it."""
    world.settings(**CLOSED)
    world.handle(document(None, item("a"), START + 1), expiry("a", START + 2))
    assert world.reasons() == ["late-write"]
    row = late_row(world)
    assert (row.changes, row.deletions) == (1, 1)


def test_deletions_by_time_to_live_are_left_to_the_target(world: ConsumerHarness) -> None:
    world.handle(*spread([1, 1]))
    world.settings(**CLOSED)
    assert world.handle(expiry("k0", START + 5), expiry("k1", START + 6), first=2000) is None
    assert (world.value("k0"), world.value("k1")) == ("1", "1")
    assert late_row(world).deletions == 2
    assert world.meter.last == {"ChangesReceived": 2, "DeletionsLeftToTtl": 2}


def test_a_flood_behind_a_closed_gate_stays_in_the_stream(world: ConsumerHarness) -> None:
    """A promoted replica's source may be written for weeks more."""
    world.settings(**CLOSED)
    assert world.handle(*spread(range(50))) == "1000"
    assert (world.quarantine(), world.value("k0")) == ({}, None)


def test_while_the_ledger_cannot_be_read_nothing_is_held_to_be_superseded(
    world: ConsumerHarness,
) -> None:
    world.settings(**CLOSED)
    world.handle(probe())
    world.faults.fail(errors.access_denied("BatchGetItem"), operation="BatchGetItem", times=99)
    assert world.handle(document(None, item("a")), first=2000) == "2000"
    assert world.quarantine() == {}


def test_probes_still_come_through_and_say_under_which_nonce(world: ConsumerHarness) -> None:
    rows = []
    for n, row in enumerate(({}, ARMED, CLOSED)):
        world.settings(**row)
        world.handle(probe(n), first=1000 + n)
        key = {"k": {"B": f"probe:probe-1:{n}".encode()}}
        rows.append(world.dynamodb.get_item(TableName=LEDGER, Key=key)["Item"])
    assert [row["protocol"]["N"] for row in rows] == [str(PROTOCOL)] * 3
    assert [row.get("armed", {}).get("S") for row in rows] == [None, NONCE, NONCE]
    assert [row.get("closed", {}).get("S") for row in rows] == [None, None, NONCE]


def test_a_gate_without_a_nonce_stops_the_lane(world: ConsumerHarness) -> None:
    """It would read as open."""
    world.settings(closed={"S": ""})
    assert world.handle(*spread([1]), millis=20_000) == "1000"
    assert world.value("k0") is None


class NoRows(Faults):
    """No row whose key begins so can be written."""

    def __init__(self, prefix: bytes) -> None:
        self._prefix = prefix
        self.refused = 0

    def before(self, call: Call) -> None:
        key = call.request.get("Item", {}).get("k", {}).get("B", b"")
        if call.operation == "PutItem" and bytes(key).startswith(self._prefix):
            self.refused += 1
            raise errors.throttled("PutItem")
