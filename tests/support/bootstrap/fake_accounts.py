"""Both accounts as the bootstrap sees them: its protocols, on a `FakeAws`."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from bootstrap.aws.calls import Calls
from bootstrap.aws.resource_policies import AwsResourcePolicies
from bootstrap.core.bulk_facts import BulkFacts, BulkFailure, BulkFailures, BulkRequest
from bootstrap.core.errors import AccessDeniedError, AccountError, Side, UnavailableError
from bootstrap.core.facts import (
    ON_DEMAND,
    Backups,
    Capacity,
    Datapoint,
    Destinations,
    EventSource,
    ExportFacts,
    ExportRequest,
    ImportFacts,
    ImportRequest,
    KeyFacts,
    Limits,
    OpenShards,
    PolicyRevision,
    ScaledCapacity,
    Surroundings,
    TableFacts,
    TtlStatus,
)
from replicator.probes import ProbeRecord
from replicator.stream import StreamFacts
from tests.support.bootstrap.fake_aws import (
    LEDGER,
    TARGET_ARN,
    TARGET_SWITCH,
    TOKEN_SECONDS,
    FakeAws,
)
from tests.support.bootstrap.fake_bulk import FakeBulk
from tests.support.bootstrap.fake_policies import PolicyClient
from tests.support.bootstrap.fake_table_stream import MAPPING as OWN_MAPPING


class FakeSource:
    """`SourceAccount`."""

    def __init__(self, world: FakeAws, before: Callable[[], None]) -> None:
        self._world = world
        self._before = before

    @contextlib.contextmanager
    def _call(self, name: str, detail: Any = None) -> Iterator[FakeAws]:
        self._before()
        with self._world.around(name, detail):
            yield self._world

    def table(self, name: str) -> TableFacts | None:
        with self._call("describe_source") as world:
            return world.named(world.source, name)

    def destinations(self, table: str) -> Destinations:
        with self._call("destinations") as world:
            return Destinations(tuple(world.destination()), float(int(world.clock())))

    def stream(self, stream_name: str) -> StreamFacts:
        with self._call("stream") as world:
            return StreamFacts(
                "ACTIVE",
                world.retention_hours,
                world.record_kib,
                world.distribution,
                world.stream_created,
                world.stream_mode,
                world.warm_mib,
                world.stream_key,
            )

    def stream_policy(self, stream_arn: str) -> str | None:
        with self._call("stream_policy") as world:
            if world.stream_policy_refused:
                raise AccessDeniedError(
                    Side.SOURCE, "refused", fix="allow it", code="AccessDeniedException"
                )
            return world.stream_policy

    def backups(self, table: str) -> Backups:
        with self._call("source_backups") as world:
            window = world.restorable()
            return Backups(False) if window is None else Backups(True, *window)

    def enable_backups(self, table: str) -> None:
        with self._call("enable_source_backups") as world:
            if world.recovery_since is None:
                world.recovery_since = world.clock()

    def disable_backups(self, table: str) -> None:
        with self._call("disable_source_backups") as world:
            world.recovery_since = None

    def tags(self, table_arn: str) -> Mapping[str, str]:
        with self._call("source_tags") as world:
            return world.source_tags

    def expiry(self, table: str) -> TtlStatus:
        with self._call("source_expiry") as world:
            return world.source_expiry

    def surroundings(self, table: str, table_arn: str) -> Surroundings:
        with self._call("surroundings") as world:
            return world.surroundings

    def policy(self, table_arn: str) -> PolicyRevision:
        calls = fake_policies(self._world, Side.SOURCE, self._before)
        return calls.read(table_arn)

    def scaled_capacity(self, table: str, indexes: Sequence[str]) -> Sequence[ScaledCapacity]:
        with self._call("scaled_capacity", list(indexes)) as world:
            return list(world.scaled)

    def key(self, arn: str) -> KeyFacts:
        with self._call("source_key") as world:
            return world.keys[arn]

    def awss_own_key(self, arn: str) -> bool | None:
        with self._call("awss_own_key") as world:
            return world.awss_own_key

    def running_exports(self) -> int | None:
        with self._call("running_exports") as world:
            return world.running_exports

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
            number = f"{len(world.exports) + 1:04d}"
            arn = f"{request.table_arn}/export/{number}"
            data = f"{request.prefix}/AWSDynamoDB/{number}/data"
            world.objects |= {f"{data}/{n}.json.gz" for n in range(world.exported_objects)}
            world.exports[arn] = (request, world.clock())
            return self._facts(arn)

    def describe_export(self, arn: str) -> ExportFacts | None:
        with self._call("describe_export"):
            return self._facts(arn)

    def find_export(
        self, table_arn: str, prefix: str, begun: tuple[float, float] | None = None
    ) -> ExportFacts | None:
        with self._call("find_export", begun) as world:
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
            items=self._world.exported_items if done else None,
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
            assert (until - since) / period <= 1440, "CloudWatch answers no more datapoints"
            now = world.clock()
            begins = range(int(since), int(until), period)
            ages = [(begin, world.ages(begin)) for begin in begins if begin + period <= now]
            return [Datapoint(float(begin), age) for begin, age in ages if age is not None]

    def consumed_writes(
        self, table: str, since: float, until: float, period: int, index: str = ""
    ) -> Sequence[Datapoint]:
        with self._call("consumed_writes", index) as world:
            begins = range(int(since), int(until), period)
            writes = world.index_writes.get(index, lambda _: 0.0) if index else world.writes
            return [Datapoint(float(begin), writes(begin)) for begin in begins]

    def expired_items(
        self, table: str, since: float, until: float, period: int
    ) -> Sequence[Datapoint]:
        with self._call("expired_items") as world:
            begins = range(int(since), int(until), period)
            return [Datapoint(float(begin), world.expired(begin)) for begin in begins]

    def throttled_partitions(self, table: str, since: float, until: float, period: int) -> int:
        with self._call("throttled_partitions") as world:
            return world.throttled_partitions

    def failed_to_replicate(self, table: str, since: float, until: float, period: int) -> int:
        with self._call("failed_to_replicate", (since, period)) as world:
            assert (until - since) / period <= 1440, "CloudWatch answers no more datapoints"
            return sum(count for at, count in world.lost_records if since <= at < until)


class FakeTarget:
    """`TargetAccount`."""

    def __init__(self, world: FakeAws, before: Callable[[], None]) -> None:
        self._world = world
        self._before = before

    @contextlib.contextmanager
    def _call(self, name: str, detail: Any = None) -> Iterator[FakeAws]:
        self._before()
        with self._world.around(name, detail):
            yield self._world

    def table(self, name: str) -> TableFacts | None:
        with self._call("describe_target") as world:
            if name == LEDGER:
                warm = world.warmed.get(LEDGER, 4_000)
                return TableFacts("ledger-arn", "ledger-1", "ACTIVE", 0, 0, True, warm_writes=warm)
            if world.target is not None and world.target.status == "CREATING":
                for arn in world.imports:
                    if self._facts(arn).status != "IN_PROGRESS":
                        world.target = dataclasses.replace(world.target, status="ACTIVE")
                if any(at + world.create_seconds <= world.clock() for at in world.created_tables):
                    world.target = dataclasses.replace(world.target, status="ACTIVE")
            return world.named(world.target, name)

    def destinations(self, table: str) -> Destinations:
        with self._call("target_destinations") as world:
            return Destinations(tuple(world.target_destinations), float(int(world.clock())))

    def create_table(self, parameters: Mapping[str, Any]) -> TableFacts:
        with self._call("create_table", dict(parameters)) as world:
            if world.target is not None:
                raise UnavailableError(
                    Side.TARGET, "exists", fix="-", code="ResourceInUseException"
                )
            name = str(parameters["TableName"])
            world.target_tags = {each["Key"]: each["Value"] for each in parameters["Tags"]}
            world.created_tables.append(world.clock())
            world.target = TableFacts(
                arn=f"arn:aws:dynamodb:eu-west-1:222222222222:table/{name}",
                table_id=f"created-{len(world.created_tables)}",
                status="CREATING",
                items=0,
                size_bytes=0,
                deletion_protection=False,
                keys=list(parameters["KeySchema"]),
                attributes=list(parameters["AttributeDefinitions"]),
                global_indexes=[
                    {**each, "WarmThroughput": {"WriteUnitsPerSecond": 4_000}}
                    for each in parameters.get("GlobalSecondaryIndexes", ())
                ],
                table_class=parameters.get("TableClass", "STANDARD"),
                created=float(int(world.clock())),
            )
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
                global_indexes=[
                    {**each, "WarmThroughput": {"WriteUnitsPerSecond": 4_000}}
                    for each in request.table.get("GlobalSecondaryIndexes", ())
                ],
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
            imported_items=3 - self._world.left_out.get(arn[-11:], 0)
            if status == "COMPLETED"
            else 1,
            errors=0 if status != "FAILED" else 2,
            started=began,
            failure_code=self._world.failure(arn) if status == "FAILED" else "",
            table_id=f"target-{list(self._world.imports).index(arn) + 1}",
        )

    def protect(self, table: str) -> None:
        with self._call("protect") as world:
            assert world.target is not None
            world.target = dataclasses.replace(world.target, deletion_protection=True)

    def unprotect(self, table: str) -> None:
        with self._call("unprotect", table) as world:
            assert world.target is not None
            world.target = dataclasses.replace(world.target, deletion_protection=False)

    def set_class(self, table: str, table_class: str) -> None:
        with self._call("set_class") as world:
            assert world.target is not None
            world.target = dataclasses.replace(world.target, table_class=table_class)

    def set_stream(self, table: str, view: str) -> None:
        with self._call("set_stream", view) as world:
            assert world.target is not None
            assert world.target.stream_view is None, "AWS refuses"
            arn = f"{world.target.arn}/stream/2026"
            world.target = dataclasses.replace(world.target, stream_view=view, stream_arn=arn)

    def warm(self, table: str, reads: int, writes: int) -> None:
        with self._call("warm", (table, writes)) as world:
            world.warmed[table] = writes
            if table != LEDGER:
                assert world.target is not None
                world.target = dataclasses.replace(world.target, warm_writes=writes)

    def warm_indexes(self, table: str, units: Mapping[str, tuple[int, int]]) -> None:
        with self._call("warm_indexes", (table, dict(units))) as world:
            assert world.target is not None
            indexes = [
                dict(each)
                | (
                    {"WarmThroughput": {"WriteUnitsPerSecond": units[each["IndexName"]][1]}}
                    if each["IndexName"] in units
                    else {}
                )
                for each in world.target.global_indexes
            ]
            world.target = dataclasses.replace(world.target, global_indexes=indexes)

    def set_capacity(self, table: str, capacity: Capacity) -> None:
        with self._call("set_capacity", capacity) as world:
            assert world.target is not None
            own, on_demand = capacity.table, capacity.billing_mode == ON_DEMAND
            world.target = dataclasses.replace(
                world.target,
                billing_mode=capacity.billing_mode,
                read_capacity=0 if on_demand else own.reads or 0,
                write_capacity=0 if on_demand else own.writes or 0,
                max_reads=own.reads if on_demand else None,
                max_writes=own.writes if on_demand else None,
                global_indexes=[
                    {**each, **_throughput(capacity, str(each["IndexName"]))}
                    for each in world.target.global_indexes
                ],
            )

    def key(self, arn: str) -> KeyFacts:
        with self._call("target_key") as world:
            return world.keys[arn]

    def running_imports(self) -> int | None:
        with self._call("running_imports") as world:
            return world.running_imports

    def concurrency(self) -> int | None:
        with self._call("concurrency") as world:
            return world.concurrency

    def limits(self) -> Limits:
        with self._call("limits") as world:
            return Limits(world.table_writes, world.table_writes)

    def consumed_writes(
        self, table: str, since: float, until: float, period: int
    ) -> Sequence[Datapoint]:
        with self._call("target_writes", (since, until, period)) as world:
            assert (until - since) / period <= 1440, "CloudWatch answers no more datapoints"
            known = world.clock() - world.metric_delay - 60
            minutes = range(int(since), int(until), 60)
            found = [(at, world.target_writes(at)) for at in minutes if at <= known]
            return [Datapoint(float(at), units) for at, units in found if units]

    def tags(self, table_arn: str) -> Mapping[str, str]:
        with self._call("target_tags") as world:
            return dict(world.target_tags)

    def tag(self, table_arn: str, tags: Mapping[str, str]) -> None:
        with self._call("tag", dict(tags)) as world:
            world.target_tags |= tags

    def expiry(self, table: str) -> TtlStatus:
        with self._call("target_expiry") as world:
            return world.expiries.get(table, TtlStatus(False))

    def set_expiry(self, table: str, attribute: str, on: bool) -> None:
        with self._call("set_expiry", (table, on)) as world:
            if world.clock() < world.expiry_changed.get(table, -3600.0) + 3600:
                raise AccountError(
                    Side.TARGET,
                    "Time to live has been modified multiple times within a fixed interval.",
                    fix="-",
                    code="ValidationException",
                )
            world.expiry_changed[table] = world.clock()
            world.expiries[table] = TtlStatus(on, attribute)

    def drop(self, table: str) -> None:
        with self._call("drop", table) as world:
            assert world.target is not None
            assert not world.target.deletion_protection, "AWS refuses"
            world.policies.tables.pop(world.target.arn, None)  # it goes with the table
            world.target = None

    def backups(self, table: str) -> Backups:
        with self._call("target_backups") as world:
            return Backups(world.target_recovery)

    def enable_backups(self, table: str) -> None:
        with self._call("enable_target_backups") as world:
            world.target_recovery = True

    def mapping(self, uuid: str) -> EventSource | None:
        with self._call("mapping") as world:
            if world.own_stream is not None and uuid == OWN_MAPPING:
                return world.own_stream.mapping(world.clock())
            if not world.mapping_exists:
                return None
            enabled = world.mapping_enabled_at
            state = "Disabled"
            if enabled is not None:
                state = "Enabled" if world.clock() >= enabled + 15 else "Enabling"
            return EventSource(
                uuid,
                state,
                world.mapping_stream,
                world.mapping_position,
                world.mapping_starts_at,
                "OK",
                "User action",
                world.mapping_modified,
            )

    def enable_mapping(self, uuid: str) -> None:
        with self._call("enable_mapping") as world:
            if world.own_stream is not None and uuid == OWN_MAPPING:
                world.own_stream.enable_mapping()
                return
            if world.mapping_enabled_at is None:
                world.mapping_enabled_at = world.mapping_modified = world.clock()

    def disable_mapping(self, uuid: str) -> None:
        with self._call("disable_mapping") as world:
            if world.own_stream is not None and uuid == OWN_MAPPING:
                world.own_stream.disable_mapping(world.clock())
                return
            world.mapping_enabled_at = None
            world.mapping_modified = world.clock()


def _throughput(capacity: Capacity, index: str) -> dict[str, Any]:
    """The members of an index's description that say what it has."""
    units = capacity.indexes.get(index)
    if units is None:
        return {}
    if capacity.billing_mode != ON_DEMAND:
        given = {"ReadCapacityUnits": units.reads, "WriteCapacityUnits": units.writes}
        return {"ProvisionedThroughput": given}
    most = {"MaxReadRequestUnits": units.reads, "MaxWriteRequestUnits": units.writes}
    known = {name: -1 if value is None else value for name, value in most.items()}
    return {"OnDemandThroughput": known, "ProvisionedThroughput": {}}


class FakeScanner:
    """`ItemScanner` of the target."""

    def __init__(self, world: FakeAws, before: Callable[[], None]) -> None:
        self._world = world
        self._before = before

    def scan(self, most: int) -> Iterator[Mapping[str, Any]]:
        self._before()
        with self._world.around("scan_target"):
            yield from self._world.target_items[:most]

    def empty(self) -> bool:
        self._before()
        with self._world.around("scan_target"):
            bulk = self._world.bulk
            loaded = not bulk.emptied and any(each.processed_items for each in bulk.listed())
            return not self._world.target_items and not loaded


class FakeBulkLoads:
    """`BulkLoads`."""

    def __init__(self, world: FakeAws, before: Callable[[], None]) -> None:
        self._world = world
        self._before = before

    @contextlib.contextmanager
    def _call(self, name: str, detail: Any = None) -> Iterator[FakeBulk]:
        self._before()
        with self._world.around(name, detail):
            if self._world.bulk.refused:
                raise AccessDeniedError(
                    Side.TARGET, "refused", fix="allow it", code="AccessDeniedException"
                )
            yield self._world.bulk

    def start(self, request: BulkRequest) -> BulkFacts:
        with self._call("start_bulk", request) as bulk:
            assert self._world.target is not None, "AWS refuses"
            return bulk.start(request, self._world.target, self._world.objects)

    def describe(self, arn: str) -> BulkFacts | None:
        with self._call("describe_bulk") as bulk:
            return bulk.described(arn)

    def find(self, token: str, table_arn: str, since: float) -> BulkFacts | None:
        with self._call("find_bulk", since) as bulk:
            listed = [each for each in bulk.listed() if each.table_arn == table_arn]
            found = [each for each in listed if each.token == token]
            return next((each for each in found if (each.started or 0) >= since), None)

    def on_table(self, table_arn: str, since: float | None = None) -> Sequence[BulkFacts]:
        with self._call("list_bulk", since) as bulk:
            return [
                each
                for each in bulk.listed()
                if not each.terminal or (since is not None and (each.ended or 0) >= since)
            ]

    def cancel(self, arn: str) -> None:
        with self._call("cancel_bulk", arn) as bulk:
            bulk.cancel(arn)

    def failures(self, facts: BulkFacts, key_names: Sequence[str], most: int) -> BulkFailures:
        with self._call("bulk_failures", tuple(key_names)):
            first = [BulkFailure("ab" * 16, "ValidationException")] * min(most, facts.failed_items)
            return BulkFailures(first, facts.failed_items > most)


class FakeSnapshots:
    """`Snapshots`."""

    def __init__(self, world: FakeAws, before: Callable[[], None]) -> None:
        self._world = world
        self._before = before

    def keys(self, prefix: str) -> Sequence[str]:
        self._before()
        with self._world.around("list_objects", prefix):
            return sorted(key for key in self._world.objects if key.startswith(prefix))

    def remove(self, prefix: str) -> int:
        self._before()
        with self._world.around("remove_objects", prefix):
            found = sorted(key for key in self._world.objects if key.startswith(prefix))[:2]
            self._world.objects -= set(found)
            return len(found)


class FakeCrossAccountCheck:
    """`CrossAccountCheck`."""

    def __init__(self, world: FakeAws, before: Callable[[], None]) -> None:
        self._world = world
        self._before = before

    def write(self, key: str) -> None:
        self._before()
        with self._world.around("write_check", key):
            self._world.objects.add(key)

    def read(self, key: str) -> None:
        self._before()
        with self._world.around("read_check", key):
            pass

    def remove(self, key: str) -> None:
        self._before()
        with self._world.around("remove_check", key):
            self._world.objects.discard(key)


class FakeCanary:
    """`WriteCanary` of the target table, as the switch role."""

    def __init__(self, world: FakeAws, before: Callable[[], None]) -> None:
        self._world = world
        self._before = before

    def refused(self, table: str) -> bool:
        self._before()
        with self._world.around("write_canary", table):
            return self._world.policies.refuses(TARGET_ARN, TARGET_SWITCH)


class FakeOldSource:
    """`OldSource`."""

    def __init__(self, world: FakeAws, before: Callable[[], None]) -> None:
        self._world = world
        self._before = before

    def set_expiry(self, table: str, attribute: str, on: bool) -> None:
        self._before()
        with self._world.around("set_source_expiry", on):
            self._world.source_expiry = TtlStatus(on, attribute)

    def stop_destination(self, table: str, stream_arn: str) -> None:
        self._before()
        with self._world.around("stop_destination", stream_arn):
            self._world.destinations = [
                dataclasses.replace(each, status="DISABLED")
                if each.stream_arn == stream_arn
                else each
                for each in self._world.destinations
            ]


def fake_policies(world: FakeAws, side: Side, before: Callable[[], None]) -> AwsResourcePolicies:
    """Make the real gateway of an account's resource policies, on the world's."""
    client = PolicyClient(world.policies, world.clock, world.around)
    return AwsResourcePolicies(Calls(side, "Role switch", before), client)
