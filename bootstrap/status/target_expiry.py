"""The target's time to live against the source's, where both expire items (`run --ttl now`)."""

from __future__ import annotations

from collections.abc import Callable

from bootstrap.core.errors import BootstrapError
from bootstrap.core.facts import TtlStatus
from bootstrap.core.formatting import instant
from bootstrap.core.journal_rows import Row
from bootstrap.core.ports import SourceAccount, TargetAccount
from bootstrap.core.run_options import TtlPolicy
from bootstrap.core.stack_outputs import TableOutputs
from bootstrap.journal.records import Configured, ExpiryMismatch, Paused
from replicator.aws_commands import table_option
from replicator.watchdog.detectors import Detector, Level
from replicator.watchdog.finding import Finding, blind
from replicator.watchdog.readings import Unread

EXPIRY = Detector(
    "TargetExpiry",
    Level.LOSS,
    "The target expires items by another attribute than the source, which keeps them.",
    "`bootstrap run`, which makes the target follow the source (AWS takes one change of a table's "
    "time to live in an hour); then `bootstrap verify --repair`, which restores what the target "
    "has deleted meanwhile.",
)
"""A finding of `status` and `run`. The watchdog does not read it, so no alarm and no metric has its
name."""

RESTORE = (
    "`bootstrap verify --repair`, begun after that, restores what the target has deleted; then "
    "`bootstrap run` records that."
)

Expiries = Callable[[], tuple[TtlStatus, TtlStatus]]
"""Reads the time to live of the source and of the target."""


def read_expiries(source: SourceAccount, target: TargetAccount, table: TableOutputs) -> Expiries:
    return lambda: (source.expiry(table.source_table), target.expiry(table.target_table))


def judge_expiry(
    row: Row,
    read: Expiries | None,
    table: TableOutputs,
    missing: ExpiryMismatch | None = None,
) -> tuple[Finding, ...]:
    """Return the finding; none where the target does not expire items, and is not to.

    `missing`: what the target has deleted may be missing, and no verification has covered that.
    """
    configured = row.record(Configured)
    if read is None or configured is None:
        return ()
    follows = configured.ttl == TtlPolicy.NOW
    if not follows and row.record(Paused) is not None:
        return ()  # the application may have moved, and the target expires items for it
    try:
        source, target = read()
    except BootstrapError as error:
        return (blind(EXPIRY, Unread(error.what)),)
    # An attribute's name is no content, as a table's is none.
    by, wanted = _attribute(target), _attribute(source)
    if not follows and not target.enabled and missing is None:
        return ()
    if missing is not None and (by == wanted or not target.enabled):
        now = f"the target expires {by}" + (", as the source" if by == wanted else "")
        return (_deleted(missing, now),)
    if by == wanted:
        return (Finding(EXPIRY, Level.FINE, 1.0, f"the target expires {wanted}, as the source"),)
    if not follows and target.enabled:
        detail = f"the target expires {by}, the source {wanted}, and the run was to leave it off"
        return (Finding(EXPIRY, EXPIRY.level, 0.0, detail, remedy=_switch_off(table, target)),)
    # A target that expires nothing keeps what the source deletes, until that deletion arrives.
    level = EXPIRY.level if target.enabled else Level.WARNING
    detail = f"the target expires {by}, and the source {wanted}"
    return (Finding(EXPIRY, level, 0.0, detail),)


def _deleted(missing: ExpiryMismatch, now: str) -> Finding:
    until = f", but it expired items otherwise until {instant(missing.end)}" if missing.end else ""
    detail = f"{now}{until}; items that the source keeps may be missing"
    return Finding(EXPIRY, EXPIRY.level, 1.0, detail, remedy=RESTORE)


def _switch_off(table: TableOutputs, target: TtlStatus) -> str:
    return (
        "in the target's account and Region: `aws dynamodb update-time-to-live "
        f"{table_option(table.target_table)} --time-to-live-specification "
        f"Enabled=false,AttributeName={target.attribute}`; then "
        "`bootstrap verify --repair`, begun an hour later, restores what the target has deleted."
    )


def _attribute(found: TtlStatus) -> str:
    return f"by attribute {found.attribute}" if found.enabled else "nothing"
