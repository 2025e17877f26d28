"""Findings about a table whose buffer is its own stream (C7, C10).

Such a stream takes no probe. The replica is known to follow while young batches end, or while the
source has taken no write since. A write of which nothing is known is in doubt, and a doubt is never
healthy: what waits in doubt for a day counts as forgotten.
"""

from __future__ import annotations

from dataclasses import replace

from replicator.watchdog.aws_states import OwnStream, iso
from replicator.watchdog.backlog import KEPT_HOURS, KEPT_SECONDS, enters
from replicator.watchdog.detectors import (
    ANOTHER_STREAMED_SOURCE,
    BUFFER,
    SOURCE,
    TABLE_STREAM,
    UNREAD,
    Level,
)
from replicator.watchdog.finding import UNREAD_SECONDS, Expected, Finding, blind, flag
from replicator.watchdog.readings import Backlog, Identity, Intent, Readings, Unread
from replicator.watchdog.resource_findings import judge_table

IN_DOUBT = (
    "change any item of the source: that it ends shows that the consumer works. "
    "If `bootstrap status` says the same ten minutes later, look into the consumer's log, errors "
    "and throttles; `python -m bootstrap run` proves that each shard is through."
)
NOT_PROVED = (
    "`python -m bootstrap run`, which reads the stream and proves that each shard is through."
)
NO_SNAPSHOT = "no snapshot yet: it will have every change"


def judge_streamed_source(readings: Readings) -> Finding:
    """Judge the source table. One in its place has a stream of its own, which nothing reads."""
    found = judge_table(SOURCE, readings.source, readings.intent)
    identity = readings.source
    another = isinstance(identity, Identity) and identity.changed
    return replace(found, remedy=ANOTHER_STREAMED_SOURCE) if another else found


def enters_ours(readings: Readings) -> bool | None:
    """Return whether changes enter the stream that the consumer reads; None: unknown."""
    intent, source = readings.intent, readings.source
    if isinstance(intent, Unread) or isinstance(source, Unread):
        return None
    return enters(source.now, intent.stream)


def judge_table_stream(readings: Readings) -> Finding:
    """Judge whether the table's stream is the one that the consumer reads; the gauge is 1 if so."""
    intent, source = readings.intent, readings.source
    for each in (intent, source):
        if isinstance(each, Unread):
            return blind(TABLE_STREAM, each)
    assert isinstance(intent, Intent) and isinstance(source, Identity)
    if not intent.stream:
        if intent.consuming or intent.replicating:
            return flag(TABLE_STREAM, False, "the settings row names no stream")
        return Finding(TABLE_STREAM, Level.FINE, 1.0, "the bootstrap has not switched it on yet")
    stream = OwnStream() if source.now is None else source.now.stream
    if not enters(source.now, intent.stream):
        found = flag(TABLE_STREAM, False, _difference(stream, intent.stream))
        return replace(found, remedy=ANOTHER_STREAMED_SOURCE) if source.changed else found
    over = readings.outage
    if over is not None:
        until = readings.at if over.end is None else over.end
        detail = (
            f"on since {label(stream.arn)}, but changes entered no stream that the consumer reads "
            f"between {iso(over.begin)} and {iso(until)}"
        )
        return Finding(TABLE_STREAM, TABLE_STREAM.level, 1.0, detail)
    return flag(TABLE_STREAM, True, f"on since {label(stream.arn)}")


def _difference(stream: OwnStream, ours: str) -> str:
    if not stream.arn:
        return f"the table has none; that of {label(ours)} was the consumer's"
    if stream.arn == ours:
        return f"the stream of {label(ours)} is off"
    state = "on" if stream.on else "off"
    return (
        f"another one, of {label(stream.arn)}, is {state}; that of {label(ours)} is the consumer's"
    )


def label(arn: str) -> str:
    """Return a stream's label: when it was switched on, as the last part of its ARN says."""
    return arn.rpartition("/")[2]


def judge_unread(readings: Readings) -> Finding:
    """Judge for how long changes wait; the gauge is that age in seconds, also during a pause."""
    backlog, intent, at = readings.backlog, readings.intent, readings.at
    if isinstance(backlog, Unread):
        return blind(UNREAD, backlog)
    if backlog is None:
        return blind(UNREAD, Unread("it was not read"))
    if backlog.known_to is None:
        return Finding(UNREAD, Level.FINE, 0.0, NO_SNAPSHOT)
    if isinstance(intent, Intent) and not intent.replicating:
        # `BufferUsed` counts: the consumer has a day, and was off at first on purpose.
        return Finding(UNREAD, Level.FINE, 0.0, "the replica has not caught up for the first time")
    waited = backlog.waited(at)
    follows = isinstance(intent, Unread) or intent.caught_up
    if backlog.since is not None and backlog.oldest is not None:
        detail = (
            f"{waited:.0f} s: what was changed since {iso(backlog.oldest)} waits; {_kept(backlog)}"
        )
        late = follows or waited >= UNREAD_SECONDS
        return Finding(UNREAD, UNREAD.level if late else Level.FINE, waited, detail)
    if backlog.doubtful is not None:
        after_pause = backlog.held is not None and backlog.held <= backlog.doubtful
        why = (
            "the mapping was off then, and nothing proves that every shard is through"
            if after_pause
            else "no batch is known to have ended that had them; either they changed nothing, or "
            "their changes wait"
        )
        detail = (
            f"unknown: the source has taken writes since {iso(backlog.doubtful)}, and {why}; "
            f"{_kept(backlog)}"
        )
        level = Level.UNKNOWN if follows else Level.FINE
        return Finding(
            UNREAD, level, waited, detail, remedy=NOT_PROVED if after_pause else IN_DOUBT
        )
    behind = backlog.lag or 0.0
    received = f"{behind:.0f} s" if backlog.lag is not None else "nothing has been written lately"
    return Finding(UNREAD, Level.FINE, behind, received)


def _kept(backlog: Backlog) -> str:
    return f"the stream forgets it from {iso((backlog.oldest or 0.0) + KEPT_SECONDS)} on"


def judge_kept(readings: Readings, expected: Expected) -> Finding:
    """Judge how much of the stream's 24 hours the oldest change has used that waits, or may."""
    backlog = readings.backlog
    if isinstance(backlog, Unread):
        return blind(BUFFER, backlog)
    if backlog is None:
        return blind(BUFFER, Unread("it was not read"))
    if backlog.known_to is None:
        return Finding(BUFFER, Level.FINE, 0.0, NO_SNAPSHOT)
    share = backlog.waited(readings.at) / KEPT_SECONDS
    level = BUFFER.level if share >= expected.buffer_share else Level.FINE
    detail = f"{share:.1%} of {KEPT_HOURS} h"
    over = readings.overrun
    if over is not None:
        level = Level.LOSS
        until = "now" if over.end is None else iso(over.end)
        detail += f"; forgotten may be what was changed between {iso(over.begin)} and {until}"
    return Finding(BUFFER, level, share, detail)
