"""An earlier release's stack under this program: nothing is replaced, and the updates are named."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import Any

import pytest

from replicator import names
from tests.pulumi_engine.engine import OPEN_COROUTINES, Engine, EngineStack
from tests.pulumi_engine.restored import restore

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings(*OPEN_COROUTINES)]

RECORDED = Path(__file__).resolve().parent / "states" / "5b21667.json.gz"
"""Configuration and state that the program of commit 5b21667 left, with the local cloud."""

UPDATES: dict[str, set[str]] = {
    "Dashboard": {"dashboardBody", "dashboardName"},
    "EventRule": {"state"},
    "Function": {"code", "environment"},
    # Dimensions: a stack's metrics are its own. One alarm keeps its state without data.
    "MetricAlarm": {"alarmDescription", "dimensions", "treatMissingData"},
    "RolePolicy": {"policy"},  # more rights of readers and watchdog
}
"""What this release changes of an existing stack: properties by type of resource."""

REPLACED = {"Dashboard replication-dashboard"}
"""What this release replaces in an existing stack: its old name may be another stack's, too."""

NEW_ALARMS = (
    "foreign-records|function-unhealthy|batches-lost|delivery-failed|source-written"
    "|switch-unfinished"
)
DASHBOARD = "aws:cloudwatch/dashboard:Dashboard"
REPLACEMENT = ("replace", "create-replacement", "delete-replaced")
"""The operations of which a replacement consists."""

NEW = re.compile(rf"MetricAlarm replicate-.*-alarm-({NEW_ALARMS})|pulumi default")
"""What this release adds to an existing stack. The last is the engine's own default provider, which
the look-up of the last outputs brings along.
"""


def recorded(archive: Path) -> dict[str, Any]:
    """Return the record, with the folder of today's archive for the one of then."""
    text = gzip.decompress(RECORDED.read_bytes()).decode().replace("{archive}", str(archive))
    found: dict[str, Any] = json.loads(text)
    return found


@pytest.fixture(scope="module")
def stack(engine: Engine) -> EngineStack:
    record = recorded(engine.archive)
    stack = engine.stack("upgrade")
    stack.load(restore({"resources": record["resources"]}, engine.cloud))
    stack.configure(engine.config(*record["tables"], **record["options"]))
    return stack


def test_an_upgrade_replaces_and_updates_only_what_is_named(stack: EngineStack) -> None:
    held = {urn(each) for each in stack.resources() if each["type"] != DASHBOARD}
    up = stack.up()
    assert up.by_operation.keys() <= {"create", "update", *REPLACEMENT}, up.by_operation
    replaced = (up.by_operation.get(operation, frozenset()) for operation in REPLACEMENT)
    assert set().union(*replaced) == REPLACED
    added = up.by_operation.get("create", frozenset())
    assert [resource for resource in added if not NEW.fullmatch(resource)] == []
    unnamed = {
        resource: changed
        for resource, changed in up.changed.items()
        if not changed <= UPDATES.get(resource.partition(" ")[0], set())
    }
    assert unnamed == {}
    assert held <= {urn(resource) for resource in stack.resources()}
    assert_alarms_watch_what_is_emitted(stack)
    assert stack.up().unchanged


def assert_alarms_watch_what_is_emitted(stack: EngineStack) -> None:
    """Assert that CloudWatch has the alarms' new dimensions, under the names that they had."""
    emitted = [table["metricDimensions"] for table in stack.outputs()["tables"]]
    cloudwatch = stack.engine.cloud.client("cloudwatch", stack.engine.cloud.target)
    found = [
        {each["Name"]: each["Value"] for each in alarm["Dimensions"]}
        for alarm in cloudwatch.describe_alarms()["MetricAlarms"]
        if alarm["Namespace"] == names.NAMESPACE
    ]
    assert found
    assert [each for each in found if each not in emitted] == []


def urn(resource: dict[str, Any]) -> tuple[str, str]:
    """Return what identifies a resource to the engine and to AWS."""
    return resource["urn"], resource.get("id", "")
