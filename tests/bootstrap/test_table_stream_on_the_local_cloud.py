"""A table whose buffer is its own stream, from the plan to its end, on the local cloud."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from infra.local.cloud import SOURCE, TARGET, LocalCloud
from tests.support.bootstrap.local_stack import Stack, Writer, deployed
from tests.support.infra.clouds import until

pytestmark = [pytest.mark.slow, pytest.mark.promise("C1", "C3", "C10")]


def entries(cloud: LocalCloud) -> Sequence[dict[str, Any]]:
    return [{"source": "orders", "target": "orders-replica", "buffer": "streams"}]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with deployed(tmp_path_factory.mktemp("cloud"), "orders", adopt=entries) as stack:
        yield stack


def stream(stack: Stack) -> dict[str, Any]:
    dynamodb = stack.cloud.client("dynamodb", SOURCE)
    table: dict[str, Any] = dynamodb.describe_table(TableName="orders")["Table"]
    return table


def mappings(stack: Stack) -> list[dict[str, Any]]:
    functions = stack.cloud.client("lambda", TARGET)
    name = stack.values["tables"][0]["functionName"]
    found: list[dict[str, Any]] = functions.list_event_source_mappings(FunctionName=name)[
        "EventSourceMappings"
    ]
    return found


def test_a_table_replicates_through_its_own_stream_pauses_and_leaves_it_as_it_was(
    stack: Stack,
) -> None:
    planned = stack.end("plan")
    assert planned.returncode == 0, planned.stdout + planned.stderr
    assert "switch on the stream of table orders" in planned.stdout
    assert mappings(stack) == [] and "LatestStreamArn" not in stream(stack)
    with Writer(stack, "orders"):
        ended = stack.end("run")
        assert ended.returncode == 0, ended.stdout + ended.stderr
        (mapping,) = mappings(stack)
        assert mapping["EventSourceArn"] == stream(stack)["LatestStreamArn"]
        paused = stack.end("pause")
        assert paused.returncode == 0, paused.stderr
        assert "resume by" in paused.stdout
        resumed = stack.end("resume", "--overwrite-target")
        assert resumed.returncode == 0, resumed.stderr
    assert [each["UUID"] for each in mappings(stack)] == [mapping["UUID"]]
    ended = stack.end("run")
    assert ended.returncode == 0, ended.stderr
    # Caught up without probes, so both sides are equal now, and not only some time later.
    assert stack.items(TARGET, "orders-replica") == stack.items(SOURCE, "orders")
    verified = stack.end("verify", "--json")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    shown = stack.status("orders")
    assert shown["state"] == "REPLICATING", json.dumps(shown, indent=1)
    ended = stack.end("abandon", "--yes")
    assert ended.returncode == 0, ended.stderr
    assert "switch the stream of orders off" in ended.stdout
    assert mappings(stack) == []
    until(lambda: "StreamSpecification" not in stream(stack), "the stream is off")
