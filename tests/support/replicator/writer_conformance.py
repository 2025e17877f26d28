"""The behaviour of every conditional writer: subclass `WriterConformance` and give it a harness.

The tests see a writer through its interface, the target's items, and the calls it makes. They hold
for any number of calls per change.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

import pytest

from replicator.call_context import CallContext
from replicator.change import Change, Entry
from replicator.consumer.ordering import Verdict, decide
from replicator.consumer.outcome import (
    Ambiguous,
    Applied,
    NeedsNote,
    Rejected,
    Result,
    Retry,
    Superseded,
)
from replicator.consumer.writer import Attempt, ConditionalWriter
from tests.support.fakes import errors
from tests.support.fakes.errors import Call, Faults, Killed
from tests.support.replicator.consumer_harness import DAY, START, Item, change, item
from tests.support.replicator.deliveries import deliveries

A1, A2, A3 = item("a", 1), item("a", 2), item("a", 3)


class Harness(Protocol):
    """A writer on a target in memory. `set_faults` puts something between it and DynamoDB."""

    writer: ConditionalWriter

    def another(self) -> ConditionalWriter:
        """A second writer on the same target: another container."""

    def image(self, key: str) -> Item | None:
        """The target's item without anything that the writer keeps in it."""

    def set_faults(self, faults: Faults) -> None: ...

    def context(self, seconds: float = 60, **more: Any) -> CallContext: ...


class WriterConformance:
    """The tests; `harness` is a fixture of the subclass, fresh for each test."""

    def apply(
        self, harness: Harness, *changes: Change, redelivered: bool = False, **context: Any
    ) -> list[Result]:
        attempts = [Attempt(each, redelivered=redelivered) for each in changes]
        return harness.writer.apply(attempts, harness.context(**context))

    def one(self, harness: Harness, change: Change, pin: Entry | None = None) -> Result:
        (result,) = harness.writer.apply([Attempt(change, pin)], harness.context())
        return result

    # C1, C2: what is newer is applied, what is older is not.

    def test_inserts_updates_and_deletes_are_applied(self, harness: Harness) -> None:
        for number, (old, new) in enumerate([(None, A1), (A1, A2), (A2, None), (None, A3)]):
            assert isinstance(self.one(harness, change(old, new, START + number)), Applied)
            assert harness.image("a") == new

    def test_a_change_of_an_imported_item_is_applied(self, harness: Harness) -> None:
        assert isinstance(self.one(harness, change(A1, A2)), Applied)
        assert harness.image("a") == A2

    def test_a_delete_of_an_item_that_is_not_there_is_applied(self, harness: Harness) -> None:
        assert isinstance(self.one(harness, change(A1, None)), Applied)
        assert harness.image("a") is None

    @pytest.mark.parametrize("new", [A2, None])
    def test_an_older_change_is_superseded(self, harness: Harness, new: Item | None) -> None:
        self.one(harness, change(A1, new, START + 1))
        assert self.one(harness, change(None, A1, START)) == Superseded()
        assert harness.image("a") == new

    def test_a_late_duplicate_does_not_bring_a_deleted_item_back(self, harness: Harness) -> None:
        insert, delete = change(None, A1, START), change(A1, None, START + 1)
        self.one(harness, insert)
        self.one(harness, delete)
        assert self.one(harness, insert) == Superseded()
        assert harness.image("a") is None

    def test_a_duplicate_of_the_newest_change_is_superseded(self, harness: Harness) -> None:
        self.one(harness, change(None, A1))
        assert self.one(harness, change(None, A1)) == Superseded()
        assert harness.image("a") == A1

    def test_an_item_that_returns_to_an_earlier_content_is_followed(self, harness: Harness) -> None:
        steps = [change(A1, A2, START), change(A2, A1, START + 1), change(A1, A2, START + 2)]
        for step in [*steps, *steps, *reversed(steps)]:
            self.one(harness, step)
        assert harness.image("a") == A2

    # Ties.

    def test_the_successor_at_the_same_time_is_applied(self, harness: Harness) -> None:
        self.one(harness, change(A1, A2))
        assert isinstance(self.one(harness, change(A2, A3)), Applied)
        assert harness.image("a") == A3

    def test_the_predecessor_at_the_same_time_is_superseded(self, harness: Harness) -> None:
        self.one(harness, change(A2, A3))
        assert self.one(harness, change(A1, A2)) == Superseded()
        assert harness.image("a") == A3

    def test_going_back_at_the_same_time_is_not_written_before_it_is_noted(
        self, harness: Harness
    ) -> None:
        self.one(harness, change(A1, A2))
        doubtful = self.one(harness, change(A2, A1))
        assert doubtful == NeedsNote(change(A1, A2).entry)
        assert harness.image("a") == A2

    def test_a_noted_change_is_written_to_the_noted_entry(self, harness: Harness) -> None:
        self.one(harness, change(A1, A2))
        assert isinstance(self.one(harness, change(A2, A1), change(A1, A2).entry), Applied)
        assert harness.image("a") == A1

    def test_a_noted_change_is_not_written_to_any_other_entry(self, harness: Harness) -> None:
        self.one(harness, change(A1, A2))
        noted = change(A1, A2).entry
        self.one(harness, change(A2, A3, START + 1))
        assert self.one(harness, change(A2, A1), noted) == Superseded()
        assert harness.image("a") == A3

    def test_unrelated_changes_of_one_time_are_ambiguous(self, harness: Harness) -> None:
        self.one(harness, change(None, A2))
        assert self.one(harness, change(None, A3)) == Ambiguous(change(None, A2).entry)
        assert harness.image("a") == A2

    @pytest.mark.parametrize(
        ("first", "second"),
        [(("u", START + 500), ("m", START)), (("m", START), ("u", START + 500))],
    )
    def test_precisions_mix_within_a_millisecond(
        self, harness: Harness, first: Any, second: Any
    ) -> None:
        def at(when: Any, old: Item | None, new: Item | None) -> Change:
            return change(old, new, when[1], precision=when[0])

        self.one(harness, at(first, A1, A2))
        assert isinstance(self.one(harness, at(second, A2, A3)), Applied)
        assert self.one(harness, at(first, A1, A2)) == Superseded(mixed=True)
        assert self.one(harness, at(second, None, A1)) == Ambiguous(at(second, A2, A3).entry)
        assert harness.image("a") == A3

    @pytest.mark.parametrize(
        ("entry", "late"),
        [(("u", START + 1_000), ("m", START)), (("m", START + 1_000), ("u", START + 999))],
    )
    def test_an_earlier_millisecond_is_older_in_any_precision(
        self, harness: Harness, entry: Any, late: Any
    ) -> None:
        self.one(harness, change(A1, A2, entry[1], precision=entry[0]))
        assert self.one(harness, change(A2, A3, late[1], precision=late[0])) == Superseded()
        newer = change(A2, A3, START + 2_000, precision=late[0])
        assert isinstance(self.one(harness, newer), Applied)

    def test_every_state_and_change_end_as_the_rule_says(self, harness: Harness) -> None:
        images = [None, A1, A2]
        times = [(START, "m"), (START + 1, "u"), (START + 2, "u"), (START + 1_000, "m")]
        states = [
            change(old, new, micros, precision="m" if precision == "m" else "u")
            # One that names its own image as the one before is a backfill's: it knows no other.
            for old, new in [*itertools.permutations(images, 2), (A1, A1), (A2, A2)]
            for micros, precision in times
        ]
        for number, (state, late) in enumerate(itertools.product(states, states)):
            key = f"k{number}"
            before, after = renamed(state, key), renamed(late, key)
            assert isinstance(self.one(harness, before), Applied)
            verdict = decide(before.entry, after.entry)
            assert verdict_of(self.one(harness, after)) == expected(verdict), (before, after)
            assert harness.image(key) == (after if verdict.applies else before).new

    @pytest.mark.parametrize("history", [[(None, 1), (1, 2), (2, 1)], [(1, 2), (2, None)]])
    def test_every_delivery_of_a_history_ends_in_its_last_image(
        self, harness: Harness, history: Any
    ) -> None:
        for number, delivery in enumerate(deliveries(len(history))):
            key = f"k{number}"
            changes = [
                change(
                    None if old is None else item(key, old),
                    None if new is None else item(key, new),
                    START + step,
                )
                for step, (old, new) in enumerate(history)
            ]
            for step in delivery:
                self.one(harness, changes[step])
            assert harness.image(key) == changes[-1].new, delivery

    # C4: faults.

    def test_many_changes_end_each_in_its_own_way(self, harness: Harness) -> None:
        keys = [f"k{n}" for n in range(120)]
        self.apply(harness, *(change(None, item(key), START + 5) for key in keys[::3]))
        results = self.apply(harness, *(change(None, item(key, 2), START) for key in keys))
        for number, (key, result) in enumerate(zip(keys, results, strict=True)):
            assert isinstance(result, Superseded if number % 3 == 0 else Applied)
            assert harness.image(key) == item(key, 1 if number % 3 == 0 else 2)

    @pytest.mark.parametrize("redelivered", [False, True])
    def test_a_redelivered_batch_changes_nothing(self, harness: Harness, redelivered: bool) -> None:
        changes = [change(None, item(f"k{n}")) for n in range(300)]
        self.apply(harness, *changes)
        results = self.apply(harness, *changes, redelivered=redelivered)
        assert set(results) == {Superseded()}

    TRANSIENT = [  # noqa: RUF012
        errors.throttled,
        errors.throttling_exception,
        errors.request_limit_exceeded,
        errors.server_error,
        errors.unavailable,
        errors.transaction_conflict,
        lambda operation: errors.read_timeout(),
        lambda operation: errors.connect_timeout(),
        lambda operation: errors.connection_reset(),
        errors.access_denied,
        errors.expired_credentials,
    ]

    @pytest.mark.parametrize("error", TRANSIENT)
    @pytest.mark.parametrize("after_the_work", [False, True])
    @pytest.mark.parametrize("new", [A2, None])
    def test_a_call_that_fails_is_made_again(
        self, harness: Harness, error: Any, after_the_work: bool, new: Item | None
    ) -> None:
        for call in range(1, 4):
            key = f"k{call}"
            late = renamed(change(A1, new), key)
            harness.set_faults(FailCall(call, error, after_the_work))
            assert isinstance(self.one(harness, late), Applied)
            harness.set_faults(Faults())
            assert harness.image(key) == late.new

    @pytest.mark.parametrize("error", TRANSIENT)
    def test_what_goes_on_failing_is_to_be_tried_again_later(
        self, harness: Harness, error: Any
    ) -> None:
        harness.set_faults(FailAlways(error))
        assert isinstance(self.one(harness, change(A1, A2)), Retry)
        harness.set_faults(Faults())
        assert isinstance(self.one(harness, change(A1, A2)), Applied)

    def test_no_call_starts_when_it_could_outlast_the_deadline(self, harness: Harness) -> None:
        starts = Starts()
        harness.set_faults(starts)
        assert isinstance(self.apply(harness, change(A1, A2), seconds=7.9)[0], Retry)
        assert starts.calls == 0
        harness.set_faults(FailAlways(errors.throttled, counting := Starts()))
        context = harness.context(20)
        harness.writer.apply([Attempt(change(A1, A2))], context)
        assert counting.calls > 3

    @pytest.mark.parametrize("after_the_work", [False, True])
    def test_death_at_any_call_and_redelivery_leave_the_newest(
        self, harness: Harness, after_the_work: bool
    ) -> None:
        for call in range(1, 4):
            key = f"k{call}"
            first, last = (
                renamed(change(None, A1), key),
                renamed(change(A1, None, START + 1), key),
            )
            for dying in (first, last):
                harness.set_faults(KillAt(call, after_the_work))
                try:
                    self.one(harness, dying)
                except Killed:
                    harness.set_faults(Faults())
                    self.one(harness, dying)
            harness.set_faults(Faults())
            self.one(harness, first)
            assert harness.image(key) is None

    def test_two_guards_interleaved_between_any_two_calls_leave_the_newest(
        self, harness: Harness
    ) -> None:
        pairs = [
            (change(None, A1, START), change(A1, A2, START + 1)),
            (change(None, A1, START), change(A1, None, START + 1)),
            (change(A1, None, START), change(None, A2, START + 1)),
            (change(A1, A2, START), change(A2, A3, START)),
        ]
        writers = [harness.writer, harness.another()]
        for number, ((one, other), turns) in enumerate(
            itertools.product(pairs, itertools.product([0, 1], repeat=4))
        ):
            key = f"k{number}"
            changes = [renamed(one, key), renamed(other, key)]
            schedule = TurnTaking(turns)
            harness.set_faults(schedule)
            schedule.run(
                [
                    partial(writer.apply, [Attempt(each)], harness.context())
                    for writer, each in zip(writers, changes, strict=True)
                ]
            )
            harness.set_faults(Faults())
            assert harness.image(key) == changes[1].new, turns

    # Items that the target refuses.

    def test_an_item_that_the_target_rejects_is_told_apart(self, harness: Harness) -> None:
        changes = [change(None, item(f"k{n}")) for n in range(60)]
        changes[17] = change(None, {"pk": {"S": "k17"}, "big": {"S": "x" * 450_000}})
        changes[40] = change(None, item("k40", "not a number"))
        results = self.apply(harness, *changes)
        rejected = {n for n, result in enumerate(results) if isinstance(result, Rejected)}
        assert rejected == {17, 40}
        assert all(isinstance(result, Applied | Rejected) for result in results)
        assert all((harness.image(f"k{n}") is None) == (n in rejected) for n in range(60))

    def test_a_record_that_waited_for_weeks_is_applied_like_any_other(
        self, harness: Harness
    ) -> None:
        waited = change(None, A1, START - 20 * DAY * 1_000_000, arrival=START / 1e6 - 20 * DAY)
        assert isinstance(self.apply(harness, waited, expire=True)[0], Applied)
        assert harness.image("a") == A1


def renamed(change: Change, key: str) -> Change:
    """The same change of another key."""

    def of(image: Any) -> Any:
        return None if image is None else {**image, "pk": {"S": key}}

    return Change(
        {"pk": {"S": key}}, of(change.old), of(change.new), change.version, change.arrival
    )


def verdict_of(result: Result) -> type[Result]:
    return type(result)


def expected(verdict: Verdict) -> type[Result]:
    if verdict.applies:
        return Applied
    if verdict is Verdict.DOUBTFUL:
        return NeedsNote
    return Ambiguous if verdict is Verdict.AMBIGUOUS else Superseded


class FailCall(Faults):
    """One call fails, counted from where it begins."""

    def __init__(self, number: int, error: Callable[[str], Exception], after: bool) -> None:
        self._left = number
        self._error = error
        self._after = after

    def before(self, call: Call) -> None:
        self._left -= 1
        if self._left == 0 and not self._after:
            raise self._error(call.operation)

    def after(self, call: Call) -> None:
        if self._left == 0 and self._after:
            raise self._error(call.operation)


class Starts(Faults):
    """Counts calls."""

    def __init__(self) -> None:
        self.calls = 0

    def before(self, call: Call) -> None:
        self.calls += 1


class FailAlways(Faults):
    def __init__(self, error: Callable[[str], Exception], count: Starts | None = None) -> None:
        self._error = error
        self._count = count or Starts()

    def before(self, call: Call) -> None:
        self._count.before(call)
        raise self._error(call.operation)


class KillAt(Faults):
    """The process dies at a call, before or after its work."""

    def __init__(self, number: int, after: bool) -> None:
        self._left = number
        self._after = after

    def before(self, call: Call) -> None:
        self._left -= 1
        if self._left == 0 and not self._after:
            raise Killed

    def after(self, call: Call) -> None:
        if self._left == 0 and self._after:
            raise Killed


class TurnTaking(Faults):
    """Lets several callers make their calls in a given order of turns, then as they come."""

    def __init__(self, turns: Sequence[int]) -> None:
        self._turns = list(turns)
        self._running: set[int] = set()
        self._names: dict[int, int] = {}
        self._changed = threading.Condition()

    def before(self, call: Call) -> None:
        me = self._names.get(threading.get_ident())
        if me is None:
            return
        with self._changed:
            self._changed.wait_for(lambda: self._next() in (me, None), timeout=10)
            if self._turns:
                self._turns.pop(0)
            self._changed.notify_all()

    def _next(self) -> int | None:
        while self._turns and self._turns[0] not in self._running:
            self._turns.pop(0)
        return self._turns[0] if self._turns else None

    def run(self, calls: Sequence[Callable[[], Any]]) -> None:
        self._running = set(range(len(calls)))

        def one(number: int, call: Callable[[], Any]) -> None:
            self._names[threading.get_ident()] = number
            try:
                call()
            finally:
                with self._changed:
                    self._running.discard(number)
                    self._changed.notify_all()

        threads = [threading.Thread(target=one, args=each) for each in enumerate(calls)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
