"""Bulk operations on the target beside the consumer: their puts replace what it has applied."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bootstrap.core.bulk_facts import BulkFacts
from bootstrap.core.errors import BootstrapError
from bootstrap.core.formatting import instant
from bootstrap.core.journal_rows import Row
from bootstrap.core.ports import BulkLoads
from bootstrap.journal.load_records import LoadTarget
from bootstrap.journal.records import Enabled, Imported
from bootstrap.journal.verification_records import Verified
from replicator.watchdog.detectors import Detector, Level
from replicator.watchdog.finding import Finding, blind
from replicator.watchdog.readings import Unread

BULK_OPERATION_ON_TARGET = Detector(
    "BulkOperationOnTarget",
    Level.LOSS,
    "A bulk operation that this run did not start writes into the target, or has written there "
    "since the run began to load it. Its puts have no condition: they replace newer items.",
    "find who started it, and cancel it, or wait until it has ended; then `bootstrap verify "
    "--repair`.",
)
"""A finding of `status`, `run` and `switch`. The watchdog does not read it, since the SDK of its
runtime need not know bulk operations: no alarm and no metric has its name. A rule of EventBridge
sends a message about each start (`infra/monitoring/other_bulk_puts.py`)."""

ListOperations = Callable[[float], Sequence[BulkFacts]]
"""Lists the operations on the target that run, or that ended at a moment or later."""


def read_operations(loads: BulkLoads | None, target_arn: str) -> ListOperations | None:
    """Return the reader; None where the stack has no right to bulk operations."""
    return None if loads is None else lambda since: loads.on_table(target_arn, since)


def judge_operations(
    row: Row, read: ListOperations | None, verified: Verified | None
) -> tuple[Finding, ...]:
    """Return the finding; none before the consumer has been enabled.

    A verification that was complete after the end of an operation covers what that has written.
    """
    imported, made = row.record(Imported), row.record(LoadTarget)
    if read is None or row.record(Enabled) is None or imported is None:
        return ()
    # A bulk load takes hours: what another operation put beside it is as wrong as what came later.
    since = made.intended_at if made is not None else imported.ended or 0.0
    try:
        found = [each for each in read(since) if each.table_id in ("", imported.table_id)]
    except BootstrapError as error:
        return (blind(BULK_OPERATION_ON_TARGET, Unread(error.what)),)
    theirs = [each for each in found if not row.run_id or not each.token.startswith(row.run_id)]
    complete = verified.complete_until if verified is not None else 0.0
    writing = [each for each in theirs if each.may_have_written]
    left = [each for each in writing if not each.terminal or (each.ended or complete) >= complete]
    if not left:
        return (
            Finding(
                BULK_OPERATION_ON_TARGET,
                Level.FINE,
                0.0,
                "no other bulk operation writes into the target",
            ),
        )
    return (
        Finding(
            BULK_OPERATION_ON_TARGET,
            BULK_OPERATION_ON_TARGET.level,
            float(len(left)),
            "; ".join(map(_described, left)),
        ),
    )


def _described(facts: BulkFacts) -> str:
    if not facts.terminal:
        return f"{facts.arn} is {facts.status}"
    ended = f" at {instant(facts.ended)}" if facts.ended else ""
    return f"{facts.arn} has ended{ended} ({facts.status}): {facts.loaded_items} items were put"
