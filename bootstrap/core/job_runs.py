"""Runs of a verification's job on AWS Glue, and the protocol of what starts and follows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

SUCCEEDED, STOPPED, TIMEOUT = "SUCCEEDED", "STOPPED", "TIMEOUT"
ENDED = frozenset({SUCCEEDED, STOPPED, TIMEOUT, "FAILED", "ERROR", "EXPIRED"})
"""States in which a run stays (Glue API reference, JobRun, JobRunState)."""


@dataclass(frozen=True)
class JobRunFacts:
    """One run."""

    run_id: str
    state: str
    started: float
    """Epoch seconds of StartJobRun."""
    seconds: float = 0
    """Time for which the run has consumed resources: what Glue counts its price by."""
    timeout: int = 0
    """Minutes after which Glue stops it."""
    error: str = ""
    arguments: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def ended(self) -> bool:
        return self.state in ENDED

    @property
    def succeeded(self) -> bool:
        return self.state == SUCCEEDED


class JobRuns(Protocol):
    """The runs of one job. Every method may raise `AccountError` and its subclasses."""

    def start(self, arguments: Mapping[str, str], timeout: int) -> str | None:
        """Start a run that Glue stops after `timeout` minutes; return its id.

        None: as many runs as the account or the job may have at once are there. The call is made
        once: Glue takes no client token, and a repeated call would start a second run.
        """

    def describe(self, run_id: str) -> JobRunFacts | None:
        """Describe a run; None if Glue does not know it."""

    def find(self, argument: str, value: str, since: float) -> JobRunFacts | None:
        """Find the newest run that was started with this argument, not before `since` (epoch
        seconds).
        """

    def stop(self, run_id: str) -> None:
        """Ask Glue to stop a run, which takes a while. One that has ended is no error."""
