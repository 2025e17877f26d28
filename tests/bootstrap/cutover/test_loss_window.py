"""The loss window: facts, and what is not one is not said."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bootstrap.core.facts import ProbeEcho
from bootstrap.cutover.promotion.loss_window import (
    FullRound,
    LossWindow,
    as_json,
    known_losses,
    lane_positions,
    newest_round,
    source_closing,
)
from bootstrap.journal.load_records import EarlyConsumer
from bootstrap.journal.records import Skipped
from bootstrap.journal.switch_records import Switching, SwitchMode, SwitchStep
from bootstrap.status.data_loss import KnownLosses
from replicator.lane_rows import LaneRow
from replicator.watchdog.probe_rounds import ProbeRound, WatchdogState
from replicator.watchdog.readings import Outage, Unread

pytestmark = pytest.mark.promise("C9", "C10")

NOW = 1_767_225_600.0
MICROS = 1_000_000


def lane(shard: str, at: float, *, arrival: float = NOW, newest: float = 0) -> LaneRow:
    return LaneRow(shard, "7", int(arrival * MICROS), int(newest * MICROS), int(at * MICROS))


def echo(at: float, closed: str | None = None) -> ProbeEcho:
    return ProbeEcho(int(at * MICROS), 1, None, closed)


# Lanes


def test_lanes_come_with_the_oldest_record_first() -> None:
    rows = [lane("b", NOW, arrival=NOW - 1), lane("a", NOW, arrival=NOW - 2)]
    assert [each.shard_id for each in lane_positions(rows, WatchdogState(), 300)] == ["a", "b"]


def test_a_row_older_than_a_round_is_a_closed_shard_or_a_lane_that_is_stuck() -> None:
    rows = [lane("old", NOW - 320), lane("new", NOW), lane("waiting", NOW - 300)]
    found = {each.shard_id: each.still for each in lane_positions(rows, WatchdogState(), 300)}
    assert found == {"old": True, "new": False, "waiting": False}


def test_lanes_are_not_stuck_because_no_round_is_put_any_more() -> None:
    """The source has been out of reach for an hour: every row is as old."""
    rows = [lane("a", NOW - 3_600), lane("b", NOW - 3_700)]
    assert not any(each.still for each in lane_positions(rows, WatchdogState(), 300))


def test_a_lane_that_a_round_passed_by_is_marked_though_all_rows_are_old() -> None:
    rows = [lane("a", NOW - 3_600)]
    assert lane_positions(rows, WatchdogState(through=NOW - 60), 300)[0].still


def test_a_lane_without_a_version_has_none() -> None:
    assert lane_positions([lane("a", NOW)], WatchdogState(), 300)[0].newest is None


# Rounds of probes


def test_the_newest_round_that_came_through_counts() -> None:
    book = WatchdogState(
        through=NOW - 300,
        proofs=((NOW - 600, NOW - 590), (NOW - 300, NOW - 290)),
        waiting=(ProbeRound("p", 2, NOW - 60),),
    )
    assert newest_round(book, {}, None) == FullRound(NOW - 300, NOW - 290)
    assert newest_round(book, {"p": [echo(NOW)]}, None) == FullRound(NOW - 300, NOW - 290)
    through = {"p": [echo(NOW - 50), echo(NOW - 40)]}
    assert newest_round(book, through, None) == FullRound(NOW - 60, NOW - 40)


def test_a_probe_that_came_through_a_closed_gate_proves_nothing() -> None:
    book = WatchdogState(
        through=NOW - 100,
        proofs=((NOW - 600, NOW - 590), (NOW - 100, NOW - 90)),
        waiting=(ProbeRound("p", 1, NOW - 60),),
    )
    assert newest_round(book, {"p": [echo(NOW, "attempt")]}, NOW - 95) == FullRound(
        NOW - 600, NOW - 590
    )


def test_a_round_of_which_one_lane_was_closed_proves_nothing() -> None:
    """Whatever the settings row says now: another hand may have opened the gate again."""
    book = WatchdogState(waiting=(ProbeRound("p", 2, NOW - 60),))
    rows = {"p": [echo(NOW - 50), echo(NOW - 40, "attempt")]}
    assert newest_round(book, rows, None) is None


def test_without_a_round_nothing_is_said_of_one() -> None:
    assert newest_round(WatchdogState(), {}, None) is None


# The moments


def test_what_is_complete_is_what_a_run_proved_and_else_the_snapshot() -> None:
    window = LossWindow(at=NOW, snapshot_time=NOW - 9_000, never_consumed=True)
    assert window.complete_until == NOW - 9_060
    assert replace(window, caught_up=NOW - 5).complete_until == NOW - 5


def test_while_old_changes_replay_the_snapshot_is_complete_up_to_the_floor() -> None:
    """Changes from between the floor and the export may take its items a step back."""
    window = LossWindow(at=NOW, snapshot_time=NOW - 9_000, floor=NOW - 9_300)
    assert window.complete_until == NOW - 9_300


def test_a_count_that_was_not_read_is_no_zero() -> None:
    found = as_json(LossWindow(NOW, NOW, quarantine=Unread("SlowDown"), undelivered=0))
    assert found["openQuarantineObjects"] is None
    assert found["onFailureObjects"] == 0
    assert found["notRead"] == ["the open quarantine objects: SlowDown"]


def test_each_known_loss_has_a_text() -> None:
    losses = KnownLosses(
        refused=2,
        skipped=Skipped(3, NOW - 9, NOW),
        outage=Outage(NOW - 9, NOW),
        overrun=Outage(NOW - 9),
        given_up=Outage(NOW - 9, NOW),
        replaced=EarlyConsumer(NOW - 9),
    )
    assert len(known_losses(losses)) == 6
    assert known_losses(KnownLosses()) == ()


# The source, as an unfinished switch left it


def attempt(**changes: object) -> Switching:
    made = Switching("n", SwitchMode.FENCE, ("orders",), NOW - 900, 1_200)
    return replace(made, **changes)  # type: ignore[arg-type]


def test_an_unfinished_switch_says_when_the_source_takes_writes_again() -> None:
    dated = source_closing(attempt(closes=int(NOW), reopens=int(NOW) + 2_400))
    assert dated is not None and dated.reopens == NOW + 2_400
    sealed = source_closing(attempt(closes=int(NOW), reopens=int(NOW) + 2_400, sealed_at=NOW + 9))
    assert sealed is not None and sealed.reopens is None
    assert "without an end" in sealed.text


@pytest.mark.promise("C10")
@pytest.mark.parametrize(
    ("step", "words"),
    [
        (SwitchStep.ARM, "about to deny"),
        (SwitchStep.CLOSE, "outside of that"),
        (SwitchStep.SEAL, "unless AWS took"),
    ],
)
def test_a_deny_that_may_not_have_been_put_is_not_said_to_stand(step: str, words: str) -> None:
    found = source_closing(attempt(closes=int(NOW), reopens=int(NOW) + 2_400, step=step))
    assert found is not None
    assert words in found.text


@pytest.mark.parametrize(
    "made",
    [
        None,
        attempt(),
        attempt(closes=int(NOW), reopens=int(NOW) + 9, cancelled_at=NOW),
        attempt(closes=int(NOW), mode=SwitchMode.WRITES_STOPPED),
    ],
)
def test_a_source_that_no_switch_has_closed_is_not_said_to_be_closed(
    made: Switching | None,
) -> None:
    assert source_closing(made) is None
