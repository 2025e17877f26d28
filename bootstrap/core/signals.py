"""Ctrl-C and SIGTERM: both end a command at any point."""

from __future__ import annotations

import contextlib
import signal
import sys
import time
from types import FrameType

from replicator.runtime import SystemClock

_asked: int | None = None
"""The signal."""
_usual = sys.unraisablehook


def listen() -> None:
    """Make SIGINT and SIGTERM raise KeyboardInterrupt, and remember the signal."""
    global _asked, _usual
    _asked = None
    if sys.unraisablehook is not _report:
        _usual, sys.unraisablehook = sys.unraisablehook, _report
    with contextlib.suppress(ValueError):  # only the main thread can set handlers
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _interrupt)


def check() -> None:
    """Raise KeyboardInterrupt if a signal has arrived.

    Call it before a wait: Python drops an exception that a signal raises within a finalizer
    ("Exception ignored in").
    """
    if _asked:
        raise KeyboardInterrupt


def by_hand() -> bool:
    """Tell whether Ctrl-C was pressed, rather than another program's signal sent."""
    return _asked in (None, signal.SIGINT)


class InterruptibleClock(SystemClock):
    """The machine's time for a process that an operator watches, and may interrupt.

    It is never compared with AWS's time, which comes from AWS's answers.
    """

    def monotonic(self) -> float:
        # Python's own clock does not count a laptop's sleep. A lease expires during it.
        return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))

    def sleep(self, seconds: float) -> None:
        check()
        super().sleep(seconds)


def _interrupt(number: int, frame: FrameType | None) -> None:
    global _asked
    _asked = number
    raise KeyboardInterrupt


def _report(unraisable: sys.UnraisableHookArgs) -> None:
    """Report an exception that Python dropped, unless `check` will raise it again."""
    if not (_asked and unraisable.exc_type is KeyboardInterrupt):
        _usual(unraisable)
