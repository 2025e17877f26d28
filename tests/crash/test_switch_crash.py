"""A switch that dies at any of its calls, and what the next operator types: one writer (C9).

A sample of the matrix; `python -m tests.crash --switch all` does the whole.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.crash.emulated_stacks import lanes
from tests.crash.hooks import Line
from tests.crash.switch_case import Operator, SwitchCase
from tests.crash.switch_matrix import SwitchCampaign, switch_cases

pytestmark = pytest.mark.promise("C9")

SAMPLE = (
    "cancelling:cancel/dynamodb:PutResourcePolicy#1/kill-after",
    "continuing:after-commit/dynamodb:PutResourcePolicy#1/kill-before",
)
SAMPLE_OF_OWN_STREAM = (
    "cancel:gate/lambda:UpdateEventSourceMapping#1/kill-after",
    "again:seal/dynamodb:PutResourcePolicy#1/kill-after",
)
"""Both tables closed, and the one that is to be opened; by each operator of a switch. Where the
table's own stream is the buffer, its consumer is off, too."""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_while_a_table_is_closed_the_next_command_leaves_one_writer(tmp_path: Path) -> None:
    campaigns = [
        SwitchCampaign([SwitchCase.parse(text) for text in sample])
        for sample in (SAMPLE, SAMPLE_OF_OWN_STREAM)
    ]
    with lanes(tmp_path / "cloud", 2, switch=True, mixed=True) as two:
        with ThreadPoolExecutor(2) as pool:
            served = [
                pool.submit(campaign.serve, [lane])
                for lane, campaign in zip(two, campaigns, strict=True)
            ]
        for each in served:
            each.result()
    problems = [each for campaign in campaigns for each in campaign.problems]
    assert not problems, "\n".join(problems)
    assert not any(campaign.missed for campaign in campaigns)
    switches = {each for each in Operator if not each.promotes}
    assert {case.operator for campaign in campaigns for case in campaign.done} == switches


def test_every_change_of_a_switch_is_a_case_of_each_operator() -> None:
    calls = [Line("gate", "dynamodb:UpdateItem", n, 1) for n in (1, 2, 3)]
    cases = switch_cases(Operator.CANCELLING, calls)
    assert {str(case) for case in cases} == {
        f"cancelling:gate/dynamodb:UpdateItem#{n}/{deed}"
        for n in (1, 2, 3)
        for deed in ("kill-before", "kill-after")
    }
    assert SwitchCase.parse(str(cases[0])) == cases[0]
