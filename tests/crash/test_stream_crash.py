"""A run with a table's own stream that dies, is refused or misled at what it makes there (C6).

A sample of the matrix; `python -m tests.crash --all --buffer streams` does the whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.crash_points import KILLS, Case
from tests.crash.emulated_stacks import Lane, lanes
from tests.crash.run_matrix import Campaign

pytestmark = [pytest.mark.slow, pytest.mark.promise("C6")]

SAMPLE = (
    "buffer/dynamodb:UpdateTable#1/kill-after",
    "buffer/dynamodb:PutResourcePolicy#1/lost-once",
    "buffer/lambda:CreateEventSourceMapping#1/kill-after",
)


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Lane]]:
    with lanes(tmp_path_factory.mktemp("cloud"), 3, own_stream=True) as three:
        yield three


@pytest.mark.timeout(900)
def test_killed_or_misled_while_a_stream_is_made_the_same_command_replicates_in_the_end(
    three: list[Lane], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = [Case.parse(text) for text in SAMPLE]
    assert {case.deed for case in chosen} > {KILLS[1]}
    campaign = Campaign(tmp_path, chosen, len(three), own_stream=True)
    with capsys.disabled():
        campaign.serve(three)
    problems = [str(verdict) for verdict in campaign.failed]
    assert not problems, "\n".join(problems)
    assert all(verdict.reached for verdict in campaign.verdicts)
    assert len(campaign.verdicts) == len(SAMPLE)
