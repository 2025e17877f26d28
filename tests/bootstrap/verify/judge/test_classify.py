"""A differing key is judged by its ledger entry and by when the exports were (C1, C7)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bootstrap.verify.compare.partitions import ABSENT, Difference, ExportedItem
from bootstrap.verify.judge.classify import FUZZ, MARGIN, Judgement, Moments, judge
from replicator.change import Entry, Precision, Version

pytestmark = pytest.mark.promise("C1", "C7")

TS = 1_790_000_000_000_000
OURS, THEIRS, OTHER = b"s" * 16, b"t" * 16, b"o" * 16
NOW = Moments(TS, TS + 10 * FUZZ, applied_by_target=TS + 8 * FUZZ, applied_by_now=TS + 20 * FUZZ)

DIFFERENT = Difference(b"k" * 16, ExportedItem(OURS, 0, 0), ExportedItem(THEIRS, 0, 0))
MISSING = Difference(b"k" * 16, ExportedItem(OURS, 0, 0), None)
EXTRA = Difference(b"k" * 16, None, ExportedItem(THEIRS, 0, 0))


def entry(micros: int, image: bytes, precision: Precision = "u") -> Entry:
    return Entry(Version(micros, precision), image=image, previous=OTHER)


LONG_BEFORE, JUST_BEFORE = TS - 10 * MARGIN, TS - MARGIN + 1


@pytest.mark.parametrize(
    ("difference", "found", "expected"),
    [
        (DIFFERENT, None, Judgement.DIFFERENCE),
        (DIFFERENT, entry(LONG_BEFORE, THEIRS), Judgement.DIFFERENCE),  # a change got lost
        (DIFFERENT, entry(LONG_BEFORE, OURS), Judgement.FOREIGN),  # applied, then overwritten
        (DIFFERENT, entry(LONG_BEFORE, OTHER), Judgement.DIFFERENCE),
        (DIFFERENT, entry(TS - MARGIN, OURS), Judgement.FOREIGN),
        (MISSING, entry(LONG_BEFORE, OURS), Judgement.FOREIGN),
        (MISSING, entry(LONG_BEFORE, ABSENT), Judgement.DIFFERENCE),
        (EXTRA, entry(LONG_BEFORE, ABSENT), Judgement.FOREIGN),
        (EXTRA, entry(LONG_BEFORE, THEIRS), Judgement.DIFFERENCE),
        (DIFFERENT, entry(JUST_BEFORE, THEIRS), Judgement.CHANGED_SINCE),
        (DIFFERENT, entry(TS + 5, THEIRS), Judgement.CHANGED_SINCE),
        (MISSING, entry(TS + 5, ABSENT), Judgement.CHANGED_SINCE),
        (DIFFERENT, entry(TS + 5, OURS), Judgement.FOREIGN_SINCE),  # not what its own entry says
        (EXTRA, entry(TS + 5, ABSENT), Judgement.FOREIGN_SINCE),
        # Applied only after the target's export, perhaps: that may hold the item before.
        (DIFFERENT, entry(TS + 9 * FUZZ, OURS), Judgement.CHANGED_SINCE),
        (DIFFERENT, entry(TS + 15 * FUZZ, OTHER), Judgement.CHANGED_SINCE),
    ],
)
def test_a_differing_key_is_judged_by_its_ledger_entry(
    difference: Difference, found: Entry | None, expected: Judgement
) -> None:
    assert judge(difference, found, NOW) is expected


def test_nothing_is_judged_before_the_consumer_is_caught_up_past_the_source_s_export() -> None:
    waiting = Moments(TS, TS, applied_by_target=TS, applied_by_now=TS + FUZZ - 1)
    assert not waiting.judgeable
    for found in (None, entry(LONG_BEFORE, OURS), entry(LONG_BEFORE, THEIRS)):
        assert judge(DIFFERENT, found, waiting) is Judgement.CHANGED_SINCE


def test_with_a_target_export_of_unknown_lag_only_keys_without_an_entry_are_judged() -> None:
    unknown = Moments(TS, TS, applied_by_target=None, applied_by_now=TS + FUZZ)
    assert judge(DIFFERENT, None, unknown) is Judgement.DIFFERENCE
    assert judge(DIFFERENT, entry(LONG_BEFORE, OURS), unknown) is Judgement.CHANGED_SINCE


def test_the_entry_of_a_repair_of_the_same_exports_is_told_from_a_foreign_write() -> None:
    repairing = replace(NOW, repairing=True)
    assert judge(DIFFERENT, entry(NOW.repair_version, OURS), repairing) is Judgement.REPAIRED
    assert judge(EXTRA, entry(NOW.repair_version, ABSENT), repairing) is Judgement.REPAIRED
    assert judge(MISSING, entry(NOW.repair_version, OURS), repairing) is Judgement.REPAIRED
    for other, expected in (
        (entry(NOW.repair_version - 1, OURS), Judgement.FOREIGN),
        (entry(NOW.repair_version + 1, OURS), Judgement.FOREIGN_SINCE),
        (entry(NOW.repair_version // 1000 * 1000, OURS, "m"), Judgement.FOREIGN),
    ):
        assert judge(DIFFERENT, other, repairing) is expected
    overwritten = judge(DIFFERENT, entry(NOW.repair_version, OTHER), repairing)
    assert overwritten is Judgement.DIFFERENCE
    assert judge(DIFFERENT, entry(NOW.repair_version, OURS), NOW) is Judgement.FOREIGN


@pytest.mark.parametrize(
    ("known", "target", "expected"),
    [
        (TS + MARGIN, TS + MARGIN, TS - MARGIN),
        (TS - 2 * MARGIN, TS + MARGIN, TS - 2 * MARGIN),  # it lagged by so much
        (TS + MARGIN, TS - 3 * MARGIN, TS - 3 * MARGIN - FUZZ),
        (None, TS + MARGIN, 0),
    ],
)
def test_keys_changed_since_take_little_from_what_is_known_to_be_complete(
    known: int | None, target: int, expected: int
) -> None:
    """What such a key lacked from before, its newer change has replaced."""
    busy = replace(NOW, applied_by_target=known, target=target)
    assert busy.complete_until(all_judged=False) == expected
    assert busy.complete_until(all_judged=True) == (0 if known is None else TS - MARGIN)
    behind = replace(busy, applied_by_now=TS)
    assert behind.complete_until(all_judged=False) == 0


moments = st.builds(
    lambda target, by_target, by_now: Moments(TS, TS + target, TS + by_target, TS + by_now),
    *[st.integers(-20 * FUZZ, 20 * FUZZ)] * 3,
)
digests = st.sampled_from([OURS, THEIRS, OTHER, ABSENT])
entries = st.builds(
    lambda when, image, precision: entry((TS + when) // 1000 * 1000, image, precision),
    st.integers(-20 * FUZZ, 20 * FUZZ),
    digests,
    st.sampled_from(["u", "m"]),
)


@given(st.sampled_from([DIFFERENT, MISSING, EXTRA]), entries, moments)
def test_a_key_that_is_not_judged_was_changed_after_what_is_complete(
    difference: Difference, found: Entry, when: Moments
) -> None:
    if judge(difference, found, when) is Judgement.CHANGED_SINCE:
        until = when.complete_until(all_judged=False)
        assert until == 0 or found.version.micros > until


@given(st.sampled_from([DIFFERENT, MISSING, EXTRA]), entries, moments)
def test_what_is_reported_was_applied_before_the_target_s_export_and_is_not_there(
    difference: Difference, found: Entry, when: Moments
) -> None:
    judgement = judge(difference, found, when)
    if judgement is Judgement.CHANGED_SINCE:
        return
    assert when.judgeable
    assert found.version.micros <= when.target - FUZZ
    assert when.applied_by_target is not None
    assert found.version.micros <= when.applied_by_target
    if judgement.foreign:
        assert difference.target_image != found.image
    if judgement is Judgement.FOREIGN_SINCE:
        assert found.version.micros > when.repair_version, "these exports repair it"
    else:
        assert found.version.micros <= TS - MARGIN
