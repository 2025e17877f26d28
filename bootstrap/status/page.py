"""The page that `status` prints for a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bootstrap.core.facts import INCOMING_BYTES
from bootstrap.core.formatting import duration, moment, number, size
from bootstrap.core.state import PRIMARIES, REPLICAS, State
from bootstrap.plan.prices import AS_OF
from bootstrap.status.metrics import YOUNG
from bootstrap.status.progress_bar import bar
from bootstrap.status.render import measured_text, sentence
from bootstrap.status.snapshot import StatusSnapshot
from bootstrap.status.switch_rows import nothing_next, switch_rows
from bootstrap.status.table_stream_rows import kept_changes, resume_by, waiting_changes
from replicator import names
from replicator.buffers import KINESIS
from replicator.stream import StreamFacts
from replicator.watchdog.detectors import BUFFER, Level

Rows = Sequence[tuple[str, str]]
BAR = "bar"
"""The row of the progress bar: for terminals only, and shown without its name."""


def page(shown: StatusSnapshot, *, bars: bool = False) -> str:
    """Render every row that applies. `bars`: for a terminal."""
    rows = [row for section in PAGE for row in section(shown) if bars or row[0] != BAR]
    return "\n".join(f"{'' if name == BAR else name:13} {value}" for name, value in rows)


def _row(name: str, text_of: Callable[[StatusSnapshot], str]) -> Callable[[StatusSnapshot], Rows]:
    """Make a section of one row, left out where its text is empty."""

    def section(shown: StatusSnapshot) -> Rows:
        text = text_of(shown)
        return [(name, text)] if text else []

    return section


def _next(shown: StatusSnapshot) -> str:
    if shown.next is not None:
        return shown.next
    if shown.decision:
        return f"your decision: {shown.decision}"
    if shown.switch is not None and shown.state in PRIMARIES:
        return nothing_next(shown.switch)
    if shown.state not in (*REPLICAS, State.UNKNOWN):
        return "manual decision needed, see Try above"
    if shown.because:
        return "see Try above: the problems need your attention"
    if shown.unsafe or shown.warnings:
        return "nothing: the table replicates, but the problems above need your attention"
    return "nothing: the table replicates"


def _state(shown: StatusSnapshot) -> str:
    step = shown.switch.step if shown.switch is not None else ""
    state = f"{shown.state} ({step})" if step else f"{shown.state}"
    if not shown.since:
        return state
    return f"{state} since {moment(shown.since)} ({duration(shown.at - shown.since)})"


def _because(shown: StatusSnapshot) -> str:
    return _group_reasons(shown.because)


def _consumer(shown: StatusSnapshot) -> str:
    state = shown.mapping or "unknown"
    return f"{state}; Lambda reports: {shown.lambda_reports}" if shown.lambda_reports else state


def _caught_up(shown: StatusSnapshot) -> str:
    done = shown.caught_up
    if done is None:
        return ""
    to = f"to {moment(done.moment)}"
    return f"{to}; probes took {done.round_trip:.1f} s" if shown.buffer == KINESIS else to


def _failure(shown: StatusSnapshot) -> Rows:
    failure = shown.failure
    if failure is None:
        return []
    return [
        ("failed in", f"{failure.step}: {failure.what}"),
        ("Try", shown.typed(failure.fix)),
    ]


def _warnings(shown: StatusSnapshot) -> Rows:
    return [("warning", each) for each in shown.warnings]


def _detectors(shown: StatusSnapshot) -> Rows:
    rows = []
    unread = [each for each in shown.findings if each.blind]
    for each in shown.findings:
        mark = "✓" if each.level is Level.FINE else str(each.level).upper()
        rows.append(("detector", f"{mark:7} {each.detector.metric}: {each.detail}"))
        # Failed readings share one remedy: show it once, below the last of them.
        if each.level is not Level.FINE and each not in unread[:-1]:
            rows.append(("", f"        Try: {shown.typed(each.first)}"))
    return rows


def _switch(shown: StatusSnapshot) -> str:
    if shown.readings is None:
        return ""
    if shown.unsafe:
        return f"not safe, because {_group_reasons(shown.unsafe)}"
    return "no known problem; run `verify` first"


def _group_reasons(reasons: Sequence[str]) -> str:
    """Join texts of the form `name: why`, with all names of one reason together."""
    names: dict[str, list[str]] = {}
    for each in reasons:
        name, _, why = each.partition(": ")
        names.setdefault(why or each, []).append(name)
    return "; ".join(
        why if alike == [why] else f"{', '.join(alike)}: {why}" for why, alike in names.items()
    )


def _gap(shown: StatusSnapshot) -> Rows:
    if shown.gap is None:
        return []
    what, suggestion = shown.gap.lines
    return [("gap", what), ("", suggestion)]


def _lag(shown: StatusSnapshot) -> str:
    if shown.readings is None or shown.readings.primary:
        return ""
    lag, probes = shown.usage.lag, shown.probe_lag
    by_metric = "no change applied in the last hour, by the consumer's metric"
    if names.REPLICATION_LAG in shown.usage.unread:
        by_metric = "the consumer's metric could not be read"
    if lag is not None:
        by_metric = (
            f"p50 {lag.p50:.2f} s, p99 {lag.p99:.2f} s, by the consumer's metric since "
            f"{moment(lag.begin)}"
        )
    if shown.buffer != KINESIS:
        return f"{by_metric}; {waiting_changes(shown)}"
    by_probe = "no probes through yet"
    if shown.lag_grows:
        waited = duration(probes or 0.0)
        by_probe = f"at least {waited}, and growing, by probes that have not come through"
    elif probes is not None and shown.round_age is not None:
        put = f"put {duration(shown.round_age)} ago"
        by_probe = f"{probes:.1f} s, by the watchdog's latest probes, {put}"
    elif shown.probed_once:
        by_probe = "unknown now: no probes have come through lately"
    return f"{by_metric}; {by_probe}"


def _buffer(shown: StatusSnapshot) -> str:
    if shown.readings is None or shown.readings.primary:
        return ""
    if shown.buffer != KINESIS:
        return kept_changes(shown)
    stream = shown.readings.stream
    if not isinstance(stream, StreamFacts):
        return "could not be read"
    used, kept = shown.gauge(BUFFER.metric), shown.retention
    text = f"keeps changes for {duration(3600 * stream.retention_hours)}"
    if used is not None:
        text += f", of which the oldest unapplied one has used {100 * used:.1f} %"
    if kept is None:
        if shown.at - stream.created < YOUNG:
            return f"{text}; its cost is shown once the stream is {duration(YOUNG)} old"
        if INCOMING_BYTES in shown.usage.unread:
            return f"{text}; its cost is unknown: the metric {INCOMING_BYTES} could not be read"
        return f"{text}; its cost is unknown: CloudWatch has no {INCOMING_BYTES} of the stream"
    return (
        f"{text}; at {kept.gb_per_day:,.2f} GB a day it costs ${kept.now:,.2f} a month now, "
        f"${kept.full:,.2f} once it is full (list prices as of {AS_OF})"
    )


def _paused(shown: StatusSnapshot) -> str:
    if shown.paused is None:
        return ""
    since = f"since {moment(shown.paused.at)}"
    if shown.paused.resumed:
        return f"{since}, resumed {moment(shown.paused.resumed_at)}: the ledger keeps its entries"
    if shown.covered_until is None:
        return f"{since}; the stream's retention could not be read"
    left = shown.covered_until - shown.at
    if left <= 0:
        return f"{since}: longer than the stream keeps changes. The first ones are lost: verify"
    if shown.buffer != KINESIS:
        return f"{since}; {resume_by(shown.covered_until, left)}"
    return (
        f"{since}; the stream keeps the waiting changes until {moment(shown.covered_until)} "
        f"({duration(left)} more)"
    )


def _export(shown: StatusSnapshot) -> str:
    export = shown.export
    if export is None or not export.begun:
        return ""
    text = f"as of {moment(export.export_time)}"
    if export.done:
        return (
            f"{text}, {number(export.items or 0)} items, {size(export.size_bytes or 0)}: complete"
        )
    return f"{text}: {measured_text(shown) or 'running, its size is known at the end'}"


def _import(shown: StatusSnapshot) -> str:
    load = shown.import_
    if load is None or not load.arn:
        return ""
    if load.done:
        return f"{number(load.items or 0)} items: complete"
    return measured_text(shown) or "running"


PAGE: tuple[Callable[[StatusSnapshot], Rows], ...] = (
    _row("table", lambda shown: f"{shown.table} → {shown.target_table}"),
    _row("state", _state),
    _row("because", _because),
    _row("run", lambda shown: shown.run_id),
    _row("run by", lambda shown: shown.holder or "no process"),
    lambda shown: switch_rows(shown.switch),
    _row("waiting", sentence),
    _row(BAR, lambda shown: bar(shown.measure) if shown.waiting else ""),
    _row("export", _export),
    _row("import", _import),
    _row("consumer", _consumer),
    _row("paused", _paused),
    _row("caught up", _caught_up),
    _failure,
    _warnings,
    _row("lag", _lag),
    _row("buffer", _buffer),
    _detectors,
    _row("switch", _switch),
    _row("verified", lambda shown: shown.verification.text if shown.verification else ""),
    _gap,
    _row("next", _next),
)
