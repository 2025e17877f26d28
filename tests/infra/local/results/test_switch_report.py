"""The times of a switch, told apart: fixed waits, our own, and those after the commit."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from bootstrap.core.durations import Timing
from infra.local.results import report_view
from infra.local.results.switch_report import FIXED, SwitchChoice, SwitchReport
from infra.local.workload.witness import Stretch, SwitchVerdict

VERDICT = SwitchVerdict(
    findings=(),
    acknowledged={"source": 90, "target": 40},
    outcomes={"acknowledged": 130, "refused": 70},
    stretches=(Stretch("one", 100.0, 131.0), Stretch("other", 100.5, 132.0)),
    source_closed=99.5,
    target_opened=130.5,
)
REPORT = SwitchReport("on", 0.01, VERDICT, closed=110.0, committed=130.0)


def test_refused_time_is_that_up_to_the_commit_and_what_follows_is_told_apart() -> None:
    assert REPORT.refused == 30.0
    assert REPORT.own == pytest.approx(30.0 - REPORT.fixed)
    assert REPORT.first_let_in == 0.5
    assert REPORT.all_let_in == 2.0
    assert REPORT.as_json()["longest_of_a_writer_seconds"] == 31.5


def test_where_writes_were_stopped_the_preparation_is_counted_apart() -> None:
    stopped = replace(REPORT, choice="writes-stopped")
    assert (stopped.prepared, stopped.refused) == (10.5, 20.0)
    assert REPORT.prepared is None


def test_what_is_not_known_is_not_counted() -> None:
    unknown = replace(REPORT, verdict=replace(VERDICT, stretches=(), target_opened=None))
    assert (unknown.refused, unknown.own) == (None, None)
    assert (unknown.first_let_in, unknown.all_let_in) == (None, None)


@pytest.mark.parametrize("scale", [1.0, 0.1, 0.01])
def test_the_fixed_waits_are_those_of_the_bootstrap(scale: float) -> None:
    timing = Timing(scale)
    expected: dict[SwitchChoice, float] = {
        "on": timing.write_settling + timing.metric_settling + timing.gate_settling,
        "writes-stopped": timing.metric_period + timing.metric_settling + timing.gate_settling,
    }
    for choice, seconds in expected.items():
        assert replace(REPORT, choice=choice, scale=scale).fixed == pytest.approx(seconds)
    of_own_stream: dict[SwitchChoice, float] = {
        "on": timing.write_settling + timing.stream_settling + timing.gate_settling,
        "writes-stopped": timing.stream_settling + timing.gate_settling,
    }
    for choice, seconds in of_own_stream.items():
        report = replace(REPORT, choice=choice, scale=scale, own_stream=True)
        assert report.fixed == pytest.approx(seconds)


def test_on_aws_the_fixed_waits_of_a_fence_are_five_minutes() -> None:
    assert REPORT.fixed_on_aws == 300
    assert len(FIXED["on"]) == 3


def test_what_the_witness_found_is_a_problem() -> None:
    found = replace(REPORT, verdict=replace(VERDICT, findings=("Both tables took writes.",)))
    assert found.problems() == ["Both tables took writes."]
    assert REPORT.problems() == []


def shown(switch: SwitchReport) -> str:
    console = Console(width=200, file=io.StringIO())
    report_view.show_switch(switch, console)
    assert isinstance(console.file, io.StringIO)
    return " ".join(console.file.getvalue().split())


def test_the_screen_shows_the_seconds_of_refused_writes() -> None:
    text = shown(replace(REPORT, scale=1.0, committed=420.0))
    assert "refused for 320.0 s up to the commit: 300.0 s of fixed waits" in text
    assert "20.0 s of our own" in text
    text = shown(REPORT)
    assert "4.2 s of fixed waits (300.0 s on AWS), 25.8 s of our own" in text
    assert "let into the target 0.5 s after the commit, all of them after 2.0 s" in text
    assert "130 acknowledged, 70 refused" in text
    assert "refused for an unknown time" in shown(
        replace(REPORT, verdict=replace(VERDICT, stretches=()))
    )
    stopped = "had stopped 10.5 s before the switch was prepared; refused for 20.0 s up to the"
    assert stopped in shown(replace(REPORT, choice="writes-stopped"))
