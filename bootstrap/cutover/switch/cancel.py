"""The end of an attempt that is not committed: everything that it closed is opened again.

The journal first, so that no process commits it; then the target's Deny under another nonce, so
that a process that sleeps cannot open the target; and only then the source.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from bootstrap.core import write_deny
from bootstrap.core.errors import BlockedError, Side, UnavailableError
from bootstrap.core.journal_rows import Store
from bootstrap.core.state import State
from bootstrap.core.suggestions import Command, suggest
from bootstrap.cutover import denies
from bootstrap.cutover.context import SwitchContext
from bootstrap.cutover.late_notes import read_late_notes
from bootstrap.cutover.switch.table_set import SwitchSet, source_denies, target_denies
from bootstrap.journal.records import Wanted
from bootstrap.journal.switch_records import (
    GateGap,
    SourceDeny,
    Switching,
    SwitchMode,
    SwitchStep,
    TargetDeny,
)
from replicator.settings import ARMED_SECONDS, SettingsRow


def tables_left(store: Store, attempt: Switching) -> frozenset[str]:
    """Return the tables of an attempt, but for those that were promoted since: it is void there."""

    def is_promoted(table: str) -> bool:
        row, _ = store.read(table)
        return row is not None and row.state is State.PROMOTED

    return frozenset(each for each in attempt.tables if not is_promoted(each))


def begin_cancel(group: SwitchSet, reason: str) -> bool:
    """Record that the attempt is cancelled. From then on it cannot be committed.

    False: there is none, because its record was never written.

    Raises:
        LeaseLostError: another process has taken over.
        BlockedError: the attempt is committed.
    """
    group.refresh()
    refuse_committed(group)
    if any(each.journal.row.state is not State.SWITCHING for each in group):
        return False
    if not group.attempt.cancelled:
        group.record(f"cancelled: {reason}", cancelled_at=group.now, reason=reason)
    return True


def refuse_committed(group: SwitchSet) -> None:
    """Raise BlockedError for an attempt that only goes forward."""
    for each in group:
        found = each.journal.get(Switching)
        if found is not None and found.committed_at:
            raise BlockedError(
                f"The switch of table {each.table.source_table} has been committed: the target is "
                "the primary, and nothing leads back to the source.",
                fix=suggest(Command("status")),
            )


def renew_target_nonce(group: SwitchSet, context: SwitchContext) -> None:
    """Record another nonce for the target's Deny. It may be recorded again.

    A Deny that was changed or taken off meanwhile counts anew: the target may have been written.
    """
    standing = context.journal.get(TargetDeny)
    if standing is None:
        return
    earlier = (*standing.earlier, standing.nonce)
    forms = [denies.replica(context.steps.outputs, context.table, each) for each in earlier]
    at = standing.at if target_denies(context).stands(forms) else 0.0
    context.journal.put(
        replace(standing, nonce=write_deny.new_nonce(), at=at, earlier=earlier),
        "renewing the target's Deny",
    )


def renew_target_deny(group: SwitchSet, context: SwitchContext) -> None:
    """Put the target's Deny under its other nonce."""
    journal, standing = context.journal, context.journal.get(TargetDeny)
    if standing is None or not standing.earlier:
        return
    deny = denies.replica(context.steps.outputs, context.table, standing.nonce)
    bulk = target_denies(context).replace(deny, known=standing.earlier, required=False)
    journal.refresh()  # a process that was suspended learns AWS's time
    renewed = replace(standing, at=standing.at or group.now, earlier=(), bulk=bulk)
    journal.put(renewed, "the target's Deny is renewed")


def disarm_ended(context: SwitchContext) -> bool:
    """Take off the nonce of an attempt that has ended; return whether there was one.

    This process holds the run's lease, and the journal's attempt is its own. So what is armed was
    put by a process that had slept when its attempt was cancelled.
    """
    settings = context.steps.ledger.settings()
    if settings.armed is None or settings.closed is not None:
        return False
    return context.steps.ledger.open(settings.armed)


def open_gate(group: SwitchSet, context: SwitchContext) -> None:
    """Let the consumer apply changes again, and record what the closed gate has left out."""
    attempt, ledger = group.attempt, context.steps.ledger
    if not ledger.open(attempt.nonce) and not disarm_ended(context):
        raise BlockedError(
            f"Another attempt, or a promotion, owns the consumer's gate of table "
            f"{context.table.source_table}.",
            fix=suggest(Command("status")),
        )
    # The step is recorded before the gate is closed, `gate_at` only afterwards.
    if SwitchStep(attempt.step).order < SwitchStep.GATE.order:
        return
    left = read_late_notes(ledger, attempt.nonce).deletions
    known = context.journal.get(GateGap) or GateGap(attempt.mark, 0, 0)
    wanted = context.journal.get(Wanted)
    if left or (wanted is not None and wanted.ttl_attribute):
        # An invocation that still knows the closed gate may leave out more.
        until = group.now + ARMED_SECONDS + SettingsRow.CACHE_SECONDS
        context.journal.put(
            GateGap(min(known.begin, attempt.mark), until, max(known.deletions, left)),
            "deletions by time to live may have been left out while the gate was closed",
        )


def open_source(group: SwitchSet, context: SwitchContext) -> None:
    """Take the Deny out of the source's policy."""
    attempt, known = group.attempt, context.journal.get(SourceDeny)
    if attempt.mode != SwitchMode.FENCE or known is None:
        return
    source_denies(context).remove(
        context.table.source_table_arn, known={attempt.nonce, known.nonce}
    )
    context.journal.forget(SourceDeny, "the source takes writes")


def start_consumer(group: SwitchSet, context: SwitchContext) -> None:
    """Switch the consumer of a table's own stream on again, which the gate had switched off.

    A mapping that was deleted meanwhile is made again by `run`, which a switch does not hold up:
    `status` says so. The stream keeps what waits.

    Raises:
        UnavailableError: its mapping is changing its state.
    """
    steps = context.steps
    if not context.table.reads_table_stream:
        return
    mapping = steps.mapping()
    if mapping is None:
        return
    if mapping.state == "Disabled":
        steps.target.enable_mapping(mapping.uuid)
        mapping = steps.mapping() or mapping
    if not mapping.running:
        raise UnavailableError(
            Side.TARGET,
            f"The consumer's mapping of table {context.table.source_table} is {mapping.state}.",
            fix=suggest(Command("switch", "--cancel")),
        )


# Why each act is where it is:
# - renew_target_deny before open_source: a process that sleeps, and wakes up to open the target,
#   meets another nonce, so never finds the source open as well;
# - open_gate before open_source: what the source takes from then on is applied;
# - start_consumer last: what the source takes meanwhile waits in its stream, and no writer waits
#   for Lambda.
CANCEL_ACTS: tuple[Callable[[SwitchSet, SwitchContext], None], ...] = (
    renew_target_nonce,
    renew_target_deny,
    open_gate,
    open_source,
    start_consumer,
)


def replicate_again(group: SwitchSet) -> None:
    """Enter the state of before the attempt. The attempt's record stays, as the last one.

    With one write for all tables: a cancel that dies is repeated for all of them, or for none.
    """
    group.refresh()
    if any(each.journal.row.state is State.SWITCHING for each in group):
        group.record("the source takes writes", state=State.REPLICATING)
