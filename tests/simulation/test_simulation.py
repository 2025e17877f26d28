"""C1 to C4, and C9 in a switch, under everything that a seed can draw."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.simulation import soak
from tests.simulation.many import FEW, MANY, SWITCH_SEEDS, has_switch, play_many, play_range
from tests.simulation.plan import plan
from tests.simulation.run import Story, Summary, play
from tests.simulation.soak import replay

pytestmark = pytest.mark.promise("C1", "C2", "C3", "C4", "C9")

#: What two thousand histories must hold of each kind, for the promise to have been tried.
MIX = {
    "overlap and kill": 0.20,
    "tie": 0.20,
    "redrive": 0.08,
    "tie of three or more": 0.03,
    "noted as ambiguous": 0.05,
    "partial failure": 0.05,
    "AWS faults": 0.30,
    "quarantine": 0.20,
    "probe": 0.30,
    "snapshot and floor": 0.10,
    "mixed precision": 0.08,
    "strictly in order": 0.05,
    "ledger expiry": 0.05,
    "days without a reader": 0.05,
    "park": 0.008,
    "gate closed": 0.01,
    "switch committed": 0.003,
    "switch taken back": 0.01,
    "late write": 0.002,
    "adopted stream": 0.10,
    "records of no table": 0.02,
    "promotion": 0.002,
    "table's own stream": 0.40,
    "shard split": 0.05,
    "half a day without a reader": 0.02,
}


def complaint(summary: Summary) -> str:
    return "\n".join(f"seed {story.seed}: {story.failure}" for story in summary.failures)


def test_no_delivery_breaks_a_promise() -> None:
    summary = play_range(0, FEW)

    assert not summary.failures, complaint(summary)


@pytest.mark.slow
@pytest.mark.timeout(3600)  # minutes, where nothing else runs
def test_no_delivery_breaks_a_promise_in_many_histories(
    capsys: pytest.CaptureFixture[str],
) -> None:
    *_, summary = play_many(FEW, MANY)

    with capsys.disabled():
        print(f"\n{summary}")
    assert not summary.failures, complaint(summary)
    assert summary.histories == MANY
    lacking = {
        name: summary.share(name) for name, least in MIX.items() if summary.share(name) < least
    }
    assert not lacking


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_no_delivery_breaks_a_promise_in_hundreds_of_switches(
    capsys: pytest.CaptureFixture[str],
) -> None:
    *_, summary = play_many(FEW + MANY, SWITCH_SEEDS - MANY, choice=has_switch)

    with capsys.disabled():
        print(f"\n{summary}")
    assert not summary.failures, complaint(summary)
    assert summary.histories > 300
    assert summary.share("gate closed") > 0.4
    assert summary.share("switch committed") > 0.2
    assert summary.share("switch taken back") > 0.4


def test_every_history_has_six_or_more_changes() -> None:
    assert min(plan(seed).taste.changes for seed in range(1000)) >= 6


def test_a_seed_replays_exactly() -> None:
    for seed in range(40):
        first: list[str] = []
        second: list[str] = []
        play(seed, trace=first)
        play(seed, trace=second)
        assert first == second


def test_a_failing_seed_is_told_with_the_command_that_replays_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failed = Story(4711, "ViolationError: C1", (), invocations=1, changes=6)
    summary = Summary()
    summary.add(failed)
    monkeypatch.setattr(soak, "play_many", lambda *_: iter([summary]))

    assert soak.soak(1, 0) == 1
    (command,) = re.findall(r"Try: (.+)", capsys.readouterr().out)
    asked = subprocess.run(["make", "-n", *command.split()[1:]], capture_output=True, text=True)

    assert "tests.simulation.soak" in asked.stdout
    assert "--replay 4711" in asked.stdout


def test_a_seed_replays_exactly_in_another_process(capsys: pytest.CaptureFixture[str]) -> None:
    """Strings hash differently there, so sets are in another order."""
    seed = next(seed for seed in range(1000) if plan(seed).overlap and plan(seed).redrive)
    replay(seed)
    here = capsys.readouterr().out

    there = subprocess.run(
        [sys.executable, "-m", "tests.simulation.soak", "--replay", str(seed)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout

    assert there == here
