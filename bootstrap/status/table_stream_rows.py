"""Rows of `status` about a table whose buffer is its own stream, which forgets within a day."""

from __future__ import annotations

from bootstrap.core.formatting import duration, moment
from bootstrap.status.snapshot import StatusSnapshot
from replicator.watchdog.backlog import KEPT_HOURS, KEPT_SECONDS


def waiting_changes(shown: StatusSnapshot) -> str:
    """Say how far the consumer is behind, as far as that is known."""
    backlog = shown.backlog
    if backlog is None:
        return "what waits could not be read"
    if backlog.since is not None:
        return f"changes have waited for {duration(backlog.waited(shown.at))}"
    if backlog.doubtful is not None:
        return (
            f"unknown since {moment(backlog.doubtful)}: the source took writes, and nothing proves "
            "that the consumer is through with them"
        )
    if backlog.lag is not None:
        return f"at most {backlog.lag:.1f} s in the last ten minutes, by Lambda's iterator age"
    return "nothing waits: nothing has been written that the consumer has not ended"


def kept_changes(shown: StatusSnapshot) -> str:
    """Say when the stream forgets the first unread change."""
    kept = f"the table's own stream keeps changes for {duration(KEPT_SECONDS)}, and costs nothing"
    backlog = shown.backlog
    if backlog is None:
        return f"{kept}; what waits in it could not be read"
    if backlog.known_to is None:
        return f"{kept}; no snapshot yet"
    if shown.forgotten_from is None or shown.hours_left is None:
        return f"{kept}; no unread change is known"
    if not shown.hours_left:
        return f"{kept}; it has forgotten unread changes since {moment(shown.forgotten_from)}"
    return (
        f"{kept}; {shown.hours_left:.1f} of {KEPT_HOURS} hours are left until it forgets the first "
        f"unread change, at {moment(shown.forgotten_from)}"
    )


def resume_by(covered_until: float, left: float) -> str:
    """Say by when a pause has to end; `left`: seconds until then."""
    return (
        f"resume by {moment(covered_until)} ({duration(left)} more): from then on the table's "
        "stream forgets changes that the replica lacks, and a backlog takes time, too"
    )
