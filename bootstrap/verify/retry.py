"""Waits for the world: tells what for, keeps the lease, and bears what passes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from bootstrap.core.errors import UnavailableError
from bootstrap.core.formatting import moment
from bootstrap.core.timing import Clock, Timing
from bootstrap.journal.lease import Lease
from bootstrap.run.step_context import Done, Outcome, Pending

SLICE_SECONDS = 5.0
"""The longest sleep between two looks at the lease."""


@dataclass
class Poller:
    """One process's waiting for one table."""

    lease: Lease
    clock: Clock
    timing: Timing
    tell: Callable[[str], None]
    _said: tuple[str, float] = field(default=("", 0.0), init=False)
    _trouble_since: float | None = field(default=None, init=False)

    def wait(self, advance: Callable[[], Outcome]) -> None:
        """Advances until it is done.

        Raises:
            UnavailableError: when an account has not answered for long.
        """
        while True:
            try:
                outcome = advance()
                self._trouble_since = None
            except UnavailableError as error:
                outcome = self._bear(error)
            if isinstance(outcome, Done):
                return
            if isinstance(outcome, Pending):
                self.say(f"waiting for {outcome.what}", same=outcome.what)
                self._sleep(outcome.poll)
            else:
                self.lease.check()

    def say(self, text: str, same: str) -> None:
        """Says what changed at once, and what stays the same once in a while."""
        said, at = self._said
        now = self.clock.monotonic()
        if said != same or now - at >= self.timing.line_interval:
            self._said = (same, now)
            self.tell(f"{moment(self.lease.now())} {text}")

    def _bear(self, error: UnavailableError) -> Pending:
        now = self.clock.monotonic()
        if self._trouble_since is None:
            self._trouble_since = now
        if now - self._trouble_since > self.timing.patience:
            raise error
        return Pending(f"the {error.side.account} to answer", self.timing.poll(10))

    def _sleep(self, seconds: float) -> None:
        end = self.clock.monotonic() + seconds
        while (left := end - self.clock.monotonic()) > 0:
            self.clock.sleep(min(left, SLICE_SECONDS))
            self.lease.check()
