"""Findings about the probes and about the watchdog that puts them (C10).

A replica is known to follow while the newest round that is due has come through. A round that takes
longer than is normal is lag that grows; a round that was never put proves nothing.
"""

from __future__ import annotations

from replicator.buffers import STREAMS
from replicator.stream import StreamFacts
from replicator.watchdog.aws_states import iso
from replicator.watchdog.detectors import HEARTBEAT, PROBES, Level
from replicator.watchdog.finding import Expected, Finding, blind
from replicator.watchdog.readings import (
    SHARDS_CHANGED,
    SILENT_SECONDS,
    Intent,
    Probed,
    Readings,
    Unread,
)

THROTTLED = (
    "check the stream's WriteProvisionedThroughputExceeded; raise its capacity in the stack file, "
    "then pulumi up (an adopted stream's owner raises it)."
)
NOT_PUT = (
    "pulumi up --refresh restores the rights of the watchdog's and the observer's role; if that "
    "changes nothing, the watchdog's log says why."
)
WAIT = "`bootstrap status` in a few minutes; if it says the same, look into the watchdog's log."

NO_ROUND_YET = "it has recorded no round yet; its first is due within minutes of `pulumi up`"


def judge_probes(readings: Readings, expected: Expected) -> Finding:
    """Judge the rounds of probes; the gauge is the age of the newest that came through."""
    probed, intent, at = readings.probed, readings.intent, readings.at
    if isinstance(probed, Unread):
        return blind(PROBES, probed)
    if isinstance(intent, Intent) and not intent.caught_up:
        why = "the consumer is off on purpose" if intent.paused else "judged once it has caught up"
        return Finding(PROBES, Level.FINE, None, why)
    since = probed.through if probed.through is not None else probed.waiting_since
    age = 0.0 if since is None else max(0.0, at - since)
    outstanding = probed.outstanding(at)
    if outstanding is not None:
        return Finding(PROBES, PROBES.level, age, f"at least {_waited(probed, outstanding)}")
    if probed.throttled:
        detail = f"{age:.0f} s, and the stream throttled the latest probes"
        return Finding(PROBES, Level.UNKNOWN, age, detail, remedy=THROTTLED)
    if probed.not_put:
        detail = f"{age:.0f} s, and the latest probes could not be put: {probed.not_put}"
        remedy = WAIT if probed.not_put == SHARDS_CHANGED else NOT_PUT
        return Finding(PROBES, Level.UNKNOWN, age, detail, remedy=remedy)
    if age <= SILENT_SECONDS:
        return Finding(PROBES, Level.FINE, age, f"{age:.0f} s")
    detail = f"unknown: the newest probes that came through were put {age:.0f} s ago"
    if probed.silent(at):
        detail += ", and the watchdog has put none since"
        return Finding(PROBES, Level.UNKNOWN, age, detail, remedy=HEARTBEAT.first)
    if age >= expected.probes_late_seconds:
        return Finding(PROBES, PROBES.level, age, f"{age:.0f} s")
    return Finding(PROBES, Level.UNKNOWN, age, detail, remedy=WAIT)


def _waited(probed: Probed, outstanding: float) -> str:
    put = iso(probed.waiting_since or 0.0)
    text = f"{outstanding:.0f} s, and growing: the probes put at {put} have not come through"
    if probed.not_put:
        text += f", and later ones could not be put: {probed.not_put}"
    return text


def judge_heartbeat(readings: Readings, expected: Expected) -> Finding:
    """Judge the watchdog's own heartbeat. It is recorded beside the probes, at the end of a round.

    A watchdog that cannot record its rounds counts as silent: what it found reaches no reader.
    """
    probed, stream, at = readings.probed, readings.stream, readings.at
    if isinstance(probed, Unread):
        return blind(HEARTBEAT, probed)
    if probed.last_sign is None:
        young = isinstance(stream, StreamFacts) and at - stream.created <= SILENT_SECONDS
        if young:
            return Finding(HEARTBEAT, Level.FINE, None, "its first round is due")
        intent = readings.intent
        age_unknown = expected.adopted_stream or expected.buffer == STREAMS
        if age_unknown and isinstance(intent, Intent) and intent.counted_from is None:
            # No stream is as old as the stack: nothing read here says for how long it is due.
            return Finding(HEARTBEAT, Level.UNKNOWN, None, NO_ROUND_YET, remedy=WAIT)
        return Finding(HEARTBEAT, HEARTBEAT.level, 0.0, "silent: it has never recorded a round")
    age = max(0.0, at - probed.last_sign)
    if not probed.silent(at):
        return Finding(HEARTBEAT, Level.FINE, 1.0, f"{age:.0f} s ago")
    detail = f"silent for {age:.0f} s: its last round was at {iso(probed.last_sign)}"
    return Finding(HEARTBEAT, HEARTBEAT.level, 0.0, detail)
