"""A status snapshot as JSON. Members may be added; none changes its meaning."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bootstrap.core.formatting import instant
from bootstrap.journal.load_records import BulkLoad
from bootstrap.plan.prices import AS_OF
from bootstrap.status.progress_bar import remaining, share
from bootstrap.status.snapshot import StatusSnapshot
from bootstrap.status.switch_rows import promotion_json, switch_json
from replicator.watchdog.detectors import BUFFER, FAILURES, QUARANTINE, UNREPLICATED, Level


def as_json(shown: StatusSnapshot) -> dict[str, Any]:
    """Return every member; `verification` and `gap` only where the last verification was read."""
    members = MEMBERS if shown.verification is None else MEMBERS | READ_MEMBERS
    return {name: value(shown) for name, value in members.items()}


def _optional_instant(at: float | None) -> str | None:
    return instant(at) if at else None


def _progress(shown: StatusSnapshot) -> dict[str, Any] | None:
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
        "since": _optional_instant(since),
        "elapsedSeconds": None if since is None else round(max(0.0, shown.at - since), 1),
    }


def _waiting(shown: StatusSnapshot) -> dict[str, Any] | None:
    waiting = shown.waiting
    return {"what": waiting.what, "since": instant(waiting.since)} if waiting else None


def _failure(shown: StatusSnapshot) -> dict[str, Any] | None:
    failure = shown.failure
    if failure is None:
        return None
    return {
        "step": failure.step,
        "what": failure.what,
        "try": shown.typed(failure.fix),
        "resumable": failure.resumable,
    }


def _detectors(shown: StatusSnapshot) -> list[dict[str, Any]]:
    return [
        {
            "metric": each.detector.metric,
            "level": each.level,
            "value": each.value,
            "detail": each.detail,
            "try": shown.typed(each.first) if each.level is not Level.FINE else None,
        }
        for each in shown.findings
    ]


def _lag(shown: StatusSnapshot) -> dict[str, Any]:
    lag = shown.usage.lag
    return {
        "probeSeconds": None if shown.probe_lag is None else round(shown.probe_lag, 3),
        "probeSecondsGrow": shown.lag_grows,
        "probeRoundAgeSeconds": shown.round_age,
        "metricP50Seconds": lag.p50 if lag else None,
        "metricP99Seconds": lag.p99 if lag else None,
        "metricSince": _optional_instant(lag.begin if lag else None),
        "unreplicatedSeconds": shown.gauge(UNREPLICATED.metric),
    }


def _retention(shown: StatusSnapshot) -> dict[str, Any] | None:
    kept = shown.retention
    if kept is None:
        return None
    return {
        "hours": kept.hours,
        "gbPerDay": round(kept.gb_per_day, 3),
        "monthlyUsdNow": round(kept.now, 2),
        "monthlyUsdFull": round(kept.full, 2),
        "pricesAsOf": AS_OF,
    }


def _bulk_load(shown: StatusSnapshot) -> dict[str, Any] | None:
    target, load = shown.load_target, shown.load or BulkLoad()
    if target is None:
        return None
    return {
        "adopted": target.adopted,
        "tableId": target.table_id or None,
        "operationArn": load.arn or None,
        "part": min(load.part + 1, len(load.prefixes)) or None,
        "parts": len(load.prefixes) or None,
    }


def _unread(shown: StatusSnapshot) -> dict[str, Any] | None:
    backlog = shown.backlog
    if backlog is None:
        return None
    left = shown.hours_left
    return {
        "since": _optional_instant(backlog.since),
        "forgottenFrom": _optional_instant(shown.forgotten_from),
        "hoursLeft": None if left is None else round(left, 2),
        "inDoubtSince": _optional_instant(backlog.doubtful),
        "receivedTo": _optional_instant(backlog.known_to),
        "secondsBehind": None if backlog.lag is None else round(backlog.lag, 3),
    }


MEMBERS: dict[str, Callable[[StatusSnapshot], Any]] = {
    "table": lambda shown: shown.table,
    "targetTable": lambda shown: shown.target_table,
    "at": lambda shown: instant(shown.at),
    "state": lambda shown: shown.state,
    "stateBecause": lambda shown: list(shown.because),
    "since": lambda shown: _optional_instant(shown.since),
    "runId": lambda shown: shown.run_id or None,
    "holder": lambda shown: shown.holder or None,
    "history": lambda shown: [{"state": state, "at": instant(at)} for state, at in shown.history],
    "steps": lambda shown: [{"step": name, "done": done} for name, done in shown.steps],
    "progress": _progress,
    "waitingFor": _waiting,
    "mappingEnabled": lambda shown: shown.mapping_enabled,
    "mappingState": lambda shown: shown.mapping or None,
    "lastProcessingResult": lambda shown: shown.processing_result or None,
    "stateTransitionReason": lambda shown: shown.transition_reason or None,
    "exportArn": lambda shown: (shown.export.arn if shown.export else "") or None,
    "exportTime": lambda shown: (
        _optional_instant(shown.export.export_time) if shown.export else None
    ),
    "exportedItems": lambda shown: shown.export.items if shown.export else None,
    "exportedBytes": lambda shown: shown.export.size_bytes if shown.export else None,
    "importArn": lambda shown: (shown.import_.arn if shown.import_ else "") or None,
    "bulkLoad": _bulk_load,
    "importedItems": lambda shown: shown.import_.items if shown.import_ else None,
    "caughtUpTo": lambda shown: (
        _optional_instant(shown.caught_up.moment) if shown.caught_up else None
    ),
    "probeSeconds": lambda shown: round(shown.caught_up.round_trip, 3) if shown.caught_up else None,
    "pausedSince": lambda shown: _optional_instant(shown.paused.at) if shown.paused else None,
    "bufferCoversUntil": lambda shown: _optional_instant(shown.covered_until),
    "failure": _failure,
    "warnings": lambda shown: list(shown.warnings),
    "detectors": _detectors,
    "quarantined": lambda shown: shown.gauge(QUARANTINE.metric),
    "onFailureObjects": lambda shown: shown.gauge(FAILURES.metric),
    "bufferUsed": lambda shown: shown.gauge(BUFFER.metric),
    "lag": _lag,
    "buffer": lambda shown: shown.buffer,
    "unread": _unread,
    "retention": _retention,
    "safeToSwitch": lambda shown: shown.safe_to_switch,
    "notSafeBecause": lambda shown: list(shown.unsafe) if shown.readings else None,
    "switch": lambda shown: switch_json(shown.switch),
    "promotion": lambda shown: promotion_json(shown.switch),
    "next": lambda shown: shown.next,
    "decision": lambda shown: shown.decision or None,
}

READ_MEMBERS: dict[str, Callable[[StatusSnapshot], Any]] = {
    "verification": lambda shown: shown.verification.json if shown.verification else None,
    "gap": lambda shown: shown.gap.json if shown.gap else None,
}
