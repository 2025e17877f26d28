"""Findings: one round's readings, judged by every detector. No AWS call is made here.

The watchdog and `status` read both accounts in their own ways and judge with this module. A failed
reading gives an unknown finding, never a healthy one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from replicator import names
from replicator.aws_commands import table_option
from replicator.buffers import KINESIS
from replicator.stream import (
    BY_PARTITION_KEY,
    DESTINATION_STATES,
    STREAM_STATES,
    Destination,
    StreamFacts,
)
from replicator.watchdog.aws_states import iso
from replicator.watchdog.detectors import (
    BUFFER,
    DESTINATION,
    FAILURES,
    FOREIGN,
    PRECISION,
    QUARANTINE,
    SKIPPED,
    SOURCE,
    STREAM,
    TARGET,
    UNDELIVERED,
    UNREPLICATED,
    Detector,
    Level,
)
from replicator.watchdog.finding import Expected, Finding, blind, flag, not_known
from replicator.watchdog.phases import PhaseRule, phase_of, rules_of
from replicator.watchdog.probe_findings import judge_heartbeat, judge_probes
from replicator.watchdog.readings import Identity, Intent, Probed, Readings, Unread
from replicator.watchdog.resource_findings import (
    judge_bucket,
    judge_function,
    judge_mapping,
    judge_table,
)
from replicator.watchdog.switch_findings import judge_source_written, judge_unfinished
from replicator.watchdog.table_stream_findings import (
    enters_ours,
    judge_kept,
    judge_streamed_source,
    judge_table_stream,
    judge_unread,
)

HOUR = 3600.0
FOREIGN_SECONDS = 900.0
"""Seconds for which another table's record counts: its destination may be off since then."""


def judge(readings: Readings, expected: Expected) -> tuple[Finding, ...]:
    """Return one finding per detector of the buffer, in the order of `ALL`: the worst kinds of
    loss first."""
    rules = rules_of(phase_of(readings.intent), expected.buffer)
    judged = _judged if expected.buffer == KINESIS else _judged_of_table_stream
    return tuple(_in_phase(each, rules[each.detector]) for each in judged(readings, expected))


def _in_phase(finding: Finding, rule: PhaseRule) -> Finding:
    if rule.judged:
        return finding
    return Finding(finding.detector, Level.FINE, rule.value, f"off: {rule.because}")


def _judged(readings: Readings, expected: Expected) -> tuple[Finding, ...]:
    found = readings.destinations
    streams = None if isinstance(found, Unread) else flows(found, expected.stream_arn)
    return (
        judge_source_written(readings, streams=streams),
        judge_unfinished(readings),
        _with_source_advice(_destination(readings, expected), readings.source),
        judge_table(SOURCE, readings.source, readings.intent),
        _count(SKIPPED, readings.skipped),
        _undelivered(readings),
        judge_bucket(QUARANTINE, readings.quarantine),
        judge_bucket(FAILURES, readings.failures),
        judge_table(TARGET, readings.target, readings.intent),
        _foreign(readings, expected),
        _stream(readings.stream, expected),
        _precision(readings, expected),
        judge_mapping(readings, expected),
        judge_function(readings),
        _buffer(readings, expected),
        judge_probes(readings, expected),
        judge_heartbeat(readings, expected),
        _unreplicated(readings.unreplicated, expected),
    )


def _judged_of_table_stream(readings: Readings, expected: Expected) -> tuple[Finding, ...]:
    return (
        judge_source_written(readings, streams=enters_ours(readings)),
        judge_unfinished(readings),
        judge_table_stream(readings),
        judge_streamed_source(readings),
        _undelivered(readings),
        judge_bucket(QUARANTINE, readings.quarantine),
        judge_bucket(FAILURES, readings.failures),
        judge_table(TARGET, readings.target, readings.intent),
        judge_mapping(readings, expected),
        judge_function(readings),
        judge_kept(readings, expected),
        judge_unread(readings),
        judge_heartbeat(readings, expected),
    )


def gauges(readings: Readings, findings: Sequence[Finding]) -> dict[str, float]:
    """Return the metrics of a round. An unknown reading has none."""
    values = {
        finding.detector.metric: finding.value for finding in findings if finding.value is not None
    }
    values[names.READINGS_MISSED] = float(len(readings.missed))
    if not isinstance(readings.mapping, Unread):
        values[names.MAPPING_ENABLED] = float(
            readings.mapping is not None and readings.mapping.is_on
        )
    if isinstance(readings.probed, Probed) and readings.probed.lag is not None:
        values[names.PROBE_LAG] = readings.probed.lag
    return values


_FLOWING = ("ACTIVE", "UPDATING")


def _destination(readings: Readings, expected: Expected) -> Finding:
    found = readings.destinations
    if isinstance(found, Unread):
        return blind(DESTINATION, found)
    flowing = _flowing(found)
    here = [_named(each) for each in found if each.stream_arn == expected.stream_arn]
    status = ", ".join(here) or "none"
    if any(arn != expected.stream_arn for arn in flowing):
        status += ", and another stream gets them"
    now = expected.stream_arn in flowing
    new = [each for each in here if each not in DESTINATION_STATES]
    if new and not flowing:
        return not_known(DESTINATION, ", ".join(new))
    if now and readings.outage is not None:
        over = readings.outage
        until = readings.at if over.end is None else over.end
        detail = f"{status}, but it was not between {iso(over.begin)} and {iso(until)}"
        return Finding(DESTINATION, DESTINATION.level, float(now), detail)
    return flag(DESTINATION, now, status)


def _named(destination: Destination) -> str:
    """Return its status, with what AWS says of one that gets no changes."""
    if destination.status in _FLOWING or not destination.detail:
        return destination.status
    return f"{destination.status} ({destination.detail})"


def _with_source_advice(destination: Finding, source: Identity | Unread) -> Finding:
    """Give the advice about another source table for its destination, too: a table that was made
    again has none, and to enable it alone would hide what changed in between."""
    another = isinstance(source, Identity) and source.changed
    if not another or destination.blind or destination.level is Level.FINE:
        return destination
    return replace(destination, remedy=SOURCE.first)


def flows(destinations: Sequence[Destination], stream_arn: str) -> bool:
    """Return whether a table's changes go to this stream now."""
    return stream_arn in _flowing(destinations)


def _flowing(destinations: Sequence[Destination]) -> list[str]:
    # AWS lists former destinations too, in no documented order.
    return [each.stream_arn for each in destinations if each.status in _FLOWING]


def _precision(readings: Readings, expected: Expected) -> Finding:
    found = readings.destinations
    if isinstance(found, Unread):
        return blind(PRECISION, found)
    precisions = [
        each.precision or "MILLISECOND"
        for each in found
        if each.stream_arn == expected.stream_arn and each.status in _FLOWING
    ]
    # Without a destination there is no precision: another detector reports that.
    good = all(precision == "MICROSECOND" for precision in precisions)
    return flag(PRECISION, good, ", ".join(precisions))


def _foreign(readings: Readings, expected: Expected) -> Finding:
    rows = readings.foreign
    if expected.adopted_stream:
        return Finding(FOREIGN, Level.FINE, 0.0, "expected: the stream is an adopted one")
    if isinstance(rows, Unread):
        return blind(FOREIGN, rows)
    recent = [row for row in rows if readings.at - row.at / 1e6 < FOREIGN_SECONDS]
    if not recent:
        return Finding(FOREIGN, Level.FINE, 0.0, "none")
    recent.sort(key=lambda row: row.at, reverse=True)
    region = expected.stream_arn.split(":")[3]
    commands = [
        f"aws dynamodb disable-kinesis-streaming-destination {table_option(row.table)} "
        f"--stream-arn {expected.stream_arn} --region {region}"
        for row in recent
    ]
    remedy = "in the source account: " + "; ".join(commands)
    details = [
        f"about {row.count} from table {row.table}, the last at {iso(row.at / 1e6)} in "
        f"{row.shard_id} ({row.sequence_number})"
        for row in recent
    ]
    return Finding(FOREIGN, FOREIGN.level, float(len(recent)), "; ".join(details), remedy=remedy)


def _undelivered(readings: Readings) -> Finding:
    found, missing = readings.undelivered, readings.given_up
    if isinstance(found, Unread):
        return blind(UNDELIVERED, found)
    if not found.count and missing is None:
        return Finding(UNDELIVERED, Level.FINE, 0.0, "0")
    detail = f"{found.count}"
    if found.count:
        detail += f", between {iso(found.begin)} and {iso(found.end)}"
    if missing is not None:
        until = readings.at if missing.end is None else missing.end
        detail += f"; lost may be what was changed between {iso(missing.begin)} and {iso(until)}"
    return Finding(UNDELIVERED, UNDELIVERED.level, float(found.count), detail)


def _count(detector: Detector, count: int | Unread) -> Finding:
    if isinstance(count, Unread):
        return blind(detector, count)
    return Finding(detector, detector.level if count else Level.FINE, float(count), str(count))


def _stream(stream: StreamFacts | Unread | None, expected: Expected) -> Finding:
    if isinstance(stream, Unread):
        return blind(STREAM, stream)
    if stream is None:
        return flag(STREAM, False, "there is no such stream")
    if stream.status not in STREAM_STATES:
        return not_known(STREAM, stream.status)
    wrong = []
    if stream.status not in _FLOWING:
        wrong.append(stream.status)
    if stream.retention_hours < expected.retention_hours:
        wrong.append(f"keeps {stream.retention_hours} h, not {expected.retention_hours} h")
    if stream.record_kib < expected.record_kib:
        wrong.append(f"takes {stream.record_kib} KiB, not {expected.record_kib} KiB")
    if stream.distribution == "AUTO":
        wrong.append("ignores partition keys")
    elif stream.distribution != BY_PARTITION_KEY:
        wrong.append(
            f"distributes records by {stream.distribution}, which this version does not know"
        )
    return flag(STREAM, not wrong, "; ".join(wrong) or stream.status)


def _buffer(readings: Readings, expected: Expected) -> Finding:
    probed, stream = readings.probed, readings.stream
    if isinstance(probed, Unread):
        return blind(BUFFER, probed)
    if isinstance(stream, Unread):
        return blind(BUFFER, stream)
    if stream is None:
        return Finding(BUFFER, Level.UNKNOWN, None, "there is no such stream")
    if _nothing_counts(readings.intent, probed):
        return Finding(BUFFER, Level.FINE, 0.0, "no snapshot yet: it will have every change")
    waited = max(0.0, readings.at - oldest(readings.intent, probed, stream))
    share = waited / (stream.retention_hours * HOUR)
    level = BUFFER.level if share >= expected.buffer_share else Level.FINE
    detail = f"{share:.1%} of {stream.retention_hours} h"
    over = readings.overrun
    if over is not None:
        level = Level.LOSS
        until = "now" if over.end is None else iso(over.end)
        detail += f"; forgotten may be what was changed between {iso(over.begin)} and {until}"
    return Finding(BUFFER, level, share, detail)


def _nothing_counts(intent: Intent | Unread, probed: Probed) -> bool:
    """Tell whether no run has stored its floor yet: the age of an adopted stream says nothing."""
    if isinstance(intent, Unread) or intent.consuming or intent.replicating:
        return False
    return intent.counted_from is None and probed.through is None


def oldest(intent: Intent | Unread, probed: Probed, stream: StreamFacts) -> float:
    """Return since when changes may wait: older ones are applied, or in the snapshot."""
    # Every record before a probe that is through has ended.
    since = probed.through if probed.through is not None else stream.created
    known = intent.counted_from if isinstance(intent, Intent) else None
    return max(since, known or 0.0)


def _unreplicated(age: float | Unread, expected: Expected) -> Finding:
    if isinstance(age, Unread):
        return blind(UNREPLICATED, age)
    level = UNREPLICATED.level if age >= expected.unreplicated_seconds else Level.FINE
    return Finding(UNREPLICATED, level, age, f"{age:.0f} s")
