"""The health of a replica: the journal's state, as far as fresh readings confirm it (C10).

The journal says REPLICATING since a run proved it. Whether that holds now is read each time: every
detector has to be fine, and the newest round of probes that is due has to have come through.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol

from bootstrap.core.facts import ConsumerActivity
from bootstrap.core.journal_rows import Row
from bootstrap.core.stack_outputs import TableOutputs
from bootstrap.core.state import PRIMARIES, REPLICAS, State
from bootstrap.journal.records import Exported
from bootstrap.journal.verification_records import Verified
from bootstrap.status import data_loss
from bootstrap.status.bulk_operations import ListOperations, judge_operations
from bootstrap.status.data_loss import KnownLosses
from bootstrap.status.health_checks import expected_settings
from bootstrap.status.key_health import Keys, judge_keys
from bootstrap.status.left_out_deletions import judge_left_out
from bootstrap.status.remedies import name_commands
from bootstrap.status.target_expiry import Expiries, judge_expiry
from replicator.watchdog.detectors import Level
from replicator.watchdog.finding import Finding
from replicator.watchdog.judge import judge
from replicator.watchdog.probe_rounds import WatchdogState
from replicator.watchdog.readings import Intent, Readings

WRONG = (Level.LOSS, Level.WARNING)


class Reader(Protocol):
    """A reader of both accounts."""

    def readings(self, row: Row, at: float) -> Readings: ...


@dataclass(frozen=True)
class Health:
    """Both accounts' readings at a moment, judged."""

    readings: Readings | None = None
    """None where they were not taken."""
    findings: tuple[Finding, ...] = ()
    losses: KnownLosses = field(default_factory=KnownLosses)
    """Those that no snapshot and no verification covers."""


def read_health(
    reader: Reader | None,
    table: TableOutputs,
    row: Row,
    at: float,
    verified: Verified | None,
    activity: Callable[[float], ConsumerActivity] | None = None,
    expiries: Expiries | None = None,
    operations: ListOperations | None = None,
    keys: Keys | None = None,
) -> Health:
    """Read and judge. `at`: epoch seconds; `verified`: the last verification, if there is one.

    `activity` reads what the consumer did of late. It is called only where that explains a finding.
    `expiries` reads both tables' time to live. It is called only where the target expires items.
    `operations` lists the bulk operations on the target; None: the stack may not.
    `keys` reads the keys of the places and of the stream; None: the stack file names none.

    Without a reader, or before a run, only the losses that the journal records are known.
    """
    # A loss is possible only from a run's start until the table is given up.
    at_risk = row.run_id and row.state not in (State.ABANDONING, State.ABANDONED)
    readings = reader.readings(row, at) if reader is not None and at_risk else None
    seen = WatchdogState()
    if readings is not None:
        seen = WatchdogState(
            outage=readings.outage, overrun=readings.overrun, given_up=readings.given_up
        )
    losses = data_loss.collect(row.record, seen).unresolved(row.record(Exported), verified)
    if readings is None:
        return Health(losses=losses)
    readings = replace(
        readings, outage=losses.outage, overrun=losses.overrun, given_up=losses.given_up
    )
    read_activity = None if activity is None else partial(activity, at)
    intent = readings.intent
    uuid = table.mapping_uuid or (intent.mapping if isinstance(intent, Intent) else "")
    findings = name_commands(
        judge(readings, expected_settings(table)), table, read_activity, mapping_uuid=uuid
    )
    if row.state in PRIMARIES:
        # The target is on its own: its time to live is that of the switch, and no backfill runs.
        return Health(readings, findings, losses)
    return Health(
        readings,
        (
            *findings,
            *judge_left_out(losses.left_out),
            *judge_expiry(row, expiries, table, losses.expired),
            *judge_operations(row, operations, verified),
            *judge_keys(row, keys, findings),
        ),
        losses,
    )


def state_now(journal: State, findings: Sequence[Finding]) -> State:
    """Return the state that the findings confirm. Only that of a replica can be in doubt."""
    levels = {each.level for each in findings}
    if journal not in REPLICAS:
        return journal
    if levels & set(WRONG):
        return State.DEGRADED
    if Level.UNKNOWN in levels and journal is State.REPLICATING:
        return State.UNKNOWN
    return journal


def reasons(findings: Sequence[Finding]) -> tuple[str, ...]:
    """Return what is wrong, or cannot be known, as `detector: detail`."""
    return tuple(
        f"{each.detector.metric}: {each.detail}"
        for each in findings
        if each.level is not Level.FINE
    )
