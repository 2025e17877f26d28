"""A table all of whose conditions of a switch are fulfilled, as values to change one by one."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from bootstrap.core.errors import Side
from bootstrap.core.facts import PolicyRevision, TableFacts
from bootstrap.core.journal_rows import Row, to_json
from bootstrap.core.stack_outputs import Outputs
from bootstrap.core.state import State
from bootstrap.core.write_deny import WriteDeny, with_deny
from bootstrap.cutover.checks.readings import SwitchReadings
from bootstrap.cutover.context import SwitchContext, SwitchOptions
from bootstrap.journal.records import Buffered, Imported
from bootstrap.journal.switch_records import TargetDeny
from bootstrap.journal.verification_records import Verified
from bootstrap.status.health import Health, read_health
from tests.support.bootstrap.fake_accounts import FakeSource, FakeTarget, fake_policies
from tests.support.bootstrap.fake_aws import (
    CONSUMER,
    IMPORTER,
    SOURCE_ARN,
    STREAM_ARN,
    TARGET_ARN,
    FakeAws,
    switch_outputs,
)
from tests.support.bootstrap.status import NOW, FixedHealth
from tests.support.bootstrap.switch_harness import switch_context

NONCE = "0123456789abcdef"
PUT_AT, VERIFIED_AT = NOW - 86_400.0, NOW - 3_600.0

SOURCE = TableFacts(SOURCE_ARN, "source-1", "ACTIVE", 3, 300, False)
TARGET = TableFacts(TARGET_ARN, "target-1", "ACTIVE", 3, 300, True)


def deny_document(nonce: str = NONCE, **changes: Any) -> str:
    """A policy with the target's Deny; `changes` go into the statement."""
    deny = WriteDeny(nonce, TARGET_ARN, excepted=[CONSUMER, IMPORTER])
    policy = json.loads(with_deny(None, deny))
    policy["Statement"][0] |= changes
    return json.dumps(policy)


def verified(at: float = VERIFIED_AT, **changes: Any) -> Verified:
    counts = dict.fromkeys(("changed_since", "missing", "extra", "different", "foreign"), 0)
    counts |= dict.fromkeys(("source_items", "target_items", "equal"), 3)
    values: dict[str, Any] = {"sample": 1.0, "complete_until": at, **counts, **changes}
    return Verified("r", at + 300, at, at, **values)


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


def looking(
    world: FakeAws, options: SwitchOptions | None = None, outputs: Outputs | None = None
) -> SwitchContext:
    """A process that only looks at a world: it holds no lease, and may change nothing."""
    context = switch_context(world, pid=98, options=options, chosen=outputs)
    untouched: Any = Untouched()
    return dataclasses.replace(
        context,
        steps=dataclasses.replace(
            context.steps,
            source=FakeSource(world, lambda: None),
            target=FakeTarget(world, lambda: None),
            journal=untouched,
        ),
        target_policies=fake_policies(world, Side.TARGET, lambda: None),
        source_policies=fake_policies(world, Side.SOURCE, lambda: None),
        canary=untouched,
        old_source=untouched,
    )


class Untouched:
    """A port that may not be called."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} was called")
