"""One case: something is done to a run, the command is typed again, and the world is judged."""

from __future__ import annotations

import dataclasses
import json
import math
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from bootstrap.aws.sessions import CONFIG
from bootstrap.core.table_tags import LOAD_TAG
from infra.local.results.load_check import is_role_or_session
from infra.local.workload.server_writes import ServerWrite
from tests.crash.crash_points import Case, Deed
from tests.crash.emulated_stacks import LOCAL_INDEX, SCALE, TARGET_TAGS, TTL_ATTRIBUTE, Lane, Writer
from tests.crash.hooks import ALWAYS, RESOURCE
from tests.crash.process_pool import Ended

OUTPUT = "bulk-output"
"""The folder, under a run's prefix, for what bulk operations refuse."""
SHIFTS = 4
"""How often a case is tried again whose call a run did not make so often: it polled less."""

ATTEMPTS: int = CONFIG.retries["total_max_attempts"]
"""Of one call, by botocore."""
GIVING_BACK = "end/dynamodb:UpdateItem"
"""The lease."""
RENEWING = "lease/dynamodb:UpdateItem"
"""The lease, too: while a run sleeps, the renewal before its next call is the one that counts."""

# Calls whose answers a run can do without, so a refusal does not end it:
HINTS = frozenset(
    {
        "start/dynamodb:ListExports",  # the exports that run, for the plan
        "start/dynamodb:ListImports",
        "start/lambda:GetAccountSettings",  # the account's free concurrency, for the plan
        "start/kms:ListAliases",  # whether a key is AWS's own, for the plan
        "end/dynamodb:Query",  # the history, for the last lines of the screen
        "end/lambda:GetEventSourceMapping",  # the same
        GIVING_BACK,  # it expires by itself
    }
)


@dataclass(frozen=True)
class Paid:
    """What AWS lists of a lane's table, and asks money for."""

    exports: frozenset[str]
    imports: frozenset[str]
    operations: frozenset[str]
    """Bulk operations."""

    @classmethod
    def of(cls, lane: Lane) -> Paid:
        operations = [each["BulkOperationArn"] for each in lane.operations()] if lane.bulk else ()
        return cls(frozenset(lane.exports()), frozenset(lane.imports()), frozenset(operations))

    def since(self, earlier: Paid) -> Paid:
        return Paid(
            self.exports - earlier.exports,
            self.imports - earlier.imports,
            self.operations - earlier.operations,
        )

    def __str__(self) -> str:
        counts = (len(self.exports), len(self.imports), len(self.operations))
        return "{} exports, {} imports and {} bulk operations".format(*counts)


@dataclass(frozen=True)
class Verdict:
    """What became of a case."""

    case: Case
    """As it was done, which may be an earlier call of the same operation than was asked for."""
    problems: tuple[str, ...]
    seconds: float
    reached: bool = True


def trial(lane: Lane, case: Case) -> Verdict:
    """Does a case on a lane that is as deployed, or reset."""
    began = time.monotonic()
    for _ in range(SHIFTS):
        known = Paid.of(lane)
        with Writer(lane) as writer:
            first = lane.launch(case)
            if _reached(first, case):
                second = lane.run() if first.code != 0 or _kept(lane, case) else None
                problems = [*_judged(lane, first, case), *_went_on(second)]
                break
        times = _times(first, case)
        if first.code != 0:
            return _verdict(case, [f"never came to the call: {_words(first)}"], began, False)
        if times == 0:
            return _verdict(case, ["the run made no such call"], began, False)
        lane.reset()
        moment = dataclasses.replace(case.moment, nth=_earlier(times))
        case = Case(moment, case.deed)
    else:
        return _verdict(case, ["never came to the call"], began, False)
    problems += state(lane, known, writer)
    return _verdict(case, problems, began, True)


def _verdict(case: Case, problems: list[str], began: float, reached: bool) -> Verdict:
    return Verdict(case, tuple(problems), time.monotonic() - began, reached)


def _reached(ended: Ended, case: Case) -> bool:
    return any(line.deed == case.deed for line in ended.calls)


def _times(ended: Ended, case: Case) -> int:
    mine = (case.moment.step, case.moment.operation)
    return len({line.nth for line in ended.calls if (line.step, line.operation) == mine})


def _kept(lane: Lane, case: Case) -> bool:
    """Whether the lease could not be given back. Its holder is dead: the next run takes it."""
    holder = lane.row().get("holder", {}).get("S")
    return bool(holder) and f"{case.moment.step}/{case.moment.operation}" == GIVING_BACK


def _earlier(times: int) -> int:
    """The last call of so many; some before it, where they are many and their number is chance."""
    return times if times < 5 else times * 9 // 10


def _words(ended: Ended) -> str:
    return f"exit {ended.code}: {ended.err.strip() or ended.out.strip()[-300:]}"


def _judged(lane: Lane, ended: Ended, case: Case) -> Iterator[str]:
    """What was wrong with the way in which the run ended."""
    if "Traceback" in ended.err:
        yield f"a traceback: {ended.err}"
    if case.deed.kills:
        if ended.code != -signal.SIGKILL:
            yield f"was not killed: {_words(ended)}"
        return
    done = [line for line in ended.calls if line.deed == case.deed]
    if len(done) != (ATTEMPTS if case.deed in ALWAYS else 1):
        yield f"was done {len(done)} times"
    hint = f"{case.moment.step}/{case.moment.operation}" in HINTS
    if not case.deed.refuses or hint:
        if ended.code != 0:
            yield f"ended on what passes: {_words(ended)}"
        return
    if ended.code == 0 and f"{case.moment.step}/{case.moment.operation}" == RENEWING:
        return
    if ended.code not in (3, 4):
        yield f"exit code {ended.code}, not 3 or 4: {_words(ended)}"
        return
    side = ("source", "target")[ended.code - 3]
    expected = ["\nTry: ", case.moment.operation, f"the {side} account"]
    if case.deed is Deed.DENY:
        if not case.moment.operation.startswith("sts:"):
            expected.append(lane.roles[ended.code - 3])
        expected.append(RESOURCE)
    else:
        expected.append(f"--{side}-profile")
    yield from (f"does not say {text!r}: {ended.err}" for text in expected if text not in ended.err)


def _went_on(ended: Ended | None) -> Iterator[str]:
    if ended is not None and ended.code != 0:
        yield f"run again: {_words(ended)}"


def state(lane: Lane, known: Paid, writer: Writer, operations: int = 1) -> Iterator[str]:
    """What is not as it is to be in the end. `operations`: of bulk, if it is loaded so."""
    row = lane.row()
    if row.get("state") != {"S": "REPLICATING"}:
        yield f"the journal says {row.get('state')}"
        return
    if row["holder"]["S"]:
        yield f"the lease is still held by {row['holder']['S']}"
    records = {
        name.removeprefix("record:"): json.loads(value["S"])
        for name, value in row.items()
        if name.startswith("record:")
    }
    yield from _history(lane, row)
    yield from _snapshot(lane, known, row, records, operations)
    yield from _late_puts(lane)
    yield from _replica(lane)
    if writer.written == 0:
        yield "nothing was written meanwhile"
    if left := lane.settled():
        yield f"{left} keys differ"
    if kept := lane.objects(lane.values["quarantineBucket"], "open/"):
        yield f"{len(kept)} records are in quarantine"


def _history(lane: Lane, row: dict[str, Any]) -> Iterator[str]:
    run_id = row["runId"]["S"]
    rows = [each["sk"]["S"] for each in lane.journal()]
    expected = {f"event#{run_id}#{n:08d}" for n in range(int(row["events"]["N"]))} | {"run"}
    if set(rows) != expected:
        yield f"the journal has rows {sorted(set(rows) ^ expected)} too many or too few"


def _snapshot(
    lane: Lane, known: Paid, row: dict[str, Any], records: dict[str, Any], operations: int
) -> Iterator[str]:
    paid = Paid.of(lane).since(known)
    wanted = (1, 0, operations) if lane.bulk else (1, 1, 0)
    if (len(paid.exports), len(paid.imports), len(paid.operations)) != wanted:
        yield str(paid)
        return
    export, buffered = records["export"], records["buffered"]
    if paid.exports != {export["arn"]} or not _loaded_by(lane, paid, row, records):
        yield "the journal names another export or load"
    if export["export_time"] < buffered["active_at"] + 120 * SCALE:
        yield "the snapshot may be older than the buffer"
    if "recovery" not in records:
        yield "it is not noted that point-in-time recovery was switched on"
    folder = f"{lane.values['snapshotPrefix']}/"
    places = {"/".join(key.split("/")[:3]) for key in lane.objects(lane.bucket, folder)}
    run = f"{folder}{row['runId']['S']}"
    if places - {f"{run}/{OUTPUT}"} != {f"{run}/1"}:
        yield f"exported objects lie in {sorted(places)}"


def _loaded_by(lane: Lane, paid: Paid, row: dict[str, Any], records: dict[str, Any]) -> bool:
    """Whether the import, or one of the bulk operations, is the run's."""
    if not lane.bulk:
        return paid.imports == {records["import"]["arn"]}
    tokens = [
        each["ClientToken"]
        for each in lane.operations()
        if each["BulkOperationArn"] in paid.operations
    ]
    return any(token.startswith(row["runId"]["S"]) for token in tokens)


def _late_puts(lane: Lane) -> Iterator[str]:
    """Puts of a bulk operation once the consumer has written: they take newer items' place."""
    if not lane.bulk:
        return
    if lane.running():
        yield f"bulk operations still run: {lane.running()}"
    writes = lane.replica_writes()
    if late := late_puts(writes, lane.consumer):
        yield f"{len(late)} puts of a bulk operation came after the consumer's first write"
    if not any(is_role_or_session(write.caller, lane.consumer) for write in writes):
        yield "the log shows no write of the consumer"
    if all(is_role_or_session(write.caller, lane.consumer) for write in writes):
        yield "the log shows no put of a bulk operation"


def late_puts(writes: Sequence[ServerWrite], consumer: str) -> list[ServerWrite]:
    """The writes of others than the consumer that came after its first one."""
    ours = (write.at for write in writes if is_role_or_session(write.caller, consumer))
    first = min(ours, default=math.inf)
    return [
        write
        for write in writes
        if write.at > first and not is_role_or_session(write.caller, consumer)
    ]


def _buffer(lane: Lane, settings: dict[str, Any]) -> Iterator[str]:
    """What is wrong with the mapping, and with the table's own stream where that is the buffer."""
    uuid = settings.get("mapping", {}).get("S") if lane.own_stream else lane.values["mappingUuid"]
    states = [(each["UUID"], each["State"]) for each in lane.mappings()]
    if states != [(uuid, "Enabled")]:
        yield f"mappings {states}"
    if not lane.own_stream:
        return
    table = lane.table()
    if "StreamSpecification" not in table:
        yield "the table's stream is off"
    if settings.get("stream", {}).get("S") != table.get("LatestStreamArn"):
        yield f"the ledger names the stream {settings.get('stream')}"
    policy = lane.source.get_resource_policy(ResourceArn=table["LatestStreamArn"])["Policy"]
    if [each["Principal"]["AWS"] for each in _statements(policy)] != [lane.consumer]:
        yield f"the stream's policy is {policy}"


def _statements(policy: str) -> list[dict[str, Any]]:
    found = json.loads(policy)["Statement"]
    return [found] if isinstance(found, dict) else found


def _replica(lane: Lane) -> Iterator[str]:
    expected = {lane.replica, lane.values["ledgerTable"]}
    if lane.tables() != expected:
        yield f"tables {sorted(lane.tables() ^ expected)} too many or too few"
    settings = lane.settings()
    yield from _buffer(lane, settings)
    if not all(settings.get(name, {}).get("BOOL") for name in ("consume", "expire")):
        yield "the consumer is not expected, or the ledger's entries do not expire"
    if "floor" not in settings:
        yield "the ledger has no floor"
    dynamodb, name = lane.target, {"TableName": lane.replica}
    table = dynamodb.describe_table(**name)["Table"]
    backups = dynamodb.describe_continuous_backups(**name)["ContinuousBackupsDescription"]
    expiry = dynamodb.describe_time_to_live(**name)["TimeToLiveDescription"]
    tags = dynamodb.list_tags_of_resource(ResourceArn=table["TableArn"])["Tags"]
    found = {
        "protected": table["DeletionProtectionEnabled"],
        "class": table.get("TableClassSummary", {}).get("TableClass"),
        "local indexes": [each["IndexName"] for each in table.get("LocalSecondaryIndexes", ())],
        "recovery": backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"],
        "expiry": (expiry["TimeToLiveStatus"], expiry.get("AttributeName")),
        "tags": {each["Key"]: each["Value"] for each in tags if each["Key"] != LOAD_TAG},
        "tagged": LOAD_TAG in {each["Key"] for each in tags},
    }
    wanted = {
        "protected": True,
        "class": "STANDARD_INFREQUENT_ACCESS",
        "local indexes": [LOCAL_INDEX] if lane.bulk else [],
        "recovery": "ENABLED",
        "expiry": ("ENABLED", TTL_ATTRIBUTE),
        "tags": TARGET_TAGS,
        "tagged": lane.bulk,
    }
    yield from (
        f"{key} is {found[key]}, not {wanted[key]}" for key in wanted if found[key] != wanted[key]
    )
