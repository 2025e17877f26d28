"""All alarms of a table, as plain values.

`missing` follows one rule unless a comment says otherwise. A gauge of the watchdog that is missing
is as bad as a bad one: a failed reading is never healthy. A metric that counts events, or that
exists only while changes flow, may be missing: the watchdog's probes find a consumer that does
nothing at all.

CloudWatch "always ignores missing data" of metrics in AWS/DynamoDB, whatever an alarm says (API
reference, PutMetricAlarm): such an alarm keeps its state until there is another value. They say
`ignore` here, and their description says so.
"""

from __future__ import annotations

from infra.alarm_config import Thresholds
from infra.monitoring import capacity_alarms, lag_alarms, loss_alarms
from infra.monitoring.definition import Alarm, AlarmInputs


def alarms(table: AlarmInputs, limits: Thresholds) -> tuple[Alarm, ...]:
    """List all alarms of a table, the worst first."""
    return (
        *loss_alarms.losses(table),
        *loss_alarms.watchdog(table),
        *loss_alarms.pipeline(table),
        *lag_alarms.consumer_lag(table, limits),
        *lag_alarms.stream_lag(table, limits),
        *capacity_alarms.function(table, limits),
        *capacity_alarms.throttles(table, limits),
    )
