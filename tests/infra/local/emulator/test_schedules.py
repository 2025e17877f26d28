"""Scheduled functions, and the number of processes that functions may have."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest

from infra.local.cloud import TARGET, LocalCloud
from infra.local.emulator.workers import MOST_AT_ONCE, MOST_PROCESSES
from tests.support.infra.clouds import make_function, messages, policy, processes_below, until

pytestmark = pytest.mark.slow

LOGS = (["logs:PutLogEvents", "logs:CreateLogStream"], ["arn:aws:logs:*:*:*"])


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    with LocalCloud(tmp_path_factory.mktemp("cloud")) as running:
        yield running


def schedule(cloud: LocalCloud, function: str) -> None:
    """Invoke a function every minute, which is every second here."""
    events = cloud.client("events", TARGET)
    rule = events.put_rule(Name=function, ScheduleExpression="rate(1 minute)", State="ENABLED")
    region, account = TARGET.region, TARGET.account_id
    arn = f"arn:aws:lambda:{region}:{account}:function:{function}"
    cloud.client("lambda", TARGET).add_permission(
        FunctionName=function,
        StatementId="schedule",
        Action="lambda:InvokeFunction",
        Principal="events.amazonaws.com",
        SourceArn=rule["RuleArn"],
    )
    answer = events.put_targets(Rule=function, Targets=[{"Id": "function", "Arn": arn}])
    assert not answer["FailedEntryCount"]


SLEEPS = """
import time
def handler(event, context):
    begun = time.time()
    time.sleep(2.5)
    print("ran", begun, time.time())
"""


def test_a_tick_during_an_invocation_starts_no_second_one(cloud: LocalCloud) -> None:
    name, _role = make_function(cloud, "slower-than-its-schedule", SLEEPS, policy(LOGS), Timeout=30)
    schedule(cloud, name)

    def runs() -> list[tuple[float, float]]:
        lines = [line.split() for line in messages(cloud, f"/aws/lambda/{name}")]
        return sorted((float(ran[1]), float(ran[2])) for ran in lines if ran[:1] == ["ran"])

    until(lambda: name in str(cloud.client("logs", TARGET).describe_log_groups()), "a first run")
    until(lambda: len(runs()) >= 4, "four runs", seconds=40)
    found = runs()
    assert all(ended <= begun for (_, ended), (begun, _) in pairwise(found))
    cloud.client("events", TARGET).disable_rule(Name=name)
    # The next tick after the end is not skipped.
    assert all(begun - ended < 3 for (_, ended), (begun, _) in pairwise(found))


NAPS = """
import time
def handler(event, context):
    time.sleep(1)
    return event
"""


def test_processes_of_functions_are_bounded(cloud: LocalCloud) -> None:
    names = [make_function(cloud, f"f{n}", NAPS, policy(LOGS), Timeout=60)[0] for n in range(3)]
    wanted = 9 * len(names)
    assert wanted > MOST_PROCESSES > MOST_AT_ONCE
    client = cloud.client("lambda", TARGET)
    seen: list[int] = []

    def invoke(n: int) -> bytes:
        answer = client.invoke(FunctionName=names[n % len(names)], Payload=str(n).encode())
        body: bytes = answer["Payload"].read()
        return body

    with ThreadPoolExecutor(wanted) as pool:
        answers = [pool.submit(invoke, n) for n in range(wanted)]
        while not all(answer.done() for answer in answers):
            seen.append(len(processes_below(cloud.directory / "tmp")))
            time.sleep(0.2)
    assert [answer.result() for answer in answers] == [str(n).encode() for n in range(wanted)]
    assert MOST_AT_ONCE <= max(seen) <= MOST_PROCESSES
