"""A bulk put whose run dies, is refused or misled, and operations that outlive their callers (C6).

A sample of the matrix; `python -m tests.crash --bulk all` does the whole.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.local.workload.server_writes import ServerWrite
from tests.crash.bulk_cases import BULK_CASES, SLOW, play
from tests.crash.crash_points import KILLS, Case
from tests.crash.emulated_stacks import Lane, lanes
from tests.crash.run_case import late_puts
from tests.crash.run_matrix import Campaign

pytestmark = pytest.mark.promise("C6")

SAMPLE = (
    "import/dynamodb:CreateTable#1/kill-after",
    "import/dynamodb:StartBulkPutItems#1/kill-before",
    "import/dynamodb:StartBulkPutItems#1/lost-always",
    "import/dynamodb:ListBulkOperations#1/deny",
    "enable/dynamodb:ListBulkOperations#1/throttle-always",
    "enable/dynamodb:ListBulkOperations#1/kill-after",
)


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Lane]]:
    with lanes(tmp_path_factory.mktemp("cloud"), 4, bulk=SLOW) as four:
        yield four


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_operations_that_outlive_a_caller_or_a_repeat_never_write_beside_the_consumer(
    four: list[Lane], capsys: pytest.CaptureFixture[str]
) -> None:
    with capsys.disabled():
        problems = play(four, list(BULK_CASES))
    assert not problems, problems


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_or_misled_at_calls_of_a_bulk_put_the_same_command_replicates_in_the_end(
    four: list[Lane], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = [Case.parse(text) for text in SAMPLE]
    assert {case.deed for case in chosen} > set(KILLS)
    campaign = Campaign(tmp_path, chosen, len(four), bulk=SLOW)
    with capsys.disabled():
        campaign.serve(four)
    problems = [str(verdict) for verdict in campaign.failed]
    assert not problems, "\n".join(problems)
    assert all(verdict.reached for verdict in campaign.verdicts)
    assert len(campaign.verdicts) == len(SAMPLE)


def test_a_put_that_lands_after_the_consumers_first_write_is_found() -> None:
    consumer = "arn:aws:iam::222222222222:role/prod-consumer"
    ours = "arn:aws:sts::222222222222:assumed-role/prod-consumer/function"
    put = ServerWrite(1.0, "222222222222", "replica", "arn:aws:iam::222222222222:root", "00")
    change = dataclasses.replace(put, at=2.0, caller=ours)
    late = dataclasses.replace(put, at=3.0)
    assert late_puts([put, change], consumer) == []
    assert late_puts([put], consumer) == []
    assert late_puts([put, change, late], consumer) == [late]
