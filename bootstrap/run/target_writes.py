"""Writes of other writers in the target during a pause: what `resume` looks for before it acts.

The evidence is the target's own write metric since the consumer stopped, less what this program
wrote meanwhile. A resumed consumer would replace the items of an application that has moved to the
target with the source's older ones, and a verification would then call both tables equal.
"""

from __future__ import annotations

import json
import math
import shlex

from bootstrap.core.errors import AccountError, BlockedError, Side, UnavailableError
from bootstrap.core.formatting import moment, number, plain_json
from bootstrap.core.suggestions import Command, Suggestion, suggest
from bootstrap.journal.records import Paused
from bootstrap.run.foreign_items import ForeignItems, find_foreign_items
from bootstrap.run.step_context import StepContext
from replicator.watchdog.metric_spans import LOOK_BACK, metric_spans

OVERWRITE = Command("resume", "--overwrite-target")
NOT_SETTLED = "MetricsNotSettled"
"""The code of the error while the target's metrics may still change."""
LEAST_UNITS = 0.5
"""The least write units that count as a write: one takes 1 or more, and CloudWatch's sums are
floats."""


def refuse_if_written(context: StepContext, paused: Paused) -> None:
    """Check that no other writer has written to the target since the consumer stopped.

    Writes count up to the moment at which this process asked first.

    Raises:
        BlockedError: when one has; or when it cannot be known.
        UnavailableError: while the metrics of that moment have not settled. The start of a run
            asks again.
        AccountError: when the metrics cannot be read.
    """
    mapping = context.mapping()
    if mapping is not None and mapping.running:
        return  # The consumer writes already, so there is nothing left to protect.
    asked, since = _window_end(context), paused.quiet_from or paused.at
    if asked - since > LOOK_BACK:
        raise _unknown_error(context, f"CloudWatch no longer has the metrics of {moment(since)}")
    _await_metrics(context, asked)
    written = _read_units(context, since, asked)
    # Whole minutes after the first one: a write noted there was answered in it, or just before.
    first = math.floor(since / 60) * 60 + 60
    own = context.own_writes.units(context.table.source_table, first)
    if written - own > LEAST_UNITS:
        raise _written_error(context, paused, since, asked, written - own)


def _read_units(context: StepContext, since: float, until: float) -> float:
    name = context.table.target_table
    try:
        return sum(
            point.value
            for begin, end, period in metric_spans(since, until, context.timing.metric_period)
            for point in context.target.consumed_writes(name, begin, end, period)
        )
    except UnavailableError:
        raise  # asked again for a while
    except AccountError as error:
        fix = suggest(*error.suggestion.parts, "; or, to overwrite what was written: ", OVERWRITE)
        raise type(error)(error.side, error.what, fix=fix, code=error.code) from error


def _window_end(context: StepContext) -> float:
    """Return the end of the metrics' period in which this process asked first."""
    memory, period = context.memory, context.timing.metric_period
    if memory.resume_asked_at is None:
        memory.resume_asked_at = (context.journal.now() // period + 1) * period
    return memory.resume_asked_at


def _await_metrics(context: StepContext, asked: float) -> None:
    settled = asked + context.timing.metric_settling
    if context.journal.now() >= settled:
        return
    raise UnavailableError(
        Side.TARGET,
        f"The write metrics of the target {context.table.target_table} have not settled yet: those "
        f"up to now will have by {moment(settled)}. Until then it is not known if another writer "
        "has written to it.",
        fix=suggest(Command("resume"), ", which waits for them; or, to overwrite: ", OVERWRITE),
        code=NOT_SETTLED,
    )


def _unknown_error(context: StepContext, why: str) -> BlockedError:
    target = context.table.target_table
    return BlockedError(
        f"It is not known if another writer has written to the target {target} during the pause: "
        f"{why}. Resuming would replace newer items of that writer with the source's older ones.",
        fix=suggest(
            "make sure that no application writes to the target, then: ",
            OVERWRITE,
        ),
    )


def _written_error(
    context: StepContext, paused: Paused, since: float, asked: float, units: float
) -> BlockedError:
    table = context.table
    found = _scan_target(context)
    exact = (
        ""
        if paused.quiet_from
        else " When the consumer stopped is not recorded, so some may be its own."
    )
    return BlockedError(
        f"The target {table.target_table} has been written to during the pause: "
        f"{_units(units)} from {moment(since)} to {moment(asked)} are not "
        f"the consumer's, a repair's, a backfill's or a redrive's (ConsumedWriteCapacityUnits)."
        f"{exact} If the application has moved to the target, resuming replaces its newer items "
        f"with the source's older ones. {_scan_text(found)}",
        fix=_fix(found),
    )


def _units(units: float) -> str:
    count = math.ceil(units)
    return "1 write unit" if count == 1 else f"{number(count)} write units"


def _scan_target(context: StepContext) -> ForeignItems:
    facts = context.target.table(context.table.target_table)
    if facts is None:
        return ForeignItems(unread="the table is gone")
    keys = [each["AttributeName"] for each in facts.keys]
    return find_foreign_items(context.target_items, context.ledger, keys)


def _scan_text(found: ForeignItems) -> str:
    if found.unread:
        return f"No key is named, because the target could not be scanned: {found.unread}"
    scanned = f"{number(found.scanned)} items of the target were scanned"
    if not found.keys:
        return (
            f"{scanned}, and none of them differs from its ledger entry: the writes are of other "
            "items, of new ones, or deletions."
        )
    return f"{scanned}; {len(found.keys)} are named that another writer has changed."


def _fix(found: ForeignItems) -> Suggestion:
    named: list[str | Command] = []
    for key in found.keys:
        typed = json.dumps(plain_json(key), ensure_ascii=False, sort_keys=True)
        named += [Command("explain", shlex.quote(typed)), ", " if key is not found.keys[-1] else ""]
    if named:
        named = ["look at what was changed: ", *named, "; then, "]
    return suggest(
        *named,
        "if the application has moved to the target, leave the pause as it is "
        "(docs/cutover.md); if it writes to the source, and what was written to the "
        "target may be lost: ",
        OVERWRITE,
    )
