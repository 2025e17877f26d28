"""A table's own stream whose maker or remover dies, is refused or misled at it (C6).

A sample: `python -m tests.crash --all --buffer streams` does the whole matrix of a run. What gives
the stream up is sampled here alone.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError

from tests.crash.crash_points import Case
from tests.crash.emulated_stacks import Lane, lanes
from tests.crash.run_case import trial

pytestmark = [pytest.mark.slow, pytest.mark.promise("C6")]

SAMPLE = (
    ("buffer/dynamodb:UpdateTable#1/kill-after", ""),
    (
        "buffer/lambda:CreateEventSourceMapping#1/kill-after",
        "abandon/lambda:DeleteEventSourceMapping#1/kill-after",
    ),
    (
        "buffer/dynamodb:PutResourcePolicy#1/lost-once",
        "abandon/dynamodb:UpdateTable#1/lost-once",
    ),
)
"""What is done to a run, and then, on the same table, to an abandon: it needs no run of its own."""


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Lane]]:
    with lanes(tmp_path_factory.mktemp("cloud"), 3, own_stream=True) as three:
        yield three


@pytest.mark.timeout(900)
def test_killed_or_misled_while_a_stream_is_made_or_left_the_same_command_ends_it(
    three: list[Lane],
) -> None:
    with ThreadPoolExecutor(len(SAMPLE)) as pool:
        problems = [
            f"{made or left}: {problem}"
            for (made, left), found in zip(SAMPLE, pool.map(_play, three, SAMPLE), strict=True)
            for problem in found
        ]
    assert not problems, "\n".join(problems)


def _play(lane: Lane, cases: tuple[str, str]) -> list[str]:
    made, left = cases
    verdict = trial(lane, Case.parse(made))
    problems = list(verdict.problems)
    if left and not problems:
        problems += _abandoned(lane, Case.parse(left))
    return problems


def _abandoned(lane: Lane, case: Case) -> Iterator[str]:
    """Do a case to an abandon, type it again where it died, and judge what is left."""
    stream = lane.table()["LatestStreamArn"]
    first = lane.start(case, "abandon", "--yes").wait()
    if not any(line.deed == case.deed for line in first.calls):
        yield f"{case}: never came to the call: exit {first.code}: {first.err.strip()}"
        return
    wanted = -signal.SIGKILL if case.deed.kills else 0
    if first.code != wanted:
        yield f"{case}: exit {first.code}, not {wanted}: {first.err.strip()}"
    if first.code != 0:
        again = lane.run("abandon", "--yes")
        if again.code != 0:
            yield f"{case}: abandon again: exit {again.code}: {again.err.strip()}"
    if lane.row().get("state") != {"S": "ABANDONED"}:
        yield f"{case}: the journal says {lane.row().get('state')}"
    if lane.mappings():
        yield f"{case}: mappings {[(each['UUID'], each['State']) for each in lane.mappings()]}"
    if "StreamSpecification" in lane.table():
        yield f"{case}: the table's stream is on"
    try:
        yield f"{case}: {lane.source.get_resource_policy(ResourceArn=stream)['Policy']}"
    except ClientError as error:
        if error.response["Error"]["Code"] != "PolicyNotFoundException":
            yield f"{case}: the stream's policy: {error}"
