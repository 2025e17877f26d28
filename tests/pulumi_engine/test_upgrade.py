"""An earlier release's stack under this program: nothing is replaced, and the updates are named."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.pulumi_engine.engine import OPEN_COROUTINES, Engine, EngineStack
from tests.pulumi_engine.restored import restore

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings(*OPEN_COROUTINES)]

RECORDED = Path(__file__).resolve().parent / "states" / "5b21667.json.gz"
"""Configuration and state that the program of commit 5b21667 left, with the local cloud."""

UPDATES: dict[str, set[str]] = {
    "Dashboard": {"dashboardBody"},
    "EventRule": {"state"},
    "Function": {"code", "environment"},
    "MetricAlarm": {"alarmDescription"},
    "RolePolicy": {"policy"},  # more rights of readers and watchdog
}
"""What this release changes of an existing stack: properties by type of resource."""

NEW_ALARMS = (
    "foreign-records|function-unhealthy|batches-lost|delivery-failed|source-written"
    "|switch-unfinished"
)
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


def test_an_upgrade_replaces_nothing_and_makes_only_named_updates(stack: EngineStack) -> None:
    held = {urn(resource) for resource in stack.resources()}
    up = stack.up()
    assert up.by_operation.keys() <= {"create", "update"}, up.by_operation
    added = up.by_operation.get("create", frozenset())
    assert [resource for resource in added if not NEW.fullmatch(resource)] == []
    unnamed = {
        resource: changed
        for resource, changed in up.changed.items()
        if not changed <= UPDATES.get(resource.partition(" ")[0], set())
    }
    assert unnamed == {}
    assert held <= {urn(resource) for resource in stack.resources()}
    assert stack.up().unchanged


def urn(resource: dict[str, Any]) -> tuple[str, str]:
    """Return what identifies a resource to the engine and to AWS."""
    return resource["urn"], resource.get("id", "")
