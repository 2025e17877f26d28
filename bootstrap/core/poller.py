"""The wait loop: polls AWS, keeps leases alive meanwhile, and retries while an account is
unavailable.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from bootstrap.core.durations import Timing
from bootstrap.core.errors import UnavailableError
from bootstrap.core.formatting import moment
from bootstrap.core.outcome import Acted, Done, Outcome, Pending
from replicator.runtime import Clock

TICK = 1e-6
"""Seconds: what is less than a microsecond is a rounding error."""
SLICE_SECONDS = 5.0
"""The longest sleep between two calls of `Poller.keep_alive`."""


@dataclass
class Poller:
    """One process's wait for one table, or for several that share its screen."""

    clock: Clock
    timing: Timing
    keep_alive: Callable[[], None]
    """Runs every few seconds of a wait. It renews leases."""
    tell: Callable[[str], None] = lambda text: None
    now: Callable[[], float] | None = None
    """AWS's time. Where it is given, each report begins with it."""
    retries: Callable[[UnavailableError], bool] = lambda error: True
    """False: the error is raised at once."""
    _said: tuple[str, float] = field(default=("", 0.0), init=False)
    _unavailable_since: float | None = field(default=None, init=False)

    def wait(self, advance: Callable[[], Outcome]) -> None:
        """Advance until done.

        Raises:
            UnavailableError: when an account has been unavailable for `timing.patience` seconds.
        """
        while True:
            outcome = self.attempt(advance)
            if isinstance(outcome, Done):
                return
            if isinstance(outcome, Acted):
                self.keep_alive()
            else:
                self.say(f"waiting for {outcome.what}", same=outcome.what)
                self.sleep(outcome.poll)

    def attempt(self, advance: Callable[[], Outcome]) -> Outcome:
        """Advance once; turn an account that is unavailable into a wait.

        Raises:
            UnavailableError: when it has been unavailable for `timing.patience` seconds.
        """
        try:
            outcome = advance()
        except UnavailableError as error:
            now = self.clock.monotonic()
            if self._unavailable_since is None:
                self._unavailable_since = now
            lasted = now - self._unavailable_since
            if lasted > self.timing.patience or not self.retries(error):
                raise
            what = f"the {error.side.account} to answer: {error.what}"
            return Pending(what, self.timing.poll(10))
        self._unavailable_since = None
        return outcome

    def sleep(self, seconds: float, enough: Callable[[], bool] = lambda: False) -> None:
        """Sleep in slices, with `keep_alive` after each, until the end or until `enough()`."""
        end = self.clock.monotonic() + seconds
        while not enough() and (left := end - self.clock.monotonic()) > TICK:
            self.clock.sleep(min(left, SLICE_SECONDS))
            self.keep_alive()

    def say(self, text: str, same: str) -> None:
        """Report a change at once, and what stays the same once every `timing.line_interval`."""
        said, at = self._said
        now = self.clock.monotonic()
        if said != same or now - at >= self.timing.line_interval:
            self._said = (same, now)
            self.tell(f"{moment(self.now())} {text}" if self.now else text)
