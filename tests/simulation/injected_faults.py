"""Faults that a consumer could have, planted into the real one: the simulation must find each.

Each is a context manager that changes one thing in `replicator` while it lasts. None comes with a
history of its own: the same seeds that the consumer passes have to show it.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from unittest import mock

from botocore.exceptions import ClientError

from bootstrap.aws.ledger import AwsLedger
from bootstrap.core.outcome import Done
from bootstrap.cutover.switch import kinesis_proof
from bootstrap.quarantine import redrive as redriving
from bootstrap.quarantine.redrive_policy import RedriveDecision, decide_redrive
from bootstrap.quarantine.store import ObjectContent, QuarantinedObject
from replicator import settings
from replicator.call_context import CallContext
from replicator.change import Change, Entry, Precision, Probe, Version, stream_order
from replicator.consumer import (
    batch,
    decode,
    key_queue,
    kinesis_records,
    ledger,
    ledger_entry,
    ordering,
    stream_records,
)
from replicator.consumer.decode import Content, Foreign, Record, Unusable
from replicator.consumer.ended_writer import EndedWriter
from replicator.consumer.key_queue import KeyQueue, QuarantineCandidate, RecordState
from replicator.consumer.lane_shards import LaneShards
from replicator.consumer.ledger import LedgerWriter
from replicator.consumer.ordering import Verdict, decide
from replicator.consumer.outcome import NeedsNote, Result, Retry, Superseded
from replicator.consumer.stream_records import record_order
from replicator.consumer.writer import Attempt, Pin
from replicator.settings import ConsumerSettings, SettingsRow

Plant = Callable[[], contextlib.AbstractContextManager[Any]]
FAULTS: dict[str, Plant] = {}

#: Holds whatever the entry is.
ALWAYS = "attribute_exists(k) OR attribute_not_exists(k)"


def fault(name: str) -> Callable[[Plant], Plant]:
    def register(plant: Plant) -> Plant:
        FAULTS[name] = plant
        return plant

    return register


STREAM_FAULTS: dict[str, Plant] = {}
"""Faults with a table's own stream, looked for in the histories that have one."""


def stream_fault(name: str) -> Callable[[Plant], Plant]:
    def register(plant: Plant) -> Plant:
        STREAM_FAULTS[name] = plant
        return plant

    return register


SWITCH_FAULTS: dict[str, Plant] = {}
"""Faults of a switch, looked for in the histories that have one."""


def switch_fault(name: str) -> Callable[[Plant], Plant]:
    def register(plant: Plant) -> Plant:
        SWITCH_FAULTS[name] = plant
        return plant

    return register


@fault("an equal timestamp counts as older")
def equal_is_older() -> Any:
    looser = ledger_entry.NEWER.replace("t < :t", "t <= :t")
    assert looser != ledger_entry.NEWER
    return mock.patch.object(ledger_entry, "NEWER", looser)


@fault("ties are ignored")
@contextlib.contextmanager
def ties_ignored() -> Iterator[None]:
    only_older = f"{ledger_entry.NONE} OR ({ledger_entry.OLDER}) OR ({ledger_entry.OLDER_COARSELY})"
    condition = ledger_entry.condition

    def by_time(change: Entry, pin: Pin) -> dict[str, Any]:
        if change.version.order:
            return condition(change, pin)
        values = condition(change, pin)["ExpressionAttributeValues"]
        used = {name: values[name] for name in (":p", ":q", ":t", ":first")}
        return {"ConditionExpression": only_older, "ExpressionAttributeValues": used}

    def by_time_alone(entry: Entry | None, change: Entry) -> Verdict:
        verdict = decide(entry, change)
        return verdict if verdict is Verdict.NEWER or change.version.order else Verdict.OLDER

    with (
        mock.patch.object(ledger, "condition", by_time),
        mock.patch.object(ledger, "decide", by_time_alone),
    ):
        yield


class _EntryAfterItem:
    """A client that checks the entries with the items, and writes them in calls of their own."""

    def __init__(self, dynamodb: Any, ledger_table: str) -> None:
        self._dynamodb = dynamodb
        self._ledger_table = ledger_table

    def __getattr__(self, name: str) -> Any:
        return getattr(self._dynamodb, name)

    def transact_write_items(self, **request: Any) -> Any:
        actions: list[dict[str, Any]] = []
        entries: list[dict[str, Any]] = []
        for action in request["TransactItems"]:
            put = action.get("Put", {})
            if put.get("TableName") != self._ledger_table:
                actions.append(action)
                continue
            entries.append(put["Item"])
            check = {name: value for name, value in put.items() if name != "Item"}
            actions.append({"ConditionCheck": {**check, "Key": {"k": put["Item"]["k"]}}})
        answer = self._dynamodb.transact_write_items(**{**request, "TransactItems": actions})
        for entry in entries:
            self._dynamodb.put_item(TableName=self._ledger_table, Item=entry)
        return answer


@fault("the ledger is written after the item instead of with it")
def entry_after_item() -> Any:
    made = LedgerWriter.__init__

    def init(self: LedgerWriter, dynamodb: Any, **named: Any) -> None:
        made(self, _EntryAfterItem(dynamodb, named["ledger_table"]), **named)

    return mock.patch.object(LedgerWriter, "__init__", init)


@fault("the ledger's expiry counts from the version")
def expiry_from_version() -> Any:
    def expiry(self: LedgerWriter, change: Change) -> int:
        return change.version.micros // 1_000_000 + self.retention_seconds

    return mock.patch.object(LedgerWriter, "_expiry", expiry)


@fault("the ledger's expiry runs while a lane waits")
def expiry_while_waiting() -> Any:
    def expiry(self: LedgerWriter, change: Change) -> int:
        return self.runtime.clock.now_micros() // 1_000_000 + self.retention_seconds

    return mock.patch.object(LedgerWriter, "_expiry", expiry)


@fault("the floor is raised")
def floor_raised() -> Any:
    read = SettingsRow.read

    def raised(self: SettingsRow, context: CallContext) -> ConsumerSettings | None:
        found = read(self, context)
        if found is None or found.floor is None:
            return found
        five_minutes_ago = self._clock.now_micros() - 300_000_000
        return dataclasses.replace(found, floor=max(found.floor, five_minutes_ago))

    return mock.patch.object(settings.SettingsRow, "read", raised)


@fault("a closed gate is taken for an open one")
def gate_missed() -> Any:
    read = SettingsRow.read

    def missed(self: SettingsRow, context: CallContext) -> ConsumerSettings | None:
        found = read(self, context)
        return None if found is None else dataclasses.replace(found, closed=None)

    return mock.patch.object(settings.SettingsRow, "read", missed)


@fault("sequence numbers are compared as text")
def compared_as_text() -> Any:
    def first(self: batch.Batch, failed: Sequence[RecordState]) -> RecordState:
        return min(failed, key=lambda state: state.record.sequence_number)

    return mock.patch.object(batch.Batch, "_first", first)


@fault("a failed record is left out of the report")
def left_out() -> Any:
    def first(self: batch.Batch, failed: Sequence[RecordState]) -> RecordState:
        return failed[min(1, len(failed) - 1)]

    return mock.patch.object(batch.Batch, "_first", first)


@fault("the batch-mate of a quarantined change is dropped")
def batch_mate_dropped() -> Any:
    quarantined = KeyQueue.quarantined

    def dropping(self: KeyQueue, candidate: QuarantineCandidate) -> None:
        self._reached = self._reached or candidate.then is None
        quarantined(self, candidate)

    return mock.patch.object(key_queue.KeyQueue, "quarantined", dropping)


@fault("a redriven change is applied though it is stale")
@contextlib.contextmanager
def stale_redrive() -> Iterator[None]:
    content, actions = kinesis_records.content, LedgerWriter.actions
    redriven: set[bytes] = set()

    def remembered(
        kept: QuarantinedObject, holding: ObjectContent, *rest: Any, **named: Any
    ) -> RedriveDecision:
        redriven.update(record.data for record in holding.records)
        return decide_redrive(kept, holding, *rest, **named)

    def marked(record: Record, table: str) -> Content:
        found = content(record, table)
        if isinstance(found, Change) and record.data in redriven:
            found.__dict__["redriven"] = True
        return found

    def unconditional(self: LedgerWriter, attempt: Attempt, expire: bool) -> Any:
        entry, item = actions(self, attempt, expire)
        if "redriven" in attempt.change.__dict__:
            entry["Put"].pop("ExpressionAttributeValues")
            entry["Put"]["ConditionExpression"] = ALWAYS
        return entry, item

    with (
        mock.patch.object(redriving, "decide_redrive", remembered),
        mock.patch.object(kinesis_records, "content", marked),
        mock.patch.object(LedgerWriter, "actions", unconditional),
    ):
        yield


@fault("a probe is confirmed before its predecessors have ended")
def hasty_probe() -> Any:
    def prove(self: batch.Batch) -> None:
        for state in self._states:
            if isinstance(state.content, Probe):
                written = self._parts.probes.write(state.content, self._settings, self._context)
                state.outcome = Superseded() if written else Retry("not written")

    return mock.patch.object(batch.Batch, "_prove", prove)


@fault("a doubtful write is not noted first")
def not_noted() -> Any:
    settle = KeyQueue.settle

    def careless(self: KeyQueue, result: Result) -> QuarantineCandidate | None:
        candidate = settle(self, result)
        if candidate is not None and isinstance(result, NeedsNote):
            self.quarantined(candidate)
            return None
        return candidate

    return mock.patch.object(key_queue.KeyQueue, "settle", careless)


@fault("what the target rejects is not kept")
def rejected_dropped() -> Any:
    def stored(self: batch.Batch, candidate: QuarantineCandidate) -> bool:
        return True

    return mock.patch.object(batch.Batch, "_store", stored)


@fault("what names no table is taken for another table's")
def nameless_skipped() -> Any:
    read = kinesis_records.content

    def skipped(record: Record, table: str) -> Content:
        found = read(record, table)
        bad = isinstance(found, Unusable) and table.encode() not in record.data
        return Foreign("unknown") if bad else found

    return mock.patch.object(kinesis_records, "content", skipped)


@fault("a time in the wrong unit is taken for a change's")
def any_time() -> Any:
    def believed(micros: int, precision: Precision, arrival: float) -> Version:
        return Version(micros, precision)

    return mock.patch.object(kinesis_records, "plausible", believed)


@fault("an ambiguous order counts towards the burst breaker")
def order_counts() -> Any:
    return mock.patch.object(batch.Batch, "_faulty", lambda self: self._suspects)


@fault("an image of another key is written")
def any_image() -> Any:
    image = decode._image

    def unchecked(body: Any, name: str, expected: bool, keys: Any, event: str, how: Any) -> Any:
        return image(body, name, expected, {}, event, how)

    return mock.patch.object(decode, "_image", unchecked)


@fault("what goes back within one timestamp is taken for a duplicate")
def never_back() -> Any:
    def decided(entry: Entry | None, change: Entry) -> Verdict:
        verdict = decide(entry, change)
        return Verdict.PREDECESSOR if verdict is Verdict.DOUBTFUL else verdict

    return mock.patch.object(ledger, "decide", decided)


class _CheckThenWrite:
    """A client that reads the entries first, and then writes without a condition."""

    def __init__(self, dynamodb: Any) -> None:
        self._dynamodb = dynamodb

    def __getattr__(self, name: str) -> Any:
        return getattr(self._dynamodb, name)

    def transact_write_items(self, **request: Any) -> Any:
        checks: list[dict[str, Any]] = []
        writes: list[dict[str, Any]] = []
        for action in request["TransactItems"]:
            put = action.get("Put", {})
            if "ConditionExpression" not in put:
                writes.append(action)
                continue
            check = {name: value for name, value in put.items() if name != "Item"}
            checks.append({"ConditionCheck": {**check, "Key": {"k": put["Item"]["k"]}}})
            writes.append({"Put": {"TableName": put["TableName"], "Item": put["Item"]}})
        try:
            self._dynamodb.transact_write_items(TransactItems=checks)
        except ClientError as error:
            reasons = error.response.get("CancellationReasons")
            if reasons:  # as the caller expects them: the entry's and the item's in turn
                spread = [each for reason in reasons for each in (reason, {"Code": "None"})]
                error.response["CancellationReasons"] = spread
            raise
        return self._dynamodb.transact_write_items(**{**request, "TransactItems": writes})


@fault("a check before the write stands for the condition")
def check_then_write() -> Any:
    made = LedgerWriter.__init__

    def init(self: LedgerWriter, dynamodb: Any, **named: Any) -> None:
        made(self, _CheckThenWrite(dynamodb), **named)

    return mock.patch.object(LedgerWriter, "__init__", init)


@fault("rows of shards that the index does not name")
def no_index_of_shards() -> Any:
    def included(self: LaneShards, shard_id: str, context: CallContext) -> bool:
        return True

    return mock.patch.object(LaneShards, "include", included)


@stream_fault("numbers of a table's stream are compared as they are")
def numbers_of_any_length() -> Any:
    def unpadded(label: str, number: str) -> str:
        return f"{label}#{number}"

    def ended(record: Record) -> str:  # the rows keep their names
        return stream_order(record.shard_id, record.sequence_number)

    return _both(
        mock.patch.object(
            stream_records,
            "record_order",
            lambda record: unpadded(record.shard_id, record.sequence_number),
        ),
        mock.patch.object(batch, "record_order", ended),
    )


@stream_fault("changes of a table's stream are ordered by their seconds")
def by_second() -> Any:
    loose = f"{ledger_entry.NONE} OR (p = :second AND t <= :t AND q <> :q AND t <= :last)"
    return mock.patch.object(ledger_entry, "NEWER_BY_ORDER", _with_values(loose))


@stream_fault("a row says that a batch has ended while a record waits")
def hasty_row() -> Any:
    def written(self: batch.Batch) -> None:
        if self._parts.ended is not None:
            last = self._states[-1].record
            self._parts.ended.write(record_order(last), self._settings, self._context)

    return mock.patch.object(batch.Batch, "_write_ended_row", written)


@stream_fault("a batch ends without the row that says so")
def no_row() -> Any:
    def written(self: EndedWriter, *args: Any) -> bool:
        return True

    return mock.patch.object(EndedWriter, "write", written)


@stream_fault("a burst stays in a stream that forgets it")
def endless_patience() -> Any:
    return mock.patch.object(batch.Batch, "_is_forgotten_soon", lambda self: False)


@stream_fault("of a batch of a table's stream the newest second is applied, not the highest number")
def scheduled_by_second() -> Any:
    def schedule(changes: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        if not changes[0].version.order:
            return ordering.schedule(changes)
        last = max(change.version.second for change in changes)
        first = next(change for change in changes if change.version.second == last)
        return [first], [change for change in changes if change is not first]

    return mock.patch.object(key_queue, "schedule", schedule)


def _with_values(expression: str) -> str:
    """A condition for the changes of a stream that uses every value it is given."""
    return f"{expression} OR (attribute_not_exists(k) AND p = :micros AND i = :i AND o = :o)"


@contextlib.contextmanager
def _both(*plants: contextlib.AbstractContextManager[Any]) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for plant in plants:
            stack.enter_context(plant)
        yield


@switch_fault("what DynamoDB has not handed over is not waited for")
def no_handover() -> Any:
    return mock.patch.object(kinesis_proof, "advance_handover", lambda context, mark: Done())


@switch_fault("a cancelled attempt leaves the gate closed")
def gate_left_closed() -> Any:
    def opened(self: AwsLedger, nonce: str) -> bool:
        return self._update_if("REMOVE #armed, #mark", "#armed = :nonce", {":nonce": {"S": nonce}})

    return mock.patch.object(AwsLedger, "open", opened)
