"""What is missing stays known until a snapshot or a verification of afterwards has it (C7)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bootstrap.journal.load_records import EarlyConsumer
from bootstrap.journal.records import Exported, Imported, Interrupted, Overran, Skipped
from bootstrap.journal.switch_records import GateGap
from bootstrap.journal.verification_records import Verified
from bootstrap.status.data_loss import KnownLosses, collect
from replicator.watchdog.probe_rounds import WatchdogState
from replicator.watchdog.readings import Outage

pytestmark = pytest.mark.promise("C7")

COUNTS = dict.fromkeys(("changed_since", "missing", "extra", "different", "foreign"), 0)
COUNTS |= dict.fromkeys(("source_items", "target_items", "equal"), 3)
VERIFIED = Verified("r", 9000, 8900, 8950, 1.0, **COUNTS, complete_until=8000)
EXPORT = Exported(export_time=1000, done=True)


def noted(*records: Any, book: WatchdogState | None = None) -> KnownLosses:
    by_kind = {type(each): each for each in records}
    read: Any = by_kind.get
    return collect(read, book or WatchdogState())


@pytest.mark.parametrize(
    ("seen", "run", "expected"),
    [
        (None, None, None),
        (Outage(10, 20), None, Outage(10, 20)),
        (None, Interrupted(10), Outage(10)),
        (None, Interrupted(10, 20), Outage(10, 20)),
        (Outage(15, 20), Interrupted(5, 25), Outage(5, 25)),
        (Outage(15), Interrupted(5, 25), Outage(5)),
        (Outage(15, 20), Interrupted(5), Outage(5)),
        (Outage(30, 40), Interrupted(10, 20), Outage(10, 40)),
        (Outage(10, 20), Interrupted(30, 40), Outage(10, 40)),
    ],
)
def test_what_a_run_noted_and_what_the_watchdog_saw_become_one_outage(
    seen: Outage | None, run: Interrupted | None, expected: Outage | None
) -> None:
    assert noted(*([run] if run else []), book=WatchdogState(outage=seen)).outage == expected


def test_an_overrun_is_known_from_both_as_well() -> None:
    both = noted(Overran(30, 40), book=WatchdogState(overrun=Outage(10, 20)))
    assert both.overrun == Outage(10, 40)


OFF, LATE = KnownLosses(outage=Outage(2000, 7900)), KnownLosses(overrun=Outage(2000, 7900))
NEVER_SENT = KnownLosses(skipped=Skipped(1, 2000, 7900))
GIVEN_UP = KnownLosses(given_up=Outage(2000, 7900))


LEFT_OUT = KnownLosses(left_out=GateGap(2000, 7900, 3))


@pytest.mark.parametrize("lost", [OFF, LATE, NEVER_SENT, GIVEN_UP, LEFT_OUT])
def test_a_loss_is_over_by_what_is_complete_until_after_its_end(lost: KnownLosses) -> None:
    assert lost.unasked
    assert lost.unresolved(EXPORT, None) == lost
    assert not lost.unresolved(EXPORT, VERIFIED).any
    assert lost.unresolved(EXPORT, replace(VERIFIED, complete_until=7899)) == lost
    assert not lost.unresolved(Exported(export_time=7960, done=True), None).any, "another snapshot"
    assert lost.unresolved(Exported(export_time=7959, done=True), None) == lost
    assert lost.unresolved(Exported(export_time=7960), None) == lost, "it may still fail"


@pytest.mark.parametrize(
    "lost", [KnownLosses(outage=Outage(2000)), KnownLosses(overrun=Outage(2000))]
)
def test_a_loss_that_goes_on_is_not_over(lost: KnownLosses) -> None:
    assert lost.unresolved(EXPORT, VERIFIED) == lost


def test_items_that_an_import_left_out_are_nobody_s_surprise() -> None:
    lost = noted(Imported(done=True, refused=2))
    assert lost.any
    assert not lost.unasked
    assert lost.unresolved(EXPORT, replace(VERIFIED, complete_until=1000)) == lost
    assert not lost.unresolved(EXPORT, VERIFIED).any


def test_what_a_load_replaced_is_over_by_a_later_verification_and_by_no_snapshot_before() -> None:
    lost = noted(EarlyConsumer(7_900))
    assert lost.unasked and not lost.unsent
    assert lost.unresolved(Exported(export_time=9_000, done=True), None) == lost
    assert lost.unresolved(EXPORT, replace(VERIFIED, complete_until=7_900)) == lost
    assert not lost.unresolved(EXPORT, VERIFIED).any
    (text,) = lost.warnings
    assert "verify --repair" in text


def test_each_loss_is_told_with_what_ends_it() -> None:
    texts = KnownLosses(2, Skipped(3, 1, 2), Outage(10), Outage(10, 20), Outage(10, 20)).warnings
    assert len(texts) == 5
    assert all("python -m bootstrap verify --repair" in each for each in texts)
    assert "between 1970-01-01T00:00:10.000Z and now" in texts[2]
