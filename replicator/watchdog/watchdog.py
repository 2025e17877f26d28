"""The watchdog: every five minutes it reads everything that could lose a change, and emits gauges.

It has its own schedule and role. A reading that fails is reported and stops no other. Most alarms
watch its gauges: an event is over after a minute, the state that it leaves is not.
"""

from __future__ import annotations

import json
import os
import sys
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from replicator import names
from replicator.buffers import STREAMS
from replicator.probes import probe_records
from replicator.runtime import Clock, SystemClock
from replicator.stream import Destination, StreamFacts
from replicator.watchdog.aws_readings import (
    LedgerRows,
    SourceSide,
    TargetSide,
    UnreadableError,
    count_objects,
)
from replicator.watchdog.aws_states import TableState
from replicator.watchdog.backlog import ReceptionReader
from replicator.watchdog.detectors import HEARTBEAT, Level
from replicator.watchdog.finding import Finding
from replicator.watchdog.judge import HOUR, flows, gauges, judge, oldest
from replicator.watchdog.lambda_states import MappingState
from replicator.watchdog.primary_readings import after_round, read_primary
from replicator.watchdog.probe_rounds import ProbeRound, WatchdogState, attempt_of
from replicator.watchdog.readings import (
    PROBES_THROTTLED,
    SHARDS_CHANGED,
    Identity,
    Intent,
    Probed,
    Readings,
    Undelivered,
    Unread,
)
from replicator.watchdog.source_session import MakeClient, Observer
from replicator.watchdog.source_writes import SourceWritesReader, source_table_arn
from replicator.watchdog.table_stream_round import TableStreamRound
from replicator.watchdog.watchdog_config import WatchdogConfig

T = TypeVar("T")

LEAST_SECONDS = 30.0
"""With less time left no reading starts: a call may take that long, and the gauges have to be
emitted afterwards."""

_UNITS = dict.fromkeys((names.PROBE_AGE, names.PROBE_LAG, names.UNREAD_AGE), "Seconds")


class Watchdog:
    """The clients and readers of one container."""

    def __init__(
        self,
        config: WatchdogConfig,
        make: MakeClient,
        clock: Clock,
        logger: Any,
        out: Any = sys.stdout,
    ) -> None:
        self._config, self._clock, self._logger, self._out = config, clock, logger, out
        observer = Observer(config.observer_role, config.source_region, make, clock)
        dynamodb = make("dynamodb", config.target_region, None)
        self._source = SourceSide(observer.client, config.source_table, config.stream_name)
        self._writes = SourceWritesReader(
            observer.client,
            config.source_table,
            source_table_arn(config.observer_role, config.source_region, config.source_table),
        )
        cloudwatch = make("cloudwatch", config.source_region, None)
        self._reception = ReceptionReader(
            lambda: observer.client("cloudwatch"),
            cloudwatch,
            table=config.source_table,
            function=config.consumer_function,
            dimensions=config.dimensions,
        )
        self._target = TargetSide(
            dynamodb=dynamodb,
            lambda_=make("lambda", config.source_region, None),
            table=config.target_table,
            mapping=config.mapping_uuid,
            function=config.consumer_function,
            cloudwatch=cloudwatch,
        )
        self._ledger = LedgerRows(dynamodb, config.ledger_table)
        self._quarantine_s3 = make("s3", config.target_region, None)
        self._failures_s3 = make("s3", config.source_region, None)

    def round(self, time_left: Callable[[], float]) -> Readings:
        """Read, judge and report once. `time_left` returns seconds."""
        current = _WatchdogRound(self, time_left)
        readings = current.readings()
        findings = judge(readings, self._config.expected)
        values = gauges(readings, findings)
        # The heartbeat is emitted even if every reading failed: the watchdog runs.
        self._emit(values | {names.WATCHDOG_RAN: 1.0}, readings.at)
        self._log(findings, readings)
        return readings

    def quarantined(self) -> int | None:
        return count_objects(self._quarantine_s3, self._config.quarantine_bucket, "open/")

    def given_up(self) -> int | None:
        return count_objects(self._failures_s3, self._config.on_failure_bucket)

    def _emit(self, values: Mapping[str, float], at: float) -> None:
        """Write one line in embedded metric format."""
        metrics = [{"Name": name, "Unit": _UNITS.get(name, "None")} for name in values]
        directive = {
            "Namespace": names.NAMESPACE,
            "Dimensions": [list(names.DIMENSIONS)],
            "Metrics": metrics,
        }
        line = {
            "_aws": {"Timestamp": int(at * 1000), "CloudWatchMetrics": [directive]},
            **self._config.dimensions,
            **values,
        }
        self._out.write(json.dumps(line) + "\n")
        self._out.flush()

    def _log(self, findings: tuple[Finding, ...], readings: Readings) -> None:
        for finding in findings:
            # The heartbeat is for readers elsewhere: this watchdog runs.
            if finding.level is not Level.FINE and finding.detector is not HEARTBEAT:
                name = finding.detector
                self._logger.warning(
                    f"{name.metric}: {finding.detail}\n{name.means}\nTry: {finding.first}",
                    extra={"level_of_loss": finding.level.value},
                )
        if set(readings.missed.values()) - {PROBES_THROTTLED, SHARDS_CHANGED}:
            self._logger.error(
                "Some readings failed.\n"
                "Try: pulumi up --refresh; the watchdog's or the observer's role may lack a right.",
                extra={"missed": readings.missed},
            )


class _WatchdogRound:
    """One round of readings, each independent of the others."""

    def __init__(self, watchdog: Watchdog, time_left: Callable[[], float]) -> None:
        self._watchdog, self._time_left = watchdog, time_left
        self._config = watchdog._config
        self._now = watchdog._clock.now_micros() / 1e6

    def readings(self) -> Readings:
        watchdog, now = self._watchdog, self._now
        intent = self._read(watchdog._ledger.intent)
        state = self._read(watchdog._ledger.watchdog_state)
        if isinstance(intent, Intent) and intent.primary is not None:
            return self._after_switch(intent, state)
        if self._config.buffer == STREAMS:
            return self._of_table_stream(intent, state)
        mapping = self._read(watchdog._target.mapping)
        counted_from = intent.counted_from if isinstance(intent, Intent) else None
        source = self._read(watchdog._source.table)
        target = self._read(watchdog._target.table)
        destinations = self._read(watchdog._source.destinations)
        stream = self._read(watchdog._source.stream)
        quarantine, failures = self._read(watchdog.quarantined), self._read(watchdog.given_up)
        skipped = self._read(lambda: watchdog._source.skipped(counted_from or 0.0, now))
        undelivered = self._read(lambda: watchdog._target.undelivered(counted_from or 0.0, now))
        unreplicated = self._read(lambda: watchdog._source.unreplicated(now))
        foreign = self._read(watchdog._ledger.foreign)
        function = self._read(watchdog._target.function)
        state = self._with_flow(state, destinations, unreplicated)
        if isinstance(state, WatchdogState) and isinstance(mapping, MappingState):
            state = state.saw_report(mapping.is_on and bool(mapping.reports))
        if isinstance(state, WatchdogState) and not isinstance(function, Unread):
            state = state.saw_function(function, now)
        state = self._with_undelivered(state, undelivered, counted_from)
        if isinstance(state, WatchdogState) and isinstance(intent, Intent):
            state = state.saw_intent(intent, now)
        tables = {"source": source, "target": target}
        identities, probed = self._with_state(state, intent, mapping, stream, tables)
        return Readings(
            at=now,
            intent=intent,
            mapping=mapping,
            destinations=destinations,
            stream=stream,
            source=identities["source"],
            target=identities["target"],
            quarantine=quarantine,
            failures=failures,
            skipped=skipped,
            unreplicated=unreplicated,
            probed=probed,
            foreign=foreign,
            function=function,
            undelivered=undelivered,
            problem_rounds=0 if isinstance(state, Unread) else state.problem_rounds,
            attempt=attempt_of(state, intent, now),
        )

    def _after_switch(self, intent: Intent, state: WatchdogState | Unread) -> Readings:
        """Read what still matters once the target is the primary. No probe is put."""
        watchdog = self._watchdog
        found = read_primary(
            self._read,
            intent,
            self._now,
            state=state,
            destinations=watchdog._source.destinations,
            writes=watchdog._writes,
            quarantine=watchdog.quarantined,
            failures=watchdog.given_up,
            source=watchdog._source.table if self._config.buffer == STREAMS else None,
        )
        return self._keep(found, after_round(state, found.written, self._now))

    def _of_table_stream(self, intent: Intent | Unread, state: WatchdogState | Unread) -> Readings:
        """Read a table whose buffer is its own stream. Nothing is put into that."""
        watchdog = self._watchdog
        reader = TableStreamRound(
            self._read,
            watchdog._source,
            watchdog._target,
            watchdog._reception,
            watchdog.quarantined,
            watchdog.given_up,
            watchdog._target.function,
            watchdog._ledger.unended,
        )
        found, seen = reader.readings(intent, state, self._now)
        return self._keep(found, seen if isinstance(seen, Unread) else seen.recorded(self._now))

    def _keep(self, found: Readings, latest: WatchdogState | Unread) -> Readings:
        """Keep what the round remembers: what cannot be kept is unknown to the next one."""
        if isinstance(latest, Unread):
            return found
        kept = self._read(lambda: self._watchdog._ledger.store_state(latest))
        return replace(found, probed=kept if isinstance(kept, Unread) else latest.probed())

    def _read(self, reading: Callable[[], T]) -> T | Unread:
        if self._time_left() < LEAST_SECONDS:
            return Unread("NoTimeLeft")
        try:
            return reading()
        except UnreadableError as error:
            return Unread(str(error))
        except Exception as error:
            # A bug in one reading must not stop the others. Its message may quote what it read.
            return Unread(type(error).__name__)

    def _with_flow(
        self,
        state: WatchdogState | Unread,
        destinations: Sequence[Destination] | Unread,
        unreplicated: float | Unread,
    ) -> WatchdogState | Unread:
        """Remember whether changes flow: an outage that is over shows nowhere else."""
        if isinstance(state, Unread) or isinstance(destinations, Unread):
            return state
        on = flows(destinations, self._config.stream_arn)
        waiting = None if isinstance(unreplicated, Unread) else unreplicated
        return state.saw_flow(on, self._now, waiting)

    def _with_undelivered(
        self,
        state: WatchdogState | Unread,
        undelivered: Undelivered | Unread,
        counted_from: float | None,
    ) -> WatchdogState | Unread:
        """Remember since when the changes may be missing that Lambda gave up and put nowhere."""
        if isinstance(state, Unread) or isinstance(undelivered, Unread):
            return state
        if counted_from is None:
            return state  # before there is a snapshot, every change will be in it
        return state.saw_undelivered(undelivered, counted_from)

    def _with_state(
        self,
        state: WatchdogState | Unread,
        intent: Intent | Unread,
        mapping: MappingState | Unread | None,
        stream: StreamFacts | Unread | None,
        tables: Mapping[str, TableState | Unread | None],
    ) -> tuple[Mapping[str, Identity | Unread], Probed | Unread]:
        """Make the readings that compare with earlier rounds: table identities and probes."""
        if isinstance(state, Unread):
            return dict.fromkeys(tables, state), state
        for side, table in tables.items():
            # Before the target is replicating, an import may be discarded and repeated.
            known = side == "source" or (isinstance(intent, Intent) and intent.replicating)
            if isinstance(table, TableState) and known:
                state = state.saw(side, table.table_id)
        measured = self._read(lambda: state.measured(self._watchdog._ledger.came_through))
        aged = state if isinstance(measured, Unread) else self._with_age(measured, intent, stream)
        put = self._read(lambda: self._put(aged, mapping))
        failed_put = put.why if isinstance(put, Unread) else ""
        latest = (aged if isinstance(put, Unread) else put).recorded(self._now, failed_put)
        kept = self._read(lambda: self._watchdog._ledger.store_state(latest))
        needed = (measured, kept) if failed_put == PROBES_THROTTLED else (measured, put, kept)
        failed = next((each for each in needed if isinstance(each, Unread)), None)
        identities = {
            side: now if isinstance(now, Unread) else Identity(now, latest.tables.get(side))
            for side, now in tables.items()
        }
        return identities, failed or latest.probed()

    def _with_age(
        self, state: WatchdogState, intent: Intent | Unread, stream: StreamFacts | Unread | None
    ) -> WatchdogState:
        """Remember whether the stream has dropped waiting changes.

        Once the consumer has caught up with the rest, that shows nowhere else. Before there is a
        snapshot, every waiting change will be in it.
        """
        if not isinstance(stream, StreamFacts) or not isinstance(intent, Intent):
            return state
        if intent.counted_from is None:
            return state
        since = oldest(intent, Probed(state.through, None), stream)
        return state.saw_age(since, self._now, stream.retention_hours * HOUR)

    def _put(self, state: WatchdogState, mapping: MappingState | Unread | None) -> WatchdogState:
        """Put another round, unless the mapping is off and one is outstanding already."""
        is_off = mapping is None or (isinstance(mapping, MappingState) and mapping.is_off)
        if state.waiting and is_off:
            return state
        probe, config, source = uuid.uuid4().hex, self._config, self._watchdog._source
        shards = source.open_shards()
        records = probe_records(probe, config.source_table, shards, config.parallelization_factor)
        clock = self._watchdog._clock
        put_at = clock.now_micros() / 1e6
        source.put_probes(records, clock.sleep)
        # A shard that opened meanwhile has no probe: the round would prove nothing about it.
        if set(source.open_shards()) != set(shards):
            raise UnreadableError(SHARDS_CHANGED)
        return state.put(ProbeRound(probe, len(records), put_at))


_watchdog: Watchdog | None = None


def handler(event: Any, context: Any) -> dict[str, Any]:
    """Run one round. The schedule's event is ignored."""
    readings = _built().round(lambda: context.get_remaining_time_in_millis() / 1000)
    return {"missed": readings.missed}


def _built() -> Watchdog:
    global _watchdog
    if _watchdog is None:
        from aws_lambda_powertools import Logger

        from replicator import aws

        config = WatchdogConfig.from_environment(os.environ)
        _watchdog = Watchdog(config, aws.client, SystemClock(), Logger(service="watchdog"))
    return _watchdog
