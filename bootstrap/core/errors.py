"""Errors that a command reports, each with an exit code and a fix.

The exit codes: 0 done, 1 blocked (by the plan, the journal's lease or the state of AWS), 2 usage,
3 the source account, 4 the target account, 5 verification found differences, 6 still running,
7 a switch was cancelled, 8 a switch was committed but its --exec failed, 70 a bug.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum

from bootstrap.core.suggestions import GENERIC, Suggestion, suggest

EXIT_STILL_RUNNING = 6
EXIT_CANCELLED = 7
EXIT_EXEC_FAILED = 8
EXIT_BUG = 70
EXIT_INTERRUPTED = 130
"""A shell's code for a process that Ctrl-C ended. AWS continues, and `run` resumes."""

EXIT_PIPE_CLOSED = 141
"""A shell's code for a process whose output pipe is closed."""


class Side(Enum):
    """An account of the pair, with the exit code of its failures."""

    SOURCE = 3
    TARGET = 4

    @property
    def account(self) -> str:
        return f"{self.name.lower()} account"


class BootstrapError(Exception):
    """A foreseen failure: the attempt, its object and the answer in `what`; the remedy in `fix`.

    `what` never holds the content of an item.
    """

    exit_code = EXIT_BUG

    def __init__(self, what: str, *, fix: str | Suggestion, resumable: bool = True) -> None:
        super().__init__(what)
        self.what = what
        self.suggestion = suggest(fix) if isinstance(fix, str) else fix
        self._command = ""
        self.resumable = resumable
        """True: the run resumes once `fix` is done. False: this run can never continue."""

    @property
    def fix(self) -> str:
        """The suggestion as shown."""
        return self.suggestion.text(self._command or GENERIC)

    def about(self, command: str) -> None:
        """Complete the commands with a template's options, unless that has been done."""
        self._command = self._command or command

    def __str__(self) -> str:
        return f"{self.what}\nTry: {self.fix}"


@contextmanager
def errors_about(command: str) -> Iterator[None]:
    """Complete the suggestion of an error that ends the block with a template's options."""
    try:
        yield
    except BootstrapError as error:
        error.about(command)
        raise


class BlockedError(BootstrapError):
    """The state of AWS does not allow the run to continue."""

    exit_code = 1


class LeaseHeldError(BlockedError):
    """Another run holds this table's lease."""


class LeaseLostError(BlockedError):
    """Another run has taken over the lease: this one may do nothing more."""


class StillRunningError(BootstrapError):
    """AWS is still working, and the operator chose not to wait."""

    exit_code = EXIT_STILL_RUNNING


class SwitchCancelledError(BootstrapError):
    """A switch was taken back before its commit: the source is the primary, nothing is lost."""

    exit_code = EXIT_CANCELLED


class ExecFailedError(BootstrapError):
    """A switch was committed, and the operator's command after it failed."""

    exit_code = EXIT_EXEC_FAILED


class UsageError(BootstrapError):
    """The command line, the environment or the outputs are invalid."""

    exit_code = 2


class AccountError(BootstrapError):
    """An account refused a call, or an operation in it failed."""

    def __init__(
        self,
        side: Side,
        what: str,
        *,
        fix: str | Suggestion,
        code: str = "",
        resumable: bool = True,
    ) -> None:
        super().__init__(what, fix=fix, resumable=resumable)
        self.side = side
        self.code = code
        """AWS's error code; empty if no call failed."""
        self.exit_code = side.value


class AccessDeniedError(AccountError):
    """A permission is missing. The message names the role, the action and the resource."""


class UnavailableError(AccountError):
    """AWS throttles, fails or cannot be reached: the same call may succeed later."""
