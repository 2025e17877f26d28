"""C1, C2, C5 to C7 in whole verifications under live writes, each played from a seed alone."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.verify.gap_scenarios import Gap
from tests.support.verify.images import SPELLINGS
from tests.support.verify.injected_faults import FAULTS
from tests.support.verify.replay import replay
from tests.support.verify.runs import KINDS, LARGE, MEANS, Run, Summary, play, play_many

pytestmark = pytest.mark.promise("C1", "C2", "C5", "C6", "C7")

WITHIN = 100

#: In how many runs each kind has to be, for the promise to have been tried.
MIX = {
    **{f"{kind}, {means}": 30 for kind in KINDS for means in MEANS},
    **{f"equal: {kind}": 200 for kind in SPELLINGS},
    LARGE: 15,
    "foreign over an entry": 200,
    "spoilt while verified": 100,
    "spoilt and healed by writers": 50,
    "spoilt, and written again": 100,
    "a consumer that stands still now and then": 50,
    "milliseconds": 20,
    "numbered": 40,
    "exports that were there": 10,
    "single reads": 40,
    "rounds: 1": 150,
    "rounds: 2": 50,
    "rounds: 3": 15,
    "killed: exports, proof, journal": 30,
    "killed: comparing and explaining": 40,
    "killed: judging": 40,
    "killed: reading": 10,
    "killed: repair": 25,
}


def complaint(summary: Summary) -> str:
    return "\n".join(f"{story.failure}\n{story.again}" for story in summary.failures)


@pytest.mark.slow
def test_all_that_is_planted_is_found_and_nothing_else_and_is_mended() -> None:
    summary = play_many(range(5))

    assert not summary.failures, complaint(summary)


@pytest.mark.slow
def test_a_backfill_closes_a_gap_while_writers_go_on() -> None:
    summary = play_many(range(2), Gap)

    assert not summary.failures, complaint(summary)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_all_that_is_planted_is_found_and_nothing_else_and_is_mended_in_two_hundred_runs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    summary = play_many(range(1000, 1200))

    with capsys.disabled():
        print(f"\n{summary}")
    assert not summary.failures, complaint(summary)
    assert summary.runs == 200
    assert not {name: summary.features[name] for name in MIX if summary.features[name] < MIX[name]}


@pytest.mark.slow
def test_backfills_close_gaps_while_writers_go_on_in_thirty_runs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    summary = play_many(range(1000, 1030), Gap)

    with capsys.disabled():
        print(f"\n{summary}")
    assert not summary.failures, complaint(summary)
    assert summary.features["backfilled: applied"] > 15
    assert summary.kills.total() > 20


@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_breaks_a_promise(name: str) -> None:
    """The seeds are not chosen: a verification that is right passes them all."""
    with FAULTS[name]():
        story = next(
            (story for story in map(play, range(1000, 1000 + WITHIN)) if story.failure), None
        )

    assert story is not None
    print(f"{name}: found by seed {story.seed}: {story.failure}")


@pytest.mark.slow
@pytest.mark.parametrize("story", [Run, Gap])
def test_a_seed_replays_exactly_in_another_process(
    story: type[Run], capsys: pytest.CaptureFixture[str]
) -> None:
    """Strings hash differently there, so sets are in another order."""
    replay(story.name, 3)
    here = capsys.readouterr().out

    there = subprocess.run(
        [sys.executable, "-m", "tests.support.verify.replay", story.name, "3"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout

    assert there == here
    assert "Nothing failed." in here
