"""The dashboard of a stack, as a plain value: four questions from top to bottom.

It is in the consumers' Region of the target account. A dashboard does not see another account's
metrics, so the watchdog's gauges show the source account's state. A widget does not list alarms of
another account or Region, so a text names those and their place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from infra.monitoring.definition import AlarmInputs
from replicator import names
from replicator.buffers import KINESIS
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
    tables: Sequence[AlarmInputs],
    alarm_arns: Mapping[str, Sequence[object]],
    *,
    elsewhere: Mapping[str, Sequence[str]],
    region: str,
    target_region: str,
) -> Json:
    """Lay out the dashboard. `alarm_arns` by source table; values may be Outputs.

    `elsewhere`: the alarms that cannot be listed here, by their place.
    """
    page = _Page()
    page.headline(LOST)
    for table in tables:
        page.row(_alarms(table, alarm_arns[table.source_table]), _losses(table, region))
    page.note(_elsewhere(elsewhere))
    page.headline(BEHIND)
    for table in tables:
        page.row(_lag(table, region), _ages(table, region), _buffer(table, region))
    page.headline(FLOW)
    for table in tables:
        page.row(_changes(table, region))
    page.headline(USE)
    for table in tables:
        page.row(_function(table, region), _writes(table, target_region), _throttles(table, region))
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


def _ours(table: AlarmInputs, metric: str, statistic: str, label: str = "") -> Series:
    options = {"stat": statistic, **({"label": label} if label else {})}
    dimensions = [text for pair in table.dimensions.items() for text in pair]
    return [names.NAMESPACE, metric, *dimensions, options]


def _lambda(table: AlarmInputs, metric: str, statistic: str) -> Series:
    return ["AWS/Lambda", metric, "FunctionName", table.function, {"stat": statistic}]


def _elsewhere(names: Mapping[str, Sequence[str]]) -> str:
    lines = ["Each table has alarms that CloudWatch lists only in their own place:", ""]
    lines += [f"- {where}: {', '.join(each)}" for where, each in names.items()]
    return "\n".join(lines)


def _alarms(table: AlarmInputs, arns: Sequence[object]) -> Json:
    return {"title": f"{table.source_table}: alarms", "alarms": list(arns)}


def _losses(table: AlarmInputs, region: str) -> Json:
    shown = (
        (detectors.DESTINATION.metric, "Minimum", "destination active"),
        (detectors.TABLE_STREAM.metric, "Minimum", "stream is ours"),
        (detectors.SOURCE.metric, "Maximum", "source re-created"),
        (detectors.TARGET.metric, "Maximum", "target re-created"),
        (detectors.SKIPPED.metric, "Maximum", "records skipped"),
        (detectors.QUARANTINE.metric, "Maximum", "in quarantine"),
        (detectors.FAILURES.metric, "Maximum", "given up by Lambda"),
        (detectors.FOREIGN.metric, "Maximum", "other tables in the stream"),
        (detectors.STREAM.metric, "Minimum", "stream healthy"),
        (detectors.SOURCE_WRITTEN.metric, "Maximum", "old source written"),
        (detectors.SWITCH_UNFINISHED.metric, "Maximum", "switch unfinished"),
        (names.MAPPING_ENABLED, "Minimum", "consumer on"),
        (names.WATCHDOG_RAN, "Sum", "watchdog ran"),
    )
    here = _detected(table)
    series = [
        _ours(table, metric, statistic, label)
        for metric, statistic, label in shown
        if metric in here
    ]
    title = f"{table.source_table}: what the watchdog sees"
    return _graph(title, region, series, view="singleValue", period=300)


def _detected(table: AlarmInputs) -> set[str]:
    """Return the gauges of the table's buffer, with those that are no detector's."""
    found = {each.metric for each in detectors.of_buffer(table.buffer)}
    return found | {names.MAPPING_ENABLED, names.WATCHDOG_RAN}


def _lag(table: AlarmInputs, region: str) -> Json:
    series = [_ours(table, names.REPLICATION_LAG, stat) for stat in ("p50", "p99", "Maximum")]
    return _graph(f"{table.source_table}: change to applied (ms)", region, series)


def _ages(table: AlarmInputs, region: str) -> Json:
    shown: Sequence[tuple[str, str]]
    if table.buffer == KINESIS:
        shown = (
            (names.PROBE_LAG, "probe, stream to ledger (s)"),
            (detectors.PROBES.metric, "since a probe came through (s)"),
            (detectors.UNREPLICATED.metric, "waiting for the stream (s)"),
        )
    else:
        shown = ((detectors.UNREAD.metric, "waiting in the table's stream (s)"),)
    series = [
        _lambda(table, "IteratorAge", "Maximum"),
        *(_ours(table, metric, "Maximum", label) for metric, label in shown),
    ]
    return _graph(f"{table.source_table}: waiting", region, series)


def _buffer(table: AlarmInputs, region: str) -> Json:
    series = [_ours(table, detectors.BUFFER.metric, "Maximum", "share of retention")]
    return _graph(f"{table.source_table}: buffer used", region, series, period=300)


def _changes(table: AlarmInputs, region: str) -> Json:
    counted = (
        names.CHANGES_RECEIVED,
        names.CHANGES_APPLIED,
        names.CHANGES_SUPERSEDED,
        names.CHANGES_QUARANTINED,
        names.CHANGES_RETRIED,
        names.CHANGES_FOREIGN if table.buffer == KINESIS else names.ORDER_CONTRADICTED,
    )
    series = [_ours(table, metric, "Sum") for metric in counted]
    return _graph(f"{table.source_table}: changes a minute", region, series)


def _function(table: AlarmInputs, region: str) -> Json:
    series = [
        _lambda(table, "Invocations", "Sum"),
        _lambda(table, "Errors", "Sum"),
        _lambda(table, "Throttles", "Sum"),
        _lambda(table, "ConcurrentExecutions", "Maximum"),
        _lambda(table, "Duration", "Maximum"),
    ]
    return _graph(f"{table.source_table}: consumer", region, series)


def _writes(table: AlarmInputs, region: str) -> Json:
    series: list[Series] = [
        ["AWS/DynamoDB", "ConsumedWriteCapacityUnits", "TableName", name, {"stat": "Sum"}]
        for name in (table.target_table, table.ledger)
    ]
    # The metrics of the alarms `target-throttled` and `ledger-throttled`, also of another Region.
    series += [
        ["AWS/DynamoDB", "WriteThrottleEvents", "TableName", name, {"stat": "Sum"}]
        for name in (table.target_table, table.ledger)
    ]
    return _graph(f"{table.source_table}: write units and throttled a minute", region, series)


def _throttles(table: AlarmInputs, region: str) -> Json:
    series = [_ours(table, names.TARGET_THROTTLES, "Sum")]
    return _graph(f"{table.source_table}: throttled calls", region, series)
