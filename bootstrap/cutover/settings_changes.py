"""Changes that give the target its settings as the primary: slow ones first, the rest afterwards.

Each call observes, and makes at most one change. It may be repeated after any answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from bootstrap.core.errors import AccountError, BlockedError, UnavailableError
from bootstrap.core.facts import Capacity, TableFacts
from bootstrap.core.journal_rows import Row
from bootstrap.core.outcome import Acted, Done, Outcome, Pending
from bootstrap.core.suggestions import Command, suggest
from bootstrap.cutover.context import SwitchContext
from bootstrap.cutover.settings import (
    KEEP,
    SOURCE,
    PrimarySettings,
    of_source,
    of_target,
    with_owners_kept,
    with_stream_kept,
)
from bootstrap.cutover.settings_file import read_settings
from bootstrap.journal.stream_records import TableStreamRecord

POLL_SECONDS = 5.0
HOURLY_POLL_SECONDS = 300.0


def choose_settings(context: SwitchContext, row: Row) -> PrimarySettings | None:
    """Return what --settings asks for; None: the target keeps what it has. Nothing is changed.

    `row`: the table's row in the journal.

    Of an adopted table, only a file changes more than its time to live.

    Raises:
        UsageError: for a file that cannot be read, or whose settings are not valid.
        BlockedError: a table does not exist.
    """
    choice, table = context.options.settings, context.table
    if choice == KEEP:
        return None
    there = of_target(context.steps.target, table.target_table)
    if choice == SOURCE:
        wanted = of_source(context.steps.source, table.source_table, context.steps.outputs.tags)
        known = row.record(TableStreamRecord)
        if known is not None and known.by_us:
            # A run switched it on for the replication: no reader of the owner's is behind it.
            wanted = replace(wanted, stream=None)
        if table.load.adopt:
            return with_owners_kept(wanted, there)
        return with_stream_kept(wanted, there)
    others = [each.source_table for each in context.steps.outputs.tables]
    names = [table.source_table, *(name for name in others if name != table.source_table)]
    return read_settings(Path(choice), there, names)


def apply_slow(context: SwitchContext, wanted: PrimarySettings | None) -> Outcome:
    """Apply what takes time and harms no replica: before anything is closed."""
    if wanted is None:
        return Done()
    there = _target(context)
    if there.status != "ACTIVE":
        return Pending("the target table to become ACTIVE", _poll(context, POLL_SECONDS))
    for advance in (_protect, _tag, _set_class, _stream):
        if advance(context, there, wanted):
            return Acted()
    return Done()


# Each of these observes before it acts, and returns True if it acted.


def _protect(context: SwitchContext, there: TableFacts, wanted: PrimarySettings) -> bool:
    target, name = context.steps.target, context.table.target_table
    if wanted.deletion_protection and not there.deletion_protection:
        target.protect(name)
        return True
    if wanted.point_in_time_recovery and not target.backups(name).enabled:
        target.enable_backups(name)
        return True
    return False


def _tag(context: SwitchContext, there: TableFacts, wanted: PrimarySettings) -> bool:
    """Set the tags. Others that the target has stay."""
    has = context.steps.target.tags(there.arn) if wanted.tags else {}
    missing = {key: value for key, value in wanted.tags.items() if has.get(key) != value}
    if missing:
        context.steps.target.tag(there.arn, missing)
    return bool(missing)


def _set_class(context: SwitchContext, there: TableFacts, wanted: PrimarySettings) -> bool:
    if there.table_class == wanted.table_class:
        return False
    context.steps.target.set_class(context.table.target_table, wanted.table_class)
    return True


def _stream(context: SwitchContext, there: TableFacts, wanted: PrimarySettings) -> bool:
    """Switch the target's stream on. One that is on stays: its readers know it by its ARN."""
    if wanted.stream is None or there.stream_view is not None:
        return False
    context.steps.target.set_stream(context.table.target_table, wanted.stream)
    return True


# -- after the commit ------------------------------------------------------------------------------


def set_capacity(context: SwitchContext, wanted: PrimarySettings | None) -> Outcome:
    """Give the target its mode, units and on-demand maximums."""
    if wanted is None:
        return Done()
    there = _target(context)
    if there.status != "ACTIVE":
        return Pending("the target table to become ACTIVE", _poll(context, POLL_SECONDS))
    if _has_capacity(there, wanted.capacity):
        return Done()
    context.steps.target.set_capacity(context.table.target_table, wanted.capacity)
    return Acted()


def _has_capacity(there: TableFacts, wanted: Capacity) -> bool:
    """Compare what the table has. An index that only one of the two has does not count."""
    now = Capacity.of(there)
    shared = now.indexes.keys() & wanted.indexes.keys()
    return (now.billing_mode, now.table) == (wanted.billing_mode, wanted.table) and all(
        now.indexes[name] == wanted.indexes[name] for name in shared
    )


def expire_in_target(context: SwitchContext, wanted: PrimarySettings | None) -> Outcome:
    """Let the target expire items, by the attribute that is wanted."""
    if wanted is None:
        return Done()
    name, target = context.table.target_table, context.steps.target
    there = target.expiry(name)
    actual = there.attribute if there.enabled else None
    if actual == wanted.ttl:
        return Done()
    attribute = actual or wanted.ttl
    assert attribute is not None
    return _changed(context, lambda: target.set_expiry(name, attribute, actual is None))


def _changed(context: SwitchContext, change: Callable[[], None]) -> Outcome:
    """Change a table's time to live: AWS takes one such change of a table in an hour."""
    try:
        change()
    except UnavailableError:
        raise
    except AccountError as error:
        if error.code != "ValidationException":
            raise
        return Pending(
            "AWS to take another change of time to live (one an hour)",
            _poll(context, HOURLY_POLL_SECONDS),
            outlasts=True,
        )
    return Acted()


AfterCommit = Callable[[SwitchContext, PrimarySettings | None], Outcome]

AFTER_COMMIT: tuple[tuple[str, AfterCommit], ...] = (
    ("capacity", set_capacity),
    ("target-expiry", expire_in_target),
)
"""The rest, best effort. The names are those of the journal's `AfterSwitch`."""


def apply_after(context: SwitchContext, wanted: PrimarySettings | None) -> Outcome:
    """Advance the first of `AFTER_COMMIT` that is not done."""
    for _, advance in AFTER_COMMIT:
        outcome = advance(context, wanted)
        if not isinstance(outcome, Done):
            return outcome
    return Done()


def _target(context: SwitchContext) -> TableFacts:
    there = context.steps.target.table(context.table.target_table)
    if there is None:
        raise BlockedError(
            f"Table {context.table.target_table} does not exist in the target account.",
            fix=suggest(Command("status"), ", which says what became of the replica"),
        )
    return there


def _poll(context: SwitchContext, seconds: float) -> float:
    return context.steps.timing.poll(seconds)
