"""The matrix follows from what a run did, and its sample leaves nothing out that it need not."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter

import pytest

from infra.local.cloud import REPOSITORY
from tests.crash.crash_points import FAULTS, KILLS, MATRIX, Case, Deed, Moment
from tests.crash.hooks import Line
from tests.crash.matrix import cases, recording, sample


def run(**counts: int) -> list[Line]:
    """A run that made these calls in its export."""
    return [
        Line("export", f"dynamodb:{name}", n, 1)
        for name, count in counts.items()
        for n in range(1, count + 1)
    ]


def test_a_case_can_be_typed_again() -> None:
    case = Case(Moment("catch-up", "application-autoscaling:X", 12), Deed.KILL_AFTER)
    assert Case.parse(str(case)) == case
    with pytest.raises(ValueError, match="Try: "):
        Case.parse("export/kill")


def test_kills_are_at_the_first_and_last_reading_and_at_every_change() -> None:
    every = cases(recording([run(DescribeExport=5, UpdateTable=3)]))
    kills = {str(case.moment) for case in every if case.deed in KILLS}
    assert kills == {
        *("export/dynamodb:DescribeExport#1", "export/dynamodb:DescribeExport#5"),
        *(f"export/dynamodb:UpdateTable#{n}" for n in (1, 2, 3)),
    }
    faults = Counter(str(case.moment) for case in every if case.deed in FAULTS)
    assert set(faults.values()) == {len(FAULTS)}
    assert f"export/dynamodb:UpdateTable#{2}" not in faults
    assert len(faults) == 4


def test_what_one_clean_run_polled_less_often_is_the_last_call_of_all() -> None:
    recorded = recording([run(DescribeExport=5), run(DescribeExport=3, ListExports=1)])
    assert recorded == {("export", "dynamodb:DescribeExport"): 3}


def test_an_attempt_that_botocore_makes_again_is_no_further_call() -> None:
    again = [Line("export", "dynamodb:ListExports", 1, n) for n in (1, 2, 3)]
    assert recording([again]) == {("export", "dynamodb:ListExports"): 1}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_sample_has_every_deed_as_often_and_operations_as_different_as_can_be(seed: int) -> None:
    every = cases(recording([run(**{f"Update{n}": 3 for n in range(40)})]))
    chosen = sample(every, seed, 20)
    assert Counter(case.deed for case in chosen) == dict.fromkeys(MATRIX, 2)
    assert len({case.moment.operation for case in chosen}) == 20
    assert chosen == sample(every, seed, 20)
    assert chosen != sample(every, seed + 1, 20)


def test_a_sample_of_more_than_there_are_is_all_of_them() -> None:
    every = cases(recording([run(UpdateTable=1)]))
    assert sorted(sample(every, 1, 10_000)) == sorted(every)


@pytest.mark.slow
def test_the_command_says_how_it_is_used() -> None:
    asked = subprocess.run(
        [sys.executable, "-m", "tests.crash", "--help"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    for option in ("--all", "--bulk", "--case", "--seed", "--list"):
        assert option in asked.stdout
