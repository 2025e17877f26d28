"""What is older than the ledger remembers, and ties that no redrive decides."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from bootstrap.quarantine.redrive_policy import RetentionWindow
from replicator.consumer.outcome import Reason
from tests.support.bootstrap import quarantine_harness as worlds
from tests.support.bootstrap.quarantine_harness import DAY, QuarantineHarness
from tests.support.replicator.consumer_harness import START, aggregate, change, document, item

pytestmark = pytest.mark.promise("C2")


@pytest.fixture
def world() -> QuarantineHarness:
    world = QuarantineHarness()
    world.replicating()
    return world


def later(world: QuarantineHarness, days: float) -> None:
    """Time passes, and the ledger forgets what has expired."""
    world.clock.advance(days * DAY)
    world.dynamodb.expire()


def test_a_change_older_than_the_ledger_remembers_would_undo_a_newer_one_and_is_refused(
    world: QuarantineHarness,
) -> None:
    """C2: without the refusal this very redrive takes the item back."""
    old, new = item("a", 1), item("a", 2)
    key = world.keep(document(None, old, START))
    world.handle(document(old, new, START + 5), arrival=world.clock())
    later(world, 32)
    assert world.ledger(change(None, old)) is None
    for direct in (False, True):
        (left,) = world.redrive(direct=direct).left
        assert "forgotten" in left.why
        assert "write it again in the source" in left.fix
    assert (world.open(), world.kinesis.calls, world.value("a")) == ([key], 0, "2")


def test_a_change_is_judged_by_how_long_entries_were_kept_when_it_was_set_aside(
    world: QuarantineHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C2: raising `ledgerRetentionDays` brings no forgotten entry back."""
    old, new = item("a", 1), item("a", 2)
    world.keep(document(None, old, START))
    world.handle(document(old, new, START + 5), arrival=world.clock())
    later(world, 32)
    raised = dataclasses.replace(worlds.OUTPUTS, ledger_retention_days=90)
    monkeypatch.setattr(worlds, "OUTPUTS", raised)
    for direct in (False, True):
        (left,) = world.redrive(direct=direct).left
        assert "the ledger keeps a key for 30 days" in left.why
    assert (world.kinesis.calls, world.value("a")) == (0, "2")


@pytest.mark.parametrize(
    ("days", "stream", "direct"), [(22, True, True), (23, False, True), (29.5, False, False)]
)
def test_what_goes_through_the_stream_has_to_be_younger_for_it_may_wait_there(
    world: QuarantineHarness, days: float, stream: bool, direct: bool
) -> None:
    """A quarter of the 30 days before an alarm tells of the wait; a day for clocks."""
    world.keep(document(None, item("a"), START))
    later(world, days)
    through_stream = world.redrive()
    assert (through_stream.sent == 1) is stream
    if stream:
        return
    fix = through_stream.left[0].fix
    assert ("--direct" in fix) is direct
    assert (len(world.redrive(direct=True).ended) == 1) is direct


def test_an_entry_that_stays_judges_a_change_of_any_age(world: QuarantineHarness) -> None:
    """A key has one entry, so one that stands proves that nothing newer was forgotten."""
    old, new = item("a", 1), item("a", 2)
    world.keep(document(None, old, START))
    world.handle(document(old, new, START + 5), arrival=world.clock())
    later(world, 25)
    world.handle(document(new, item("a", 3), START + 25 * DAY * 10**6), arrival=world.clock())
    later(world, 10)
    assert world.redrive().sent == 1
    assert world.deliver() is None
    assert world.value("a") == "3"


def test_an_entry_that_may_go_while_the_record_waits_proves_nothing(
    world: QuarantineHarness,
) -> None:
    old = item("a", 1)
    key = world.keep(document(None, old, START))
    world.handle(document(old, item("a", 2), START + 5), arrival=world.clock())
    later(world, 29.5)
    assert world.ledger(change(None, old)) is not None
    assert world.redrive().left
    assert world.redrive(direct=True).left
    assert world.open() == [key]


def test_before_the_table_replicates_nothing_is_forgotten_and_nothing_is_too_old() -> None:
    world = QuarantineHarness()
    world.keep(document(None, item("a", 1), START))
    later(world, 300)
    assert world.redrive().sent == 1


def test_every_change_of_an_aggregate_is_judged_by_its_age(world: QuarantineHarness) -> None:
    young = START + 29 * DAY * 10**6
    whole = aggregate(document(None, item("a"), young), document(None, item("b"), START))
    key = world.keep(whole, Reason.PARKED)
    later(world, 31)
    assert world.redrive(key).left
    assert world.redrive(key, direct=True).left


def test_the_shortest_retention_still_leaves_days_to_redrive() -> None:
    memory = RetentionWindow(retention_days=8, expires=True, now=0)
    assert memory.retention - memory.margin(direct=False) == 6 * DAY
    assert memory.retention - memory.margin(direct=True) == 7 * DAY


# -- ties ----------------------------------------------------------------------------------------

A, B, C, D = (item("a", n) for n in range(4))


def tie(world: QuarantineHarness, *documents: Any) -> list[str]:
    """Delivers changes of one key, one batch each; returns the notes that this left."""
    for each in documents:
        world.handle(each, arrival=world.clock(), first=next(world.numbers))
    return world.open()


def test_a_note_of_a_doubtful_write_is_not_resolved_by_delivering_it_again(
    world: QuarantineHarness,
) -> None:
    """It was applied and noted; the ledger shows it as it is, and knows no more than before."""
    notes = tie(world, document(A, B), document(B, A))
    assert world.reasons() == ["ambiguous-order"]
    for direct in (False, True):
        (left,) = world.redrive(*notes, direct=direct).left
        assert "which of the two came last" in left.why
    assert (world.open(), world.kinesis.calls, world.value("a")) == (notes, 0, "0")


def test_redriving_all_notes_of_a_tie_does_not_swing_the_item_to_and_fro(
    world: QuarantineHarness,
) -> None:
    """C2: the late duplicate of the first change was noted and applied too."""
    notes = tie(world, document(A, B), document(B, A), document(A, B))
    assert (len(notes), world.value("a")) == (2, "1")
    for note in notes:
        for direct in (False, True):
            assert len(world.redrive(note, direct=direct).left) == 1
            assert (world.value("a"), world.kinesis.calls) == ("1", 0)


def test_a_note_is_resolved_as_superseded_once_a_later_change_is_applied(
    world: QuarantineHarness,
) -> None:
    notes = tie(world, document(A, B), document(B, A))
    world.handle(document(A, C, START + 1), arrival=world.clock())
    outcome = world.redrive()
    assert [kept.key for kept, _ in outcome.ended] == notes
    assert (world.open(), world.kinesis.calls) == ([], 0)
    (note,) = world.resolved().values()
    assert note["how"] == "superseded"


def test_a_tie_that_was_not_applied_is_redriven_once_the_entry_connects_with_it(
    world: QuarantineHarness,
) -> None:
    notes = tie(world, document(A, B), document(C, D))
    assert (len(notes), world.value("a")) == (1, "1")
    assert world.redrive().left
    world.handle(document(B, C), arrival=world.clock())
    assert world.redrive().sent == 1
    world.deliver()
    assert world.value("a") == "3"


def test_a_tie_that_the_ledger_has_forgotten_is_left_to_a_comparison(
    world: QuarantineHarness,
) -> None:
    notes = tie(world, document(A, B), document(C, D))
    later(world, 31)
    assert world.ledger(change(A, B)) is None
    (left,) = world.redrive().left
    assert "compare the item" in left.fix
    assert world.open() == notes


def test_keys_that_the_ledger_leaves_unprocessed_are_asked_for_again(
    world: QuarantineHarness,
) -> None:
    """An entry that was not read is not one that was forgotten."""
    notes = tie(world, document(A, B), document(B, A))
    world.handle(document(A, C, START + 1), arrival=world.clock())
    world.faults.leave_unprocessed(range(1), times=1)
    assert [kept.key for kept, _ in world.redrive().ended] == notes
