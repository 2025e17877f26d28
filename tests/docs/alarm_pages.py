"""The alarms page: every alarm and every loss detector, with the default thresholds."""

from __future__ import annotations

import textwrap

from infra.alarm_config import Thresholds
from infra.consumer import TIMEOUT_SECONDS
from infra.monitoring.catalog import alarms
from infra.monitoring.definition import Alarm, AlarmInputs
from infra.table_config import TableConfig
from replicator.buffers import BUFFERS
from replicator.watchdog import detectors

PLACES = {
    "source": "source account",
    "consumer": "target account, source Region",
    "target": "target account and Region",
}
MISSING = {"breaching": "fires", "notBreaching": "is fine", "ignore": "changes nothing"}


def every_alarm() -> tuple[Alarm, ...]:
    """List the alarms of tables with any buffer, the worst first."""
    found: list[Alarm] = []
    for buffer in BUFFERS:
        place = 0
        for each in _alarms_with(buffer):
            known = [n for n, other in enumerate(found, 1) if other.name == each.name]
            if not known:
                found.insert(place, each)
            place = known[0] if known else place + 1
    return tuple(found)


def _alarms_with(buffer: str) -> tuple[Alarm, ...]:
    inputs = AlarmInputs(
        stack="STACK",
        source_account="ACCOUNT",
        source_table="SOURCE",
        target_table="TARGET",
        ledger_retention_days=TableConfig.ledger_retention_days,
        timeout_seconds=TIMEOUT_SECONDS,
        buffer=buffer,
    )
    return alarms(inputs, Thresholds())


def _buffers_of(alarm: Alarm) -> str:
    """Name the buffers that a table with this alarm may have."""
    having = [
        f"`{buffer}`"
        for buffer in BUFFERS
        if alarm.name in {each.name for each in _alarms_with(buffer)}
    ]
    return "any" if len(having) == len(BUFFERS) else ", ".join(having)


def overview() -> str:
    """Render one row for each alarm."""
    rows = ["| alarm | fires when | where | buffer |", "| --- | --- | --- | --- |"]
    for each in every_alarm():
        name = f"[`{each.name}`](#{each.name})"
        rows.append(
            f"| {f'**{name}**' if each.critical else name} | {each.fires} | {PLACES[each.place]} "
            f"| {_buffers_of(each)} |"
        )
    return "\n".join(rows)


def details() -> str:
    """Render one heading for each alarm: the meaning, and the first thing to do."""
    parts = []
    for each in every_alarm():
        level = "Critical: changes are lost, or will be." if each.critical else "Warning."
        paragraphs = (
            f"### `{each.name}`",
            f"{level} {_sentence(each.means)}",
            f"**First:** {each.first}",
            f"Fires when {each.fires} ({PLACES[each.place]}). "
            f"Without data it {MISSING[each.missing]}. "
            f"Metric: `{each.metric}` in `{each.namespace}`.",
        )
        parts += [textwrap.fill(text, 118, break_on_hyphens=False) for text in paragraphs]
    return "\n\n".join(parts)


def detectors_table() -> str:
    """Render the loss detectors as `status` shows them, each with its alarms."""
    rows = ["| detector | when it strikes | alarms | buffer |", "| --- | --- | --- | --- |"]
    for each in detectors.ALL:
        having = [f"`{name}`" for name in BUFFERS if each in detectors.of_buffer(name)]
        buffers = "any" if len(having) == len(BUFFERS) else ", ".join(having)
        rows.append(
            f"| `{each.metric}` | {each.level.value} | {', '.join(_alarms_of(each))} | {buffers} |"
        )
    return "\n".join(rows)


def _alarms_of(detector: detectors.Detector) -> list[str]:
    found = [each.name for each in every_alarm() if each.metric == detector.metric]
    if detector is detectors.UNREPLICATED:
        # The gauge is a copy of DynamoDB's own metric, on which both alarms are made.
        found = ["unreplicated-warning", "unreplicated-critical"]
    return [f"[`{name}`](#{name})" for name in found]


def _sentence(text: str) -> str:
    return text if text.endswith(".") else f"{text}."
