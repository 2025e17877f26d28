"""The settings that the new table and the ledger need before the consumer may start."""

from __future__ import annotations

import json

from bootstrap.core.facts import TableFacts
from bootstrap.core.outcome import Acted, Done, Outcome, Pending
from bootstrap.core.run_options import TtlPolicy
from bootstrap.core.state import State
from bootstrap.journal.records import Configured, Exported, Imported, Wanted
from bootstrap.run.step import Step
from bootstrap.run.step_context import StepContext
from bootstrap.run.steps import target_ttl, warm_throughput


def advance(context: StepContext) -> Outcome:
    """Store the floor, then apply the plan's settings to the target, one act at a time."""
    journal, table = context.journal, context.table
    configured = journal.get(Configured)
    policy = _policy(context, configured)
    if configured is not None and configured.ttl == policy:
        return Done()
    floor = _store_floor(context)
    target, ledger = context.target.table(table.target_table), None
    wanted = journal.get(Wanted) or Wanted()
    if target is None or target.status != "ACTIVE":
        return Pending("the target table to become ACTIVE", context.timing.poll(5))
    if warm_throughput.indexes_change(target):
        return Pending("the target's indexes to become ACTIVE", context.timing.poll(5))
    if wanted.warm_writes:
        ledger = context.target.table(table.ledger_table)
        if ledger is None or ledger.status != "ACTIVE":
            return Pending("the ledger to become ACTIVE", context.timing.poll(5))
    if (
        _protect(context, target)
        or _describe(context, target, wanted)
        or warm_throughput.warm(context, (target, ledger), wanted)
        or warm_throughput.warm_indexes(context, target, wanted)
        or _expire(context, wanted, policy, configured)
    ):
        return Acted()
    _settle_losses(context)
    journal.put(Configured(floor, policy), "the target table is set up, the floor is stored")
    return Acted()


STEP = Step("settings", State.CONFIGURING, advance)


def _policy(context: StepContext, configured: Configured | None) -> TtlPolicy:
    if context.options.ttl is not None:
        return context.options.ttl
    return TtlPolicy(configured.ttl) if configured is not None else TtlPolicy.AT_SWITCH


# Each of these observes before it acts, and returns True if it acted.


def _protect(context: StepContext, target: TableFacts) -> bool:
    if context.table.load.adopt:  # docs/design.md, Adopted tables: these settings are the owner's
        return False
    gateway, name = context.target, context.table.target_table
    if not target.deletion_protection:
        gateway.protect(name)
        return True
    if not gateway.backups(name).enabled:
        gateway.enable_backups(name)
        return True
    return False


def _describe(context: StepContext, target: TableFacts, wanted: Wanted) -> bool:
    """Set tags and table class. Other tags on the target stay."""
    if context.table.load.adopt:
        return False
    tags: dict[str, str] = json.loads(wanted.tags)
    if tags:
        there = context.target.tags(target.arn)
        missing = {key: value for key, value in tags.items() if there.get(key) != value}
        if missing:
            context.target.tag(target.arn, missing)
            return True
    if target.table_class != wanted.table_class:
        context.target.set_class(context.table.target_table, wanted.table_class)
        return True
    return False


def _expire(
    context: StepContext, wanted: Wanted, policy: TtlPolicy, configured: Configured | None
) -> bool:
    """Switch the target's time to live off, if an earlier run was to switch it on.

    To switch it on is the last step's, after the catch-up.
    """
    if policy is TtlPolicy.NOW or configured is None or configured.ttl != TtlPolicy.NOW:
        return False
    name = context.table.target_table
    there = context.target.expiry(name)
    if not there.enabled:
        target_ttl.record_end(context, expires=False)
        return False
    source = context.source.expiry(context.table.source_table)
    if not source.enabled or source.attribute != there.attribute:
        target_ttl.record_begin(context)
    context.target.set_expiry(name, there.attribute or wanted.ttl_attribute, False)
    return True


def _settle_losses(context: StepContext) -> None:
    """Tell the loss detectors that the snapshot holds what was lost before it.

    The floor does not show that: it is never raised.
    """
    exported = context.journal.get(Exported)
    assert exported is not None
    context.ledger.settle(round((exported.export_time - context.timing.export_fuzz) * 1_000_000))


def _store_floor(context: StepContext) -> int:
    """Store the floor, and return the ledger's: the snapshot holds every change before it."""
    exported, imported = context.journal.get(Exported), context.journal.get(Imported)
    if exported is None or not exported.done or imported is None or not imported.done:
        raise AssertionError("Export and import come first.")
    floor = round((exported.export_time - context.timing.floor_margin) * 1_000_000)
    stored = context.ledger.settings().floor
    if stored is not None and stored <= floor:
        return stored
    # Never raised: DynamoDB may deliver a change up to 168 hours late, and a change newer than the
    # snapshot must not count as part of it. A lower floor only costs a few writes.
    after = context.ledger.store_floor(floor, exported.arn)
    return floor if after.floor is None else after.floor
