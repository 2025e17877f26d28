"""The status of a table: the journal's row, and what AWS reports beside it. Read-only."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bootstrap.core.errors import AccountError, Side
from bootstrap.core.facts import ConsumerActivity, EventSource, Measure, Usage
from bootstrap.core.journal_rows import Row, Store
from bootstrap.core.outcome import import_progress, probe_progress
from bootstrap.core.ports import (
    BulkLoads,
    Ledger,
    ResourcePolicies,
    SourceAccount,
    TargetAccount,
)
from bootstrap.core.stack_outputs import TableOutputs
from bootstrap.core.state import State
from bootstrap.journal import verification_records as verification
from bootstrap.journal.lease import Holder, Machine
from bootstrap.journal.load_records import BulkLoad
from bootstrap.journal.records import Exported, Imported, Paused, Probing
from bootstrap.status.bulk_operations import read_operations
from bootstrap.status.health import read_health
from bootstrap.status.health_checks import HealthReader
from bootstrap.status.inputs import StatusInputs
from bootstrap.status.key_health import Keys
from bootstrap.status.next_command import BY_SWITCH
from bootstrap.status.snapshot import StatusSnapshot, build_snapshot
from bootstrap.status.switch_view import AccessReadings, view_switch
from bootstrap.status.target_expiry import read_expiries
from bootstrap.status.writer_access import WriterAccess, judge_policy, unread
from replicator.watchdog.backlog import KEPT_HOURS
from replicator.watchdog.readings import Intent, Readings


@dataclass(frozen=True)
class StatusContext:
    """One table, and everything that `status` reads it with. None: not read."""

    table: TableOutputs
    store: Store
    source: SourceAccount
    target: TargetAccount
    ledger: Ledger
    machine: Machine
    command: str
    """The command line with {} for the sub-command."""
    health: HealthReader | None = None
    usage: Callable[[float], Usage] | None = None
    """Reads the metrics as of a moment, in epoch seconds."""
    activity: Callable[[float], ConsumerActivity] | None = None
    """Reads what the consumer did up to a moment."""
    policies: Callable[[Side], ResourcePolicies] | None = None
    """The resource policies of an account's tables, with the rights of `status`."""
    loads: BulkLoads | None = None
    """None: the stack has no right to bulk operations."""
    target_arn: str = ""
    keys: Keys | None = None
    """Reads the keys of the places and of the stream; None: the stack file names none."""


def read_status(context: StatusContext) -> StatusSnapshot:
    """Read a snapshot from outside the run, with read permissions alone."""
    table, store = context.table, context.store
    found, at = store.read(table.source_table)
    row = found or Row()
    last = verification.last_verification(store, table.source_table)
    verified = last.verified if row.run_id else None
    expiries = read_expiries(context.source, context.target, table)
    operations = read_operations(context.loads, context.target_arn)
    health = read_health(
        context.health,
        table,
        row,
        at,
        verified,
        context.activity,
        expiries,
        operations,
        context.keys,
    )
    return build_snapshot(
        StatusInputs(
            table=table.source_table,
            target_table=table.target_table,
            row=row,
            at=at,
            holder=_live_holder(row, at, context.machine),
            command=context.command,
            history=store.history(table.source_table, row.run_id) if row.run_id else (),
            mapping=_mapping(context, health.readings),
            measure=_measure(row, context),
            retention_hours=_retention_hours(row, context),
            readings=health.readings,
            findings=health.findings,
            usage=context.usage(at) if context.usage is not None and row.run_id else Usage(),
            losses=health.losses,
            verification=last,
            switch=view_switch(row, at, _switch_readings(row, context, at)),
            buffer=table.buffer,
        )
    )


def next_of_all(shown: Sequence[StatusSnapshot]) -> str | None:
    """Return the next command of a stack: preferably one that does more than show the status."""
    commands = [each.next for each in shown if each.next is not None]
    acting = [each.next for each in shown if each.next is not None and not each.holder]
    return next(iter([*acting, *commands]), None)


def _switch_readings(row: Row, context: StatusContext, at: float) -> AccessReadings | None:
    """Read which of the tables lets writers in, where a switch or a promotion may have closed one.

    A promotion leaves the source alone, and nothing here asks for it then.
    """
    if row.state not in BY_SWITCH:
        return None
    settings = None
    with contextlib.suppress(AccountError):
        settings = context.ledger.settings()
    source = None
    if row.state is not State.PROMOTED:
        source = _access(Side.SOURCE, context.table.source_table_arn, context, at)
    return AccessReadings(source, _target_access(context, at), settings)


def _target_access(context: StatusContext, at: float) -> WriterAccess | None:
    try:
        facts = context.target.table(context.table.target_table)
    except AccountError as error:
        return unread(error.what)
    if facts is None:
        return unread("there is no such table")
    return _access(Side.TARGET, facts.arn, context, at)


def _access(side: Side, arn: str, context: StatusContext, at: float) -> WriterAccess | None:
    if context.policies is None:
        return None
    try:
        return judge_policy(context.policies(side).read(arn).document, at)
    except AccountError as error:
        return unread(error.what)


def _mapping(context: StatusContext, readings: Readings | None) -> EventSource | None:
    """Return the consumer's mapping; None if it is deleted, not made yet, or cannot be read."""
    uuid = context.table.mapping_uuid
    if context.table.reads_table_stream:
        intent = readings.intent if readings is not None else None
        uuid = intent.mapping if isinstance(intent, Intent) else ""
    # Its detector says which of these it is.
    with contextlib.suppress(AccountError):
        return context.target.mapping(uuid) if uuid else None
    return None


def _retention_hours(row: Row, context: StatusContext) -> int | None:
    """Return the stream's retention while the table is paused; otherwise it does not matter."""
    if row.record(Paused) is None:
        return None
    if context.table.reads_table_stream:
        return KEPT_HOURS
    # `status` has to work without the source account.
    with contextlib.suppress(AccountError):
        return context.source.stream(context.table.stream_name).retention_hours
    return None


def _live_holder(row: Row, at: float, machine: Machine) -> str:
    """Return the process that holds the lease, as far as this machine can see."""
    holder = Holder.parse(row.holder)
    if holder is None or row.expires <= at:
        return ""
    if holder.machine == machine.me.machine and not machine.alive(holder):
        return ""
    return str(holder)


def _measure(row: Row, context: StatusContext) -> Measure | None:
    exported, imported = row.record(Exported), row.record(Imported)
    # `status` has to work without the source account.
    with contextlib.suppress(AccountError):
        if exported is not None and exported.arn and not exported.done:
            facts = context.source.describe_export(exported.arn)
            return facts.measure if facts else None
    # What cannot be measured is not shown; the readings say that the account cannot be read.
    with contextlib.suppress(AccountError):
        return _measure_in_target(row, context, exported, imported)
    return None


def _measure_in_target(
    row: Row, context: StatusContext, exported: Exported | None, imported: Imported | None
) -> Measure | None:
    if imported is not None and imported.arn and not imported.done:
        load = context.target.describe_import(imported.arn)
        if load is None:
            return None
        return import_progress(load, exported.items if exported else None)
    bulk = row.record(BulkLoad)
    if bulk is not None and bulk.arn and context.loads is not None:
        operation = context.loads.describe(bulk.arn)
        if operation is None:
            return None
        return bulk.progress(operation, exported.items if exported else None)
    probing = row.record(Probing)
    if probing is not None and row.state is State.CATCHING_UP:
        through = context.ledger.probes_through(probing.probe, probing.probes)
        return probe_progress(through, probing.probes, probing.put_at)
    # The import's size is no measure of a later wait.
    if exported is not None and exported.done and row.waiting is None:
        done = imported if imported is not None and imported.done else exported
        return Measure(items=done.items, size_bytes=done.size_bytes)
    return None
