"""Both accounts in memory, on a virtual clock, with AWS's delays, refusals and idempotency.

Journal and ledger are the real gateways on the fake DynamoDB; the control planes are fakes. Every
call of either passes `World.around`, where a test watches it, fails it or kills the process.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Callable, Iterator, Sequence
from email.utils import formatdate
from typing import Any

from bootstrap.accounts import (
    Backups,
    Datapoint,
    Destination,
    Destinations,
    EventSource,
    ExportFacts,
    ExportRequest,
    ImportFacts,
    ImportRequest,
    OpenShards,
    ProbeRecord,
    Shard,
    StreamFacts,
    TableFacts,
)
from bootstrap.aws.calls import Calls
from bootstrap.aws.journal_table import AwsJournal
from bootstrap.aws.ledger import AwsLedger, probe_key
from bootstrap.context import Context, Done
from bootstrap.errors import AccountError, BootstrapError, Side
from bootstrap.executor import TableRun, drive
from bootstrap.journal import Journal
from bootstrap.lease import Holder, Lease, Machine
from bootstrap.outputs import Outputs, parse
from bootstrap.progress import Snapshot
from bootstrap.timing import Timing
from tests.fakes.clock import VirtualClock
from tests.fakes.dynamodb import FakeDynamoDB
from tests.fakes.errors import Call, Faults, Killed

SOURCE_ARN = "arn:aws:dynamodb:eu-west-1:111111111111:table/orders"
STREAM_ARN = "arn:aws:kinesis:eu-west-1:111111111111:stream/orders-stream"
LEDGER, JOURNAL, BUCKET, MAPPING = "orders-ledger", "journal", "snapshots", "mapping-uuid"
COMMAND = "python -m bootstrap {} --stack local"
TOKEN_SECONDS = 8 * 3600.0
WRITING = ("enable_backups", "export", "put_probes", "import_table", "protect", "enable_mapping")

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
        "importerRoleArn": "arn:aws:iam::222222222222:role/importer",
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
        }
    ],
}


def outputs(**changes: Any) -> Outputs:
    """The outputs of a stack with one table; `changes` go into the table's members."""
    (table,) = OUTPUTS_JSON["tables"]
    return parse(json.dumps({**OUTPUTS_JSON, "tables": [{**table, **changes}]}), "test")


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
    def __init__(self, world: World) -> None:
        self._world = world

    def before(self, call: Call) -> None:
        self._world.before(call.operation, call.request)

    def after(self, call: Call) -> None:
        self._world.after(call.operation)


class World:
    """Everything that outlives a process."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
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
        self.exports: dict[str, tuple[ExportRequest, float]] = {}
        self.export_seconds = 600.0
        self.shards = (Shard("shard-0", "0"), Shard("shard-1", str(2**127)))
        self.rejected_probes = 0
        self.probes: list[tuple[ProbeRecord, float]] = []
        self.ages: Callable[[float], float | None] = lambda begin: None
        self.writes: Callable[[float], float] = lambda begin: 0.0
        self.lost_records = 0

        self.target: TableFacts | None = None
        self.target_recovery = False
        self.imports: dict[str, tuple[ImportRequest, float]] = {}
        self.import_seconds = 900.0
        self.failures: dict[str, str] = {}
        """Why an export or import fails, by the end of its ARN: export/0001, import/0001."""
        self.mapping_enabled_at: float | None = None
        self.mapping_exists = True
        self.mapping_position = "TRIM_HORIZON"
        self.backlog_seconds = 20.0
        self.consumer_works = True

        self.dynamodb = DatedDynamoDB(self.clock, faults=_Hook(self))
        self.alive: set[int] = set()
        self.seen: list[Seen] = []
        self.on_call: Callable[[int, str, bool], None] = lambda number, name, after: None
        self._numbers = 0
        self._quiet = True
        for table, keys in ((JOURNAL, "pk:S,sk:S"), (LEDGER, "k:B")):
            self._create(table, keys)
        self._quiet = False

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
            if self.mapping_enabled_at is None or not self.consumer_works:
                return
            through = self.mapping_enabled_at + self.backlog_seconds
            for record, put_at in list(self.probes):
                if now >= max(through, put_at + 1):
                    self.probes.remove((record, put_at))
                    body = json.loads(record.data)
                    key = probe_key(body["probe"], body["n"])
                    self.dynamodb.put_item(
                        TableName=LEDGER, Item={**key, "at": {"N": str(int(now * 1e6))}}
                    )

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


class FakeSource:
    """`SourceAccount`."""

    def __init__(self, world: World, before: Callable[[], None]) -> None:
        self._world = world
        self._before = before

    @contextlib.contextmanager
    def _call(self, name: str, detail: Any = None) -> Iterator[World]:
        self._before()
        with self._world.around(name, detail):
            yield self._world

    def table(self, name: str) -> TableFacts | None:
        with self._call("describe_source") as world:
            return world.source

    def destinations(self, table: str) -> Destinations:
        with self._call("destinations") as world:
            return Destinations(tuple(world.destination()), float(int(world.clock())))

    def stream(self, stream_name: str) -> StreamFacts:
        with self._call("stream") as world:
            return StreamFacts(world.retention_hours, world.distribution)

    def backups(self, table: str) -> Backups:
        with self._call("source_backups") as world:
            window = world.restorable()
            return Backups(False) if window is None else Backups(True, *window)

    def enable_backups(self, table: str) -> None:
        with self._call("enable_source_backups") as world:
            if world.recovery_since is None:
                world.recovery_since = world.clock()

    def export(self, request: ExportRequest) -> ExportFacts | None:
        with self._call("export", request) as world:
            for arn, (known, began) in world.exports.items():
                if known.token == request.token and world.clock() - began < TOKEN_SECONDS:
                    if known != request:
                        raise AccountError(
                            Side.SOURCE, "conflict", fix="-", code="ExportConflictException"
                        )
                    return self._facts(arn)
            window = world.restorable()
            if window is None or not window[0] <= request.export_time <= window[1]:
                return None
            arn = f"{request.table_arn}/export/{len(world.exports) + 1:04d}"
            world.exports[arn] = (request, world.clock())
            return self._facts(arn)

    def describe_export(self, arn: str) -> ExportFacts | None:
        with self._call("describe_export"):
            return self._facts(arn)

    def find_export(self, table_arn: str, prefix: str) -> ExportFacts | None:
        with self._call("find_export") as world:
            for arn, (request, _) in world.exports.items():
                if request.prefix == prefix:
                    return self._facts(arn)
            return None

    def _facts(self, arn: str) -> ExportFacts:
        request, began = self._world.exports[arn]
        over = self._world.clock() >= began + self._world.export_seconds
        status = "IN_PROGRESS"
        if over:
            status = "FAILED" if self._world.failure(arn) else "COMPLETED"
        done = status == "COMPLETED"
        return ExportFacts(
            arn=arn,
            status=status,
            prefix=request.prefix,
            export_time=float(request.export_time),
            items=3 if done else None,
            size_bytes=300 if done else None,
            started=began,
            failure=self._world.failure(arn) if status == "FAILED" else "",
        )

    def open_shards(self, stream_name: str) -> OpenShards:
        with self._call("open_shards") as world:
            return OpenShards(world.shards, float(int(world.clock())))

    def put_probes(self, stream_name: str, records: Sequence[ProbeRecord]) -> Sequence[ProbeRecord]:
        with self._call("put_probes", list(records)) as world:
            rejected = list(records[: world.rejected_probes])
            world.rejected_probes = max(0, world.rejected_probes - 1)
            taken = records[len(rejected) :]
            world.probes += [(record, world.clock()) for record in taken]
            return rejected

    def oldest_unreplicated(
        self, table: str, since: float, until: float, period: int
    ) -> Sequence[Datapoint]:
        with self._call("oldest_unreplicated") as world:
            now = world.clock()
            begins = range(int(since), int(until), period)
            ages = [(begin, world.ages(begin)) for begin in begins if begin + period <= now]
            return [Datapoint(float(begin), age) for begin, age in ages if age is not None]

    def consumed_writes(
        self, table: str, since: float, until: float, period: int
    ) -> Sequence[Datapoint]:
        with self._call("consumed_writes") as world:
            begins = range(int(since), int(until), period)
            return [Datapoint(float(begin), world.writes(begin)) for begin in begins]

    def failed_to_replicate(self, table: str, since: float, until: float, period: int) -> int:
        with self._call("failed_to_replicate", (since, period)) as world:
            assert (until - since) / period <= 1440, "CloudWatch answers no more datapoints"
            return world.lost_records


class FakeTarget:
    """`TargetAccount`."""

    def __init__(self, world: World, before: Callable[[], None]) -> None:
        self._world = world
        self._before = before

    @contextlib.contextmanager
    def _call(self, name: str, detail: Any = None) -> Iterator[World]:
        self._before()
        with self._world.around(name, detail):
            yield self._world

    def table(self, name: str) -> TableFacts | None:
        with self._call("describe_target") as world:
            if world.target is not None and world.target.status == "CREATING":
                for arn in world.imports:
                    if self._facts(arn).status == "COMPLETED":
                        world.target = dataclasses.replace(world.target, status="ACTIVE")
            return world.target

    def import_table(self, request: ImportRequest) -> ImportFacts:
        with self._call("import_table", request) as world:
            for arn, (known, began) in world.imports.items():
                if known.token == request.token and world.clock() - began < TOKEN_SECONDS:
                    assert known == request, "the same token must be the same call"
                    return self._facts(arn)
            if world.target is not None:
                raise AccountError(Side.TARGET, "exists", fix="-", code="ResourceInUseException")
            self._check_prefix(request.prefix)
            name = str(request.table["TableName"])
            arn = f"arn:aws:dynamodb:eu-west-1:222222222222:table/{name}"
            world.target = TableFacts(
                arn=arn,
                table_id=f"target-{len(world.imports) + 1}",
                status="CREATING",
                items=0,
                size_bytes=0,
                deletion_protection=False,
            )
            import_arn = f"{arn}/import/{len(world.imports) + 1:04d}"
            world.imports[import_arn] = (request, world.clock())
            return self._facts(import_arn)

    def _check_prefix(self, prefix: str) -> None:
        complete = [
            f"{request.prefix}/AWSDynamoDB/{arn.rsplit('/', 1)[1]}/data/"
            for arn, (request, began) in self._world.exports.items()
            if self._world.clock() >= began + self._world.export_seconds
        ]
        assert prefix in complete, f"{prefix} is not the data folder of a complete export"

    def describe_import(self, arn: str) -> ImportFacts | None:
        with self._call("describe_import"):
            return self._facts(arn)

    def find_import(self, table_arn: str, prefix: str) -> ImportFacts | None:
        with self._call("find_import") as world:
            found = [arn for arn, (request, _) in world.imports.items() if request.prefix == prefix]
            return self._facts(found[-1]) if found else None

    def _facts(self, arn: str) -> ImportFacts:
        request, began = self._world.imports[arn]
        over = self._world.clock() >= began + self._world.import_seconds
        status = "IN_PROGRESS"
        if over:
            status = "FAILED" if self._world.failure(arn) else "COMPLETED"
        return ImportFacts(
            arn=arn,
            status=status,
            prefix=request.prefix,
            processed_items=3 if over else 1,
            imported_items=3 if status == "COMPLETED" else 1,
            errors=0 if status != "FAILED" else 2,
            started=began,
            failure_code=self._world.failure(arn) if status == "FAILED" else "",
        )

    def protect(self, table: str) -> None:
        with self._call("protect") as world:
            assert world.target is not None
            world.target = dataclasses.replace(world.target, deletion_protection=True)

    def backups(self, table: str) -> Backups:
        with self._call("target_backups") as world:
            return Backups(world.target_recovery)

    def enable_backups(self, table: str) -> None:
        with self._call("enable_target_backups") as world:
            world.target_recovery = True

    def mapping(self, uuid: str) -> EventSource | None:
        with self._call("mapping") as world:
            if not world.mapping_exists:
                return None
            enabled = world.mapping_enabled_at
            state = "Disabled"
            if enabled is not None:
                state = "Enabled" if world.clock() >= enabled + 15 else "Enabling"
            return EventSource(uuid, state, STREAM_ARN, world.mapping_position)

    def enable_mapping(self, uuid: str) -> None:
        with self._call("enable_mapping") as world:
            if world.mapping_enabled_at is None:
                world.mapping_enabled_at = world.clock()


class Process:
    """A process that runs `bootstrap run`."""

    def __init__(
        self, world: World, pid: int = 100, *, host: str = "laptop", chosen: Outputs | None = None
    ) -> None:
        self.world = world
        self.pid = pid
        self.machine = Machine(
            Holder(host, host, pid, "born"), lambda other: other.pid in world.alive
        )
        self.outputs = chosen or outputs()
        (table,) = self.outputs.tables
        calls = Calls(Side.TARGET, "Role importer")
        self.store = AwsJournal(calls, world.dynamodb, JOURNAL)
        lease = Lease(self.store, table.source_table, world.clock, self.machine)
        guarded = Calls(Side.TARGET, "Role importer", lease.check)
        context = Context(
            outputs=self.outputs,
            table=table,
            source=FakeSource(world, lease.check),
            target=FakeTarget(world, lease.check),
            ledger=AwsLedger(guarded, world.dynamodb, LEDGER),
            journal=Journal(self.store, table.source_table, lease),
            timing=Timing(),
            clock=world.clock,
        )
        self.run = TableRun(context, self.store, lease, COMMAND)
        self.shown: list[Snapshot] = []

    def start(self, take_over: bool = False) -> None:
        self.world.alive.add(self.pid)
        self.run.start(take_over)

    def go(self, take_over: bool = False) -> None:
        """From the start to REPLICATING.

        Raises:
            BootstrapError: why it is not.
            Killed: as the test ordered.
        """
        try:
            self.start(take_over)
            failed = drive([self.run], self.world.clock, self.shown.extend)
        except (Killed, BootstrapError):
            self.world.alive.discard(self.pid)
            raise
        self.world.alive.discard(self.pid)
        for _, error in failed:
            raise error

    def until(self, condition: Callable[[], bool], ticks: int = 500) -> None:
        """Ticks, sleeping as the executor would, until the condition holds."""
        for _ in range(ticks):
            if condition():
                return
            outcome = self.run.tick()
            if isinstance(outcome, Done):
                return
            self.world.clock.sleep(getattr(outcome, "poll", 0))
        raise AssertionError("The condition never held.")


def replicated(world: World | None = None) -> World:
    """A world in which a run has ended well."""
    world = world or World()
    Process(world).go()
    return world
