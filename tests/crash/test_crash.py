"""Whatever happens to a run at whichever call: the same command again ends in a replica (C6).

A sample of the matrix; `python -m tests.crash --all` does the whole.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.crash_points import MATRIX, Case
from tests.crash.emulated_stacks import Lane, lanes
from tests.crash.matrix import CASES, cases, sample
from tests.crash.run_matrix import Campaign, record_on

pytestmark = [pytest.mark.slow, pytest.mark.promise("C6")]

SEED_VARIABLE = "CRASH_SEED"
SEED = 1
"""The same sample each time; `make soak` leaves none out."""


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Lane]]:
    with lanes(tmp_path_factory.mktemp("cloud"), 3) as three:
        yield three


def test_killed_refused_or_misled_at_any_call_the_same_command_replicates_in_the_end(
    three: list[Lane], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = int(os.environ.get(SEED_VARIABLE) or SEED)
    again = f"Try: {SEED_VARIABLE}={seed} .venv/bin/pytest -m slow {Path(__file__).name}"
    with capsys.disabled():
        print(f"\n{CASES} ways to crash the bootstrap. {again}")
    chosen = sample(cases(record_on(three[0])), seed, CASES)
    assert {case.deed for case in chosen} == set(MATRIX)
    campaign = Campaign(tmp_path, chosen, len(three))
    campaign.serve(three)
    problems = [str(verdict) for verdict in campaign.failed]
    assert not problems, "\n".join([*problems, again])
    assert len(campaign.verdicts) == CASES


def test_a_fault_that_is_not_borne_is_found(three: list[Lane], tmp_path: Path) -> None:
    # A harness that finds nothing may be one that sees nothing: here the world is wrong.
    lane = three[0]
    case = Case.parse("enable/lambda:UpdateEventSourceMapping#1/throttle-once")
    stray = lane.name + "-stray"
    lane.target.create_table(
        TableName=stray,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    try:
        campaign = Campaign(tmp_path, [case], 1)
        campaign.serve([lane])
    finally:
        lane.target.delete_table(TableName=stray)
    (verdict,) = campaign.failed
    assert verdict.problems == (f"tables ['{stray}'] too many or too few",)
