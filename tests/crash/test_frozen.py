"""A run that sleeps past its lease, as a closed laptop does, and wakes while another one works."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bootstrap.journal.lease import LEASE_SECONDS
from tests.crash.crash_points import Case
from tests.crash.emulated_stacks import Lane, Writer, lanes
from tests.crash.process_pool import Child

pytestmark = [pytest.mark.slow, pytest.mark.promise("C6")]

ASLEEP_AT = (
    "export/dynamodb:DescribeExport#1/freeze",
    "settings/dynamodb:UpdateTable#1/freeze",
)
LEASE_CALLS = {"dynamodb:UpdateItem", "dynamodb:GetItem"}
"""The renewal, which is refused, and the reading that says by whom."""


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Lane]]:
    with lanes(tmp_path_factory.mktemp("cloud"), len(ASLEEP_AT)) as two:
        yield two


def until(true: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.1)


def asleep(child: Child) -> bool:
    state = Path(f"/proc/{child.pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    return state == "T" and child.calls()[-1].deed == "freeze"


def test_a_run_frozen_past_its_lease_stops_before_its_next_call(two: list[Lane]) -> None:
    sleepers = [lane.start(Case.parse(text)) for lane, text in zip(two, ASLEEP_AT, strict=True)]
    for child in sleepers:
        until(lambda child=child: asleep(child), 60)  # type: ignore[misc]
    for lane, child in zip(two, sleepers, strict=True):
        refused = lane.run()
        assert refused.code == 1
        assert f"process {child.pid} on " in refused.err
        assert "--take-over" in refused.err
    # Their process lives, so that only time frees the leases.
    expires = max(float(lane.row()["expires"]["N"]) for lane in two)
    assert expires - time.time() < LEASE_SECONDS + 1
    until(lambda: time.time() > expires + 1, LEASE_SECONDS + 10)
    for lane, child in zip(two, sleepers, strict=True):
        with Writer(lane):
            ended = lane.run()
        assert ended.code == 0, ended.err
        known, row = len(child.calls()), lane.row()
        os.kill(child.pid, signal.SIGCONT)
        woken = child.wait()
        assert woken.code == 1, woken.err
        assert "took over table" in woken.err
        assert "\nTry: " in woken.err
        assert "Traceback" not in woken.err
        made = [f"{line.step}/{line.operation}" for line in woken.calls[known:]]
        assert {each.split("/")[1] for each in made if not each.startswith("end/")} <= LEASE_CALLS
        assert {each.split("/")[1] for each in made} <= {*LEASE_CALLS, "dynamodb:Query"}
        assert lane.row() == row, "the other run's journal is as it was"
        assert (len(lane.exports()), len(lane.imports())) == (1, 1)
        assert lane.settled() == 0
