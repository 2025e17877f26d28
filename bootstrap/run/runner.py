"""One table's run in this process: takes the lease, advances steps, and reports their progress."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bootstrap.core.errors import (
    AccountError,
    BootstrapError,
    LeaseLostError,
    Side,
    StillRunningError,
)
from bootstrap.core.facts import EventSource
from bootstrap.core.journal_rows import Event, Row, Store, WaitReason
from bootstrap.core.outcome import Done, Outcome, Pending
from bootstrap.core.poller import Poller
from bootstrap.core.refusals import refuse_in
from bootstrap.core.stack_outputs import buffer_named
from bootstrap.core.state import REPLICAS, State
from bootstrap.core.suggestions import Command, suggest
from bootstrap.journal import verification_records as verification
from bootstrap.journal.journal import Journal
from bootstrap.journal.lease import Lease
from bootstrap.journal.records import Exported
from bootstrap.plan.plan import Plan
from bootstrap.run.goals import GOALS
from bootstrap.run.progress import is_past, state_of, stops_before
from bootstrap.run.step import Step
from bootstrap.run.step_context import StepContext
from bootstrap.status import data_loss
from bootstrap.status.health import Health
from bootstrap.status.inputs import StatusInputs
from bootstrap.status.snapshot import StatusSnapshot, build_snapshot
from bootstrap.status.switch_view import view_switch


@dataclass(frozen=True)
class Wait:
    """A step that is pending, and since when, by AWS's clock."""

    pending: Pending
    since: float


class TableRunner:
    """One table's run in this process."""

    def __init__(
        self,
        context: StepContext,
        store: Store,
        lease: Lease,
        command: str,
        read_health: Callable[[Row, float], Health] | None = None,
    ) -> None:
        """`read_health` reads both accounts for the view at the end; None: it shows no health."""
        self.context = context
        self.command = command
        self._store = store
        self._read_health = read_health
        self._lease = lease
        self._goal = GOALS[context.options.goal]
        self._poller = Poller(context.clock, context.timing, keep_alive=self.keep_lease)
        self._held = False
        self._step: Step | None = None
        self._wait: Wait | None = None
        self._losses: data_loss.KnownLosses | None = None

    @property
    def waits(self) -> bool:
        """Answer if the operator wants to wait for work that continues without this process."""
        return self.context.options.wait

    @property
    def journal(self) -> Journal:
        return self.context.journal

    def start(
        self,
        take_over: bool = False,
        tell: Callable[[str], None] = lambda text: None,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> Plan | None:
        """Take the lease, read both accounts, and begin or resume.

        Returns the plan as long as no export has begun. While an account refuses for now, this
        retries, reports it to `tell` and calls `meanwhile` every few seconds.

        Raises:
            LeaseHeldError: when another process works on the table.
            BlockedError: when the plan is blocked; nothing has been done then.
            UnavailableError: when an account does not answer at all, or refuses for too long.
        """
        plans: list[Plan | None] = []

        def begin() -> Outcome:
            if not self._held:
                self._lease.acquire(take_over, self._refuse)
            self._held = True
            self.journal.refresh()
            self._refuse(self.journal.row)  # a switch may have begun meanwhile
            plans.append(self._goal.begin(self.context))
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

    def _refuse(self, row: Row) -> None:
        refuse_in(row.state, self.context.options.goal, self.context.table.source_table)

    def tick(self) -> Outcome:
        """Advance the first step that is not done, by one act.

        Raises:
            BootstrapError: when the run cannot continue. The journal then says FAILED, and why.
        """
        self._step = None
        try:
            outcome = self._poller.attempt(self._advance)
        except LeaseLostError:
            self._lose_lease()
            raise
        except BootstrapError as error:
            self._fail(error)
            raise
        self._record_wait(outcome)
        return outcome

    def _advance(self) -> Outcome:
        journal, until = self.journal, self.context.options.until
        journal.refresh()
        if is_past(until, journal):
            return Done()
        for step in self._goal.steps:
            self._step, state = step, state_of(step, journal)
            if stops_before(state, until):
                journal.enter(state)
                return Done()
            journal.works_in(state)
            outcome = step.advance(self.context)
            if not isinstance(outcome, Done):
                journal.enter(state)
                if isinstance(outcome, Pending):
                    journal.waits(outcome.what)
                return outcome
        journal.enter(self._goal.final_state or self._replica_state())
        return Done()

    def _replica_state(self) -> State:
        known = data_loss.collect(self.journal.get, self.context.ledger.book())
        last = verification.last_verification(self._store, self.context.table.source_table)
        self._losses = known.unresolved(self.journal.get(Exported), last.verified)
        return State.DEGRADED if self._losses.any else State.REPLICATING

    def _record_wait(self, outcome: Outcome) -> None:
        if not isinstance(outcome, Pending):
            self._wait = None
        elif self._wait is not None and self._wait.pending.what == outcome.what:
            self._wait = Wait(outcome, self._wait.since)
        else:
            self._wait = Wait(outcome, self.journal.now())

    def _fail(self, error: BootstrapError) -> None:
        self._wait = None
        # Where the journal cannot be written either, the first error is the one to show.
        with contextlib.suppress(BootstrapError):
            self.journal.fail(self._step.name if self._step else "journal", error)

    def _lose_lease(self) -> None:
        """Note that another run has the lease: there is none to release, and no wait."""
        self._held, self._wait = False, None

    def shortfall(self) -> AccountError | None:
        """Return the error of a run that ended well but lacks changes that no option accepted."""
        if self._losses is None or not self._losses.unasked:
            return None
        table = self.context.table
        if not self._losses.unsent:
            lacks = (
                "its target expired items by another attribute than the source, and may lack some"
                if self._losses.expired is not None
                else "a bulk load may have replaced changes that the consumer had applied"
            )
            return AccountError(
                Side.TARGET,
                f"Table {table.source_table} replicates, but {lacks}.",
                fix=suggest(
                    Command("verify", "--repair"),
                    ", as ",
                    Command("status"),
                    " says; then ",
                    Command("run"),
                    ", which takes note of it",
                ),
            )
        return AccountError(
            Side.SOURCE,
            f"Table {table.source_table} replicates, but lacks changes that did not get through "
            f"{buffer_named(table)}.",
            fix=suggest(
                Command("status"),
                ", which names what was lost and the backfill that restores it; then ",
                Command("run"),
                ", which takes note of it",
            ),
        )

    def still_running(self, pending: Pending) -> StillRunningError:
        """Return the error of a wait that continues without this process."""
        table = self.context.table.source_table
        return StillRunningError(
            f"Table {table}: still waiting for {pending.what}, which continues by itself.",
            fix=suggest("the same command later, or ", Command("status")),
        )

    def keep_lease(self) -> None:
        """Renew the lease during a wait. A refusal of the account is left to the next tick.

        Raises:
            LeaseLostError: when another run has taken over.
        """
        try:
            self._lease.check()
        except AccountError:
            return
        except LeaseLostError:
            self._lose_lease()
            raise

    def snapshot(self, final: bool = False) -> StatusSnapshot:
        """Return the status as far as this process knows it. `final` reads AWS once more."""
        context, row = self.context, self.journal.row
        history: Sequence[Event] = ()
        mapping: EventSource | None = None
        health = Health()
        if final:
            if self._read_health is not None and row.state in REPLICAS:
                health = self._read_health(row, self.journal.now())
            with contextlib.suppress(AccountError):
                history = self._store.history(context.table.source_table, row.run_id)
                mapping = context.mapping()
        wait = self._wait
        return build_snapshot(
            StatusInputs(
                table=context.table.source_table,
                target_table=context.table.target_table,
                row=row,
                at=self.journal.now(),
                holder="this process" if self._held and not final else "",
                command=self.command,
                history=history,
                mapping=mapping,
                measure=wait.pending.measure if wait else None,
                waiting=WaitReason(wait.pending.what, wait.since) if wait else None,
                losses=self._losses,
                readings=health.readings,
                findings=health.findings,
                switch=view_switch(row, self.journal.now()),
                buffer=context.table.buffer,
            )
        )

    def stop(self) -> None:
        """Release the lease, if it is still held."""
        if self._held:
            self._held = False
            with contextlib.suppress(BootstrapError):
                self._lease.release()
