"""Where a table stands: one value, computed once, that every rendering shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from bootstrap.core.facts import EventSource, Measure, Usage
from bootstrap.core.formatting import instant
from bootstrap.core.journal_rows import Event, Row, RunFailure, WaitReason
from bootstrap.core.state import REPLICAS, State
from bootstrap.core.suggestions import GENERIC, completed
from bootstrap.journal.records import (
    Abandoning,
    CaughtUp,
    Configured,
    Enabled,
    Exported,
    Imported,
    Paused,
    Skipped,
)
from bootstrap.plan.cost_model import AS_OF
from bootstrap.status import data_loss
from bootstrap.status.data_loss import KnownLosses
from bootstrap.status.metrics import Retention, retention
from bootstrap.status.progress_bar import remaining, share
from replicator.watchdog.detectors import (
    BUFFER,
    FAILURES,
    QUARANTINE,
    UNREPLICATED,
    Finding,
    Level,
    Probed,
    Readings,
    Stream,
)
from replicator.watchdog.probe_rounds import WatchdogState

RUN = "run"
RESUME = "resume"
PAUSE = "pause"
STATUS = "status"
ABANDON = "abandon"
EXPORT, IMPORT = "export", "import"
"""Steps that are paid for."""
PAID_ATTEMPTS = 2
"""Unasked, as many exports or imports are tried as this."""
DISCARD = "--discard-failed-import"


@dataclass(frozen=True)
class StatusSnapshot:
    """A table at a moment. Moments are epoch seconds by AWS's clock."""

    table: str
    target_table: str
    at: float
    state: State
    since: float | None
    run_id: str
    holder: str
    """The process that works on it; empty if none does."""
    history: tuple[tuple[State, float], ...]
    steps: tuple[tuple[str, bool], ...]
    """Each step and whether it is done."""
    waiting: WaitReason | None
    measure: Measure | None
    mapping: str
    """State of the event source mapping; empty if it is unknown."""
    next: str | None
    """The command that brings the table further; None if it is where it is to be, or if it takes a
    decision."""
    export: Exported | None
    import_: Imported | None
    caught_up: CaughtUp | None
    failure: RunFailure | None
    skipped: Skipped | None = None
    paused: Paused | None = None
    covered_until: float | None = None
    """While it is paused: when the stream forgets the first change that waits."""
    warnings: tuple[str, ...] = ()
    readings: Readings | None = None
    """What the loss detectors judged; None where they were not read."""
    findings: tuple[Finding, ...] = ()
    usage: Usage = field(default_factory=Usage)
    command: str = GENERIC
    """The template of command lines about this table."""

    def typed(self, text: str) -> str:
        """A text whose commands can be typed as they stand."""
        return completed(text, self.command)

    @property
    def mapping_enabled(self) -> bool:
        return self.mapping == "Enabled"

    @property
    def safe_to_switch(self) -> bool | None:
        """Whether nothing known stands against a switch; None where the detectors were not read."""
        return None if self.readings is None else not self.unsafe

    @property
    def unsafe(self) -> tuple[str, ...]:
        """Why a switch would not be safe now."""
        reasons = []
        if self.state is not State.REPLICATING:
            reasons.append(f"the table is {self.state}, not {State.REPLICATING}")
        if self.mapping != "Enabled":
            reasons.append(f"the consumer is {self.mapping or 'unknown'}, not Enabled")
        reasons += [
            f"{each.detector.metric}: {each.detail}"
            for each in self.findings
            if each.level is not Level.FINE
        ]
        return tuple(reasons)

    def gauge(self, metric: str) -> float | None:
        """What a detector reads; None where it is unknown or does not apply."""
        values = (each.value for each in self.findings if each.detector.metric == metric)
        return next(values, None)

    @property
    def probe_lag(self) -> float | None:
        """Seconds that the watchdog's latest probes took."""
        probed = self.readings.probed if self.readings else None
        return probed.lag if isinstance(probed, Probed) else None

    @property
    def retention(self) -> Retention | None:
        """What the stream keeps and costs; None where that is unknown."""
        stream = self.readings.stream if self.readings else None
        if not isinstance(stream, Stream) or self.usage.stream_bytes is None:
            return None
        age = self.at - stream.created
        return retention(stream.retention_hours, age, self.usage.stream_bytes)


def snapshot(
    table: str,
    target_table: str,
    row: Row,
    history: Sequence[Event],
    *,
    at: float,
    holder: str,
    command: str,
    mapping: EventSource | None = None,
    measure: Measure | None = None,
    waiting: WaitReason | None = None,
    retention_hours: int | None = None,
    readings: Readings | None = None,
    findings: Sequence[Finding] = (),
    usage: Usage | None = None,
    lost: KnownLosses | None = None,
) -> StatusSnapshot:
    """Puts a snapshot together from the journal's row and what was observed beside it.

    `command` is the command line up to the sub-command's options, with {} for the sub-command.
    `lost` None: nobody has asked whether what was lost has been put in.
    """
    asked = lost is not None
    if lost is None:
        lost = data_loss.known(row.record, WatchdogState())
    state, paused = row.state, row.record(Paused)
    covered = None
    if paused is not None and not paused.resumed and retention_hours is not None:
        covered = paused.at + 3600 * retention_hours
    return StatusSnapshot(
        table=table,
        target_table=target_table,
        at=at,
        state=state,
        since=row.since or None,
        run_id=row.run_id,
        holder=holder,
        history=_states(history),
        steps=_steps(row),
        waiting=waiting or (row.waiting if holder else None),
        measure=measure,
        mapping=mapping.state if mapping else "",
        next=_next(row, holder, mapping, command, mended=asked and not lost.any),
        export=row.record(Exported),
        import_=row.record(Imported),
        caught_up=row.record(CaughtUp),
        failure=row.failure,
        skipped=row.record(Skipped),
        paused=paused,
        covered_until=covered,
        warnings=tuple(completed(each, command) for each in _warnings(row, mapping, lost)),
        readings=readings,
        findings=tuple(findings),
        usage=usage or Usage(),
        command=command,
    )


def _states(history: Sequence[Event]) -> tuple[tuple[State, float], ...]:
    """The changes of state among the events."""
    changes: list[tuple[State, float]] = []
    for event in history:
        if not changes or changes[-1][0] is not event.state:
            changes.append((event.state, event.at))
    return tuple(changes)


def _steps(row: Row) -> tuple[tuple[str, bool], ...]:
    exported, imported = row.record(Exported), row.record(Imported)
    return (
        ("buffer", exported is not None and exported.begun),
        ("export", exported is not None and exported.done),
        ("import", imported is not None and imported.done),
        ("settings", row.record(Configured) is not None),
        ("enable", row.record(Enabled) is not None),
        ("catch-up", row.record(CaughtUp) is not None),
    )


def _next(
    row: Row, holder: str, mapping: EventSource | None, command: str, *, mended: bool
) -> str | None:
    state, paused = row.state, row.record(Paused)
    if holder:
        return command.format(STATUS)
    if row.record(Abandoning) is not None:
        # It was agreed to when it began, and nothing else goes on from here.
        return f"{command.format(ABANDON)} --yes"
    if paused is not None:
        half_way = row.failure is not None and row.failure.step == PAUSE
        return command.format(PAUSE if half_way else RESUME)
    stopped = mapping is not None and not mapping.running
    if state in REPLICAS and not stopped:
        # What was missing has been put in: a run takes note of it.
        return command.format(RUN) if state is State.DEGRADED and mended else None
    return _mending(row, command) if row.failure is not None else command.format(RUN)


def _mending(row: Row, command: str) -> str | None:
    """What goes on from a failure and loses nothing; None where it takes a decision.

    A failed import is made again from the same export, its table deleted: what that table held is
    in the snapshot. To go on without what an import refused is for a human to decide, and so is it
    to pay once more for what has failed twice.
    """
    failure = row.failure
    assert failure is not None
    if not failure.resumable:
        return None
    for step, tried in ((EXPORT, row.record(Exported)), (IMPORT, row.record(Imported))):
        if failure.step == step and tried is not None and tried.failure:
            if tried.attempt >= PAID_ATTEMPTS:
                return None
            return command.format(RUN) + (f" {DISCARD}" if step == IMPORT else "")
    return command.format(RUN)


def _warnings(row: Row, mapping: EventSource | None, lost: KnownLosses) -> tuple[str, ...]:
    warnings = list(lost.warnings)
    exported, imported = row.record(Exported), row.record(Imported)
    counted = exported.items if exported else None
    loaded = imported.items if imported and imported.done and not imported.refused else counted
    if counted is not None and loaded != counted:
        warnings.append(
            f"the export holds {counted} items, and {loaded} were imported: "
            "python -m bootstrap verify --repair"
        )
    if row.state in REPLICAS and mapping is not None and not mapping.running:
        warnings.append(f"the consumer is off: its event source mapping is {mapping.state}")
    return tuple(warnings)


def as_json(shown: StatusSnapshot) -> dict[str, Any]:
    """The snapshot for machines. Members may be added; none changes its meaning."""
    export, load = shown.export, shown.import_
    lag, kept = shown.usage.lag, shown.retention
    return {
        "table": shown.table,
        "targetTable": shown.target_table,
        "at": instant(shown.at),
        "state": shown.state,
        "since": _moment(shown.since),
        "runId": shown.run_id or None,
        "holder": shown.holder or None,
        "history": [{"state": state, "at": instant(at)} for state, at in shown.history],
        "steps": [{"step": name, "done": done} for name, done in shown.steps],
        "progress": _measure_json(shown),
        "waitingFor": (
            {"what": shown.waiting.what, "since": instant(shown.waiting.since)}
            if shown.waiting
            else None
        ),
        "mappingEnabled": shown.mapping_enabled,
        "mappingState": shown.mapping or None,
        "exportArn": (export.arn if export else "") or None,
        "exportTime": _moment(export.export_time if export else None),
        "exportedItems": export.items if export else None,
        "exportedBytes": export.size_bytes if export else None,
        "importArn": (load.arn if load else "") or None,
        "importedItems": load.items if load else None,
        "caughtUpTo": _moment(shown.caught_up.moment if shown.caught_up else None),
        "probeSeconds": round(shown.caught_up.round_trip, 3) if shown.caught_up else None,
        "pausedSince": _moment(shown.paused.at if shown.paused else None),
        "bufferCoversUntil": _moment(shown.covered_until),
        "failure": (
            {
                "step": shown.failure.step,
                "what": shown.failure.what,
                "try": shown.typed(shown.failure.fix),
                "resumable": shown.failure.resumable,
            }
            if shown.failure
            else None
        ),
        "warnings": list(shown.warnings),
        "detectors": [
            {
                "metric": each.detector.metric,
                "level": each.level,
                "value": each.value,
                "detail": each.detail,
                "try": shown.typed(each.first) if each.level is not Level.FINE else None,
            }
            for each in shown.findings
        ],
        "quarantined": shown.gauge(QUARANTINE.metric),
        "onFailureObjects": shown.gauge(FAILURES.metric),
        "bufferUsed": shown.gauge(BUFFER.metric),
        "lag": {
            "probeSeconds": shown.probe_lag,
            "metricP50Seconds": lag.p50 if lag else None,
            "metricP99Seconds": lag.p99 if lag else None,
            "metricSince": _moment(lag.begin if lag else None),
            "unreplicatedSeconds": shown.gauge(UNREPLICATED.metric),
        },
        "retention": (
            {
                "hours": kept.hours,
                "gbPerDay": round(kept.gb_per_day, 3),
                "monthlyUsdNow": round(kept.now, 2),
                "monthlyUsdFull": round(kept.full, 2),
                "pricesAsOf": AS_OF,
            }
            if kept
            else None
        ),
        "safeToSwitch": shown.safe_to_switch,
        "notSafeBecause": list(shown.unsafe) if shown.readings else None,
        "next": shown.next,
    }


def _measure_json(shown: StatusSnapshot) -> dict[str, Any] | None:
    measure = shown.measure
    if measure is None:
        return None
    since = measure.since
    return {
        "unit": measure.unit,
        "items": measure.items,
        "ofItems": measure.of_items,
        "bytes": measure.size_bytes,
        "ofBytes": measure.of_bytes,
        "share": share(measure),
        "secondsLeft": remaining(measure, shown.at),
        "since": _moment(since),
        "elapsedSeconds": None if since is None else round(max(0.0, shown.at - since), 1),
    }


def _moment(at: float | None) -> str | None:
    return instant(at) if at else None
