"""Runs steps until the world is as the plan wants it. Decides nothing itself."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import ModuleType

from bootstrap.core.durations import Timing
from bootstrap.core.errors import (
    AccountError,
    BlockedError,
    BootstrapError,
    LeaseLostError,
    Side,
    StillRunningError,
)
from bootstrap.core.facts import EventSource, Measure
from bootstrap.core.formatting import moment
from bootstrap.core.journal_rows import Event, Store, WaitReason
from bootstrap.core.outcome import Done, Outcome, Pending
from bootstrap.core.poller import Poller
from bootstrap.core.run_options import STOPS, Goal
from bootstrap.core.state import REPLICAS, State
from bootstrap.journal import verification_records as verification
from bootstrap.journal.journal import Journal
from bootstrap.journal.lease import Lease
from bootstrap.journal.records import (
    Abandoning,
    Buffered,
    CaughtUp,
    Enabled,
    Exported,
    Imported,
    Paused,
    Wanted,
)
from bootstrap.plan import inspection, plan
from bootstrap.plan.plan import Plan
from bootstrap.plan.replication import of_outputs
from bootstrap.run.step_context import StepContext
from bootstrap.run.steps import STEPS, abandon, catch_up, enable, ledger_ttl, pause
from bootstrap.status import data_loss
from bootstrap.status.inputs import StatusInputs
from bootstrap.status.snapshot import StatusSnapshot, build_snapshot
from replicator.runtime import Clock

OTHER_COURSES: Mapping[Goal, Sequence[ModuleType]] = {
    Goal.PAUSE: (pause,),
    Goal.ABANDON: (abandon,),
}
"""Those that do not lead to a replica."""

Report = Callable[[Sequence[StatusSnapshot]], None]


class TableRunner:
    """One table's run in this process."""

    def __init__(self, context: StepContext, store: Store, lease: Lease, command: str) -> None:
        self.context = context
        self._store = store
        self._lease = lease
        self.command = command
        self._pending: Pending | None = None
        self._pending_since = 0.0
        self._poller = Poller(context.clock, context.timing, keep_alive=self.keep_lease)
        self._step: ModuleType | None = None
        self._history: Sequence[Event] = ()
        self._mapping: EventSource | None = None
        self._held = False
        self._beyond = False
        self._lost: data_loss.KnownLosses | None = None
        self._course = context.orders.course
        self._steps = OTHER_COURSES.get(self._course, STEPS)

    @property
    def waits(self) -> bool:
        return self.context.orders.wait

    @property
    def journal(self) -> Journal:
        return self.context.journal

    def start(
        self,
        take_over: bool = False,
        tell: Callable[[str], None] = lambda words: None,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> Plan | None:
        """Takes the lease, looks at both sides, begins or resumes.

        Returns the plan, as long as no export has begun. Bears what AWS refuses for now, for a
        while, and tells of it; `meanwhile` is called every few seconds of it.

        Raises:
            LeaseHeldError: when another process works on the table.
            BlockedError: when the plan is blocked; nothing has been done then.
            UnavailableError: an account does not answer at all, or goes on refusing.
        """
        plans: list[Plan | None] = []

        def begin() -> Outcome:
            plans.append(self._start(take_over))
            return Done()

        Poller(
            self.context.clock,
            self.context.timing,
            keep_alive=meanwhile,
            tell=lambda text: tell(f"Table {self.context.table.source_table}: {text}"),
            # Without a code there was no answer: the operator who has just typed the command is
            # still there to repair the network.
            retries=lambda error: bool(error.code),
        ).wait(begin)
        return plans[-1]

    def _start(self, take_over: bool) -> Plan | None:
        if not self._held:
            self._lease.acquire(take_over)
        self._held = True
        self.journal.refresh()
        if self._course is Goal.PAUSE:
            self._refuse_half_abandoned()
            pause.refuse_without_consumer(self.context, self.journal.get(Enabled) is not None)
            return None
        if self._course is Goal.ABANDON:
            abandon.refuse(self.context)
            return None
        self._refuse_half_abandoned()
        if self._course is Goal.RESUME:
            pause.refuse_unpaused(self.context, self.journal.get(Enabled) is not None)
        exported = self.journal.get(Exported)
        until = self.context.orders.until
        self._beyond = (
            STOPS.index(until)
            < max(
                STOPS.index(state)
                for state in (self.journal.row.state, self._reached(), STOPS[0])
                if state in STOPS
            )
            and until is not State.REPLICATING
        )
        made: Plan | None = None
        if exported is None or not exported.begun:
            replication = of_outputs(self.context.outputs, self.context.table)
            seen = inspection.inspect(
                self.context.source,
                self.context.target,
                replication,
                self.context.timing,
                self.journal.now(),
            )
            made = plan.make(seen, replication)
            made.refuse_blocked()
        else:
            self._refuse_another_table()
            self._end_pause()
        if not self.journal.run_id or self.journal.row.state is State.ABANDONED:
            self.journal.begin(new_run_id(self.journal.now()))
        if made is not None and self.journal.get(Wanted) != made.wanted:
            # Before the first act: CONFIGURING does what the plan said, days later.
            self.journal.put(made.wanted, "the plan is made")
        return made

    def _refuse_half_abandoned(self) -> None:
        abandoning = self.journal.get(Abandoning)
        if abandoning is not None:
            raise BlockedError(
                f"The run of table {self.context.table.source_table} is being abandoned since "
                f"{moment(abandoning.at)}, and some of what it made may be gone already.",
                fix="python -m bootstrap abandon, which ends it; then run begins another",
            )

    def _end_pause(self) -> None:
        paused, table = self.journal.get(Paused), self.context.table.source_table
        if paused is None or paused.resumed:
            return
        if self._course is not Goal.RESUME:
            raise BlockedError(
                f"Table {table} is paused since {moment(paused.at)}, on purpose.",
                fix="python -m bootstrap resume",
            )
        self.journal.put(replace(paused, resumed_at=self.journal.now()), "resuming")

    def _refuse_another_table(self) -> None:
        buffered = self.journal.get(Buffered)
        name = self.context.table.source_table
        facts = self.context.source.table(name)
        if buffered is None or facts is None or facts.table_id == buffered.table_id:
            return
        raise BlockedError(
            f"The source table {name} was deleted and made again since this run began "
            f"({buffered.table_id} then, {facts.table_id} now): the snapshot is of another table.",
            fix="a new stack with a new target table, for a new snapshot",
        )

    def tick(self) -> Outcome:
        """Advances the first step that is not done, by one act.

        Raises:
            BootstrapError: when it cannot go on. The journal says FAILED then, and why.
        """
        self._step = None
        try:
            outcome = self._poller.attempt(self._advance)
        except LeaseLostError:
            self._gone()
            raise
        except BootstrapError as error:
            self._fail(error)
            raise
        self._look(outcome)
        return outcome

    def _advance(self) -> Outcome:
        self.journal.refresh()
        if self._beyond:
            return Done()
        outcome: Outcome = Done()
        for step in self._steps:
            self._step, state = step, self._state_of(step)
            if self._stops_before(state):
                self.journal.enter(state)
                return Done()
            self.journal.works_in(state)
            outcome = step.advance(self.context)
            if not isinstance(outcome, Done):
                self.journal.enter(state)
                break
        else:
            self.journal.enter(self._end())
        if isinstance(outcome, Pending):
            self.journal.waits(outcome.what)
        return outcome

    def _state_of(self, step: ModuleType) -> State:
        # A replica stays one while another round of probes measures it.
        state: State = step.state
        if self.journal.row.state in REPLICAS and step in (catch_up, ledger_ttl):
            state = self.journal.row.state
        if step is enable and self.journal.get(Paused) is not None:
            state = State.CATCHING_UP
        return state

    def _end(self) -> State:
        if self._course is Goal.PAUSE:
            return State.PAUSED
        if self._course is Goal.ABANDON:
            return State.ABANDONED
        noted = data_loss.collect(self.journal.get, self.context.ledger.book())
        verified = verification.last_verification(
            self._store, self.context.table.source_table
        ).verified
        self._lost = noted.unresolved(self.journal.get(Exported), verified)
        return State.DEGRADED if self._lost.any else State.REPLICATING

    def shortfall(self) -> AccountError | None:
        """What a run that has ended well still has to say: nobody chose to go on without."""
        if self._lost is None or not self._lost.unasked:
            return None
        table = self.context.table
        return AccountError(
            Side.SOURCE,
            f"Table {table.source_table} replicates, but lacks changes that did not get through "
            f"stream {table.stream_name}.",
            fix="python -m bootstrap status, which names what was lost and the backfill that puts "
            "it in; then python -m bootstrap run, which takes note of it",
        )

    def _stops_before(self, state: State) -> bool:
        """Whether the operator wants the run to stop where it would enter this state."""
        until = self.context.orders.until
        return until is not State.REPLICATING and (
            state in STOPS and STOPS.index(state) >= STOPS.index(until)
        )

    def _reached(self) -> State:
        """The furthest state that the records speak of, whatever the current one."""
        exported, imported = self.journal.get(Exported), self.journal.get(Imported)
        if self.journal.get(CaughtUp) is not None:
            return State.REPLICATING
        if self.journal.get(Enabled) is not None:
            return State.CATCHING_UP
        if imported is not None and imported.done:
            return State.CONFIGURING
        if exported is not None and exported.done:
            return State.IMPORTING
        return State.EXPORTING if exported is not None and exported.begun else State.PLANNED

    def _gone(self) -> None:
        """Another run has the lease: there is none to give back, and nothing is waited for."""
        self._held, self._pending = False, None

    def _fail(self, error: BootstrapError) -> None:
        self._pending = None
        # Where the journal cannot be written either, the first error is the one to show.
        with contextlib.suppress(BootstrapError):
            self.journal.fail(self._step.name if self._step else "journal", error)

    def _look(self, outcome: Outcome) -> None:
        pending = outcome if isinstance(outcome, Pending) else None
        if pending and (self._pending is None or self._pending.what != pending.what):
            self._pending_since = self.journal.now()
        self._pending = pending

    def still_running(self, pending: Pending) -> StillRunningError:
        """What to say of a wait that goes on without this process."""
        table = self.context.table.source_table
        return StillRunningError(
            f"Table {table}: still waiting for {pending.what}, which goes on by itself.",
            fix="the same command later, or python -m bootstrap status",
        )

    def keep_lease(self) -> None:
        """Renews while nothing else is called. That an account refuses is the next tick's business.

        Raises:
            LeaseLostError: when another run has taken over.
        """
        try:
            self._lease.check()
        except AccountError:
            return
        except LeaseLostError:
            self._gone()
            raise

    def snapshot(self, final: bool = False) -> StatusSnapshot:
        """Where the table stands, as far as this process knows; `final` asks AWS once more."""
        context, row = self.context, self.journal.row
        if final:
            with contextlib.suppress(AccountError):
                self._history = self._store.history(context.table.source_table, row.run_id)
                self._mapping = context.target.mapping(context.table.mapping_uuid)
        pending = self._pending
        measure: Measure | None = pending.measure if pending else None
        return build_snapshot(
            StatusInputs(
                table=context.table.source_table,
                target_table=context.table.target_table,
                row=row,
                at=self.journal.now(),
                holder="this process" if self._held and not final else "",
                command=self.command,
                history=self._history,
                mapping=self._mapping,
                measure=measure,
                waiting=WaitReason(pending.what, self._pending_since) if pending else None,
                losses=self._lost,
            )
        )

    def stop(self) -> None:
        """Gives the lease back, if it is still held."""
        if self._held:
            self._held = False
            with contextlib.suppress(BootstrapError):
                self._lease.release()


def new_run_id(now: float) -> str:
    """Sorts by time, and is part of S3 keys and client tokens."""
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now)) + "-" + secrets.token_hex(3)


def drive(
    runs: Sequence[TableRunner], clock: Clock, timing: Timing, report: Report
) -> list[tuple[TableRunner, BootstrapError]]:
    """Advance all started runs, in turn, until each is done, has failed or need not be waited for.

    Return the runs that failed, or still run, with the reason. Every lease is released.
    """
    active = list(runs)
    ended: list[tuple[TableRunner, BootstrapError]] = []

    def end(run: TableRunner, error: BootstrapError | None = None) -> None:
        # At once, and not with the last table: `status` then shows that no process holds this one.
        active.remove(run)
        run.stop()
        if error is not None:
            ended.append((run, error))

    def keep_alive() -> None:
        for run in list(active):
            try:
                run.keep_lease()
            except LeaseLostError as error:
                end(run, error)  # that table's, and no other's
        report([run.snapshot() for run in runs])

    poller = Poller(clock, timing, keep_alive)
    try:
        while active:
            polls: list[float] = []
            for run in list(active):
                try:
                    outcome = run.tick()
                except BootstrapError as error:
                    end(run, error)
                    continue
                if isinstance(outcome, Done):
                    end(run, run.shortfall())
                elif isinstance(outcome, Pending) and outcome.outlasts and not run.waits:
                    end(run, run.still_running(outcome))
                else:
                    polls.append(outcome.poll if isinstance(outcome, Pending) else 0)
            report([run.snapshot() for run in runs])
            if active:
                poller.sleep(min(polls), enough=lambda: not active)
    finally:
        for run in runs:
            run.stop()
    return ended
