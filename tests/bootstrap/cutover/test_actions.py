"""The actions that a dry run lists are those that the switch makes, on the same resources."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from itertools import groupby
from typing import Any

import pytest

from bootstrap.core.facts import TtlStatus
from bootstrap.cutover.context import SwitchOptions
from bootstrap.cutover.plan.actions import SwitchPart
from bootstrap.cutover.plan.dry_run import plan_switch
from bootstrap.journal.switch_records import SwitchMode
from tests.support.bootstrap.fake_aws import (
    JOURNAL,
    LEDGER,
    MAPPING,
    SOURCE_ARN,
    STREAM_ARN,
    TARGET_ARN,
    FakeAws,
    Seen,
    switch_outputs,
)
from tests.support.bootstrap.switch_conditions import looking
from tests.support.bootstrap.switch_world import a_switch, ready_to_switch

pytestmark = pytest.mark.promise("C9")

Change = tuple[str, str]
"""The call and the resource."""

ACCOUNT = TARGET_ARN.rsplit("/", 1)[0]
ARNS = {name: f"{ACCOUNT}/{name}" for name in (JOURNAL, LEDGER)}
CHANGES: dict[str, Change] = {
    "put_probes": ("PutRecords", STREAM_ARN),
    "write_canary": ("DeleteItem", TARGET_ARN),
    "disable_mapping": (
        "UpdateEventSourceMapping",
        f"arn:aws:lambda:eu-west-1:222222222222:event-source-mapping:{MAPPING}",
    ),
    "tag": ("TagResource", TARGET_ARN),
    "set_stream": ("UpdateTable", TARGET_ARN),
    "set_class": ("UpdateTable", TARGET_ARN),
    "set_capacity": ("UpdateTable", TARGET_ARN),
    "set_expiry": ("UpdateTimeToLive", TARGET_ARN),
    "set_source_expiry": ("UpdateTimeToLive", SOURCE_ARN),
}
READING = ("GetItem", "BatchGetItem", "Query", "GetResourcePolicy")


def change_of(seen: Seen) -> Change | None:
    """The change that a call of the world makes; None for one that only reads."""
    if seen.name in CHANGES:
        return CHANGES[seen.name]
    if seen.name in ("PutResourcePolicy", "DeleteResourcePolicy"):
        return (seen.name, seen.detail)
    if seen.name[0].isupper() and seen.name not in READING:
        return (seen.name, ARNS[table_of(seen.detail)])
    return None


def table_of(request: dict[str, Any]) -> str:
    if "TransactItems" in request:
        (name,) = {next(iter(each.values()))["TableName"] for each in request["TransactItems"]}
        return str(name)
    return str(request["TableName"])


@pytest.fixture(scope="module")
def ready() -> FakeAws:
    return ready_to_switch()


@pytest.mark.parametrize("settings", ["source", "keep"])
@pytest.mark.parametrize("mode", list(SwitchMode))
def test_switch_makes_the_changes_that_its_dry_run_lists_and_no_other(
    ready: FakeAws, mode: SwitchMode, settings: str
) -> None:
    world = ready.copied()
    world.source_expiry, world.source_tags = TtlStatus(True, "expires"), {"team": "shop"}
    world.source = dataclasses.replace(
        world.source, stream_view="NEW_IMAGE", billing_mode="PROVISIONED", write_capacity=9
    )
    options = SwitchOptions(mode, settings=settings)
    plan = plan_switch([looking(world, options, switch_outputs())])
    listed = [
        (each.call, each.resource)
        for each in plan.tables[0].actions
        if each.call and each.part is not SwitchPart.FINISH
    ]
    first = len(world.seen)

    a_switch(world, mode=mode, settings=settings).run()

    made = [change for each in world.seen[first:] if (change := change_of(each)) is not None]
    assert set(made) == set(listed)
    assert in_order(made) == in_order(listed)


def in_order(changes: Iterable[Change]) -> list[Change]:
    """Changes of everything but the journal, which each step writes to; repetitions left out."""
    return [each for each, _ in groupby(each for each in changes if each[1] != ARNS[JOURNAL])]
