"""A table all of whose conditions of a switch are fulfilled, as values to change one by one."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from bootstrap.core.facts import PolicyRevision, TableFacts
from bootstrap.core.journal_rows import Row, to_json
from bootstrap.core.ports import OldSource, ResourcePolicies, WriteCanary
from bootstrap.core.stack_outputs import Outputs, parse
from bootstrap.core.state import State
from bootstrap.core.write_deny import WriteDeny, with_deny
from bootstrap.cutover.context import SwitchContext, SwitchOptions
from bootstrap.cutover.readings import SwitchReadings
from bootstrap.journal.lease import Lease
from bootstrap.journal.records import Buffered, Imported
from bootstrap.journal.switch_records import SwitchMode, TargetDeny
from bootstrap.journal.verification_records import Verified
from bootstrap.journal.verification_records import row_name as verification_row
from bootstrap.status.health import Health, read_health
from bootstrap.verify.backfill import row_name as backfill_row
from tests.support.bootstrap.fake_accounts import FakeSource, FakeTarget
from tests.support.bootstrap.fake_aws import OUTPUTS_JSON, SOURCE_ARN, STREAM_ARN, FakeAws
from tests.support.bootstrap.killed_process import Process
from tests.support.bootstrap.status import NOW, FixedHealth

TARGET_ARN = "arn:aws:dynamodb:eu-west-1:222222222222:table/orders-replica"
CONSUMER = "arn:aws:iam::222222222222:role/orders-consumer"
IMPORTER = "arn:aws:iam::222222222222:role/importer"
SWITCH_ROLES = tuple(f"arn:aws:iam::{n * 12}:role/switch" for n in "12")
NONCE = "0123456789abcdef"
PUT_AT, VERIFIED_AT = NOW - 86_400.0, NOW - 3_600.0

SOURCE = TableFacts(SOURCE_ARN, "source-1", "ACTIVE", 3, 300, False)
TARGET = TableFacts(TARGET_ARN, "target-1", "ACTIVE", 3, 300, True)


def switch_outputs(*, roles: bool = True, **table: Any) -> Outputs:
    """The outputs of a stack with `switch: true`; `table` changes its table's members."""
    (members,) = OUTPUTS_JSON["tables"]
    value = {**OUTPUTS_JSON, "tables": [{**members, "consumerRoleArn": CONSUMER, **table}]}
    if roles:
        for side, role in zip(("source", "target"), SWITCH_ROLES, strict=True):
            value[side] = {**value[side], "switchRoleArn": role}
    return parse(json.dumps(value), "test")


def deny_document(nonce: str = NONCE, **changes: Any) -> str:
    """A policy with the target's Deny; `changes` go into the statement."""
    deny = WriteDeny(nonce, TARGET_ARN, excepted=[CONSUMER, IMPORTER])
    policy = json.loads(with_deny(None, deny))
    policy["Statement"][0] |= changes
    return json.dumps(policy)


def verified(at: float = VERIFIED_AT, **changes: Any) -> Verified:
    counts = dict.fromkeys(("changed_since", "missing", "extra", "different", "foreign"), 0)
    counts |= dict.fromkeys(("source_items", "target_items", "equal"), 3)
    values: dict[str, Any] = {"sample": 1.0, **counts, **changes}
    return Verified("r", at + 300, at, at, complete_until=at, **values)


def row(*records: Any, state: State = State.REPLICATING) -> Row:
    """The journal's row of a replica, with further records."""
    known = (Buffered(0, STREAM_ARN, "source-1"), Imported(table_id="target-1"))
    kept = {each.key: to_json(each) for each in (*known, TargetDeny(NONCE, PUT_AT), *records)}
    return Row(5, run_id="run", state=state, since=NOW - 9e4, records=kept)


def health(**readings: Any) -> Health:
    """Every detector's finding; `readings` differ from healthy ones."""
    (table,) = switch_outputs().tables
    return read_health(FixedHealth(**readings), table, row(), NOW, None)


def ready(**changes: Any) -> SwitchReadings:
    """Readings that fulfil every condition, but for `changes`."""
    values: dict[str, Any] = {
        "at": NOW,
        "row": row(),
        "holders": (),
        "source": SOURCE,
        "target": TARGET,
        "verified": verified(),
        "health": health(),
        "target_policy": PolicyRevision(deny_document(), "2"),
        "source_policy": PolicyRevision(None, "NO_POLICY"),
    }
    return SwitchReadings(**{**values, **changes})


class FixedPolicies:
    """`ResourcePolicies` with one policy. A change of it is a mistake of the test's subject."""

    def __init__(self, world: FakeAws, document: str | None) -> None:
        self._world, self._document = world, document

    def read(self, table_arn: str) -> PolicyRevision:
        with self._world.around("get_resource_policy", table_arn):
            return PolicyRevision(self._document, "1")

    def replace(
        self, table_arn: str, known: PolicyRevision, document: str | None
    ) -> PolicyRevision:
        raise AssertionError("nothing may be changed here")


class Untouched:
    """A port that may not be called."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} was called")


def switch_context(
    world: FakeAws | None = None,
    options: SwitchOptions | None = None,
    outputs: Outputs | None = None,
    *,
    target_policies: ResourcePolicies | None = None,
    source_policies: ResourcePolicies | None = None,
) -> SwitchContext:
    """A process that has taken no lease, looking at a world."""
    world, outputs = world or FakeAws(), outputs or switch_outputs()
    process = Process(world, pid=98, chosen=outputs)
    (table,) = outputs.tables
    name = table.source_table
    names = (name, verification_row(name), backfill_row(name))
    untouched: Any = Untouched()
    canary: WriteCanary = untouched
    old_source: OldSource = untouched
    return SwitchContext(
        steps=dataclasses.replace(
            process.run.context,
            source=FakeSource(world, lambda: None),
            target=FakeTarget(world, lambda: None),
            journal=untouched,
        ),
        store=process.store,
        leases=tuple(Lease(process.store, each, world.clock, process.machine) for each in names),
        target_policies=target_policies or FixedPolicies(world, deny_document()),
        source_policies=source_policies or FixedPolicies(world, None),
        canary=canary,
        old_source=old_source,
        read_health=lambda row, at: read_health(FixedHealth(), table, row, at, None),
        options=options or SwitchOptions(SwitchMode.FENCE),
    )
