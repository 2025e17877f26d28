"""The rule for two changes of one key, checked over every small history and order of delivery."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from replicator.change import Entry, Version, compare
from replicator.consumer.ordering import Verdict, decide, schedule
from tests.support.replicator.deliveries import deliveries

pytestmark = pytest.mark.promise("C1", "C2")

IMAGES = {None: b"absent", "A": b"A", "B": b"B"}


def change(time: int, old: str | None, new: str | None, precision: str = "u") -> Entry:
    version = Version(time, "u" if precision == "u" else "m")
    return Entry(version, image=IMAGES[new], previous=IMAGES[old])


def histories(length: int, most_in_one_timestamp: int) -> Iterator[list[Entry]]:
    """All histories of one key over three images, where each change changes something."""
    for images in itertools.product([None, "A", "B"], repeat=length + 1):
        if any(before == after for before, after in itertools.pairwise(images)):
            continue
        for steps in itertools.product([0, 1], repeat=length - 1):
            times = list(itertools.accumulate(steps, initial=1))
            if max(times.count(time) for time in times) <= most_in_one_timestamp:
                yield [change(times[i], images[i], images[i + 1]) for i in range(length)]


@dataclass
class Ledger:
    """One key's entry, and whether its order was noted as ambiguous."""

    entry: Entry | None = None
    noted: bool = False

    def receive(self, change: Entry) -> None:
        verdict = decide(self.entry, change)
        if verdict in (Verdict.DOUBTFUL, Verdict.AMBIGUOUS):
            self.noted = True
        if verdict.applies or verdict is Verdict.DOUBTFUL:
            self.entry = change


def outcomes(most: int) -> Iterator[tuple[list[Entry], tuple[int, ...], Ledger]]:
    for length in (1, 2, 3):
        for history in histories(length, most):
            for delivery in deliveries(length):
                ledger = Ledger()
                for i in delivery:
                    ledger.receive(history[i])
                yield history, delivery, ledger


@pytest.mark.parametrize("most", [1, 2])
def test_with_two_changes_in_a_timestamp_no_delivery_is_silently_wrong(most: int) -> None:
    checked = 0
    for history, delivery, ledger in outcomes(most):
        assert ledger.entry is not None
        assert ledger.entry.image == history[-1].image or ledger.noted, (history, delivery)
        checked += 1
    assert checked > 1_000


@pytest.mark.parametrize("most", [1, 2, 3])
def test_in_order_delivery_is_right_however_many_share_a_timestamp(most: int) -> None:
    for history, delivery, ledger in outcomes(most):
        if list(delivery) == sorted(delivery):
            assert ledger.entry is not None
            assert ledger.entry.image == history[-1].image, (history, delivery)


def test_without_ties_nothing_is_ever_ambiguous() -> None:
    assert not any(ledger.noted for _, _, ledger in outcomes(1))


ENTRY = change(5, "A", "B")


@pytest.mark.parametrize(
    ("entry", "new", "verdict"),
    [
        (None, change(1, None, "A"), Verdict.NEWER),
        (ENTRY, change(6, None, "A"), Verdict.NEWER),
        (ENTRY, change(4, None, "A"), Verdict.OLDER),
        (ENTRY, change(5, "A", "B"), Verdict.SAME),
        (ENTRY, change(5, "B", "A"), Verdict.DOUBTFUL),
        (ENTRY, change(5, "B", None), Verdict.SUCCESSOR),
        (ENTRY, change(5, None, "A"), Verdict.PREDECESSOR),
        (ENTRY, change(5, None, "B"), Verdict.AMBIGUOUS),
        (change(5, None, "A"), change(5, "B", None), Verdict.PREDECESSOR),
        # A backfill knows what was left, and not what was found.
        (change(5, "B", "B"), change(5, "A", "B"), Verdict.PREDECESSOR),
        (change(5, "B", "B"), change(5, "B", "A"), Verdict.DOUBTFUL),
    ],
)
def test_verdicts(entry: Entry | None, new: Entry, verdict: Verdict) -> None:
    assert decide(entry, new) is verdict


@pytest.mark.parametrize(
    ("one", "other", "order"),
    [
        (Version(1_000_500, "u"), Version(1_000_400, "u"), 1),
        (Version(1_000_500, "u"), Version(1_000_000, "m"), 0),
        (Version(1_000_000, "m"), Version(1_000_999, "u"), 0),
        (Version(1_001_000, "m"), Version(1_000_999, "u"), 1),
        (Version(1_001_000, "u"), Version(1_000_000, "m"), 1),
        (Version(1_000_000, "m"), Version(1_001_000, "m"), -1),
    ],
)
def test_versions_of_different_precision_in_one_millisecond_are_the_same_time(
    one: Version, other: Version, order: int
) -> None:
    sign = lambda n: (n > 0) - (n < 0)  # noqa: E731
    assert sign(compare(one, other)) == order
    assert sign(compare(other, one)) == -order


@dataclass(frozen=True)
class Timed:
    version: Version
    name: str


def timed(micros: int, name: str, precision: str = "u") -> Timed:
    return Timed(Version(micros, "u" if precision == "u" else "m"), name)


def test_only_the_newest_change_of_a_key_is_attempted() -> None:
    a, b, c = timed(1_000, "a"), timed(3_000, "b"), timed(2_000, "c")
    assert schedule([a, b, c]) == ([b], [a, c])


def test_changes_of_one_timestamp_are_attempted_in_order_of_delivery() -> None:
    a, b, c = timed(3_000, "a"), timed(1_000, "b"), timed(3_000, "c")
    assert schedule([a, b, c]) == ([a, c], [b])


def test_where_precisions_mix_the_whole_newest_millisecond_is_attempted() -> None:
    fine, coarse, finer = timed(5_100, "a"), timed(5_000, "b", "m"), timed(5_700, "c")
    old = timed(4_900, "d")
    assert schedule([fine, coarse, old, finer]) == ([fine, coarse, finer], [old])
