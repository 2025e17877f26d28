"""Promotions of several tables in one process: each waits while the others advance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bootstrap.core.errors import BootstrapError
from bootstrap.core.poller import SLICE_SECONDS
from bootstrap.cutover.promotion.promote import Promotion, PromotionResult, Steps
from replicator.runtime import Clock

Ended = tuple[Promotion, PromotionResult | BootstrapError]


def drive(promotions: Sequence[Promotion], clock: Clock, *, take_over: bool) -> Iterator[Ended]:
    """Advance all to their ends, and yield each as it ends. One that fails stops no other."""
    waiting: dict[Promotion, tuple[Steps, float]] = {
        each: (each.steps(take_over), clock.monotonic()) for each in promotions
    }
    try:
        while waiting:
            for each in list(waiting):
                steps, due = waiting[each]
                if due > clock.monotonic():
                    continue
                try:
                    pending = next(steps)
                except StopIteration as end:
                    del waiting[each]
                    yield each, end.value
                except BootstrapError as error:
                    del waiting[each]
                    yield each, error
                else:
                    waiting[each] = (steps, clock.monotonic() + pending.poll)
            _sleep(waiting, clock)
    finally:
        for steps, _ in waiting.values():
            steps.close()  # releases the lease


def _sleep(waiting: dict[Promotion, tuple[Steps, float]], clock: Clock) -> None:
    """Sleep until the next is due, and keep the leases of all."""
    if not waiting:
        return
    left = min(due for _, due in waiting.values()) - clock.monotonic()
    if left > 0:
        clock.sleep(min(left, SLICE_SECONDS))
    for each in waiting:
        each.keep_lease()
