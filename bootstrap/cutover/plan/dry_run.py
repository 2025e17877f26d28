"""The plan of a switch: what `switch --dry-run` reads and shows. It changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from bootstrap.core.errors import BootstrapError, LeaseLostError
from bootstrap.core.facts import TableFacts
from bootstrap.cutover.checks.check import Check
from bootstrap.cutover.checks.conditions import judge_checks
from bootstrap.cutover.checks.readings import SwitchReadings, read
from bootstrap.cutover.context import SwitchContext, SwitchOptions
from bootstrap.cutover.plan.actions import ConsumerSource, SwitchAction, list_actions
from bootstrap.cutover.plan.application import ApplicationNeed, application_needs
from bootstrap.cutover.plan.refused_time import RefusedTime, refused_time
from bootstrap.cutover.plan.table_readers import TableReader, source_readers, target_readers
from bootstrap.cutover.settings import PrimarySettings, of_target
from bootstrap.cutover.settings_changes import choose_settings
from bootstrap.cutover.settings_diff import SettingChange, setting_changes
from bootstrap.journal.stream_records import TableStreamRecord, mapping_of, stream_of
from replicator.buffers import KINESIS
from replicator.watchdog.readings import Backlog, Probed

T = TypeVar("T")


@dataclass(frozen=True)
class Preparation:
    """Something that takes days, and has to be true before the day of the switch."""

    what: str
    done: bool | None
    """None: it cannot be known here."""


@dataclass(frozen=True)
class TablePlan:
    """One table's part of a switch."""

    table: str
    target_table: str
    checks: tuple[Check, ...]
    preparations: tuple[Preparation, ...]
    actions: tuple[SwitchAction, ...]
    settings: PrimarySettings | None
    """Those that the target will have; None: it does not exist, or could not be read."""
    changes: tuple[SettingChange, ...]
    readers: tuple[TableReader, ...]
    needs: tuple[ApplicationNeed, ...]
    lag: float | None
    """Seconds that the newest round of probes took; of a table's own stream, those by which the
    consumer was behind lately. None: unknown."""
    buffer: str = KINESIS


@dataclass(frozen=True)
class SwitchPlan:
    """A switch of all its tables, with one commit."""

    stack: str
    options: SwitchOptions
    at: float
    """Epoch seconds, by AWS's clock."""
    tables: tuple[TablePlan, ...]
    refused: RefusedTime

    @property
    def ready(self) -> bool:
        """True if every condition is known to be fulfilled."""
        return all(check.fulfilled is True for table in self.tables for check in table.checks)


def plan_switch(contexts: Sequence[SwitchContext]) -> SwitchPlan:
    """Read both accounts, and plan the switch of these tables. Change nothing, take no lease.

    Raises:
        UsageError: a settings file cannot be read, or is not valid.
    """
    readings = [read(context) for context in contexts]
    tables = tuple(_plan(*pair) for pair in zip(contexts, readings, strict=True))
    first = contexts[0]
    return SwitchPlan(
        first.steps.outputs.stack,
        first.options,
        max(each.at for each in readings),
        tables,
        refused_time(
            first.options.mode,
            first.steps.timing,
            _lags(tables),
            len(tables),
            check_command=bool(first.options.check_command),
        ),
    )


def _lags(tables: Sequence[TablePlan]) -> dict[str, float | None]:
    """Return the slowest table's lag by kind of buffer; None where one is unknown."""
    found: dict[str, float | None] = {}
    for buffer in dict.fromkeys(each.buffer for each in tables):
        lags = [each.lag for each in tables if each.buffer == buffer]
        known = [lag for lag in lags if lag is not None]
        found[buffer] = max(known) if len(known) == len(lags) else None
    return found


def _plan(context: SwitchContext, readings: SwitchReadings) -> TablePlan:
    table, options, outputs = context.table, context.options, context.steps.outputs
    source, target = context.steps.source, context.steps.target
    checks = judge_checks(context, readings)
    has = _known(readings.target)
    there = None if has is None else _tried(lambda: of_target(target, table.target_table))
    wanted = None if there is None else choose_settings(context, readings.row)
    changes = () if there is None else setting_changes(there, wanted)
    expiry = _tried(lambda: source.expiry(table.source_table))
    return TablePlan(
        table.source_table,
        table.target_table,
        checks,
        _preparations(checks),
        list_actions(
            outputs,
            table,
            _consumer_source(context, readings),
            options.mode,
            changes,
            check_command=options.check_command,
            exec_command=options.exec_command,
            source_expires=expiry is not None and expiry.enabled,
        ),
        wanted or there,
        changes,
        *_surroundings(context, readings),
        _lag(readings),
        table.buffer,
    )


def _consumer_source(context: SwitchContext, readings: SwitchReadings) -> ConsumerSource:
    table, known = context.table, readings.row.record(TableStreamRecord)
    return ConsumerSource(
        stream_of(table, readings.row),
        mapping_of(table, readings.row),
        table.reads_table_stream,
        known is not None and known.by_us,
    )


def _surroundings(
    context: SwitchContext, readings: SwitchReadings
) -> tuple[tuple[TableReader, ...], tuple[ApplicationNeed, ...]]:
    """Read what else follows either table, and what the application needs."""
    table, outputs, account = context.table, context.steps.outputs, context.steps.source
    name, arn = table.source_table, table.source_table_arn
    source, target = _known(readings.source), _known(readings.target)
    indexes = [str(each["IndexName"]) for each in source.global_indexes] if source else []
    scaled = _tried(lambda: account.scaled_capacity(name, indexes))
    readers: tuple[TableReader, ...] = ()
    if source is not None:
        seen = _tried(lambda: account.surroundings(name, arn))
        readers += source_readers(
            outputs,
            table,
            source,
            _tried(lambda: account.destinations(name)),
            scaled,
            seen.insights if seen is not None else None,
            stream_of(table, readings.row) if table.reads_table_stream else "",
        )
    if target is not None:
        readers += target_readers(outputs, table, target)
    policy = _tried(lambda: account.policy(arn))
    return readers, application_needs(outputs, table, source, target, policy, scaled)


def _preparations(checks: Sequence[Check]) -> tuple[Preparation, ...]:
    """List what has to be true days before, in the order in which it is done."""
    by_name = {check.name: check.fulfilled for check in checks}

    def all_of(*names: str) -> bool | None:
        found = [by_name[name] for name in names if name in by_name]
        if False in found:
            return False
        return None if None in found else True

    return (
        Preparation(
            "the stack has the roles of a switch (`switch: true`), and its state holds no Deny on "
            "the target",
            all_of("roles", "stack-deny"),
        ),
        Preparation(
            "the Deny on the target's other writers stands, and has reached every caller: until "
            "then another writer may change the target unseen",
            all_of("target-deny"),
        ),
        Preparation(
            "a full verification that began after that has found both tables equal: an earlier "
            "one proves nothing about a writer that came after it",
            all_of("verification", "verified-since-deny"),
        ),
        Preparation("the application has what it needs in the target account (below)", None),
        Preparation("the readers of both tables are known, and where they move (below)", None),
    )


def _lag(readings: SwitchReadings) -> float | None:
    found = readings.health.readings
    backlog = found.backlog if found is not None else None
    if isinstance(backlog, Backlog):
        return backlog.lag or 0.0
    probed = found.probed if found is not None and backlog is None else None
    return probed.lag if isinstance(probed, Probed) else None


def _known(table: object) -> TableFacts | None:
    return table if isinstance(table, TableFacts) else None


def _tried(reading: Callable[[], T]) -> T | None:
    """Read what is only shown: None where it cannot be read."""
    try:
        return reading()
    except LeaseLostError:
        raise
    except BootstrapError:
        return None
