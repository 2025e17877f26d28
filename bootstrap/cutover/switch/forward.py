"""The work after the commit: every item that is not done, in order."""

from __future__ import annotations

from functools import partial

from bootstrap.core.errors import (
    AccountError,
    BlockedError,
    BootstrapError,
    ExecFailedError,
    LeaseLostError,
)
from bootstrap.core.suggestions import suggest
from bootstrap.cutover.context import SwitchContext
from bootstrap.cutover.switch import after_commit
from bootstrap.cutover.switch.after_commit import AFTER_EXEC, BEFORE_EXEC, EXEC, AfterItem
from bootstrap.cutover.switch.loop import SwitchLoop
from bootstrap.cutover.switch.operator_command import RunCommand
from bootstrap.journal.switch_records import SwitchStep


def work_after_the_commit(loop: SwitchLoop, run_command: RunCommand) -> None:
    """Open the target, run the operator's command, take the old direction apart.

    Raises:
        AccountError, BlockedError: the target could not be opened.
        ExecFailedError: the operator's command failed.
    """
    loop.step = SwitchStep.COMMIT
    _expect_exec(loop)
    for item in BEFORE_EXEC:
        _do(loop, item)
    code = _exec(loop, run_command)
    for item in AFTER_EXEC:
        _do(loop, item)
    if code:
        raise ExecFailedError(
            "The switch is committed and the target takes writes, but --exec ended with exit code "
            f"{code}.",
            fix="the same command again, which runs it again; or run it by hand",
        )


def _do(loop: SwitchLoop, item: AfterItem) -> None:
    """Do an item for each table. What is not required stays open if it fails."""
    for context in loop.group:
        if item.name in after_commit.done(context):
            continue
        try:
            loop.one_table(context, partial(item.advance, loop.group))
        except LeaseLostError:
            raise
        except BootstrapError as error:
            if item.required:
                raise _both_closed(context, error) from error
            loop.once(partial(after_commit.note_failed, context, item.name, error.what))
            continue
        loop.once(partial(after_commit.note_done, context, item.name))


def _both_closed(context: SwitchContext, error: BootstrapError) -> BootstrapError:
    """Name the command that opens the target, in an error that kept it closed."""
    table = context.table
    what = (
        f"The switch is committed, but the target table {table.target_table} is not open yet: "
        f"{error.what} Both tables refuse writers, and only the target can be opened."
    )
    fix = suggest(*error.suggestion.parts, "; then the same command again, which opens it")
    if isinstance(error, AccountError):
        return AccountError(error.side, what, fix=fix, code=error.code)
    return BlockedError(what, fix=fix)


def _expect_exec(loop: SwitchLoop) -> None:
    """Record that a command is to run: the next process may not have been given it."""
    for each in loop.group if loop.group.options.exec_command else ():
        if EXEC not in after_commit.done(each) and not after_commit.has_failed(each, EXEC):
            loop.once(partial(after_commit.note_failed, each, EXEC, "it has not run yet"))


def _exec(loop: SwitchLoop, run_command: RunCommand) -> int:
    """Run the operator's command, unless it has succeeded; return its exit code."""
    group, command = loop.group, loop.group.options.exec_command
    if not command or all(EXEC in after_commit.done(each) for each in group):
        return 0
    loop.waiting = "--exec"
    code = run_command(command, after_commit.facts_for_exec(group), loop.keep_alive)
    for each in group:
        if code:
            why = f"it ended with exit code {code}"
            loop.once(partial(after_commit.note_failed, each, EXEC, why))
        else:
            loop.once(partial(after_commit.note_done, each, EXEC))
    return code
