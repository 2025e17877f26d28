"""Both accounts in memory, on a virtual clock, with AWS's delays, refusals and idempotency.

Journal and ledger are the real gateways on the fake DynamoDB; the control planes are fakes. Every
call of either passes `FakeAws.around`, where a test watches it, fails it or kills the process.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import json
import threading
from collections.abc import Callable, Iterator
from email.utils import formatdate
from typing import Any

from bootstrap.core.facts import (
    ExportRequest,
    ImportRequest,
    KeyFacts,
    ScaledCapacity,
    Surroundings,
    TableFacts,
    TtlStatus,
)
from bootstrap.core.stack_outputs import Outputs, parse
from replicator.buffers import STREAMS
from replicator.change import Probe
from replicator.probes import PROTOCOL, ProbeRecord, probe_key
from replicator.stream import Destination, Shard
from tests.support.bootstrap.fake_bulk import FakeBulk
from tests.support.bootstrap.fake_policies import FakePolicies
from tests.support.bootstrap.fake_table_stream import FakeTableStream
from tests.support.fakes.clock import VirtualClock
from tests.support.fakes.dynamodb import FakeDynamoDB
from tests.support.fakes.errors import Call, Faults

SOURCE_ARN = "arn:aws:dynamodb:eu-west-1:111111111111:table/orders"
TARGET_ARN = "arn:aws:dynamodb:eu-west-1:222222222222:table/orders-replica"
STREAM_ARN = "arn:aws:kinesis:eu-west-1:111111111111:stream/orders-stream"
LEDGER, JOURNAL, BUCKET, MAPPING = "orders-ledger", "journal", "snapshots", "mapping-uuid"
IMPORTER, CONSUMER, TARGET_SWITCH = (
    f"arn:aws:iam::222222222222:role/{name}" for name in ("importer", "consumer", "switch")
)
SOURCE_SWITCH = "arn:aws:iam::111111111111:role/switch"
COMMAND = "python -m bootstrap {} --stack local"
TOKEN_SECONDS = 8 * 3600.0

OUTPUTS_JSON: dict[str, Any] = {
    "project": "dynamodb-replication",
    "stack": "local",
    "source": {
        "accountId": "111111111111",
        "region": "eu-west-1",
        "exporterRoleArn": "arn:aws:iam::111111111111:role/exporter",
    },
    "target": {
        "accountId": "222222222222",
        "region": "eu-west-1",
        "importerRoleArn": IMPORTER,
    },
    "journalTable": JOURNAL,
    "snapshotBucket": BUCKET,
    "tables": [
        {
            "sourceTable": "orders",
            "sourceTableArn": SOURCE_ARN,
            "targetTable": "orders-replica",
            "ordering": "ledger",
            "streamName": "orders-stream",
            "streamArn": STREAM_ARN,
            "consumerRegion": "eu-west-1",
            "functionName": "orders-consumer",
            "functionArn": "arn:aws:lambda:eu-west-1:222222222222:function:orders-consumer",
            "logGroup": "orders-logs",
            "mappingUuid": MAPPING,
            "parallelizationFactor": 1,
            "ledgerTable": LEDGER,
            "ledgerRetentionDays": 30,
            "quarantineBucket": "orders-quarantine",
            "onFailureBucket": "orders-on-failure",
            "snapshotPrefix": "orders",
            "consumerRoleArn": CONSUMER,
        }
    ],
}


def outputs(**changes: Any) -> Outputs:
    """The outputs of a stack with one table; `changes` go into the table's members."""
    (table,) = OUTPUTS_JSON["tables"]
    return parse(json.dumps({**OUTPUTS_JSON, "tables": [{**table, **changes}]}), "test")


NOT_OF_A_TABLE_STREAM = ("streamName", "streamArn", "mappingUuid")
"""What the stack does not name of a table whose own stream is the buffer."""


def table_stream_outputs(**changes: Any) -> Outputs:
    """The outputs of a stack with one table whose own stream is the buffer."""
    (table,) = OUTPUTS_JSON["tables"]
    members = {key: value for key, value in table.items() if key not in NOT_OF_A_TABLE_STREAM}
    members |= {
        "buffer": STREAMS,
        "mappingSettings": {"batchSize": 500, "batchWindowSeconds": 0},
        "retentionHours": 24,
    }
    return parse(json.dumps({**OUTPUTS_JSON, "tables": [{**members, **changes}]}), "test")


def switch_outputs(**changes: Any) -> Outputs:
    """The outputs of a stack with one table and the roles of a switch."""
    found = outputs(**{"denyOtherWriters": True, **changes})
    return dataclasses.replace(
        found,
        source=dataclasses.replace(found.source, switch_role_arn=SOURCE_SWITCH),
        target=dataclasses.replace(found.target, switch_role_arn=TARGET_SWITCH),
    )


@dataclasses.dataclass(frozen=True)
class Seen:
    """A call that was made, and when."""

    name: str
    at: float
    detail: Any = None


class DatedDynamoDB(FakeDynamoDB):
    """The fake with a Date in its answers, as AWS has: the fraction of the second is dropped."""

    def _call(
        self, operation: str, request: Any, work: Callable[[], dict[str, Any]]
    ) -> dict[str, Any]:
        answer = super()._call(operation, request, work)
        answer["ResponseMetadata"]["HTTPHeaders"]["date"] = formatdate(int(self.now()), usegmt=True)
        return answer


class _Hook(Faults):
    def __init__(self, world: FakeAws) -> None:
        self._world = world

    def before(self, call: Call) -> None:
        self._world.before(call.operation, call.request)

    def after(self, call: Call) -> None:
        self._world.after(call.operation)


class FakeAws:
    """Everything that outlives a process."""

    def __init__(self, clock: VirtualClock | None = None) -> None:
        self.clock = clock or VirtualClock()
        self.source = TableFacts(
            arn=SOURCE_ARN,
            table_id="source-1",
            status="ACTIVE",
            items=3,
            size_bytes=300,
            deletion_protection=False,
            keys=[{"AttributeName": "pk", "KeyType": "HASH"}],
            attributes=[{"AttributeName": "pk", "AttributeType": "S"}],
        )
        self.destinations = [Destination(STREAM_ARN, "ENABLING", "MICROSECOND")]
        self.active_from = self.clock() + 30
        self.recovery_since: float | None = None
        self.restorable_lag = 300.0
        self.retention_hours = 8760
        self.distribution = "USER_PARTITION_KEY"
        self.stream_key = ""
        self.stream_policy: str | None = None
        self.stream_policy_refused = False
        self.stream_created = 0.0
        self.stream_mode = "ON_DEMAND"
        self.warm_mib = 0.0
        self.exports: dict[str, tuple[ExportRequest, float]] = {}
        self.export_seconds = 600.0
        self.objects: set[str] = set()
        """Of the snapshot bucket."""
        self.shards: tuple[Shard, ...] = (Shard("shard-0", "0"), Shard("shard-1", str(2**127)))
        self.rejected_probes = 0
        self.probes: list[tuple[ProbeRecord, float]] = []
        self.ages: Callable[[float], float | None] = lambda begin: None
        self.writes: Callable[[float], float] = lambda begin: 0.0
        """Write units in the minute that begins then."""
        self.index_writes: dict[str, Callable[[float], float]] = {}
        """The same of an index."""
        self.expired: Callable[[float], float] = lambda begin: 0.0
        """Items that time to live deletes in the minute that begins then."""
        self.target_writes: Callable[[float], float] = lambda begin: 0.0
        """Write units of the target in the minute that begins then."""
        self.metric_delay = 120.0
        """Seconds after the end of a period until CloudWatch has its datapoint."""
        self.target_items: list[dict[str, Any]] = []
        self.lost_records: list[tuple[float, int]] = []
        """When DynamoDB gave up on how many."""
        self.throttled_partitions = 0
        self.record_kib = 10_240
        self.surroundings = Surroundings(autoscaling=(), insights=False, policy=False)
        self.running_exports: int | None = 0
        self.awss_own_key: bool | None = True
        self.keys: dict[str, KeyFacts] = {}
        """Of both accounts, by ARN."""
        self.source_tags: dict[str, str] = {}
        self.source_expiry = TtlStatus(False)
        self.scaled: list[ScaledCapacity] = []
        """What scales the source's capacity."""

        self.target: TableFacts | None = None
        self.target_destinations: list[Destination] = []
        self.bulk = FakeBulk(self.clock)
        self.exported_objects = self.exported_items = 3
        self.created_tables: list[float] = []
        """When CreateTable was called."""
        self.create_seconds = 20.0
        self.target_recovery = False
        self.target_tags: dict[str, str] = {}
        self.expiries: dict[str, TtlStatus] = {LEDGER: TtlStatus(True, "x")}
        """By table, in the target account."""
        self.expiry_changed: dict[str, float] = {}
        """When; AWS takes one change of a table an hour."""
        self.warmed: dict[str, int] = {}
        self.table_writes = 40_000
        self.imports: dict[str, tuple[ImportRequest, float]] = {}
        self.import_seconds = 900.0
        self.left_out: dict[str, int] = {}
        """Items that an import (by the end of its ARN) leaves out, and says nothing of."""
        self.failures: dict[str, str] = {}
        """Why an export or import fails, by the end of its ARN: export/0001, import/0001."""
        self.mapping_enabled_at: float | None = None
        self.mapping_modified: float | None = None
        self.mapping_exists = True
        self.mapping_stream = STREAM_ARN
        self.own_stream: FakeTableStream | None = None
        """The source table's own stream, where that is the buffer."""
        self.running_imports: int | None = 0
        self.concurrency: int | None = 1_000
        self.mapping_position = "TRIM_HORIZON"
        self.mapping_starts_at: float | None = None
        self.backlog_seconds = 20.0
        self.through: Callable[[float], float] = lambda put_at: put_at + 1
        """When the consumer has applied all that was in the stream at a moment."""
        self.consumer_works = True
        self.protocol = PROTOCOL
        """Of the consumer's code; 0: older code, which obeys no switch."""

        self.policies = FakePolicies(self.clock)
        self.more_tables: dict[str, str] = {}
        """ARNs by name of tables that are like the first one of their account."""

        self.dynamodb = DatedDynamoDB(self.clock, faults=_Hook(self))
        self.alive: set[int] = set()
        self.seen: list[Seen] = []
        self.on_call: Callable[[int, str, bool], None] = lambda number, name, after: None
        self._numbers = 0
        self._quiet = True
        for table, keys in ((JOURNAL, "pk:S,sk:S"), (LEDGER, "k:B")):
            self._create(table, keys)
        self._quiet = False

    def copied(self) -> FakeAws:
        """Another world in the same state, without the run that led there."""
        apart = {id(self.dynamodb.lock): threading.RLock(), id(self.seen): list(self.seen)}
        return copy.deepcopy(self, apart)

    def _create(self, table: str, keys: str) -> None:
        pairs = [key.split(":") for key in keys.split(",")]
        self.dynamodb.create_table(
            TableName=table,
            KeySchema=[
                {"AttributeName": name, "KeyType": kind}
                for (name, _), kind in zip(pairs, ("HASH", "RANGE"), strict=False)
            ],
            AttributeDefinitions=[
                {"AttributeName": name, "AttributeType": kind} for name, kind in pairs
            ],
            BillingMode="PAY_PER_REQUEST",
        )

    def named(self, facts: TableFacts | None, name: str) -> TableFacts | None:
        """The facts of a table that is like the first one, under its own ARN."""
        if facts is None or name not in self.more_tables:
            return facts
        return dataclasses.replace(facts, arn=self.more_tables[name])

    # -- calls -----------------------------------------------------------------------------------

    def before(self, name: str, detail: Any = None) -> None:
        """A call is about to be carried out."""
        if self._quiet:
            return
        self._numbers += 1
        self.seen.append(Seen(name, self.clock(), detail))
        self.on_call(self._numbers, name, False)
        self._settle()

    def after(self, name: str) -> None:
        """A call was carried out; its answer is on its way."""
        if not self._quiet:
            self.on_call(self._numbers, name, True)

    @property
    def calls(self) -> int:
        return self._numbers

    @contextlib.contextmanager
    def around(self, name: str, detail: Any = None) -> Iterator[None]:
        self.before(name, detail)
        yield
        self.after(name)

    @contextlib.contextmanager
    def unwatched(self) -> Iterator[None]:
        """For the test's own looks at the world."""
        self._quiet, before = True, self._quiet
        try:
            yield
        finally:
            self._quiet = before

    def times(self, name: str) -> list[float]:
        """When calls of this name were made."""
        return [each.at for each in self.seen if each.name == name]

    def order(self, *names: str) -> list[str]:
        """The calls of these names, in order, repetitions in a row left out."""
        found: list[str] = []
        for each in self.seen:
            if each.name in names and found[-1:] != [each.name]:
                found.append(each.name)
        return found

    # -- what time does --------------------------------------------------------------------------

    def destination(self) -> list[Destination]:
        now = self.clock()
        return [
            dataclasses.replace(each, status="ACTIVE")
            if each.status == "ENABLING" and now >= self.active_from
            else each
            for each in self.destinations
        ]

    def restorable(self) -> tuple[float, float] | None:
        if self.recovery_since is None:
            return None
        return self.recovery_since, max(self.recovery_since, self.clock() - self.restorable_lag)

    def _settle(self) -> None:
        """The consumer acknowledges probes; an import ends."""
        with self.unwatched():
            now = self.clock()
            if self.own_stream is not None and self.consumer_works:
                self.own_stream.consume(self)
            if self.mapping_enabled_at is None or not self.consumer_works:
                return
            backlog = self.mapping_enabled_at + self.backlog_seconds
            for record, put_at in list(self.probes):
                if now >= max(backlog, self.through(put_at)):
                    self.probes.remove((record, put_at))
                    body = json.loads(record.data)
                    row = {
                        "k": {"B": probe_key(Probe(body["probe"], body["n"]))},
                        "at": {"N": str(int(now * 1e6))},
                        "protocol": {"N": str(self.protocol)},
                        **self._echo(),
                    }
                    self.dynamodb.put_item(TableName=LEDGER, Item=row)

    def _echo(self) -> dict[str, Any]:
        """The nonces that an invocation runs under, as it writes them into a probe's row."""
        settings = self.ledger_settings()
        return {name: settings[name] for name in ("armed", "closed") if name in settings}

    def failure(self, arn: str) -> str:
        """Why this export or import fails; empty if it does not."""
        return self.failures.get("/".join(arn.split("/")[-2:]), "")

    def ledger_settings(self) -> dict[str, Any]:
        """The settings row as it stands."""
        with self.unwatched():
            key = {"k": {"B": b"settings"}}
            answer = self.dynamodb.get_item(TableName=LEDGER, Key=key)
        item: dict[str, Any] = answer.get("Item", {})
        return item
