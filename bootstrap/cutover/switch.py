"""A switch from its first check to the target's opening, in this process.

Before the commit every failure, the timeout and Ctrl-C take everything back. After it everything
only goes forward.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from bootstrap.core.errors import (
    AccountError,
    BlockedError,
    BootstrapError,
    LeaseLostError,
    SwitchCancelledError,
)
from bootstrap.core.state import State
from bootstrap.core.suggestions import Command, suggest
from bootstrap.cutover import before_commit, cancel
from bootstrap.cutover.context import SwitchContext
from bootstrap.cutover.forward import work_after_the_commit
from bootstrap.cutover.operator_command import RunCommand
from bootstrap.cutover.progress import SwitchProgress
from bootstrap.cutover.switch_loop import Report, SwitchLoop
from bootstrap.cutover.switch_set import SwitchSet
from bootstrap.journal.switch_records import Switching

TAKEN_BACK = "The source takes writes, the target takes none, and nothing is lost."


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
                if self._dead_attempt() is not None:
                    self._cancel("its process died")
                before_commit.refuse_unready(self.group)
                self._commit_or_take_back()
            work_after_the_commit(self._loop, self._run_command)

    def cancel(self, take_over: bool = False) -> None:
        """Take an attempt back that is not committed.

        Raises:
            BlockedError: there is none, or it is committed.
        """
        with self.group.leased(take_over):
            cancel.refuse_committed(self.group)
            if self._dead_attempt() is None:
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
            self._loop.once(self.group.refresh)
            states = {each.journal.row.state for each in self.group}
            if State.SWITCHED in states:
                return  # its answer was lost, or Ctrl-C came with it
            if State.SWITCHING not in states:
                raise  # it has not begun
            raise self._taken_back(error) from error

    def _taken_back(self, error: BootstrapError | KeyboardInterrupt) -> SwitchCancelledError:
        """Cancel, and make the error that says so."""
        if isinstance(error, BootstrapError):
            why, fix = error.what, error.suggestion
        else:
            why, fix = "It was interrupted.", suggest(Command("status"))
        self._cancel(why)
        return SwitchCancelledError(f"The switch was cancelled. {why} {TAKEN_BACK}", fix=fix)

    def _cancel(self, reason: str) -> None:
        """Take everything back.

        Raises:
            BlockedError, AccountError: a table could not be opened again; the message names the
                command that opens it.
        """
        self._loop.once(partial(cancel.begin_cancel, self.group, reason))
        self._loop.waiting = ""
        for context in self.group:
            for act in cancel.CANCEL_ACTS:
                try:
                    self._loop.once(partial(act, self.group, context))
                except LeaseLostError:
                    raise
                except BootstrapError as error:
                    raise _not_taken_back(context, error) from error

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
        if known is not None and len(set(attempts)) == 1 and set(known.tables) == named:
            return known
        tables = ", ".join(known.tables) if known is not None else "other tables"
        raise BlockedError(
            f"A switch of {tables} has begun, and it is one of all of them or none.",
            fix=suggest(Command("switch", "--cancel"), ", which cancels it as a whole"),
        )


def _not_taken_back(context: SwitchContext, error: BootstrapError) -> BootstrapError:
    """Name the command that opens a table which could not be opened."""
    what = (
        f"The switch is cancelled, but table {context.table.source_table} could not be opened "
        f"again: {error.what} Writers may still be refused in the source; the target takes none."
    )
    fix = suggest(*error.suggestion.parts, "; then ", Command("switch", "--cancel"))
    if isinstance(error, AccountError):
        return AccountError(error.side, what, fix=fix, code=error.code)
    return BlockedError(what, fix=fix)
