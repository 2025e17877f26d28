"""What can go wrong, whose turn it is then, and what to try.

The exit codes: 0 done, 1 blocked (by the plan, the journal's lease or the world as it is), 2 usage,
3 the source account, 4 the target account, 5 verification found differences, 6 still running,
70 a bug.
"""

from __future__ import annotations

from enum import Enum

EXIT_STILL_RUNNING = 6
EXIT_BUG = 70
EXIT_INTERRUPTED = 130
"""What a shell reports for a process ended by Ctrl-C. AWS goes on; `run` picks it up again."""

EXIT_PIPE_CLOSED = 141
"""What a shell reports for a process whose output nobody reads any more."""


class Side(Enum):
    """An account of the pair, with the exit code that says it is that account's turn."""

    SOURCE = 3
    TARGET = 4

    @property
    def account(self) -> str:
        return f"{self.name.lower()} account"


class BootstrapError(Exception):
    """A foreseeable failure: what was attempted, on what, what came back; and how to go on.

    `what` never holds the content of an item.
    """

    exit_code = EXIT_BUG

    def __init__(self, what: str, *, fix: str, resumable: bool = True) -> None:
        super().__init__(what)
        self.what = what
        self.fix = fix
        """A command in it is written without options: `commandline` adds them."""
        self.resumable = resumable
        """Whether running again helps, once `fix` is done. False: this run can never go on."""

    def __str__(self) -> str:
        return f"{self.what}\nTry: {self.fix}"


class BlockedError(BootstrapError):
    """The world is in a state that the plan refuses to go on from."""

    exit_code = 1


class LeaseHeldError(BlockedError):
    """Another run works on this table."""


class LeaseLostError(BlockedError):
    """Another run has taken this one's place: nothing more may be done."""


class StillRunningError(BootstrapError):
    """Nothing is wrong: AWS works, and the operator did not want to wait for it."""

    exit_code = EXIT_STILL_RUNNING


class UsageError(BootstrapError):
    """The command line, the environment or the outputs make no sense."""

    exit_code = 2


class AccountError(BootstrapError):
    """An account refused, or ended something that it had accepted."""

    def __init__(
        self, side: Side, what: str, *, fix: str, code: str = "", resumable: bool = True
    ) -> None:
        super().__init__(what, fix=fix, resumable=resumable)
        self.side = side
        self.code = code
        """AWS's error code; empty where no call failed."""
        self.exit_code = side.value


class AccessDeniedError(AccountError):
    """A permission is missing. The message names the role, the action and the resource."""


class UnavailableError(AccountError):
    """Throttled, unreachable or failing on AWS's side: the same call may succeed later."""
