"""The items after a switch's commit: only forward, each observed, repeatable and recorded.

The target opens, the operator's command runs, and the old direction is taken apart.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from bootstrap.core.errors import BlockedError
from bootstrap.core.outcome import Acted, Done, Outcome, Pending
from bootstrap.core.suggestions import Command, suggest
from bootstrap.cutover import denies, settings_changes
from bootstrap.cutover.context import SwitchContext
from bootstrap.cutover.settings import of_text
from bootstrap.cutover.switch.table_set import SwitchSet, target_denies
from bootstrap.journal.switch_records import AfterSwitch, ChosenSettings, TargetDeny

AfterAdvance = Callable[[SwitchSet, SwitchContext], Outcome]

POLL_SECONDS = 5.0
EXEC = "exec"
"""The item of the operator's command, once for all tables."""


def mark_primary(group: SwitchSet, context: SwitchContext) -> Outcome:
    """Tell the consumer and the watchdog that the target is the primary."""
    attempt = group.attempt
    if not context.steps.ledger.set_primary(attempt.nonce, round(attempt.committed_at * 1e6)):
        raise BlockedError(
            f"A promotion owns the consumer's gate of table {context.table.source_table}.",
            fix=suggest(Command("status")),
        )
    return Done()


def open_target(group: SwitchSet, context: SwitchContext) -> Outcome:
    """Rewrite the target's Deny, so that it denies exactly this stack's own roles."""
    standing = context.journal.get(TargetDeny)
    if standing is None:
        raise AssertionError("The target's Deny is checked before a switch begins.")
    deny = denies.primary(context.steps.outputs, context.table, standing.nonce)
    known = (standing.nonce, *standing.earlier)
    target_denies(context).replace(deny, known=known, required=False)
    return Done()


def await_callers(group: SwitchSet, context: SwitchContext) -> Outcome:
    """Wait until a caller's write is no longer refused. Others may be refused a little longer."""
    timing = context.steps.timing
    after = _record(context)
    if context.canary.refused(context.table.target_table):
        return Pending("the target to let callers in", timing.poll(2))
    if not after.opened_at:
        context.journal.put(replace(after, opened_at=group.now), "the target takes writes")
    return Done()


def stop_mapping(group: SwitchSet, context: SwitchContext) -> Outcome:
    """Disable the consumer's event source mapping."""
    mapping = context.steps.mapping()
    if mapping is None or mapping.state == "Disabled":
        return Done()
    if mapping.state == "Enabled":
        context.steps.target.disable_mapping(mapping.uuid)
        return Acted()
    return Pending("the event source mapping to settle", context.steps.timing.poll(POLL_SECONDS))


def stop_source_expiry(group: SwitchSet, context: SwitchContext) -> Outcome:
    """Switch time to live off in the old source, which may then be kept as it was."""
    if context.old_source is None:
        return Done()
    status = context.steps.source.expiry(context.table.source_table)
    if status.enabled and status.attribute is not None:
        context.old_source.set_expiry(context.table.source_table, status.attribute, False)
        return Acted()
    return Done()


@dataclass(frozen=True)
class AfterItem:
    """A part of what follows the commit. `name` never changes: the journal has it."""

    name: str
    advance: AfterAdvance
    required: bool = False
    """False: its failure is reported as an open item, and the others follow."""


def _settle(advance: settings_changes.AfterCommit) -> AfterAdvance:
    """Advance a change of the target's settings, to those that the switch has recorded."""

    def settle(group: SwitchSet, context: SwitchContext) -> Outcome:
        chosen = context.journal.get(ChosenSettings)
        return advance(context, of_text(chosen.wanted) if chosen is not None else None)

    return settle


# Why each item is where it is:
# - open-target first: writers are refused everywhere until then;
# - callers before exec: the application is moved to a table that takes its writes.
BEFORE_EXEC: tuple[AfterItem, ...] = (
    AfterItem("open-target", open_target, required=True),
    AfterItem("primary", mark_primary),
    AfterItem("callers", await_callers),
)
AFTER_EXEC: tuple[AfterItem, ...] = (
    AfterItem("mapping", stop_mapping),
    *(AfterItem(name, _settle(advance)) for name, advance in settings_changes.AFTER_COMMIT),
    AfterItem("source-expiry", stop_source_expiry),
)
ITEMS = tuple(each.name for each in (*BEFORE_EXEC, *AFTER_EXEC))
"""The names of all items but the operator's command."""


def done(context: SwitchContext) -> tuple[str, ...]:
    """Return the names of the items that are done."""
    return _record(context).done


def note_done(context: SwitchContext, name: str) -> None:
    """Record an item as done."""
    after = _record(context)
    if name in after.done:
        return
    context.journal.put(
        replace(after, done=(*after.done, name), failed=_others(after, name)),
        f"after the switch: {name} is done",
    )


def has_failed(context: SwitchContext, name: str) -> bool:
    """Tell whether an item is recorded as open."""
    after = _record(context)
    return _others(after, name) != after.failed


def note_failed(context: SwitchContext, name: str, why: str) -> None:
    """Record an item as open, with the reason of its last attempt."""
    after = _record(context)
    failed = (*_others(after, name), f"{name}: {why}")
    if failed != after.failed:
        context.journal.put(replace(after, failed=failed), f"after the switch: {name} is open")


def _record(context: SwitchContext) -> AfterSwitch:
    return context.journal.get(AfterSwitch) or AfterSwitch()


def _others(after: AfterSwitch, name: str) -> tuple[str, ...]:
    """Return the open items but this one."""
    return tuple(each for each in after.failed if not each.startswith(f"{name}: "))


def facts_for_exec(group: SwitchSet) -> Mapping[str, str]:
    """Return the environment of the operator's command."""
    first, attempt = group.first, group.attempt
    outputs = first.steps.outputs
    tables = [
        {
            "source": each.table.source_table,
            "sourceArn": each.table.source_table_arn,
            "target": each.table.target_table,
            "targetArn": outputs.target_arn(each.table),
        }
        for each in group
    ]
    return {
        "REPLICATION_STACK": outputs.stack,
        "REPLICATION_SWITCH_NONCE": attempt.nonce,
        "REPLICATION_TABLES": json.dumps(tables),
        "REPLICATION_TARGET_ACCOUNT": outputs.target.account_id,
        "REPLICATION_TARGET_REGION": outputs.target.region,
    }
