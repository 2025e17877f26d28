"""Goals of a run: the states each refuses to begin from, its steps, and its final state."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from bootstrap.core.errors import BlockedError
from bootstrap.core.formatting import moment
from bootstrap.core.run_options import Goal
from bootstrap.core.state import State
from bootstrap.core.suggestions import Command, suggest
from bootstrap.journal.records import Abandoning, Enabled, Exported, Paused, Wanted
from bootstrap.plan import inspection, plan
from bootstrap.plan.blocker import refuse
from bootstrap.plan.cross_account_check import check_cross_account
from bootstrap.plan.plan import Plan
from bootstrap.plan.replication import Replication, of_outputs
from bootstrap.run import source_identity, target_writes
from bootstrap.run.step import Step
from bootstrap.run.step_context import StepContext
from bootstrap.run.steps import STEPS, abandon, load, pause


class RunGoal(Protocol):
    """A goal: its steps, its final state, and the conditions of its begin."""

    @property
    def steps(self) -> Sequence[Step]:
        """The steps, in the only order that is safe."""

    @property
    def final_state(self) -> State | None:
        """The state after the last step. None: a replica, DEGRADED if it lacks changes."""

    def begin(self, context: StepContext) -> Plan | None:
        """Check that the goal can be reached, and record the intention.

        Returns the plan as long as no export has begun, or where the load is planned again.

        Raises:
            BlockedError: when it cannot; nothing has been done then.
        """


@dataclass(frozen=True)
class ReplicateGoal:
    """A replica that has caught up. It begins a run, or resumes one."""

    ends_pause: bool
    """False: a paused replica stays paused."""
    steps: Sequence[Step] = STEPS
    final_state: State | None = None

    def begin(self, context: StepContext) -> Plan | None:
        journal = context.journal
        _refuse_half_abandoned(context)
        if self.ends_pause:
            pause.refuse_unpaused(context, journal.get(Enabled) is not None)
        exported, made = journal.get(Exported), None
        if exported is None or not exported.begun:
            made = _plan(context)
        else:
            source_identity.check_source(context)
            made = _plan_load(context)
            self._end_pause(context)
        if not journal.run_id or journal.row.state is State.ABANDONED:
            journal.begin(new_run_id(journal.now()))
        if made is not None and journal.get(Wanted) != made.wanted:
            # Before the first act: CONFIGURING does what the plan said, days later.
            journal.put(made.wanted, "the plan is made")
        return made

    def _end_pause(self, context: StepContext) -> None:
        paused = context.journal.get(Paused)
        if paused is None:
            return
        if not self.ends_pause and not paused.resumed:
            raise BlockedError(
                f"Table {context.table.source_table} has been paused since {moment(paused.at)}, "
                "on purpose.",
                fix=suggest(
                    "if the application still writes to the source: ",
                    Command("resume"),
                    ", which first looks for writes in the target; if it has moved to the target, "
                    "leave the pause as it is",
                ),
            )
        # Also where an earlier process ended the pause and was killed before the consumer was on:
        # the application may have moved since.
        if not context.options.overwrite_target:
            target_writes.refuse_if_written(context, paused)
        if paused.resumed:
            return
        context.journal.put(replace(paused, resumed_at=context.journal.now()), "resuming")


@dataclass(frozen=True)
class PauseGoal:
    """The consumer disabled, while changes wait in the stream."""

    steps: Sequence[Step] = (pause.STEP,)
    final_state: State | None = State.PAUSED

    def begin(self, context: StepContext) -> Plan | None:
        _refuse_half_abandoned(context)
        pause.refuse_without_consumer(context, context.journal.get(Enabled) is not None)
        return None


@dataclass(frozen=True)
class AbandonGoal:
    """The consumer disabled for good, and what the run made deleted as far as the options say."""

    steps: Sequence[Step] = (abandon.STEP,)
    final_state: State | None = State.ABANDONED

    def begin(self, context: StepContext) -> Plan | None:
        abandon.refuse(context)
        return None


GOALS: Mapping[Goal, RunGoal] = {
    Goal.REPLICATE: ReplicateGoal(ends_pause=False),
    Goal.RESUME: ReplicateGoal(ends_pause=True),
    Goal.PAUSE: PauseGoal(),
    Goal.ABANDON: AbandonGoal(),
}


def new_run_id(now: float) -> str:
    """Make an id that sorts by time, and that is part of S3 keys and client tokens."""
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now)) + "-" + secrets.token_hex(3)


def _plan_load(context: StepContext) -> Plan | None:
    """Plan the load again where the stack has changed it since the plan; None: it has not.

    A run that is going has the outputs that it began with, so its load cannot change under it.
    """
    planned = context.journal.get(Wanted) or Wanted()
    if load.has_begun(context) or context.table.load.text == planned.load:
        return None
    replication = of_outputs(context.outputs, context.table)
    made = plan.make_load(
        _inspect(context, replication),
        replication,
        stream_accepted=context.options.accept_target_stream,
    )
    refuse(
        made.blockers,
        f"Table {context.table.source_table} cannot be loaded as the stack says now",
        "apply each fix, then run again: the export is kept",
    )
    return made


def _plan(context: StepContext) -> Plan:
    replication = of_outputs(context.outputs, context.table)
    inspected = _inspect(context, replication)
    made = plan.make(
        inspected,
        replication,
        tried=context.cross_account_check is not None,
        stream_accepted=context.options.accept_target_stream,
    )
    made.refuse_blocked()
    if context.cross_account_check is not None:
        check_cross_account(context.cross_account_check, replication)
    return made


def _inspect(context: StepContext, replication: Replication) -> inspection.Inspection:
    return inspection.inspect(
        context.source,
        context.target,
        replication,
        context.timing,
        context.journal.now(),
        load=None
        if context.loads is None
        else inspection.AdoptedTableClients(context.target_items, context.loads),
    )


def _refuse_half_abandoned(context: StepContext) -> None:
    abandoning = context.journal.get(Abandoning)
    if abandoning is not None:
        raise BlockedError(
            f"The run of table {context.table.source_table} was abandoned at "
            f"{moment(abandoning.at)}, and that has not ended. Some of what the run made may be "
            "gone already.",
            fix=suggest(Command("abandon"), ", which completes it; then run begins another"),
        )
