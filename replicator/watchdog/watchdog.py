"""The watchdog: every five minutes it looks at everything that could lose a change, and says so.

It runs beside the consumer, on its own schedule and role. What it cannot read it says as well, and
no reading that fails keeps it from the others. Its gauges are what most alarms stand on: an event
is over after a minute, the state that it left behind is not.
"""

from __future__ import annotations

import json
import os
import sys
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from replicator import names
from replicator.probes import probe_records
from replicator.runtime import Clock, SystemClock
from replicator.settings import ConfigurationError
from replicator.stream import Destination, StreamFacts
from replicator.watchdog.aws_readings import (
    LedgerRows,
    SourceSide,
    TargetSide,
    UnreadableError,
    count_objects,
)
from replicator.watchdog.detectors import Level
from replicator.watchdog.judge import HOUR, Expected, Finding, flows, gauges, judge, oldest
from replicator.watchdog.probe_rounds import ProbeRound, WatchdogState
from replicator.watchdog.readings import Identity, Intent, Probed, Readings, Unread
from replicator.watchdog.source_session import MakeClient, Observer

T = TypeVar("T")

LEAST_SECONDS = 30.0
"""With less time left nothing more is read: a call may take that long, and what has been read has
to be said."""

_UNITS = {names.PROBE_AGE: "Seconds", names.PROBE_LAG: "Seconds"}


@dataclass(frozen=True)
class WatchdogConfig:
    """The function's environment."""

    stack: str
    source_table: str
    source_region: str
    """Also the function's own Region."""
    target_table: str
    target_region: str
    ledger_table: str
    quarantine_bucket: str
    on_failure_bucket: str
    stream_name: str
    stream_arn: str
    mapping_uuid: str
    observer_role: str
    parallelization_factor: int
    retention_hours: int
    record_kib: int

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> WatchdogConfig:
        """Raises ConfigurationError if something is missing or no number."""
        try:
            return cls(
                stack=environment["STACK"],
                source_table=environment["SOURCE_TABLE"],
                source_region=environment["SOURCE_REGION"],
                target_table=environment["TARGET_TABLE"],
                target_region=environment["TARGET_REGION"],
                ledger_table=environment["LEDGER_TABLE"],
                quarantine_bucket=environment["QUARANTINE_BUCKET"],
                on_failure_bucket=environment["ON_FAILURE_BUCKET"],
                stream_name=environment["STREAM_NAME"],
                stream_arn=environment["STREAM_ARN"],
                mapping_uuid=environment["MAPPING_UUID"],
                observer_role=environment["OBSERVER_ROLE_ARN"],
                parallelization_factor=int(environment["PARALLELIZATION_FACTOR"]),
                retention_hours=int(environment["RETENTION_HOURS"]),
                record_kib=int(environment["MAX_RECORD_KIB"]),
            )
        except (KeyError, ValueError) as error:
            raise ConfigurationError(
                f"The watchdog's environment is missing something, or it is no number: {error}.\n"
                "Try: deploy the stack again; these variables are set by its watchdog component."
            ) from None

    @property
    def expected(self) -> Expected:
        return Expected(self.stream_arn, self.retention_hours, self.record_kib)


class Watchdog:
    """What lives as long as the function's container."""

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
        self._target = TargetSide(
            dynamodb=dynamodb,
            lambda_=make("lambda", config.source_region, None),
            table=config.target_table,
            mapping=config.mapping_uuid,
        )
        self._ledger = LedgerRows(dynamodb, config.ledger_table)
        self._quarantine_s3 = make("s3", config.target_region, None)
        self._failures_s3 = make("s3", config.source_region, None)

    def round(self, time_left: Callable[[], float]) -> Readings:
        """Reads, judges and reports once. `time_left` gives seconds."""
        look = _Look(self, time_left)
        readings = look.readings()
        findings = judge(readings, self._config.expected)
        values = gauges(readings, findings)
        # Said last, and whatever else could not be: the watchdog is alive.
        self._emit(values | {names.WATCHDOG_RAN: 1.0}, readings.at)
        self._tell(findings, readings)
        return readings

    def _emit(self, values: Mapping[str, float], at: float) -> None:
        """One line in embedded metric format."""
        metrics = [{"Name": name, "Unit": _UNITS.get(name, "None")} for name in values]
        directive = {
            "Namespace": names.NAMESPACE,
            "Dimensions": [list(names.DIMENSIONS)],
            "Metrics": metrics,
        }
        line = {
            "_aws": {"Timestamp": int(at * 1000), "CloudWatchMetrics": [directive]},
            **names.dimensions(self._config.stack, self._config.source_table),
            **values,
        }
        self._out.write(json.dumps(line) + "\n")
        self._out.flush()

    def _tell(self, findings: tuple[Finding, ...], readings: Readings) -> None:
        for finding in findings:
            if finding.level is not Level.FINE:
                name = finding.detector
                self._logger.warning(
                    f"{name.metric}: {finding.detail}\n{name.means}\nTry: {finding.first}",
                    extra={"level_of_loss": finding.level.value},
                )
        if readings.missed:
            self._logger.error(
                "Some readings could not be made.\n"
                "Try: pulumi up --refresh; the watchdog's or the observer's role may lack a right.",
                extra={"missed": readings.missed},
            )


class _Look:
    """One round's readings, each on its own."""

    def __init__(self, watchdog: Watchdog, time_left: Callable[[], float]) -> None:
        self._dog, self._time_left = watchdog, time_left
        self._config = watchdog._config
        self._now = watchdog._clock.now_micros() / 1e6

    def readings(self) -> Readings:
        dog, config, now = self._dog, self._config, self._now
        intent = self._read(dog._ledger.intent)
        mapping = self._read(dog._target.mapping)
        book = self._read(dog._ledger.book)
        counted_from = intent.counted_from if isinstance(intent, Intent) else None
        source_id = self._read(dog._source.table_id)
        target_id = self._read(dog._target.table_id)
        destinations = self._read(dog._source.destinations)
        stream = self._read(dog._source.stream)
        quarantine = self._read(
            lambda: count_objects(dog._quarantine_s3, config.quarantine_bucket, "open/")
        )
        failures = self._read(lambda: count_objects(dog._failures_s3, config.on_failure_bucket))
        skipped = self._read(lambda: dog._source.skipped(counted_from or 0.0, now))
        unreplicated = self._read(lambda: dog._source.unreplicated(now))
        foreign = self._read(dog._ledger.foreign)
        book = self._with_flow(book, destinations, unreplicated)
        source, target, probed = self._with_book(
            book, intent, mapping, stream, source_id, target_id
        )
        return Readings(
            at=now,
            intent=intent,
            mapping=mapping,
            destinations=destinations,
            stream=stream,
            source=source,
            target=target,
            quarantine=quarantine,
            failures=failures,
            skipped=skipped,
            unreplicated=unreplicated,
            probed=probed,
            foreign=foreign,
        )

    def _read(self, reading: Callable[[], T]) -> T | Unread:
        if self._time_left() < LEAST_SECONDS:
            return Unread("NoTimeLeft")
        try:
            return reading()
        except UnreadableError as error:
            return Unread(str(error))
        except Exception as error:
            # A bug in one reading must not blind the others. Its message may quote what it read.
            return Unread(type(error).__name__)

    def _with_flow(
        self,
        book: WatchdogState | Unread,
        destinations: Sequence[Destination] | Unread,
        unreplicated: float | Unread,
    ) -> WatchdogState | Unread:
        """Off and on again shows nowhere but here once it is over."""
        if isinstance(book, Unread) or isinstance(destinations, Unread):
            return book
        on = flows(destinations, self._config.stream_arn)
        waiting = None if isinstance(unreplicated, Unread) else unreplicated
        return book.saw_flow(on, self._now, waiting)

    def _with_book(
        self,
        book: WatchdogState | Unread,
        intent: Intent | Unread,
        mapping: str | Unread | None,
        stream: StreamFacts | Unread | None,
        source_id: str | Unread | None,
        target_id: str | Unread | None,
    ) -> tuple[Identity | Unread, Identity | Unread, Probed | Unread]:
        """What takes memory: which tables these were, and the probes."""
        if isinstance(book, Unread):
            return book, book, book
        if isinstance(source_id, str):
            book = book.saw("source", source_id)
        # Before the table is replicating, an import may be thrown away and made again.
        if isinstance(target_id, str) and isinstance(intent, Intent) and intent.replicating:
            book = book.saw("target", target_id)
        measured = self._read(lambda: self._measure(book))
        known = book if isinstance(measured, Unread) else self._with_age(measured, intent, stream)
        put = self._read(lambda: self._put(known, mapping))
        latest = known if isinstance(put, Unread) else put
        kept = self._read(lambda: self._dog._ledger.keep(latest))
        trouble = next((each for each in (measured, put, kept) if isinstance(each, Unread)), None)
        waiting = latest.waiting[0].at if latest.waiting else None
        return (
            source_id if isinstance(source_id, Unread) else _identity(latest, "source", source_id),
            target_id if isinstance(target_id, Unread) else _identity(latest, "target", target_id),
            trouble or Probed(latest.through, waiting, latest.lag),
        )

    def _with_age(
        self, book: WatchdogState, intent: Intent | Unread, stream: StreamFacts | Unread | None
    ) -> WatchdogState:
        """That the stream forgot what waited shows nowhere but here once the consumer has caught
        up with the rest. Before there is a snapshot nothing waits that it will not hold.
        """
        if not isinstance(stream, StreamFacts) or not isinstance(intent, Intent):
            return book
        if intent.counted_from is None:
            return book
        since = oldest(intent, Probed(book.through, None), stream)
        return book.saw_age(since, self._now, stream.retention_hours * HOUR)

    def _measure(self, book: WatchdogState) -> WatchdogState:
        """Newest first: a round that is through in every lane answers for all before it."""
        for each in reversed(book.waiting):
            row_at = self._dog._ledger.came_through(each)
            if row_at is not None:
                return book.came_through(each, row_at)
        return book

    def _put(self, book: WatchdogState, mapping: str | Unread | None) -> WatchdogState:
        """Another round, unless nobody takes them: one waits already, and the stream is no place
        to pile up more."""
        if book.waiting and mapping in (None, "Disabled", "Disabling"):
            return book
        probe, config = uuid.uuid4().hex, self._config
        records = probe_records(
            probe,
            config.source_table,
            self._dog._source.open_shards(),
            config.parallelization_factor,
        )
        put_at = self._dog._clock.now_micros() / 1e6
        self._dog._source.put_probes(records)
        return book.put(ProbeRound(probe, len(records), put_at))


def _identity(book: WatchdogState, side: str, table_id: str | None) -> Identity:
    return Identity(table_id, book.tables.get(side))


_watchdog: Watchdog | None = None


def handler(event: Any, context: Any) -> dict[str, Any]:
    """The Lambda's entry point. The event, a schedule's, says nothing."""
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
