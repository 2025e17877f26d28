"""Readings of both accounts that the conditions of a switch are judged by. Nothing is changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from bootstrap.core.errors import BootstrapError, LeaseLostError
from bootstrap.core.facts import PolicyRevision, TableFacts
from bootstrap.core.journal_rows import Row
from bootstrap.cutover.context import SwitchContext
from bootstrap.journal.verification_records import Verified
from bootstrap.journal.verification_records import row_name as verification_row
from bootstrap.status.health import Health
from bootstrap.verify.backfill import row_name as backfill_row
from replicator.watchdog.readings import Unread

T = TypeVar("T")


@dataclass(frozen=True)
class SwitchReadings:
    """One table's journal and both accounts at a moment. A reading that failed is `Unread`."""

    at: float
    """Epoch seconds, by AWS's clock."""
    row: Row
    holders: tuple[str, ...]
    """Other processes that hold a lease of the table, with what it is for."""
    source: TableFacts | Unread | None
    """None: there is no such table."""
    target: TableFacts | Unread | None
    verified: Verified | None
    """The last verification; None: there was none."""
    health: Health
    target_policy: PolicyRevision | Unread | None
    """None: there is no table."""
    source_policy: PolicyRevision | Unread | None


def read(context: SwitchContext) -> SwitchReadings:
    """Read what the conditions depend on. Make no change, and take no lease."""
    table = context.table
    found, at = context.store.read(table.source_table)
    row = found or Row()
    source = _tried(lambda: context.steps.source.table(table.source_table))
    target = _tried(lambda: context.steps.target.table(table.target_table))
    return SwitchReadings(
        at,
        row,
        _holders(context),
        source,
        target,
        context.steps.verified(),
        context.read_health(row, at),
        _policy(context.target_policies.read, target),
        # The exporter may read it: the switch's role is not used before it changes something.
        _policy(context.steps.source.policy, source),
    )


def _holders(context: SwitchContext) -> tuple[str, ...]:
    """Name the other processes that hold the leases of run, verification and backfill."""
    name, found = context.table.source_table, []
    rows = {
        "the run": name,
        "a verification": verification_row(name),
        "a backfill": backfill_row(name),
    }
    for (work, key), lease in zip(rows.items(), context.leases, strict=True):
        row, at = context.store.read(key)
        lease.saw(at)
        held = row is not None and lease.generation > 0 and row.generation == lease.generation
        holder = None if row is None or held else lease.other_holder(row)
        found += [f"{holder} holds the lease of {work}"] if holder is not None else []
    return tuple(found)


def _policy(
    reading: Callable[[str], PolicyRevision], table: TableFacts | Unread | None
) -> PolicyRevision | Unread | None:
    return _tried(lambda: reading(table.arn)) if isinstance(table, TableFacts) else None


def _tried(reading: Callable[[], T]) -> T | Unread:
    try:
        return reading()
    except LeaseLostError:
        raise
    except BootstrapError as error:
        return Unread(error.what)
