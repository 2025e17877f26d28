"""What `status` shows: the journal, and what AWS says beside it. Reads only."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace

from bootstrap.core.errors import AccountError
from bootstrap.core.facts import Measure, Usage
from bootstrap.core.journal_rows import Row, Store
from bootstrap.core.ports import Ledger, SourceAccount, TargetAccount
from bootstrap.core.stack_outputs import TableOutputs
from bootstrap.core.state import State
from bootstrap.journal import verification_records as verification
from bootstrap.journal.lease import Holder, Machine
from bootstrap.journal.records import Exported, Imported, Paused, Probing
from bootstrap.status import data_loss, snapshot
from bootstrap.status.health_checks import HealthReader, expected
from replicator.watchdog.detectors import judge
from replicator.watchdog.probe_rounds import WatchdogState


def look(
    table: TableOutputs,
    store: Store,
    source: SourceAccount,
    target: TargetAccount,
    ledger: Ledger,
    machine: Machine,
    command: str,
    looks: HealthReader | None = None,
    usage: Callable[[float], Usage] | None = None,
) -> snapshot.StatusSnapshot:
    """A snapshot from outside the run, by whoever may read. `usage` is asked as of a moment."""
    found, at = store.read(table.source_table)
    row = found or Row()
    # Before there is a run there is nothing to lose, nor once it is given up.
    lost = row.run_id and row.state not in (State.ABANDONING, State.ABANDONED)
    readings = looks.readings(row, at) if looks is not None and lost else None
    book = (
        WatchdogState(outage=readings.outage, overrun=readings.overrun)
        if readings
        else WatchdogState()
    )
    verified = verification.last(store, table.source_table).verified if row.run_id else None
    left = data_loss.known(row.record, book).left(row.record(Exported), verified)
    if readings is not None:
        readings = replace(readings, outage=left.outage, overrun=left.overrun)
    return snapshot.snapshot(
        table.source_table,
        table.target_table,
        row,
        store.history(table.source_table, row.run_id) if row.run_id else (),
        at=at,
        holder=_live_holder(row, at, machine),
        command=command,
        mapping=target.mapping(table.mapping_uuid),
        measure=_measure(row, source, target, ledger),
        retention_hours=_retention(table, row, source),
        readings=readings,
        findings=judge(readings, expected(table)) if readings else (),
        usage=usage(at) if usage is not None and row.run_id else Usage(),
        lost=left,
    )


def next_of(shown: Sequence[snapshot.StatusSnapshot]) -> str | None:
    """The next command of a stack of several tables: one that does something, if there is one."""
    commands = [each.next for each in shown if each.next is not None]
    doing = [each.next for each in shown if each.next is not None and not each.holder]
    return next(iter([*doing, *commands]), None)


def _retention(table: TableOutputs, row: Row, source: SourceAccount) -> int | None:
    """How long the stream keeps changes, where that is what the operator has to know."""
    if row.record(Paused) is None:
        return None
    # Unknown where the source account cannot be reached: that must not end `status`.
    with contextlib.suppress(AccountError):
        return source.stream(table.stream_name).retention_hours
    return None


def _live_holder(row: Row, at: float, machine: Machine) -> str:
    """Who works on the table, as far as can be seen from here."""
    holder = Holder.parse(row.holder)
    if holder is None or row.expires <= at:
        return ""
    if holder.machine == machine.me.machine and not machine.alive(holder):
        return ""
    return str(holder)


def _measure(
    row: Row, source: SourceAccount, target: TargetAccount, ledger: Ledger
) -> Measure | None:
    exported, imported = row.record(Exported), row.record(Imported)
    # The export is the source's to tell; that its account cannot be reached must not end `status`.
    with contextlib.suppress(AccountError):
        if exported is not None and exported.arn and not exported.done:
            facts = source.describe_export(exported.arn)
            return facts.measure if facts else None
    if imported is not None and imported.arn and not imported.done:
        load = target.describe_import(imported.arn)
        if load is None:
            return None
        return Measure(
            items=load.processed_items,
            size_bytes=load.processed_bytes,
            of_items=exported.items if exported else None,
            since=load.started,
        )
    probing = row.record(Probing)
    if probing is not None and row.state is State.CATCHING_UP:
        through = ledger.probes_through(probing.probe, probing.probes)
        return Measure(through, of_items=probing.probes, since=probing.put_at, unit="probes")
    # Beside a wait it would look as if the wait were so far.
    if exported is not None and exported.done and row.waiting is None:
        done = imported if imported is not None and imported.done else exported
        return Measure(items=done.items, size_bytes=done.size_bytes)
    return None
