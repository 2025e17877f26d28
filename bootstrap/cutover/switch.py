"""A switch from its first check to the target's opening, in this process.

Before the commit every failure, the timeout and Ctrl-C take everything back. After it everything
only goes forward.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial

from bootstrap.core.errors import (
    AccountError,
    BlockedError,
    BootstrapError,
    ExecFailedError,
    LeaseLostError,
    SwitchCancelledError,
)
from bootstrap.core.outcome import Done, Outcome, Pending
from bootstrap.core.poller import Poller
from bootstrap.core.state import State
from bootstrap.core.suggestions import Command, suggest
from bootstrap.cutover import after_commit, cancel
from bootstrap.cutover.after_commit import AFTER_EXEC, BEFORE_EXEC, EXEC, AfterItem
from bootstrap.cutover.checks import read_checks, refuse_unfulfilled
from bootstrap.cutover.context import SwitchContext
from bootstrap.cutover.progress import SwitchProgress
from bootstrap.cutover.stages import (
    ARM,
    CLOSE,
    DRAIN,
    GATE,
    PREPARE,
    PROOF,
    SEAL,
    Act,
    Stage,
)
from bootstrap.cutover.switch_set import SwitchSet
from bootstrap.journal.switch_records import AfterSwitch, Switching, SwitchStep

RunCommand = Callable[[str, Mapping[str, str], Callable[[], None]], int]
"""Runs a command of the operator's in a shell, with these variables; returns its exit code. The
function is called meanwhile, every few seconds; its exception ends the command."""
Report = Callable[[SwitchProgress], None]


class Switch:
    """One switch of one or several tables."""

    def __init__(
        self,
        contexts: Sequence[SwitchContext],
        *,
        run_command: RunCommand,
        report: Report = lambda progress: None,
    ) -> None:
        self.group = SwitchSet(contexts)
        self._run_command = run_command
        self._report = report
        self._waiting = ""
        self._step: str = SwitchStep.PREPARE
        steps = self.group.first.steps
        self._poller = Poller(steps.clock, steps.timing, keep_alive=self._keep_alive)

    # -- entry points ----------------------------------------------------------------------------

    def run(self, take_over: bool = False) -> None:
        """Switch, or go on after a commit. An attempt that died before its commit is cancelled.

        Raises:
            BlockedError: nothing has been changed.
            SwitchCancelledError: everything has been taken back.
            ExecFailedError: the switch is committed, and the operator's command failed.
            LeaseLostError: another process has taken over.
        """
        with self._leased(take_over):
            if self._committed():
                self._forward()
                return
            if self._dead_attempt() is not None:
                self._cancel("its process died")
            self._begin()
            try:
                self._to_the_commit()
            except LeaseLostError:
                raise
            except (BootstrapError, KeyboardInterrupt) as error:
                self._take_back(error)
            self._forward()

    def cancel(self, take_over: bool = False) -> None:
        """Take an attempt back that is not committed.

        Raises:
            BlockedError: there is none, or it is committed.
        """
        with self._leased(take_over):
            cancel.refuse_committed(self.group)
            if self._dead_attempt() is None:
                tables = ", ".join(each.table.source_table for each in self.group)
                raise BlockedError(
                    f"No switch of {tables} is under way: there is nothing to cancel.",
                    fix=suggest(Command("status")),
                )
            self._cancel("the operator cancelled it")

    # -- before the commit -----------------------------------------------------------------------

    def _begin(self) -> None:
        """Check everything that can be read, and record the attempt."""
        for each in self.group:
            refuse_unfulfilled(read_checks(each))
        options, now = self.group.options, self.group.now
        record = Switching(
            nonce=cancel.new_nonce(),
            mode=options.mode,
            tables=tuple(each.table.source_table for each in self.group),
            begun=now,
            timeout=options.timeout,
        )
        self.group.refresh()
        self._once(lambda: self.group.put(record, "a switch begins", State.SWITCHING))

    def _to_the_commit(self) -> None:
        for stage in (PREPARE, ARM, CLOSE, DRAIN, SEAL, GATE):
            self._work(stage)
        self._check()
        self._work(PROOF)
        self._refuse_overdue()
        self._once(self._commit)

    def _work(self, stage: Stage) -> None:
        """Advance a stage's acts, each for all tables, until the last one is done."""
        self._step = stage.step
        self._once(
            lambda: self.group.record(stage.text, step=stage.step, **stage.begin(self.group))
        )
        while not all(self._advance(act) for act in stage.acts):
            continue

    def _advance(self, act: Act) -> bool:
        """Advance one act for each table; return False if its stage has to begin anew."""
        waiting = list(self.group)
        while waiting:
            polls: list[float] = []
            for context in list(waiting):
                self._refuse_overdue()
                outcome = self._poller.attempt(partial(act.advance, self.group, context))
                if isinstance(outcome, Done):
                    waiting.remove(context)
                else:
                    polls.append(self._note(context, outcome))
            if waiting:
                self._poller.sleep(min(polls))
        complete: list[bool] = []
        self._once(lambda: complete.append(act.then(self.group)))
        return complete[-1]

    def _commit(self) -> None:
        """Write the record after which nothing is taken back any more."""
        self.group.refresh()
        attempt = self.group.attempt
        if attempt.committed_at:
            return  # its answer was lost
        if attempt.cancelled:
            raise BlockedError("This attempt has been cancelled.", fix=suggest(Command("status")))
        self.group.record(
            "committed: the target is the primary",
            state=State.SWITCHED,
            step=SwitchStep.COMMIT,
            committed_at=self.group.now,
        )

    def _check(self) -> None:
        """Run the operator's check, while both tables are closed."""
        command = self.group.options.check_command
        if not command:
            return

        def meanwhile() -> None:
            self._keep_alive()
            self._refuse_overdue()

        self._waiting = "--check-cmd"
        code = self._run_command(command, after_commit.facts_for_exec(self.group), meanwhile)
        if code:
            raise BlockedError(
                f"--check-cmd ended with exit code {code}.",
                fix="see what it printed, then the same command again",
            )

    def _refuse_overdue(self) -> None:
        attempt = self.group.attempt
        if attempt.closes and self.group.now > attempt.closes + attempt.timeout:
            raise BlockedError(
                f"The switch was not committed within {attempt.timeout:.0f} s of the source's "
                f"closing: it still waited for {self._waiting or 'its next step'}.",
                fix=suggest(Command("status"), "; then the same command with a greater --timeout"),
            )

    # -- cancelling ------------------------------------------------------------------------------

    def _take_back(self, error: BaseException) -> None:
        """Cancel after a failure, unless the commit has been written in spite of it.

        Raises:
            SwitchCancelledError: the attempt has been taken back.
        """
        self._once(self.group.refresh)
        if self.group.attempt.committed_at:
            return
        by_hand = isinstance(error, KeyboardInterrupt)
        why = error.what if isinstance(error, BootstrapError) else "interrupted"
        self._cancel(why)
        fix = error.suggestion if isinstance(error, BootstrapError) else suggest(Command("status"))
        raise SwitchCancelledError(
            f"The switch was cancelled: {why} The source takes writes, the target takes none, and "
            "nothing is lost."
            if not by_hand
            else "The switch was interrupted and cancelled. The source takes writes, the target "
            "takes none, and nothing is lost.",
            fix=fix,
        ) from (None if by_hand else error)

    def _cancel(self, reason: str) -> None:
        """Take everything back.

        Raises:
            BlockedError: a table could not be opened again; the message says how it is opened.
        """
        self._once(lambda: cancel.begin_cancel(self.group, reason))
        self._waiting = ""
        for context in self.group:
            for act in cancel.CANCEL_ACTS:
                try:
                    self._once(partial(act, self.group, context))
                except LeaseLostError:
                    raise
                except BootstrapError as error:
                    raise _not_taken_back(context, error) from error

    # -- after the commit ------------------------------------------------------------------------

    def _forward(self) -> None:
        """Do what is left after the commit.

        Raises:
            AccountError, BlockedError: the target could not be opened.
            ExecFailedError: the operator's command failed.
        """
        self._step = SwitchStep.COMMIT
        for item in BEFORE_EXEC:
            self._do(item)
        code = self._exec()
        for item in AFTER_EXEC:
            self._do(item)
        if code:
            raise ExecFailedError(
                f"The switch is committed and the target takes writes, but --exec ended with exit "
                f"code {code}.",
                fix="the same command again, which runs it again; or run it by hand",
            )

    def _do(self, item: AfterItem) -> None:
        for context in self.group:
            if item.name in after_commit.done(context):
                continue
            try:
                self._wait(context, partial(item.advance, self.group, context))
            except LeaseLostError:
                raise
            except BootstrapError as error:
                if item.required:
                    raise
                self._once(partial(after_commit.note_failed, context, item.name, error.what))
                continue
            self._once(partial(after_commit.note_done, context, item.name))

    def _wait(self, context: SwitchContext, advance: Callable[[], Outcome]) -> None:
        """Advance one item, for as long as a policy may take to reach every caller."""
        began, most = self.group.now, max(60.0, context.steps.timing.policy_spread)
        while not isinstance(outcome := self._poller.attempt(advance), Done):
            self._poller.sleep(self._note(context, outcome))
            if self.group.now - began > most:
                raise BlockedError(
                    f"it still waits for {self._waiting}", fix=suggest(Command("status"))
                )

    def _exec(self) -> int:
        """Run the operator's command, unless it has succeeded; return its exit code."""
        command = self.group.options.exec_command
        if not command or all(EXEC in after_commit.done(each) for each in self.group):
            return 0
        self._waiting = "--exec"
        facts = after_commit.facts_for_exec(self.group)
        code = self._run_command(command, facts, self._keep_alive)
        for each in self.group:
            if code:
                self._once(
                    partial(after_commit.note_failed, each, EXEC, f"it ended with exit code {code}")
                )
            else:
                self._once(partial(after_commit.note_done, each, EXEC))
        return code

    # -- state -----------------------------------------------------------------------------------

    def _committed(self) -> bool:
        """Tell whether this switch is committed already.

        Raises:
            BlockedError: of some of the tables only, or of others.
        """
        states = {each.journal.row.state for each in self.group}
        if State.SWITCHED not in states:
            return False
        committed = {each.journal.get(Switching) for each in self.group}
        if len(states) == 1 and len(committed) == 1:
            return True
        raise BlockedError(
            "Some of these tables have been switched already, and not in one switch.",
            fix=suggest("--table for those that belong together; see ", Command("status")),
        )

    def _dead_attempt(self) -> Switching | None:
        """Return the attempt that another process left; None if there is none.

        Raises:
            BlockedError: it was one of other tables.
        """
        states = [each.journal.row.state for each in self.group]
        if State.SWITCHING not in states:
            return None
        attempts = {each.journal.get(Switching) for each in self.group}
        found = attempts.pop()
        named = {each.table.source_table for each in self.group}
        if attempts or found is None or set(found.tables) != named:
            known = next(
                (
                    attempt.tables
                    for each in self.group
                    if (attempt := each.journal.get(Switching)) is not None
                ),
                (),
            )
            raise BlockedError(
                f"A switch of {', '.join(known)} has begun, and these are other tables.",
                fix=suggest(Command("switch", "--cancel"), ", which cancels it as a whole"),
            )
        return found

    # -- waiting ---------------------------------------------------------------------------------

    def _once(self, work: Callable[[], object]) -> None:
        """Do something, again while an account is unavailable."""

        def advance() -> Outcome:
            work()
            return Done()

        while not isinstance(outcome := self._poller.attempt(advance), Done):
            self._poller.sleep(self._note(self.group.first, outcome))

    def _note(self, context: SwitchContext, outcome: Outcome) -> float:
        """Show what is waited for; return the seconds until the next look."""
        if not isinstance(outcome, Pending):
            return 0.0
        several = len(self.group.contexts) > 1
        table = f"{context.table.source_table}: " if several else ""
        self._waiting = f"{table}{outcome.what}"
        self._report(self.progress())
        return outcome.poll

    def _keep_alive(self) -> None:
        self.group.keep_leases()
        self._report(self.progress())

    def progress(self) -> SwitchProgress:
        """Return what to show now."""
        first = self.group.first
        attempt, after = first.journal.get(Switching), first.journal.get(AfterSwitch)
        shown = attempt if attempt is not None and not attempt.cancelled else None
        return SwitchProgress(
            at=self.group.now,
            step=self._step,
            waiting=self._waiting,
            tables=tuple(each.table.source_table for each in self.group),
            closes=shown.closes if shown else 0,
            opened_at=after.opened_at if after else 0,
            cancelling=attempt is not None and attempt.cancelled,
        )

    def _leased(self, take_over: bool) -> _Leases:
        return _Leases(self.group, take_over)


class _Leases:
    """All leases of a set's tables: those of run, verification and backfill."""

    def __init__(self, group: SwitchSet, take_over: bool) -> None:
        self._group = group
        self._take_over = take_over

    def __enter__(self) -> None:
        try:
            for each in self._group:
                for lease in each.leases:
                    lease.acquire(self._take_over)
            self._group.refresh()
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_: object) -> None:
        for each in self._group:
            for lease in each.leases:
                with suppress(BootstrapError):
                    if lease.generation:
                        lease.release()


def _not_taken_back(context: SwitchContext, error: BootstrapError) -> BootstrapError:
    """Name the command that opens a table which could not be opened."""
    table = context.table.source_table
    what = (
        f"The switch is cancelled, but table {table} could not be opened again: {error.what} "
        "Writers may still be refused in the source; the target takes none."
    )
    fix = suggest(*error.suggestion.parts, "; then ", Command("switch", "--cancel"))
    if isinstance(error, AccountError):
        return AccountError(error.side, what, fix=fix, code=error.code)
    return BlockedError(what, fix=fix)
