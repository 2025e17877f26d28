"""The rule for changes of a DynamoDB stream, and what is restored between them, over every small
history and delivery."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from replicator.change import ORDER_ZERO, Change, Entry, Version, compare, contradicts, stream_order
from replicator.consumer.ledger_entry import condition, from_item, to_item
from replicator.consumer.ordering import Verdict, decide, schedule
from replicator.consumer.outcome import Ambiguous, Applied, NeedsNote, Result, Retry, Superseded
from replicator.consumer.writer import ABSENT, Attempt, Pin
from tests.support.replicator.consumer_harness import LEDGER, ConsumerHarness, change, item
from tests.support.replicator.deliveries import deliveries
from tests.support.replicator.writer_conformance import renamed

pytestmark = pytest.mark.promise("C1", "C2")

IMAGES = {None: b"absent", "A": b"A", "B": b"B"}
LABEL = "2026-01-01T00:00:00.000"
SECOND = 1_000_000


def order(number: int, label: str = LABEL) -> str:
    return stream_order(label, str(10**20 + number))


def made(number: int, second: int, old: str | None, new: str | None) -> Entry:
    version = Version(second * SECOND, "s", order(number))
    return Entry(version, image=IMAGES[new], previous=IMAGES[old])


@dataclass(frozen=True)
class History:
    """Changes of one key. `at`: the exact time of each, which no record holds."""

    changes: tuple[Entry, ...]
    at: tuple[int, ...]

    def image_after(self, count: int) -> bytes:
        return self.changes[count - 1].image if count else self.changes[0].previous

    @property
    def last(self) -> bytes:
        return self.changes[-1].image


def histories(length: int) -> Iterator[History]:
    for images in itertools.product([None, "A", "B"], repeat=length + 1):
        if any(before == after for before, after in itertools.pairwise(images)):
            continue
        for steps in itertools.product([0, 1], repeat=length - 1):
            seconds = list(itertools.accumulate(steps, initial=1))
            yield History(
                tuple(made(i, seconds[i], images[i], images[i + 1]) for i in range(length)),
                tuple(seconds[i] * SECOND + 100 * i for i in range(length)),
            )


@dataclass
class Ledger:
    """One key's entry as the guard keeps it; `noted` and `alarmed` are what an operator sees."""

    entry: Entry | None = None
    noted: bool = False
    alarmed: bool = False

    def receive(self, change: Entry) -> Verdict:
        verdict = decide(self.entry, change)
        self.noted |= verdict in (Verdict.DOUBTFUL, Verdict.AMBIGUOUS)
        self.alarmed |= verdict is Verdict.CONTRADICTED
        if verdict.applies or verdict is Verdict.DOUBTFUL:
            self.entry = change
        return verdict

    def restore(self, restored: Entry, judged: Entry | None) -> bool:
        """Write what was judged by `judged`, while that is the entry still."""
        if self.entry == judged:
            self.entry = restored
            return True
        return False


@pytest.mark.parametrize("length", [1, 2, 3])
def test_every_delivery_ends_in_the_last_change_and_nothing_is_ever_doubtful(length: int) -> None:
    for history in histories(length):
        for delivery in deliveries(length):
            ledger = Ledger()
            for i in delivery:
                ledger.receive(history.changes[i])
            assert ledger.entry == history.changes[-1], (history, delivery)
            assert not ledger.noted
            assert not ledger.alarmed


def test_no_older_change_takes_the_place_of_a_newer_one() -> None:
    for history in histories(3):
        for delivery in deliveries(3):
            ledger, highest = Ledger(), -1
            for i in delivery:
                applied = ledger.receive(history.changes[i]).applies
                assert applied == (i > highest), (history, delivery)
                highest = max(highest, i)


@dataclass(frozen=True)
class Restoration:
    """An item as of a time: judged before delivery `judged`, written before delivery `written`.

    `content`: how many changes its image contains; exports may contain some that are later.
    """

    at: int
    content: int
    judged: int
    written: int
    repair: bool


def restorations(history: History, delivered: int) -> Iterator[Restoration]:
    for count in range(len(history.at) + 1):
        before = history.at[count - 1] if count else 0
        after = history.at[count] if count < len(history.at) else before + 3 * SECOND
        for at in {before + 1, after - 1}:
            if at <= before or at >= after:
                continue
            for content in range(count, min(count + 2, len(history.at) + 1)):
                for judged in range(delivered + 1):
                    for written in range(judged, min(judged + 2, delivered + 1)):
                        for repair in (False, True):
                            yield Restoration(at, content, judged, written, repair)


def run(history: History, delivery: tuple[int, ...], plan: Restoration) -> tuple[Ledger, bool]:
    ledger, written = Ledger(), False
    restored: Entry | None = None
    judged: Entry | None = None
    for step in range(len(delivery) + 1):
        if step == plan.judged:
            judged = ledger.entry
            # A verification and a backfill leave a key alone that has changed since.
            if judged is None or judged.version.latest < plan.at:
                image = history.image_after(plan.content)
                kept = ORDER_ZERO if judged is None else judged.version.order
                there = history.image_after(0) if judged is None else judged.image
                version = Version(plan.at, "u", kept)
                restored = Entry(version, image, there if plan.repair else image)
        if step == plan.written and restored is not None:
            written = ledger.restore(restored, judged)
        if step < len(delivery):
            ledger.receive(history.changes[delivery[step]])
    return ledger, written


def streams(length: int) -> Iterator[tuple[int, ...]]:
    """The deliveries of a shard: in order, where any batch may come again."""
    for delivery in deliveries(length):
        firsts = list(dict.fromkeys(delivery))
        if firsts == sorted(firsts):
            yield delivery


@pytest.mark.parametrize("length", [1, 2, pytest.param(3, marks=pytest.mark.slow)])
def test_what_is_restored_between_changes_never_ends_silently_wrong(length: int) -> None:
    some = deliveries if length < 3 else streams
    checked = 0
    for history in histories(length):
        for delivery in some(length):
            for plan in restorations(history, len(delivery)):
                ledger, _ = run(history, delivery, plan)
                assert ledger.entry is not None
                right = ledger.entry.image == history.last
                assert right or ledger.noted, (history, delivery, plan, ledger)
                assert not ledger.alarmed, (history, delivery, plan)
                checked += 1
    assert checked > 20


def test_a_lost_last_change_is_there_once_it_is_restored() -> None:
    restored = 0
    for history in histories(3):
        for plan in restorations(history, 2):
            ledger, written = run(history, (0, 1), plan)
            if written and plan.content == 3 and plan.written == 2:
                assert ledger.entry is not None
                assert ledger.entry.image == history.last
                restored += 1
    assert restored > 100


def test_a_change_that_waited_since_before_a_backfill_does_not_undo_it() -> None:
    """Its number is higher than that of the entry as judged; its second is what tells."""
    ledger = Ledger(made(1, 1, None, "A"))
    waiting = made(2, 5, "A", "B")
    assert ledger.restore(
        Entry(Version(9 * SECOND, "u", order(1)), IMAGES[None], IMAGES["A"]), ledger.entry
    )
    assert ledger.receive(waiting) is Verdict.OLDER
    assert ledger.receive(made(3, 10, None, "A")) is Verdict.NEWER


def test_numbers_that_do_not_grow_from_parent_to_child_are_never_silently_wrong() -> None:
    """The assumption in C1's list: where it fails across seconds, nothing is lost unseen."""
    alarmed = 0
    for history in histories(2):
        parent, child = history.changes
        if parent.version.second == child.version.second:
            continue
        wrong = replace(parent, version=replace(parent.version, order=order(7)))
        for delivery in ((wrong, child), (wrong, wrong, child), (wrong, child, child)):
            ledger = Ledger()
            for each in delivery:
                ledger.receive(each)
            assert ledger.entry == wrong
            assert ledger.alarmed
            alarmed += 1
    assert alarmed > 10


def test_the_numbers_of_a_later_stream_are_higher_than_those_of_an_earlier_one() -> None:
    long_number = stream_order("2026-01-01T00:00:00.000", "9" * 40)
    assert long_number < stream_order("2026-01-01T00:00:00.001", "1" * 21)
    assert order(9) < order(10)
    assert stream_order(LABEL, "9" * 21) < stream_order(LABEL, "1" + "0" * 21)
    assert order(0) > ORDER_ZERO


ENTRY = made(5, 5, "A", "B")
RESTORED = Entry(Version(5 * SECOND + 500, "u", order(5)), image=b"B", previous=b"A")


@pytest.mark.parametrize(
    ("entry", "new", "verdict"),
    [
        (None, made(1, 1, None, "A"), Verdict.NEWER),
        (ENTRY, made(5, 5, "A", "B"), Verdict.SAME),
        (ENTRY, made(6, 5, "B", "A"), Verdict.NEWER),
        (ENTRY, made(6, 4, "B", "A"), Verdict.NEWER),
        (ENTRY, made(4, 5, None, "A"), Verdict.OLDER),
        (ENTRY, made(4, 6, None, "A"), Verdict.CONTRADICTED),
        (RESTORED, made(5, 5, None, "A"), Verdict.OLDER),
        (RESTORED, made(4, 6, None, "A"), Verdict.CONTRADICTED),
        (RESTORED, made(6, 6, None, "A"), Verdict.NEWER),
        (RESTORED, made(6, 4, None, "A"), Verdict.OLDER),
        (RESTORED, made(6, 5, "A", "B"), Verdict.SAME),
        (RESTORED, made(6, 5, "B", None), Verdict.SUCCESSOR),
        (RESTORED, made(6, 5, "B", "A"), Verdict.DOUBTFUL),
        (RESTORED, made(6, 5, None, "A"), Verdict.PREDECESSOR),
        (RESTORED, made(6, 5, None, "B"), Verdict.AMBIGUOUS),
        (Entry(Version(1, "u"), b"A", b"B"), made(6, 5, None, "B"), Verdict.CONTRADICTED),
        (ENTRY, Entry(Version(9 * SECOND, "u"), b"A", b"B"), Verdict.CONTRADICTED),
    ],
)
def test_verdicts(entry: Entry | None, new: Entry, verdict: Verdict) -> None:
    assert decide(entry, new) is verdict


def test_comparing_is_antisymmetric_and_only_a_lower_number_in_a_later_second_contradicts() -> None:
    versions = [
        Version(second * SECOND + micros, "u" if micros else "s", number)
        for second in (1, 2, 3)
        for micros in (0, 700)
        for number in (order(1), order(2), ORDER_ZERO)
        if micros or number != ORDER_ZERO
    ]
    sign = lambda n: (n > 0) - (n < 0)  # noqa: E731
    for one, other in itertools.product(versions, versions):
        assert sign(compare(one, other)) == -sign(compare(other, one)), (one, other)
        expected = not one.restored and one.order < other.order and one.second > other.second
        assert contradicts(one, other) == expected


@dataclass(frozen=True)
class Numbered:
    version: Version


def test_of_a_batch_only_the_highest_number_is_attempted() -> None:
    low, high, again = (
        Numbered(Version(second * SECOND, "s", order(n))) for second, n in ((2, 1), (1, 2), (1, 2))
    )
    assert schedule([low, high, again]) == ([high, again], [low])


# The condition of the write says the same as the rule.


def _states() -> Iterator[tuple[Version, str | None, str | None]]:
    pairs = [*itertools.permutations([None, "A", "B"], 2), ("A", "A")]
    for old, new in pairs:
        for second, number in itertools.product((5, 6), (1, 2)):
            yield Version(second * SECOND, "s", order(number)), old, new
        for micros, kept in itertools.product((5 * SECOND + 7, 6 * SECOND), (ORDER_ZERO, order(1))):
            yield Version(micros, "u", kept), old, new


def of_result(result: Result) -> Verdict | str:
    if isinstance(result, Retry):
        return Verdict.CONTRADICTED if result.contradicted else result.why
    return type(result).__name__


def expected(verdict: Verdict) -> Verdict | str:
    if verdict.applies:
        return Applied.__name__
    if verdict is Verdict.CONTRADICTED:
        return verdict
    if verdict is Verdict.DOUBTFUL:
        return NeedsNote.__name__
    return (Ambiguous if verdict is Verdict.AMBIGUOUS else Superseded).__name__


def test_every_state_and_change_end_as_the_rule_says() -> None:
    world = ConsumerHarness()
    writer = world.consumer.parts.writer
    images = {None: None, "A": item("a", 1), "B": item("a", 2)}

    def of(state: tuple[Version, str | None, str | None], key: str) -> Change:
        version, old, new = state
        made = renamed(change(images[old], images[new]), key)
        made.version = version
        return made

    states = list(_states())
    for number, (state, late) in enumerate(itertools.product(states, states)):
        key = f"k{number}"
        before, after = of(state, key), of(late, key)
        world.dynamodb.put_item(TableName=LEDGER, Item=to_item(before.key, before.entry))
        verdict = decide(before.entry, after.entry)
        (result,) = writer.apply([Attempt(after)], world.context())
        assert of_result(result) == expected(verdict), (state, late, verdict)
        stored = world.ledger(after)
        assert stored is not None
        assert from_item(stored) == (after if verdict.applies else before).entry


@pytest.mark.parametrize("pin", [None, ABSENT, "entry", "another order"])
def test_a_pinned_write_needs_exactly_the_entry_as_judged(pin: Pin | str) -> None:
    world = ConsumerHarness()
    judged = change(None, item("a", 1))
    judged.version = Version(5 * SECOND, "s", order(1))
    restored = change(item("a", 1), item("a", 2))
    restored.version = Version(9 * SECOND, "u", order(1))
    world.dynamodb.put_item(TableName=LEDGER, Item=to_item(judged.key, judged.entry))
    exact: Pin = None
    if pin == "entry":
        exact = judged.entry
    elif pin == "another order":
        exact = replace(judged.entry, version=replace(judged.version, order=order(2)))
    elif pin is ABSENT:
        exact = ABSENT
    (result,) = world.consumer.parts.writer.apply([Attempt(restored, exact)], world.context())
    assert isinstance(result, Applied) == (pin in (None, "entry"))
    if pin not in (None, "entry"):
        assert isinstance(result, Retry)


def test_a_restored_item_is_written_where_its_key_still_has_no_entry() -> None:
    world = ConsumerHarness()
    restored = change(None, item("a", 2))
    restored.version = Version(9 * SECOND, "u", ORDER_ZERO)
    for kind in (Applied, Superseded):  # a repetition of its own is what is there
        (result,) = world.consumer.parts.writer.apply([Attempt(restored, ABSENT)], world.context())
        assert isinstance(result, kind)


def test_entries_and_conditions_of_a_kinesis_stream_are_what_they_were() -> None:
    entry = Entry(Version(1_700_000_000_123_456, "u"), image=b"i", previous=b"o")
    stored = {
        "k": {"B": b"key"},
        "t": {"N": "1700000000123456"},
        "p": {"S": "u"},
        "i": {"B": b"i"},
        "o": {"B": b"o"},
    }
    assert to_item(b"key", entry) == stored
    assert from_item(stored) == entry
    assert condition(entry, None) == {
        "ConditionExpression": (
            "attribute_not_exists(k) OR (p = :p AND t < :t) OR (p = :q AND t < :first) OR "
            "((p = :p AND t = :t OR p = :q AND t BETWEEN :first AND :last) AND i = :o AND "
            "o <> :i AND o <> i)"
        ),
        "ExpressionAttributeValues": {
            ":p": {"S": "u"},
            ":q": {"S": "m"},
            ":t": {"N": "1700000000123456"},
            ":first": {"N": "1700000000123000"},
            ":last": {"N": "1700000000123999"},
            ":i": {"B": b"i"},
            ":o": {"B": b"o"},
        },
    }
    assert condition(entry, entry) == {
        "ConditionExpression": "t = :t AND p = :p AND i = :i AND o = :o",
        "ExpressionAttributeValues": {
            ":t": {"N": "1700000000123456"},
            ":p": {"S": "u"},
            ":i": {"B": b"i"},
            ":o": {"B": b"o"},
        },
    }


def test_an_entry_to_the_second_without_its_order_is_unreadable() -> None:
    stored = to_item(b"key", ENTRY)
    assert from_item(stored) == ENTRY
    del stored["q"]
    with pytest.raises(ValueError, match="without its order"):
        from_item(stored)
