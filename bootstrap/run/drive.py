"""The loop over all runs of a process: each advances in turn until the last one has ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bootstrap.core.durations import Timing
from bootstrap.core.errors import BootstrapError, LeaseLostError
from bootstrap.core.outcome import Done, Pending
from bootstrap.core.poller import Poller
from bootstrap.run.runner import TableRunner
from bootstrap.status.snapshot import StatusSnapshot
from replicator.runtime import Clock

Report = Callable[[Sequence[StatusSnapshot]], None]


def drive(
    runs: Sequence[TableRunner], clock: Clock, timing: Timing, report: Report
) -> list[tuple[TableRunner, BootstrapError]]:
    """Advance all started runs, in turn, until each is done, has failed or need not be waited for.

    Return the runs that failed, or still run, with the reason. Every lease is released.
    """
    active = list(runs)
    ended: list[tuple[TableRunner, BootstrapError]] = []

    def end(run: TableRunner, error: BootstrapError | None = None) -> None:
        # At once, and not with the last table: `status` then shows that no process holds this one.
        active.remove(run)
        run.stop()
        if error is not None:
            ended.append((run, error))

    def keep_alive() -> None:
        for run in list(active):
            try:
                run.keep_lease()
            except LeaseLostError as error:
                end(run, error)  # that table's, and no other's
        report([run.snapshot() for run in runs])

    poller = Poller(clock, timing, keep_alive)
    try:
        while active:
            polls: list[float] = []
            for run in list(active):
                try:
                    outcome = run.tick()
                except BootstrapError as error:
                    end(run, error)
                    continue
                if isinstance(outcome, Done):
                    end(run, run.shortfall())
                elif isinstance(outcome, Pending) and outcome.outlasts and not run.waits:
                    end(run, run.still_running(outcome))
                else:
                    polls.append(outcome.poll if isinstance(outcome, Pending) else 0)
            report([run.snapshot() for run in runs])
            if active:
                poller.sleep(min(polls), enough=lambda: not active)
    finally:
        for run in runs:
            run.stop()
    return ended
