"""The readings of a promotion's loss window, all of the target account. Nothing is changed.

What cannot be read is a gap in the report, not an obstacle: only an account that does not answer
for now is asked again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

from bootstrap.core.errors import AccountError, LeaseLostError, UnavailableError
from bootstrap.core.facts import ProbeEcho
from bootstrap.core.journal_rows import Row
from bootstrap.core.ledger_settings import LedgerSettings
from bootstrap.cutover.promotion.context import PromoteContext
from bootstrap.cutover.promotion.loss_window import (
    FullRound,
    LossWindow,
    known_losses,
    lane_positions,
    newest_round,
    source_closing,
)
from bootstrap.journal.records import CaughtUp, Configured, Enabled, Exported, Paused
from bootstrap.journal.switch_records import Switching
from bootstrap.status import data_loss
from replicator.lane_rows import LaneRow
from replicator.watchdog.probe_rounds import WatchdogState

T = TypeVar("T")

ROUND_SECONDS = 300.0
"""The watchdog's interval."""


def read_window(context: PromoteContext, row: Row) -> LossWindow:
    """Read what the target may lack. `row`: the journal's, of before the promotion.

    Raises:
        UnavailableError: the target account does not answer for now.
    """
    gaps: list[str] = []
    settings = context.ledger.settings()
    book = _tried(context.ledger.book, WatchdogState(), "the watchdog's row", gaps)
    none: Sequence[LaneRow] = ()
    table = context.table
    rows = _tried(lambda: _lanes(context), none, "the rows of the lanes", gaps)
    attempt = row.record(Switching)
    gated = settings.closed is not None and attempt is not None
    late = _late(context, attempt.nonce) if gated and attempt is not None else (0, 0)
    exported, configured = row.record(Exported), row.record(Configured)
    caught_up, paused = row.record(CaughtUp), row.record(Paused)
    verified = context.verified()
    losses = data_loss.collect(row.record, book).unresolved(exported, verified)
    return LossWindow(
        at=context.now,
        snapshot_time=float(exported.export_time) if exported is not None else 0.0,
        floor=configured.floor / 1e6 if configured is not None else 0.0,
        caught_up=caught_up.moment if caught_up is not None else 0.0,
        full_round=_tried(
            lambda: read_round(context, book, settings, attempt), None, "the probes", gaps
        ),
        lanes=lane_positions(rows, book, _round_seconds(context)),
        watermarks=table.parallelization_factor == 1 and not table.reads_table_stream,
        buffer=table.buffer,
        never_consumed=row.record(Enabled) is None,
        paused_since=paused.at if paused is not None and not paused.resumed else 0.0,
        quarantine=context.quarantine(),
        undelivered=context.undelivered(),
        verification=verified,
        late_changes=late[0],
        late_deletions=late[1],
        losses=known_losses(losses, table.buffer),
        source_closing=source_closing(attempt),
        not_read=tuple(gaps),
    )


def read_round(
    context: PromoteContext,
    book: WatchdogState,
    settings: LedgerSettings,
    attempt: Switching | None,
) -> FullRound | None:
    """Read the newest round of probes that proves that changes were applied. None: none does, or
    the buffer is the table's own stream, which takes no probes.
    """
    if context.table.reads_table_stream:
        return None
    echoes: dict[str, Sequence[ProbeEcho]] = {
        each.probe: context.ledger.probe_echoes(each.probe, each.count) for each in book.waiting
    }
    return newest_round(book, echoes, _gate_closed_at(settings, attempt))


def _round_seconds(context: PromoteContext) -> float:
    # The row of a table's own stream moves with the table's changes alone: its age says nothing.
    own = context.table.reads_table_stream
    return math.inf if own else ROUND_SECONDS * context.timing.scale


def read_held_back(context: PromoteContext, nonce: str) -> tuple[int, int]:
    """Count the changes and the deletions that a closed gate has kept from the target, about."""
    gaps: list[str] = []
    return _tried(lambda: _late(context, nonce), (0, 0), "late writes", gaps)


def _gate_closed_at(settings: LedgerSettings, attempt: Switching | None) -> float | None:
    if settings.closed is None:
        return None
    if attempt is None or attempt.nonce != settings.closed:
        return 0.0
    # Where its process died before it recorded the closing, the attempt's beginning is as safe.
    return attempt.gate_at or attempt.begun


def _lanes(context: PromoteContext) -> Sequence[LaneRow]:
    return context.ledger.lanes(context.ledger.lane_shards())


def _late(context: PromoteContext, nonce: str) -> tuple[int, int]:
    rows = context.ledger.late_writes(nonce, context.ledger.lane_shards())
    return sum(row.changes for row in rows), sum(row.deletions for row in rows)


def _tried(reading: Callable[[], T], otherwise: T, name: str, gaps: list[str]) -> T:
    try:
        return reading()
    except (LeaseLostError, UnavailableError):
        raise
    except AccountError as error:
        gaps.append(f"{name}: {error.what}")
        return otherwise
