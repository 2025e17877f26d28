"""`status` when the stream that buffers a table is switched off and on, on the local cloud."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest

from infra.local.cloud import SOURCE, TARGET, LocalCloud
from tests.support.bootstrap.local_stack import Stack, deployed

pytestmark = [pytest.mark.slow, pytest.mark.promise("C7", "C10")]

ON = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
OFF = {"StreamEnabled": False}


def create(cloud: LocalCloud) -> Sequence[Mapping[str, Any]]:
    dynamodb = cloud.client("dynamodb", SOURCE)
    dynamodb.create_table(
        TableName="orders",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    dynamodb.put_item(TableName="orders", Item={"pk": {"S": "before"}})
    return [{"source": "orders", "target": "orders-replica", "buffer": "streams"}]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with deployed(tmp_path_factory.mktemp("cloud"), adopt=create) as stack:
        ended = stack.end("run", "--table", "orders")
        assert ended.returncode == 0, ended.stdout + ended.stderr
        yield stack


def levels(shown: Mapping[str, Any]) -> dict[str, str]:
    return {each["metric"]: each["level"] for each in shown["detectors"]}


def until(said: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 30
    while not said():
        assert time.monotonic() < deadline, what
        time.sleep(0.5)


def test_a_stream_that_was_off_is_a_gap_until_its_changes_are_restored(stack: Stack) -> None:
    shown = stack.status("orders")
    assert shown["state"] == "REPLICATING", shown["stateBecause"]
    assert set(levels(shown).values()) == {"fine"}

    dynamodb = stack.cloud.client("dynamodb", SOURCE)

    def switch(specification: Mapping[str, Any]) -> None:
        dynamodb.update_table(TableName="orders", StreamSpecification=specification)
        dynamodb.get_waiter("table_exists").wait(
            TableName="orders", WaiterConfig={"Delay": 1, "MaxAttempts": 30}
        )

    switch(OFF)
    dynamodb.put_item(TableName="orders", Item={"pk": {"S": "lost"}})
    shown = stack.status("orders")
    assert shown["state"] == "DEGRADED"
    assert levels(shown)["TableStreamOurs"] == "loss"
    switch(ON)
    shown = stack.status("orders")
    assert shown["state"] == "DEGRADED", "another stream, which nothing reads"
    assert any("another one" in each for each in shown["stateBecause"])
    assert shown["gap"]["open"]
    assert shlex.split(shown["next"])[3] == "run"

    # The run that meets the loss reports it; the next one begins another stream.
    assert stack.end("run", "--table", "orders").returncode != 0
    stack.end("run", "--table", "orders")
    dynamodb.put_item(TableName="orders", Item={"pk": {"S": "after"}})
    until(
        lambda: "after" in stack.items(TARGET, "orders-replica"), "the new stream is not followed"
    )
    assert "lost" not in stack.items(TARGET, "orders-replica")
    shown = stack.status("orders")
    assert shown["state"] == "DEGRADED", "a loss outlives its cause"
    assert not shown["gap"]["open"]
    assert shlex.split(shown["gap"]["try"])[3] == "backfill"
    other = levels(shown)
    assert other.pop("TableStreamOurs") == "loss"
    assert set(other.values()) == {"fine"}, shown["stateBecause"]
