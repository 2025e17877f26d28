"""The stages of a switch up to its commit, in the only order in which nothing is lost.

All tables of a switch finish an act before any begins the next.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bootstrap.core.outcome import Outcome
from bootstrap.cutover.context import SwitchContext
from bootstrap.cutover.switch import acts
from bootstrap.cutover.switch.table_set import SwitchSet
from bootstrap.cutover.switch.write_deny_times import WriteDenyTimes
from bootstrap.journal.switch_records import SwitchStep


def no_changes(group: SwitchSet) -> Mapping[str, Any]:
    """Change nothing in the record."""
    return {}


def is_complete(group: SwitchSet) -> bool:
    """Continue with the next act."""
    return True


@dataclass(frozen=True)
class Act:
    """A part of a stage, advanced for each table until it is done."""

    advance: Callable[[SwitchSet, SwitchContext], Outcome]
    then: Callable[[SwitchSet], bool] = is_complete
    """Runs once, when all tables are done. False: the stage begins anew."""


@dataclass(frozen=True)
class Stage:
    """A step of the design, with its acts."""

    step: SwitchStep
    text: str
    """In the journal's history."""
    acts: tuple[Act, ...]
    begin: Callable[[SwitchSet], Mapping[str, Any]] = no_changes
    """Changes of the record with which the stage begins."""


def _plan_times(group: SwitchSet) -> Mapping[str, Any]:
    """Plan when the source closes. With writes stopped, that was before the command was typed."""
    if not group.fenced:
        stopped = math.ceil(group.now)
        return {"closes": stopped, "mark": stopped}
    times = WriteDenyTimes.after(group.now, group.options.timeout, group.first.steps.timing)
    return {"closes": times.closes, "mark": times.mark, "reopens": times.reopens}


# Each notes a time at which something was done already: after a refresh, so that a process that was
# suspended on the way notes no earlier one.


def _armed(group: SwitchSet) -> bool:
    group.refresh()
    group.record("invocations of the consumer are short from now on", armed_at=group.now)
    return True


def _no_late_writes(group: SwitchSet) -> bool:
    """Move the mark behind what came later than it; then the drain begins anew."""
    newest = max(each.memory.notes.newest for each in group)
    if newest <= group.attempt.mark * 1_000_000:
        # A move of the mark whose answer was lost has not been waited for yet.
        return all(each.memory.handed_over == group.attempt.mark for each in group)
    period = group.first.steps.timing.metric_period
    # As for the first one, the second after it begins a period of the metrics.
    mark = math.ceil((newest / 1e6 + 1) / period) * period - 1
    # The ledgers first: repeated after a lost answer, this computes the same mark.
    for each in group:
        acts.move_mark(group, each, mark)
    group.record("changes came after the mark, which moves behind them", mark=mark)
    return False


def _sealed(group: SwitchSet) -> bool:
    group.refresh()
    if group.fenced:
        group.record("the source is closed for good", sealed_at=group.now)
    return True


def _gate_closed(group: SwitchSet) -> bool:
    group.refresh()
    group.record("the consumer writes nothing any more", gate_at=group.now)
    return True


# Why each act is where it is:
# - settle_settings first: it may take long, and harms no replica;
# - rehearse before arm: a right that is missing shows before anything is closed;
# - prove_lanes before arm: code of before would obey neither mark nor gate;
# - set_mark before the source closes: a late change that comes first is noted;
# - await_handover before prove_drained: probes, or a look at the stream's end, overtake changes on
#   their way;
# - seal before close_gate: a source that opens by itself while the consumer is closed would take
#   writes that are lost to the target;
# - stop_consumer after close_gate: one that another hand switches on again finds the gate closed;
# - prove_closed before await_zombies: what an older invocation may still do has ended by then;
# - prove_safe last: everything that it reads is newer than the last thing that could change it.
PREPARE = Stage(
    SwitchStep.PREPARE,
    "preparing",
    (
        Act(acts.settle_settings),
        Act(acts.rehearse),
        Act(acts.shorten_invocations, _armed),
        Act(acts.prove_lanes),
    ),
)
ARM = Stage(
    SwitchStep.ARM,
    "the source closes by the clock",
    (Act(acts.set_mark), Act(acts.put_dated_deny)),
    _plan_times,
)
CLOSE = Stage(SwitchStep.CLOSE, "waiting for the source to close", (Act(acts.await_mark),))
DRAIN = Stage(
    SwitchStep.DRAIN,
    "draining",
    (Act(acts.await_handover), Act(acts.prove_drained, _no_late_writes)),
)
SEAL = Stage(SwitchStep.SEAL, "closing the source for good", (Act(acts.seal, _sealed),))
GATE = Stage(
    SwitchStep.GATE,
    "closing the consumer",
    (
        Act(acts.close_gate, _gate_closed),
        Act(acts.stop_consumer),
        Act(acts.prove_closed),
        Act(acts.await_zombies),
    ),
)
PROOF = Stage(SwitchStep.GATE, "checking everything once more", (Act(acts.prove_safe),))
