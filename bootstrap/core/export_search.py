"""An export whose call may have been made: repeated by its token, or found by its time."""

from __future__ import annotations

from collections.abc import Callable

from bootstrap.core.errors import AccountError
from bootstrap.core.facts import ExportFacts

TOKEN_SECONDS = 7 * 3600
"""Seconds for which a repeated call is trusted to find the first one. AWS: a client token is valid
for eight hours (API reference, ExportTableToPointInTime); one is left for the call and for clocks.
"""
CLOCK_SKEW = 3600
"""Seconds by which the clock of an intention and that of an export's id may differ."""


def begin_window(intended_at: float) -> tuple[float, float]:
    """Return the earliest and the latest moment at which an intended export may have begun."""
    return intended_at - CLOCK_SKEW, intended_at + TOKEN_SECONDS + CLOCK_SKEW


def token_is_valid(intended_at: float, now: float) -> bool:
    """Tell whether a repeated call finds the export that the first one started."""
    return now - intended_at <= TOKEN_SECONDS


def start_or_find(
    start: Callable[[], ExportFacts | None], find: Callable[[], ExportFacts | None]
) -> ExportFacts | None:
    """Make the call, which finds its own export if it was made before. None: not accepted yet.

    That is one request, where a listing of a table that is exported every 15 minutes has hundreds
    of pages. `find` is for a call that differs from the first one, as after a change of the stack.
    """
    try:
        return start()
    except AccountError as error:
        if error.code != "ExportConflictException":
            raise
        found = find()
        if found is None:
            raise
        return found
