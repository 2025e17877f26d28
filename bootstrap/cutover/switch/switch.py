"""A switch from its first check to the target's opening, in this process.

Before the commit every failure, the timeout and Ctrl-C take everything back. After it everything
only goes forward.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from bootstrap.core.errors import (
    AccountError,
    BlockedError,
    BootstrapError,
    LeaseLostError,
    SwitchCancelledError,
)
from bootstrap.core.state import State
from bootstrap.core.suggestions import Command, Suggestion, suggest
from bootstrap.cutover.context import SwitchContext
from bootstrap.cutover.switch import before_commit, cancel
from bootstrap.cutover.switch.forward import work_after_the_commit
from bootstrap.cutover.switch.loop import Report, SwitchLoop
from bootstrap.cutover.switch.operator_command import RunCommand
from bootstrap.cutover.switch.progress import SwitchProgress
from bootstrap.cutover.switch.table_set import SwitchSet
from bootstrap.journal.switch_records import Switching, SwitchMode

TAKEN_BACK = (
    "The source takes writes, though where it had closed, it may refuse some callers for minutes "
    "more. The target takes none, and nothing is lost."
)


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
        self._loop = SwitchLoop(self.group, report)
        self._run_command = run_command

    def run(self, take_over: bool = False) -> None:
        """Switch, or continue after a commit. An attempt that died before its commit is cancelled.

        Raises:
            BlockedError: nothing has been changed.
            SwitchCancelledError: everything has been taken back.
            ExecFailedError: the switch is committed, and the operator's command failed.
            LeaseLostError: another process has taken over.
        """
        with self.group.leased(take_over):
            if not self._committed():
                self._cancel_dead_attempt()
                before_commit.refuse_unready(self.group)
                self._commit_or_take_back()
            work_after_the_commit(self._loop, self._run_command)

    def cancel(self, take_over: bool = False) -> None:
        """Take an attempt back that is not committed, or what a process that had slept left of one.

        Raises:
            BlockedError: there is none, or it is committed.
        """
        with self.group.leased(take_over):
            cancel.refuse_committed(self.group)
            if self._dead_attempt() is None:
                disarmed = [cancel.disarm_ended(each) for each in self.group]
                if any(disarmed):
                    return
                tables = ", ".join(each.table.source_table for each in self.group)
                raise BlockedError(
                    f"No switch of {tables} is under way: there is nothing to cancel.",
                    fix=suggest(Command("status")),
                )
            self._cancel("the operator cancelled it")

    def progress(self) -> SwitchProgress:
        """Return what there is to show now."""
        return self._loop.progress()

    def _commit_or_take_back(self) -> None:
        """Work to the commit; cancel after any failure, unless the commit has been written."""
        try:
            before_commit.work_to_the_commit(self._loop, self._run_command)
        except LeaseLostError:
            raise
        except (BootstrapError, KeyboardInterrupt) as error:
            why, fix = _reason(error)
            if not self._take_back(why):
                if self.group.committed:
                    return  # its answer was lost, or Ctrl-C came with it
                raise  # it has not begun
            raise SwitchCancelledError(
                f"The switch was cancelled. {why} {TAKEN_BACK}", fix=fix
            ) from error
        except Exception:
            # A bug. What it has closed is opened before anybody reads of it.
            self._take_back("this program failed")
            raise

    def _take_back(self, reason: str) -> bool:
        """Cancel, and return True; False if there is no attempt, or it is committed after all."""
        try:
            return self._cancel(reason)
        except BlockedError:
            if self.group.committed:
                return False
            raise

    def _cancel_dead_attempt(self) -> None:
        """Take back what another process has left.

        Raises:
            BlockedError: it closed the source by a Deny, which this command has no role to remove.
        """
        dead = self._dead_attempt()
        if dead is None:
            return
        if dead.mode == SwitchMode.FENCE and self.group.options.mode != SwitchMode.FENCE:
            raise BlockedError(
                "A switch with --fence has begun and has not ended: its Deny may stand in the "
                "source's policy.",
                fix=suggest(Command("switch", "--cancel"), ", then the same command again"),
            )
        self._cancel("its process died")
        self._loop.waiting = "AWS to show the policies as they are now"
        self._loop.pause(self.group.first.steps.timing.policy_reading)

    def _cancel(self, reason: str) -> bool:
        """Take everything back; return False if there is nothing, because it has not begun.

        Raises:
            BlockedError, AccountError: a table could not be opened again; the message names the
                command that opens it. Or the attempt is committed.
        """
        with _errors_of_cancel(self.group):
            if not self._loop.answer(partial(cancel.begin_cancel, self.group, reason)):
                return False
            self._loop.waiting = ""
            for context in self.group:
                for act in cancel.CANCEL_ACTS:
                    self._loop.once(partial(act, self.group, context))
            self._loop.once(partial(cancel.replicate_again, self.group))
        return True

    def _committed(self) -> bool:
        """Tell whether this switch is committed already.

        Raises:
            BlockedError: of some of the tables only, or in several switches.
        """
        states = {each.journal.row.state for each in self.group}
        if State.SWITCHED not in states:
            return False
        if len(states) == 1 and len({each.journal.get(Switching) for each in self.group}) == 1:
            return True
        raise BlockedError(
            "Some of these tables have been switched already, and not all in one switch.",
            fix=suggest("--table for each of those that belong together; see ", Command("status")),
        )

    def _dead_attempt(self) -> Switching | None:
        """Return the attempt that another process left; None if there is none.

        Raises:
            BlockedError: it was one of other tables.
        """
        if all(each.journal.row.state is not State.SWITCHING for each in self.group):
            return None
        attempts = [each.journal.get(Switching) for each in self.group]
        known = next((each for each in attempts if each is not None), None)
        named = {each.table.source_table for each in self.group}
        if known is not None and len(set(attempts)) == 1:
            left = cancel.tables_left(self.group.first.store, known)
            if left == named:
                return known
        tables = ", ".join(known.tables) if known is not None else "other tables"
        raise BlockedError(
            f"A switch of {tables} has begun, and it is one of all of them or none.",
            fix=suggest(Command("switch", "--cancel"), ", which cancels it as a whole"),
        )


def _reason(error: BootstrapError | KeyboardInterrupt) -> tuple[str, Suggestion]:
    """Return why a switch is taken back, and what to do about it."""
    if isinstance(error, BootstrapError):
        return error.what, error.suggestion
    return "It was interrupted.", suggest(Command("status"))


@contextmanager
def _errors_of_cancel(group: SwitchSet) -> Iterator[None]:
    """Name the command that opens the source, in an error that kept a cancel from its end."""
    try:
        yield
    except LeaseLostError:
        raise
    except BootstrapError as error:
        if group.committed:
            raise
        tables = ", ".join(each.table.source_table for each in group)
        what = (
            f"The switch of {tables} could not be taken back as a whole: {error.what} Writers may "
            "still be refused in the source; the target takes none."
        )
        fix = suggest(*error.suggestion.parts, "; then ", Command("switch", "--cancel"))
        if isinstance(error, AccountError):
            raise AccountError(error.side, what, fix=fix, code=error.code) from error
        raise BlockedError(what, fix=fix) from error
