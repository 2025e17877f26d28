"""The status of a table: one value, computed once, that every renderer shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from bootstrap.core.facts import Measure, Usage
from bootstrap.core.journal_rows import Event, Row, RunFailure, WaitReason
from bootstrap.core.state import State
from bootstrap.core.suggestions import GENERIC, Suggestion
from bootstrap.journal.load_records import BulkLoad, LoadTarget
from bootstrap.journal.records import (
    CaughtUp,
    Configured,
    Enabled,
    Exported,
    Imported,
    Paused,
    Skipped,
)
from bootstrap.journal.verification_records import LastVerification
from bootstrap.status import data_loss
from bootstrap.status.backfill_suggestion import Gap, find_gap
from bootstrap.status.health import reasons, state_now
from bootstrap.status.inputs import StatusInputs
from bootstrap.status.metrics import Retention, retention
from bootstrap.status.next_command import collect_warnings, decide, next_command
from bootstrap.status.switch_view import SwitchView
from replicator.buffers import KINESIS
from replicator.stream import StreamFacts
from replicator.watchdog.backlog import KEPT_SECONDS
from replicator.watchdog.finding import Finding
from replicator.watchdog.lambda_states import lambda_reports
from replicator.watchdog.probe_rounds import WatchdogState
from replicator.watchdog.readings import SILENT_SECONDS, Backlog, Probed, Readings


@dataclass(frozen=True)
class StatusSnapshot:
    """A table at one moment. Times are epoch seconds by AWS's clock."""

    table: str
    target_table: str
    at: float
    state: State
    """The journal's; that of a replica only as far as the findings confirm it."""
    since: float | None
    """None where it is unknown since when the findings differ from the journal."""
    run_id: str
    holder: str
    """The process that works on the table; empty if none does."""
    history: tuple[tuple[State, float], ...]
    steps: tuple[tuple[str, bool], ...]
    """Each step and whether it is done."""
    waiting: WaitReason | None
    measure: Measure | None
    mapping: str
    """State of the event source mapping; empty if unknown."""
    next: str | None
    """The command that advances the table; None if the table is where it should be, or if the next
    step is the operator's decision."""
    decision: str
    """The decision that is the operator's; empty where there is none."""
    export: Exported | None
    import_: Imported | None
    """Of a bulk load too, once that is complete."""
    caught_up: CaughtUp | None
    failure: RunFailure | None
    skipped: Skipped | None = None
    paused: Paused | None = None
    covered_until: float | None = None
    """While the table is paused: when the stream drops the first waiting change."""
    warnings: tuple[str, ...] = ()
    readings: Readings | None = None
    """The input of the loss detectors; None where it was not read."""
    findings: tuple[Finding, ...] = ()
    usage: Usage = field(default_factory=Usage)
    verification: LastVerification | None = None
    """None where the journal was not asked for the last verification."""
    gap: Gap | None = None
    """Changes that may be missing in the target, with the command that restores them."""
    command: str = GENERIC
    """The template of command lines about this table."""
    switch: SwitchView | None = None
    """None where no switch and no promotion was ever begun."""
    processing_result: str = ""
    """LastProcessingResult of the event source mapping."""
    transition_reason: str = ""
    """StateTransitionReason of the event source mapping."""
    load: BulkLoad | None = None
    """None where the snapshot is imported, or no bulk load has been intended."""
    load_target: LoadTarget | None = None
    """The table of the bulk load."""
    buffer: str = KINESIS

    def typed(self, text: str) -> str:
        """Complete the commands in a text, so that they work as written."""
        return Suggestion.parse(text).text(self.command)

    @property
    def lambda_reports(self) -> str:
        """Lambda's own words about a problem of the mapping; empty while it reports none."""
        return lambda_reports(self.processing_result, self.transition_reason)

    @property
    def mapping_enabled(self) -> bool:
        return self.mapping == "Enabled"

    @property
    def safe_to_switch(self) -> bool | None:
        """True if no problem is known; None where the detectors were not read."""
        return None if self.readings is None else not self.unsafe

    @property
    def because(self) -> tuple[str, ...]:
        """Why the state is not the one that a run reached; empty if it is."""
        replica = self.state in (State.DEGRADED, State.UNKNOWN)
        return reasons(self.findings) if replica else ()

    @property
    def unsafe(self) -> tuple[str, ...]:
        """Every reason against a switch now."""
        against = []
        if self.state is not State.REPLICATING and not self.because:
            against.append(f"the table is {self.state}, not {State.REPLICATING}")
        if self.mapping != "Enabled":
            against.append(f"the consumer is {self.mapping or 'unknown'}, not Enabled")
        return (*against, *reasons(self.findings))

    def gauge(self, metric: str) -> float | None:
        """Return a detector's reading; None where it is unknown or does not apply."""
        values = (each.value for each in self.findings if each.detector.metric == metric)
        return next(values, None)

    @property
    def probe_lag(self) -> float | None:
        """Seconds that the watchdog's probes take: at least so long while `lag_grows`.

        None: no round came through, or the last one is too old to describe the present.
        """
        probed = self._probed
        if probed is None:
            return None
        outstanding = probed.outstanding(self.at)
        if outstanding is not None:
            return outstanding
        return probed.lag if self.round_age is not None else None

    @property
    def lag_grows(self) -> bool:
        """True while a round is outstanding for longer than is normal."""
        return self._probed is not None and self._probed.outstanding(self.at) is not None

    @property
    def round_age(self) -> float | None:
        """Seconds since the newest round that came through was put; None if two are missing."""
        through = self._probed.through if self._probed else None
        age = None if through is None else max(0.0, self.at - through)
        return None if age is None or age > SILENT_SECONDS else age

    @property
    def probed_once(self) -> bool:
        """True if a round has come through at any time."""
        return self._probed is not None and self._probed.through is not None

    @property
    def backlog(self) -> Backlog | None:
        """The changes that wait in the table's own stream; None: it is no buffer, or unread."""
        found = self.readings.backlog if self.readings else None
        return found if isinstance(found, Backlog) else None

    @property
    def forgotten_from(self) -> float | None:
        """The moment when the stream forgets the first change that may wait; None: none may."""
        backlog = self.backlog
        if backlog is None or backlog.oldest is None:
            return None
        return backlog.oldest + KEPT_SECONDS

    @property
    def hours_left(self) -> float | None:
        """Hours until then, 0 once it is past."""
        from_ = self.forgotten_from
        return None if from_ is None else max(0.0, from_ - self.at) / 3600

    @property
    def _probed(self) -> Probed | None:
        if self.buffer != KINESIS:
            return None  # nothing is put into a table's own stream
        probed = self.readings.probed if self.readings else None
        return probed if isinstance(probed, Probed) else None

    @property
    def retention(self) -> Retention | None:
        """Size and cost of the stream's retention; None where unknown."""
        stream = self.readings.stream if self.readings else None
        if not isinstance(stream, StreamFacts) or self.usage.stream_bytes is None:
            return None
        age = self.at - stream.created
        return retention(stream.retention_hours, age, self.usage.stream_bytes)


def build_snapshot(inputs: StatusInputs) -> StatusSnapshot:
    """Combine the journal's row with what was read beside it."""
    row, mapping, command = inputs.row, inputs.mapping, inputs.command
    losses = inputs.losses or data_loss.collect(row.record, WatchdogState())
    state = state_now(row.state, inputs.findings)
    return StatusSnapshot(
        table=inputs.table,
        target_table=inputs.target_table,
        at=inputs.at,
        state=state,
        since=row.since or None if state is row.state else None,
        run_id=row.run_id,
        holder=inputs.holder,
        history=_states(inputs.history),
        steps=_steps(row),
        waiting=inputs.waiting or (row.waiting if inputs.holder else None),
        measure=inputs.measure,
        mapping=mapping.state if mapping else "",
        next=next_command(inputs),
        decision=decide(inputs),
        export=row.record(Exported),
        import_=row.record(Imported),
        load=row.record(BulkLoad),
        load_target=row.record(LoadTarget),
        caught_up=row.record(CaughtUp),
        failure=row.failure,
        skipped=row.record(Skipped),
        paused=row.record(Paused),
        covered_until=_covered_until(inputs),
        warnings=tuple(
            Suggestion.parse(each).text(command) for each in collect_warnings(inputs, losses)
        ),
        readings=inputs.readings,
        findings=tuple(inputs.findings),
        usage=inputs.usage,
        verification=inputs.verification,
        gap=find_gap(inputs),
        command=command,
        switch=inputs.switch,
        processing_result=mapping.result if mapping else "",
        transition_reason=mapping.reason if mapping else "",
        buffer=inputs.buffer,
    )


def _covered_until(inputs: StatusInputs) -> float | None:
    paused = inputs.row.record(Paused)
    if paused is None or paused.resumed or inputs.retention_hours is None:
        return None
    first = paused.first
    backlog = inputs.readings.backlog if inputs.readings is not None else None
    if isinstance(backlog, Backlog) and backlog.oldest is not None:
        # A consumer that was behind at the pause had left older changes.
        first = min(first, backlog.oldest)
    return first + 3600 * inputs.retention_hours


def _states(history: Sequence[Event]) -> tuple[tuple[State, float], ...]:
    """Extract the changes of state from the events."""
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
