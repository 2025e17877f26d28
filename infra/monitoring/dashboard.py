"""The dashboard of a stack, as a plain value: four questions from top to bottom.

It stands with the consumers, in the target account. What the source account knows is there as
gauges of the watchdog: a dashboard does not see another account's metrics. Nor does a widget list
alarms of another account or Region, so a text names those, and where they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from infra.monitoring.definition import AlarmInputs
from replicator import names
from replicator.watchdog import detectors

WIDTH = 24
"""Columns of a dashboard."""
HEIGHT = 6
NOTE_HEIGHT = 3
LOST, BEHIND, FLOW, USE = (
    "Is data being lost?",
    "How far behind are we?",
    "How much is flowing?",
    "What does it use?",
)

Json = dict[str, Any]
Series = list[object]


def body(
    lanes: Sequence[AlarmInputs],
    alarm_arns: Mapping[str, Sequence[object]],
    *,
    elsewhere: Mapping[str, Sequence[str]],
    region: str,
    target_region: str,
) -> Json:
    """The body of a dashboard; `alarm_arns` by source table. Values may be Outputs.

    `elsewhere`: the alarms that cannot be listed here, by where they are.
    """
    page = _Page()
    page.headline(LOST)
    for lane in lanes:
        page.row(_alarms(lane, alarm_arns[lane.source_table]), _losses(lane, region))
    page.note(_elsewhere(elsewhere))
    page.headline(BEHIND)
    for lane in lanes:
        page.row(_lag(lane, region), _ages(lane, region), _buffer(lane, region))
    page.headline(FLOW)
    for lane in lanes:
        page.row(_changes(lane, region))
    page.headline(USE)
    for lane in lanes:
        page.row(_function(lane, region), _writes(lane, target_region), _throttles(lane, region))
    return {"widgets": page.widgets}


class _Page:
    """Rows of widgets, laid out from the top."""

    def __init__(self) -> None:
        self.widgets: list[Json] = []
        self._y = 0

    def headline(self, text: str) -> None:
        self._add("text", {"markdown": f"# {text}"}, 0, WIDTH, 1)
        self._y += 1

    def note(self, text: str) -> None:
        self._add("text", {"markdown": text}, 0, WIDTH, NOTE_HEIGHT)
        self._y += NOTE_HEIGHT

    def row(self, *widgets: Json) -> None:
        width = WIDTH // len(widgets)
        for n, properties in enumerate(widgets):
            kind = "alarm" if "alarms" in properties else "metric"
            self._add(kind, properties, n * width, width, HEIGHT)
        self._y += HEIGHT

    def _add(self, kind: str, properties: Json, x: int, width: int, height: int) -> None:
        place = {"x": x, "y": self._y, "width": width, "height": height}
        self.widgets.append({"type": kind, **place, "properties": properties})


def _graph(
    title: str, region: str, series: Sequence[Series], *, view: str = "timeSeries", period: int = 60
) -> Json:
    return {
        "title": title,
        "view": view,
        "region": region,
        "period": period,
        "metrics": list(series),
    }


def _ours(lane: AlarmInputs, metric: str, statistic: str, label: str = "") -> Series:
    options = {"stat": statistic, **({"label": label} if label else {})}
    return [
        names.NAMESPACE,
        metric,
        names.STACK,
        lane.stack,
        names.TABLE,
        lane.source_table,
        options,
    ]


def _lambda(lane: AlarmInputs, metric: str, statistic: str) -> Series:
    return ["AWS/Lambda", metric, "FunctionName", lane.function, {"stat": statistic}]


def _elsewhere(names: Mapping[str, Sequence[str]]) -> str:
    lines = ["Each table has alarms that CloudWatch lists only where they stand:", ""]
    lines += [f"- {where}: {', '.join(each)}" for where, each in names.items()]
    return "\n".join(lines)


def _alarms(lane: AlarmInputs, arns: Sequence[object]) -> Json:
    return {"title": f"{lane.source_table}: alarms", "alarms": list(arns)}


def _losses(lane: AlarmInputs, region: str) -> Json:
    shown = (
        (detectors.DESTINATION.metric, "Minimum", "destination active"),
        (detectors.SOURCE.metric, "Maximum", "source re-created"),
        (detectors.TARGET.metric, "Maximum", "target re-created"),
        (detectors.SKIPPED.metric, "Maximum", "records skipped"),
        (detectors.QUARANTINE.metric, "Maximum", "in quarantine"),
        (detectors.FAILURES.metric, "Maximum", "given up by Lambda"),
        (detectors.FOREIGN.metric, "Maximum", "other tables in the stream"),
        (detectors.STREAM.metric, "Minimum", "stream healthy"),
        (names.MAPPING_ENABLED, "Minimum", "consumer on"),
        (names.WATCHDOG_RAN, "Sum", "watchdog ran"),
    )
    series = [_ours(lane, metric, statistic, label) for metric, statistic, label in shown]
    title = f"{lane.source_table}: what the watchdog sees"
    return _graph(title, region, series, view="singleValue", period=300)


def _lag(lane: AlarmInputs, region: str) -> Json:
    series = [_ours(lane, names.REPLICATION_LAG, stat) for stat in ("p50", "p99", "Maximum")]
    return _graph(f"{lane.source_table}: change to applied (ms)", region, series)


def _ages(lane: AlarmInputs, region: str) -> Json:
    series = [
        _lambda(lane, "IteratorAge", "Maximum"),
        _ours(lane, names.PROBE_LAG, "Maximum", "probe, stream to ledger (s)"),
        _ours(lane, detectors.PROBES.metric, "Maximum", "since a probe came through (s)"),
        _ours(lane, detectors.UNREPLICATED.metric, "Maximum", "waiting for the stream (s)"),
    ]
    return _graph(f"{lane.source_table}: waiting", region, series)


def _buffer(lane: AlarmInputs, region: str) -> Json:
    series = [_ours(lane, detectors.BUFFER.metric, "Maximum", "share of retention")]
    return _graph(f"{lane.source_table}: buffer used", region, series, period=300)


def _changes(lane: AlarmInputs, region: str) -> Json:
    counted = (
        names.CHANGES_RECEIVED,
        names.CHANGES_APPLIED,
        names.CHANGES_SUPERSEDED,
        names.CHANGES_QUARANTINED,
        names.CHANGES_RETRIED,
        names.CHANGES_FOREIGN,
    )
    series = [_ours(lane, metric, "Sum") for metric in counted]
    return _graph(f"{lane.source_table}: changes a minute", region, series)


def _function(lane: AlarmInputs, region: str) -> Json:
    series = [
        _lambda(lane, "Invocations", "Sum"),
        _lambda(lane, "Errors", "Sum"),
        _lambda(lane, "Throttles", "Sum"),
        _lambda(lane, "ConcurrentExecutions", "Maximum"),
        _lambda(lane, "Duration", "Maximum"),
    ]
    return _graph(f"{lane.source_table}: consumer", region, series)


def _writes(lane: AlarmInputs, region: str) -> Json:
    series: list[Series] = [
        ["AWS/DynamoDB", "ConsumedWriteCapacityUnits", "TableName", table, {"stat": "Sum"}]
        for table in (lane.target_table, lane.ledger)
    ]
    # What the alarms `target-throttled` and `ledger-throttled` stand on, wherever the target is.
    series += [
        ["AWS/DynamoDB", "WriteThrottleEvents", "TableName", table, {"stat": "Sum"}]
        for table in (lane.target_table, lane.ledger)
    ]
    return _graph(f"{lane.source_table}: write units and throttled a minute", region, series)


def _throttles(lane: AlarmInputs, region: str) -> Json:
    series = [_ours(lane, names.TARGET_THROTTLES, "Sum")]
    return _graph(f"{lane.source_table}: throttled calls", region, series)
