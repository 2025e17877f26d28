"""The assembly of all corrections: the one module that knows which part needs which."""

from __future__ import annotations

from infra.local.emulator.access import PermissionChecks
from infra.local.emulator.access_denials import AccessDenials
from infra.local.emulator.alarm_evaluator import AlarmEvaluator
from infra.local.emulator.bulk_put.operations import BulkOperations
from infra.local.emulator.call_log import CallLog
from infra.local.emulator.change_capture import ChangeCapture, StreamWriter, TableStreamWriter
from infra.local.emulator.change_history import ChangeHistory
from infra.local.emulator.chaos.batch_faults import ChaosDelivery
from infra.local.emulator.chaos.call_faults import CallFaults
from infra.local.emulator.chaos.counts import ChaosCounts
from infra.local.emulator.chaos.rates import Chaos
from infra.local.emulator.chaos.record_faults import ChaosStreamWriter
from infra.local.emulator.chaos.stream_faults import ChaosTableStreams
from infra.local.emulator.condition_keys import ConditionKeys
from infra.local.emulator.decimal_arithmetic import CanonicalNumbers
from infra.local.emulator.exports import ExportJobs
from infra.local.emulator.expression_parsing import ExpressionParsing
from infra.local.emulator.glue.job_runs import EmulatedJobRuns
from infra.local.emulator.imports import ImportJobs
from infra.local.emulator.index_creation import IndexCreation
from infra.local.emulator.invocation import Delivery, DirectDelivery
from infra.local.emulator.key_aliases import KeyAliases
from infra.local.emulator.local_indexes import LocalIndexes
from infra.local.emulator.logs import FunctionLogs
from infra.local.emulator.mapping_sources import KinesisSource
from infra.local.emulator.mappings import EventSourceMappings
from infra.local.emulator.partiql import PartiQLWrites
from infra.local.emulator.patching import Ministack
from infra.local.emulator.point_in_time_recovery import PointInTimeRecovery
from infra.local.emulator.replication_metrics import ReplicationMetrics, start
from infra.local.emulator.schedules import Schedules
from infra.local.emulator.settings import EmulatorSettings
from infra.local.emulator.shards import Shards
from infra.local.emulator.stream_writer import DirectStreamWriter
from infra.local.emulator.streaming_destinations import StreamingDestinations
from infra.local.emulator.streams import Streams
from infra.local.emulator.table_policies.permissions import TablePermissions
from infra.local.emulator.table_streams.mapping_source import TableStreamSource
from infra.local.emulator.table_streams.operations import StreamOperations
from infra.local.emulator.table_streams.readers import ShardReaders
from infra.local.emulator.table_streams.specification import StreamSpecifications
from infra.local.emulator.table_streams.store import TableStreams
from infra.local.emulator.tagged_streams import TaggedStreams
from infra.local.emulator.transaction_limit import TransactionLimit
from infra.local.emulator.ttl import TtlSweeper
from infra.local.emulator.warm_throughput import WarmThroughput
from infra.local.emulator.workers import FunctionWorkers
from infra.local.emulator.write_log import WriteLog


def assemble(ministack: Ministack, settings: EmulatorSettings) -> None:
    """Install every correction and start the background threads."""
    history = ChangeHistory()
    recording = CallLog(ministack, settings.recording)
    access = PermissionChecks(ministack, recording)
    shards = Shards(ministack)
    metrics = ReplicationMetrics(ministack, settings)
    counts = ChaosCounts(ministack)
    writer = _stream_writer(settings.chaos, DirectStreamWriter(shards, metrics), counts)
    delivery = _delivery(settings.chaos, DirectDelivery(ministack), counts)
    table_streams = TableStreams(ministack, shards, settings.streams, settings.enabling_seconds)
    readers = ShardReaders(settings.streams.reader_seconds)
    appender: TableStreamWriter = table_streams
    if settings.chaos.stream_off:
        appender = ChaosTableStreams(settings.chaos, ministack, table_streams, counts.count)
    capture = ChangeCapture(ministack, history, writer, appender, metrics)
    recovery = PointInTimeRecovery(ministack, history, settings)
    exports = ExportJobs(ministack, capture, history, recovery, access, settings)
    permissions = TablePermissions(
        ministack, access, settings, lambda arn: table_streams.find(arn) is not None
    )
    sources = (
        KinesisSource(ministack, shards, access),
        TableStreamSource(table_streams, access, permissions.policies, readers),
    )
    mappings = EventSourceMappings(ministack, sources, shards, access, delivery, settings)

    access.install()
    ConditionKeys(ministack).install()
    KeyAliases(ministack, access).install()
    permissions.install()
    AccessDenials(ministack).install()
    recording.install()
    Streams(ministack, shards, access).install()
    TaggedStreams(ministack).install()
    StreamingDestinations(ministack, settings).install()
    StreamOperations(ministack, table_streams, shards, readers, access).install()
    TransactionLimit(ministack).install()
    WarmThroughput(ministack).install()
    LocalIndexes(ministack).install()
    IndexCreation(ministack, settings).install()
    StreamSpecifications(ministack, table_streams).install()
    capture.install()
    WriteLog(ministack, settings.write_log).install()
    PartiQLWrites(ministack, capture).install()
    recovery.install()
    exports.install()
    ImportJobs(ministack, access, settings).install()
    BulkOperations(ministack, access, settings).install()
    EmulatedJobRuns(ministack, settings).install()
    CanonicalNumbers(ministack).install()
    ExpressionParsing(ministack).install()
    FunctionWorkers(ministack).install()
    FunctionLogs(ministack, access).install()
    mappings.install()
    alarms = AlarmEvaluator(ministack, settings)
    alarms.install()
    Schedules(ministack, settings).install()
    if settings.chaos.throttle or settings.chaos.lost or settings.chaos.lost_create:
        CallFaults(ministack, access, settings.chaos, counts.count).install()

    start(metrics.run, "local-metrics")
    start(TtlSweeper(ministack, capture, settings).run, "local-expiry")
    start(mappings.run, "local-mappings")
    start(alarms.run, "local-alarms")


def _stream_writer(chaos: Chaos, direct: DirectStreamWriter, counts: ChaosCounts) -> StreamWriter:
    if not (chaos.duplicate or chaos.delay or chaos.scatter or chaos.poison):
        return direct
    chaotic = ChaosStreamWriter(chaos, direct, direct.again, direct.held, counts.count)
    start(chaotic.run, "local-chaos")
    return chaotic


def _delivery(chaos: Chaos, direct: DirectDelivery, counts: ChaosCounts) -> Delivery:
    if not (chaos.overlap or chaos.redeliver or chaos.kill):
        return direct
    return ChaosDelivery(chaos, direct, counts.count)
