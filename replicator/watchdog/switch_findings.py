"""Findings about a switch that has not ended, and about an old source that is still written to."""

from __future__ import annotations

from replicator.watchdog.aws_states import iso
from replicator.watchdog.detectors import SOURCE_WRITTEN, SWITCH_UNFINISHED, Level
from replicator.watchdog.finding import Finding, blind
from replicator.watchdog.readings import Intent, Readings, Unread

CLOSED_SECONDS = 1_800.0
"""A closed gate for so long: a switch that lives commits, or cancels itself, within minutes."""
ARMED_SECONDS = 7_200.0
"""The same before the gate: it takes ten minutes until the source closes, then its timeout."""


def judge_unfinished(readings: Readings) -> Finding:
    """Judge for how long a switch has been under way; the gauge is 1 if that is too long."""
    if isinstance(readings.intent, Unread):
        return blind(SWITCH_UNFINISHED, readings.intent)
    attempt = readings.attempt
    if isinstance(attempt, Unread):
        return blind(SWITCH_UNFINISHED, attempt)
    if attempt is None:
        return Finding(SWITCH_UNFINISHED, Level.FINE, 0.0, "none is under way")
    at, closed = readings.at, attempt.closed_since
    text = f"{attempt.nonce}, seen since {iso(attempt.since)}"
    if closed is not None:
        text += f", with the consumer closed since {iso(closed)}"
    late = closed is not None and at - closed >= CLOSED_SECONDS
    late = late or at - attempt.since >= ARMED_SECONDS
    level = SWITCH_UNFINISHED.level if late else Level.FINE
    return Finding(SWITCH_UNFINISHED, level, float(late), text)


def judge_source_written(readings: Readings, *, streams: bool | None) -> Finding:
    """Judge whether the old source was written to; the gauge is 1 if it was.

    `streams`: its changes still go to this stack's stream; None: unknown. The watch ends with that,
    and with `switch --finish`, which leaves a destination of others on.
    """
    if isinstance(readings.intent, Unread):
        return blind(SOURCE_WRITTEN, readings.intent)
    if not readings.primary:
        return Finding(SOURCE_WRITTEN, Level.FINE, 0.0, "the target is no primary")
    if isinstance(readings.intent, Intent) and readings.intent.finished:
        return Finding(SOURCE_WRITTEN, Level.FINE, 0.0, "the switch is finished, and the watch")
    if streams is False:
        return Finding(SOURCE_WRITTEN, Level.FINE, 0.0, "the old source streams no more")
    found = readings.written
    if isinstance(found, Unread):
        return blind(SOURCE_WRITTEN, found)
    if found is None:
        return blind(SOURCE_WRITTEN, Unread("it was not read"))
    wrong = []
    if found.units:
        wrong.append(f"{found.units:.0f} write units since {iso(found.begin)}")
    if found.was_denied and found.denied is False:
        wrong.append("the Deny of this tool is gone from its policy")
    if wrong:
        return Finding(SOURCE_WRITTEN, SOURCE_WRITTEN.level, 1.0, "; ".join(wrong))
    if found.was_denied and found.denied is None:
        detail = f"no write units since {iso(found.begin)}, but its policy could not be read"
        return Finding(SOURCE_WRITTEN, Level.UNKNOWN, 0.0, detail, blind=True)
    return Finding(SOURCE_WRITTEN, Level.FINE, 0.0, f"no write units since {iso(found.begin)}")
