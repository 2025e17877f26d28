"""The alarms page: every alarm and every loss detector, with the default thresholds."""

from __future__ import annotations

import textwrap

from infra.alarm_config import Thresholds
from infra.consumer import TIMEOUT_SECONDS
from infra.monitoring.catalog import alarms
from infra.monitoring.definition import Alarm, AlarmInputs
from infra.table_config import TableConfig
from replicator.watchdog import detectors

PLACES = {
    "source": "source account",
    "consumer": "target account, source Region",
    "target": "target account and Region",
}
MISSING = {"breaching": "fires", "notBreaching": "is fine", "ignore": "changes nothing"}


def every_alarm() -> tuple[Alarm, ...]:
    """List a table's alarms, the worst first."""
    inputs = AlarmInputs(
        stack="STACK",
        source_account="ACCOUNT",
        source_table="SOURCE",
        target_table="TARGET",
        ledger_retention_days=TableConfig.ledger_retention_days,
        timeout_seconds=TIMEOUT_SECONDS,
    )
    return alarms(inputs, Thresholds())


def overview() -> str:
    """Render one row for each alarm."""
    rows = ["| alarm | fires when | where |", "| --- | --- | --- |"]
    for each in every_alarm():
        name = f"[`{each.name}`](#{each.name})"
        rows.append(
            f"| {f'**{name}**' if each.critical else name} | {each.fires} | {PLACES[each.place]} |"
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
    rows = ["| detector | when it strikes | alarms |", "| --- | --- | --- |"]
    for each in detectors.ALL:
        rows.append(f"| `{each.metric}` | {each.level.value} | {', '.join(_alarms_of(each))} |")
    return "\n".join(rows)


def _alarms_of(detector: detectors.Detector) -> list[str]:
    found = [each.name for each in every_alarm() if each.metric == detector.metric]
    if detector is detectors.UNREPLICATED:
        # The gauge is a copy of DynamoDB's own metric, on which both alarms are made.
        found = ["unreplicated-warning", "unreplicated-critical"]
    return [f"[`{name}`](#{name})" for name in found]


def _sentence(text: str) -> str:
    return text if text.endswith(".") else f"{text}."
