"""The proof that DynamoDB has put every change from before the mark into the stream.

AgeOfOldestUnreplicatedRecord has a datapoint only where something was replicated. A table that
refuses its writers has none any more: then the last minute with writes has to have one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bootstrap.core.facts import Datapoint
from bootstrap.core.outcome import Done, Outcome, Pending
from bootstrap.cutover.context import SwitchContext
from bootstrap.run.steps.catch_up import HANDED_OVER_MS

LOOK_BACK_PERIODS = 60
"""An hour: the watchdog's rounds and the run's proof cover what lies further back."""


@dataclass(frozen=True)
class Handover:
    """The metrics of the source about a mark. Periods begin at whole multiples of `period`."""

    mark: int
    period: int
    ages: Sequence[Datapoint]
    """Maximums in milliseconds."""
    writes: Sequence[Datapoint]

    @property
    def after(self) -> int:
        """The begin of the first period that holds no second up to the mark."""
        return _first_after(self.mark, self.period)

    @property
    def seen_after(self) -> bool:
        """A period after the mark in which nothing was older than a second."""
        return any(
            point.begin >= self.after and point.value < HANDED_OVER_MS for point in self.ages
        )

    @property
    def last_write(self) -> float | None:
        """The begin of the last period with writes, up to the mark; None if there is none."""
        begins = [each.begin for each in self.writes if each.value and each.begin < self.after]
        return max(begins, default=None)

    @property
    def handed_over(self) -> bool:
        """Tell whether nothing from before the mark is left, once the metrics have settled."""
        if self.seen_after:
            return True
        newest = max(self.ages, key=lambda point: point.begin, default=None)
        if newest is None:
            return self.last_write is None
        reported = self.last_write is None or newest.begin >= self.last_write
        return reported and newest.value < HANDED_OVER_MS


def read_handover(context: SwitchContext, mark: int) -> Handover:
    """Read the source's metrics of the hour before the mark, and since."""
    steps, table = context.steps, context.table.source_table
    period = steps.timing.metric_period
    until = math.floor(context.now) + period
    begin = (mark // period - LOOK_BACK_PERIODS) * period
    return Handover(
        mark,
        period,
        steps.source.oldest_unreplicated(table, begin, until, period),
        steps.source.consumed_writes(table, begin, until, period),
    )


def advance_handover(context: SwitchContext, mark: int) -> Outcome:
    """Wait until the metrics show that nothing from before the mark is left.

    A gap in the metrics counts only once they have settled.
    """
    timing = context.steps.timing
    found = read_handover(context, mark)
    if found.seen_after:
        return Done()
    settled = found.after + timing.metric_settling
    if context.now < settled:
        return Pending("DynamoDB's metrics of the last writes to settle", timing.poll(5))
    if found.handed_over:
        return Done()
    what = "DynamoDB to hand over the last changes (AgeOfOldestUnreplicatedRecord)"
    return Pending(what, timing.poll(5))


def leaked_writes(context: SwitchContext, mark: int) -> float:
    """Sum the write units that the source took in the periods after the mark."""
    steps = context.steps
    period = steps.timing.metric_period
    begin, until = _first_after(mark, period), math.floor(context.now) + period
    found = steps.source.consumed_writes(context.table.source_table, begin, until, period)
    return sum(each.value for each in found if each.begin >= begin)


def _first_after(mark: int, period: int) -> int:
    """Return the begin of the first period that holds no second up to the mark."""
    return math.ceil((mark + HANDED_OVER_MS / 1000) / period) * period
