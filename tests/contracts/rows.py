"""Contracts of what is stored: journal, ledger table, probes and objects."""

from __future__ import annotations

import dataclasses
import importlib
import json
import pkgutil
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from unittest.mock import patch

import bootstrap
from bootstrap.aws.calls import Calls
from bootstrap.aws.ledger import AwsLedger
from bootstrap.cli import quarantine as quarantine_commands
from bootstrap.core import errors
from replicator import probes, settings
from replicator.consumer.outcome import Reason
from replicator.stream import Shard
from replicator.watchdog.aws_readings import LedgerRows
from tests.contracts.program import deployed
from tests.contracts.shape import Read, Watched, shape
from tests.contracts.worlds import printed, run, verified, worlds
from tests.support.bootstrap.fake_aws import JOURNAL, LEDGER, FakeAws
from tests.support.bootstrap.killed_process import Process
from tests.support.bootstrap.quarantine_harness import QuarantineHarness as QuarantineWorld
from tests.support.replicator import watchdog_harness
from tests.support.replicator.consumer_harness import LEDGER as CONSUMERS_LEDGER
from tests.support.replicator.consumer_harness import SHARD, document, item, probe


def journal_records() -> list[str]:
    """Every record class by its key: members with type and default."""
    lines = []
    for kind in _dataclasses():
        key, members = vars(kind).get("key"), dataclasses.fields(kind)
        if not isinstance(key, str) or "key" in {each.name for each in members}:
            continue
        for each in members:
            default = "" if each.default is dataclasses.MISSING else f" = {each.default!r}"
            lines.append(f"{key}.{each.name}: {each.type}{default}")
    return lines


def _dataclasses() -> list[type[Any]]:
    found = {}
    for module in pkgutil.walk_packages(bootstrap.__path__, "bootstrap."):
        if not module.name.endswith("__main__"):
            for each in vars(importlib.import_module(module.name)).values():
                if isinstance(each, type) and dataclasses.is_dataclass(each):
                    found[f"{each.__module__}.{each.__qualname__}"] = each
    return list(found.values())


def journal_rows() -> list[str]:
    lines: set[str] = set()
    for world in (*worlds().values(), verified().twin.world):
        with world.unwatched():
            rows = world.dynamodb.scan(TableName=JOURNAL)["Items"]
        for row in rows:
            lines.update(_journal_row(row))
    return list(lines)


def _journal_row(row: Mapping[str, Any]) -> Iterator[str]:
    table = row["pk"]["S"].replace("orders", "TABLE")
    place = re.sub(r"#.*#\d{8}$", "#RUN#NNNNNNNN", row["sk"]["S"])
    place = re.sub(r"^\d{11}#[0-9a-f]{32}$", "MINUTE#ID", place)
    row_name = f"{table} {place}"
    for name, value in row.items():
        ((kind, held),) = value.items()
        yield f"{row_name}: {name} {kind}"
        if name in ("holder", "failure", "waiting") and held:
            for line in shape(json.loads(held)):
                yield f"{row_name}: {name} {kind} of JSON {line}"


def ledger_rows() -> list[str]:
    """Members that are written to, and read from, each kind of row of the ledger table."""
    lines: set[str] = set()
    consumer = QuarantineWorld()
    consumer.replicating()
    foreign = document(None, item("b"), table="invoices")
    assert consumer.handle(document(None, item("a")), probe(), foreign) is None
    row = {"expire": {"BOOL": True}, "mark": {"N": "1"}}
    consumer.settings(**row, armed={"S": "NONCE"}, closed={"S": "NONCE"})
    assert consumer.handle(document(None, item("c")), probe(1), first=9000) is None
    _ledger_members(consumer.dynamodb.scan(TableName=CONSUMERS_LEDGER)["Items"], "", lines)

    world = watchdog_harness.WatchdogHarness()
    world.settle(expire=True, floor=world.clock.now_micros())
    world.round()
    world.after()
    world.destination = None  # an outage
    world.after()
    assert world.stream is not None
    world.stream["RetentionPeriodHours"] = 24
    world.clock.advance(30 * 3600)  # an overrun
    world.round()
    rows = world.target.scan(TableName="ledger")["Items"]
    _ledger_members([row for row in rows if _ledger_row(row) == "watchdog"], "", lines)

    operator = FakeAws()
    ledger = AwsLedger(Calls(errors.Side.TARGET, "Role importer"), operator.dynamodb, LEDGER)
    ledger.store_floor(1, "snapshot")
    ledger.start_expiry()
    ledger.expect_consumer()
    ledger.set_paused(True)
    ledger.settle(2)
    ledger.park("shard:1")
    rows = operator.dynamodb.scan(TableName=LEDGER)["Items"]
    _ledger_members(rows, " written by bootstrap", lines)
    (row,) = rows

    reads: dict[str, Read] = {name: set() for name in ("consumer", "watchdog", "bootstrap")}
    settings.from_item(Watched(row, reads["consumer"]))
    LedgerRows(_Answering(Watched(row, reads["watchdog"])), "ledger").intent()
    answering = _Answering(Watched(row, reads["bootstrap"]))
    reader = AwsLedger(Calls(errors.Side.TARGET, "Role importer"), answering, LEDGER)
    reader.settings()
    reader.parks()
    for who, asked in reads.items():
        lines |= {f"settings read by {who}: {name.replace('.', ' ')}" for name in asked}
    return list(lines)


class _Answering:
    """A DynamoDB that has one item."""

    def __init__(self, row: Mapping[str, Any]) -> None:
        self._row = row

    def get_item(self, **_: Any) -> dict[str, Any]:
        return {"Item": self._row, "ResponseMetadata": {"HTTPHeaders": {}}}


def _ledger_row(row: Mapping[str, Any]) -> str:
    key = bytes(row["k"]["B"])
    if key.startswith(b"probe:"):
        return re.sub(r"^probe:[^:]+:\d+$", "probe:PROBE:N", key.decode())
    if key.startswith(b"foreign:"):
        return "foreign:TABLE"
    if key.startswith(b"lane:"):
        return "lane:SHARD"
    if key.startswith(b"lane-shards:"):
        return "lane-shards:N"
    if key.startswith(b"late:"):
        return "late:NONCE:SHARD"
    return key.decode() if key.isalpha() and len(key) != 16 else f"entry of {len(key)} bytes"


def _ledger_members(rows: Sequence[Mapping[str, Any]], how: str, lines: set[str]) -> None:
    for row in rows:
        where = _ledger_row(row) + how
        for name, value in row.items():
            ((kind, held),) = value.items()
            lines.add(f"{where}: {name} {kind}")
            if name == "book":
                lines |= {f"{where}: {name} {line}" for line in shape(json.loads(held))}


def probe_records() -> list[str]:
    """Records that a run and the watchdog put into the stream to come through every lane."""
    world = FakeAws()
    process = Process(world)
    process.start()
    process.until(lambda: bool(world.probes))
    put: dict[str, list[Any]] = {
        "run": [record for record, _ in world.probes],
        "watchdog": probes.probe_records("0123", "orders", [Shard("shard", "0")], 1),
    }
    return [line for who, records in put.items() for each in records for line in _probe(who, each)]


def _probe(who: str, record: Any) -> Iterator[str]:
    body = json.loads(record.data)
    yield f"{who}: partition key {record.partition_key.replace(body['probe'], 'PROBE')}"
    for line in shape(body):
        yield f"{who}: data {line}"


def object_keys() -> list[str]:
    """Prefixes and key forms in every bucket, and the prefixes that policies and rules name."""
    lines: set[str] = set()
    world = worlds()["verified"]
    for request, _ in world.exports.values():
        lines.add(f"snapshot: export to {_run_id(request.prefix)}")
    for load, _ in world.imports.values():
        lines.add(f"snapshot: import from {_run_id(load.prefix)}")
    twin = verified().twin
    for table in (twin.source, twin.target):
        for wanted, _ in table.exports.values():
            kind = "export" if wanted.window is None else "incremental export"
            lines.add(f"snapshot: verification's {kind} to {_run_id(wanted.prefix)}")
    quarantine = QuarantineWorld()
    kept = quarantine.keep(b"garbage", Reason.UNREADABLE, sequence=77, sub=2)
    failed = quarantine.fail(b"garbage")
    with patch.object(
        quarantine_commands, "contexts_of", lambda options: [quarantine.quarantine_context()]
    ):
        assert {each["key"] for each in printed("quarantine", "list", "--json")["objects"]} == {
            kept,
            failed,
        }
        run("quarantine", "discard", kept, failed, "--yes")
    written = [kept, *quarantine.quarantine(), failed]
    for key in written:
        text = key.replace(SHARD, "SHARD").replace("77-2", "SEQUENCE-SUB")
        lines.add(f"quarantine: {text}")
    for each in deployed("rich").resources:
        for prefix in _declared(json.loads(json.dumps(each.inputs, default=str))):
            lines.add(f"declared: {each.kind} {each.name} {prefix}")
    return list(lines)


def _run_id(prefix: str) -> str:
    text = re.sub(r"(?<=/)[^/]*\d{4}[^/]*(?=/|$)", "RUN", prefix)
    text = re.sub(r"export/\d{4}|(?<=AWSDynamoDB/)[^/]+", "EXPORT", text)
    return re.sub(r"(^|/)orders(/|$)", r"\1SNAPSHOT_PREFIX\2", text)


def _declared(value: Any) -> Iterator[str]:
    """Prefixes of life-cycle rules, and objects of buckets in policies."""
    if isinstance(value, Mapping):
        if isinstance(value.get("prefix"), str) and value["prefix"]:
            yield f"prefix {value['prefix']}"
        for each in value.values():
            yield from _declared(each)
    elif isinstance(value, list):
        for each in value:
            yield from _declared(each)
    elif isinstance(value, str):
        for found in re.finditer(r"arn:aws:bucket:::([\w-]+)/([\w/-]*\*)", value):
            yield f"objects {found[2]} of {found[1]}"
