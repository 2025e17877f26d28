"""The ledger writer: each write is a transaction of the item and the key's entry in a ledger.

The condition on the entry admits only newer changes, and item and entry change together or not at
all. So duplicates, overlapping invocations and deaths cannot leave one without the other.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from replicator import aws
from replicator.aws import CancellationReason, Failure, Kind
from replicator.call_context import CallContext
from replicator.change import Change, Entry
from replicator.consumer.ledger_entry import NEVER, condition, from_item, to_item
from replicator.consumer.ledger_reader import KEYS_PER_READ, LedgerReader
from replicator.consumer.ordering import Verdict, decide
from replicator.consumer.outcome import (
    Ambiguous,
    Applied,
    NeedsNote,
    Rejected,
    Result,
    Retry,
    Superseded,
)
from replicator.consumer.write_pack import PendingWrite, WritePack
from replicator.consumer.writer import Attempt
from replicator.runtime import Runtime

# TransactWriteItems takes 100 actions and 4 MB; a change is two actions. The size counted here is
# an upper bound; the rest of the 4 MB is for overhead that DynamoDB may count.
CHANGES_PER_CALL = 50
BYTES_PER_CALL = 3_900_000
ENTRY_BYTES = 200
WORTH_READING = 10  # fewer changes than this are written without looking first

DAY_SECONDS = 86_400


class LedgerWriter:
    """A conditional writer with a ledger table beside the target; one per container.

    `dynamodb` is a client with boto3's methods `transact_write_items`, `batch_get_item` and
    `put_item`. Where the context allows expiry, an entry expires `retention_days` after it was
    written, never after its version: a late old change would meet an expired entry and be applied
    over a newer one.
    """

    def __init__(
        self,
        dynamodb: Any,
        *,
        target_table: str,
        ledger_table: str,
        runtime: Runtime,
        retention_days: int = 30,
    ) -> None:
        self.dynamodb = dynamodb
        self.target_table = target_table
        self.ledger_table = ledger_table
        self.runtime = runtime
        self.retention_seconds = retention_days * DAY_SECONDS
        self.pace = PackSizer()
        self.reader = LedgerReader(dynamodb, ledger_table)

    def apply(self, attempts: Sequence[Attempt], context: CallContext) -> list[Result]:
        return _Run(self, attempts, context).results()

    def superseded(self, changes: Sequence[Change], context: CallContext) -> list[bool | None]:
        read = self.reader.read({change.key for change in changes}, context, consistent=True)
        return [
            None if change.key in read.unread else _is_settled(read.items.get(change.key), change)
            for change in changes
        ]

    def actions(self, attempt: Attempt, expire: bool) -> tuple[dict[str, Any], dict[str, Any]]:
        """Make the two actions of one change: its entry, conditionally, and its item."""
        change = attempt.change
        entry = {
            "TableName": self.ledger_table,
            "Item": to_item(change.key, change.entry, self._expiry(change) if expire else None),
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            **condition(change.entry, attempt.pin),
        }
        if change.new is None:
            return {"Put": entry}, {"Delete": {"TableName": self.target_table, "Key": change.keys}}
        return {"Put": entry}, {"Put": {"TableName": self.target_table, "Item": change.new}}

    def _expiry(self, change: Change) -> int | None:
        """Return the entry's expiry (seconds); None while older changes may still be waiting.

        A redriven record arrives today although its change is old, and a late record carries an old
        version although it arrives today. So both arrival and version have to be of the last day.
        """
        now = self.runtime.clock.now_micros() // 1_000_000
        if now - min(change.arrival, change.version.micros / 1_000_000) > DAY_SECONDS:
            return None
        return now + self.retention_seconds


def _concerns_one_item(code: str) -> bool:
    """Return whether a cancellation reason says nothing about the other items of its partition."""
    return code == "ConditionalCheckFailed" or aws.classify(code) is Kind.CONFLICT


def _is_settled(item: Mapping[str, Any] | None, change: Change) -> bool | None:
    """Return whether an entry proves a change superseded or applied; None if it is unreadable."""
    try:
        entry = from_item(item) if item is not None else None
    except ValueError:
        return None
    settled = (Verdict.OLDER, Verdict.SAME, Verdict.PREDECESSOR)
    return decide(entry, change.entry) in settled


class PackSizer:
    """The number of changes per call: halved after throttling or a conflict, then raised again."""

    def __init__(self) -> None:
        self.size = CHANGES_PER_CALL

    def slower(self) -> None:
        self.size = max(1, self.size // 2)

    def faster(self) -> None:
        self.size = min(CHANGES_PER_CALL, self.size + 4)


class _Run:
    """One call of `apply`: workers take packs from a common queue until every change has ended."""

    def __init__(
        self, writer: LedgerWriter, attempts: Sequence[Attempt], context: CallContext
    ) -> None:
        self._writer = writer
        self._context = context
        self._clock = writer.runtime.clock
        self._works = [PendingWrite(attempt) for attempt in attempts]
        self._waiting = deque(self._works)
        self._unread: deque[PendingWrite] = deque()
        self._isolated: deque[list[PendingWrite]] = deque()
        self._busy: deque[list[PendingWrite]] = deque()
        self._lock = threading.Lock()
        known = sum(attempt.redelivered for attempt in attempts)
        if known >= WORTH_READING:
            self._read_first(lambda work: work.attempt.redelivered)

    def results(self) -> list[Result]:
        if len(self._waiting) > 4 * CHANGES_PER_CALL:
            # One call first: if it refuses many changes, the rest is read before it is written.
            pack = self._next()
            if pack is not None:
                self._finish(pack)
        size = self._writer.pace.size
        calls = -(-len(self._waiting) // size) + -(-len(self._unread) // KEYS_PER_READ)
        executor = self._writer.runtime.executor
        executor.run_all([self._work] * max(1, min(calls, executor.width)))
        return [work.result or Retry("not attempted") for work in self._works]

    def _work(self) -> None:
        while (pack := self._next()) is not None:
            self._finish(pack)

    def _next(self) -> WritePack | None:
        with self._lock:
            if self._isolated:
                return self._pack(self._isolated.popleft(), isolated=True)
            if self._unread:
                return self._pack(self._take_unread(), read=True)
            if self._waiting:
                return self._pack(self._take())
            # Last, and in turn: an item that stays busy may not delay any other.
            return self._pack(self._busy.popleft(), busy=True) if self._busy else None

    def _read_first(self, which: Callable[[PendingWrite], bool]) -> None:
        """Move these changes to the queue of those to read before writing."""
        moved = [work for work in self._waiting if not work.looked and which(work)]
        chosen = set(moved)
        self._waiting = deque(work for work in self._waiting if work not in chosen)
        self._unread.extend(moved)

    def _pack(self, works: list[PendingWrite], **kind: bool) -> WritePack:
        token = f"{self._writer.runtime.random.getrandbits(128):032x}"
        return WritePack(works, token, **kind)

    def _take_unread(self) -> list[PendingWrite]:
        count = min(KEYS_PER_READ, len(self._unread))
        return [self._unread.popleft() for _ in range(count)]

    def _take(self) -> list[PendingWrite]:
        works: list[PendingWrite] = []
        size = 0
        while self._waiting and len(works) < self._writer.pace.size:
            size += self._waiting[0].attempt.change.size + ENTRY_BYTES
            if works and size > BYTES_PER_CALL:
                break
            works.append(self._waiting.popleft())
        return works

    def _again(self, works: list[PendingWrite], *, isolated: bool = False) -> None:
        if not works:
            return
        with self._lock:
            if isolated:
                self._isolated.append(works)
            else:
                self._waiting.extendleft(reversed(works))

    def _give_up(self, works: list[PendingWrite], why: str) -> None:
        for work in works:
            work.result = Retry(why)

    def _finish(self, pack: WritePack) -> None:
        if pack.read:
            self._look(pack.works)
        else:
            self._write(pack)

    # Writing.

    def _write(self, pack: WritePack) -> None:
        """Send a pack until it is written, has to be packed anew, or the deadline is near."""
        request = self._request(pack)
        failures = 0
        why = "deadline"
        while self._context.deadline.allows_call():
            answer = aws.call(self._writer.dynamodb.transact_write_items, request)
            if not isinstance(answer, Failure):
                now = self._clock.now_micros()
                for work in pack.works:
                    work.result = Applied(now)
                self._writer.pace.faster()
                return
            why = answer.code
            if answer.kind is Kind.CANCELLED:
                if self._cancelled(pack, answer.reasons):
                    continue
                return
            self._report(answer)
            if answer.kind is Kind.INVALID:
                self._invalid(pack, answer)
                return
            failures += 1
            if answer.kind is Kind.UNKNOWN:
                for work in pack.works:
                    work.uncertain = True
            if answer.kind in (Kind.THROTTLED, Kind.CONFLICT) or failures > 2:
                self._writer.pace.slower()
            if not self._context.deadline.wait(failures):
                break
            if len(pack.works) > self._writer.pace.size or answer.code.startswith("Idempotent"):
                self._repack(pack)
                return
        self._give_up(pack.works, why)

    def _repack(self, pack: WritePack) -> None:
        if pack.isolated:
            self._split(pack.works)
        else:
            self._again(pack.works)

    def _split(self, works: list[PendingWrite]) -> None:
        middle = (len(works) + 1) // 2
        self._again(works[:middle], isolated=True)
        self._again(works[middle:], isolated=True)

    def _request(self, pack: WritePack) -> dict[str, Any]:
        actions: list[dict[str, Any]] = []
        for work in pack.works:
            if work.actions is None:
                work.actions = self._writer.actions(work.attempt, self._context.expire)
            actions.extend(work.actions)
        return {"TransactItems": actions, "ClientRequestToken": pack.token}

    def _report(self, failure: Failure) -> None:
        self._context.report_error("TransactWriteItems", failure.code, failure.loggable)

    def _cancelled(self, pack: WritePack, reasons: Sequence[CancellationReason]) -> bool:
        """Settle refused changes and queue the rest; return whether to send the same pack again."""
        again: list[PendingWrite] = []
        busy: dict[PendingWrite, str] = {}
        slowed = refused = 0
        if len(reasons) != 2 * len(pack.works):
            reasons = [CancellationReason("None", None, "")] * (2 * len(pack.works))
            slowed = 1
        for index, work in enumerate(pack.works):
            on_entry, on_item = reasons[2 * index], reasons[2 * index + 1]
            if on_entry.code == "ConditionalCheckFailed":
                refused += 1
                self._judge(work, on_entry.item)
                if work.result is None:
                    busy[work] = on_entry.code  # its entry cannot be read
            elif aws.classify(on_item.code) is Kind.INVALID:
                work.result = Rejected(f"{on_item.code}: {on_item.message}")
            for reason in (on_entry, on_item):
                if reason.code not in ("None", "ConditionalCheckFailed") and work.result is None:
                    slowed += 1
                    busy[work] = reason.code
                    self._context.report_error("TransactWriteItems", reason.code, "")
            if work.result is None:
                again.append(work)
        if 10 * refused > len(pack.works) and len(self._waiting) > CHANGES_PER_CALL:
            with self._lock:
                self._read_first(lambda work: True)
        if busy:
            self._set_apart(busy, again, pack)
            return False
        if again and (slowed or len(again) == len(pack.works)):
            self._writer.pace.slower()
            for work in again:
                work.failures += 1
            if not self._context.deadline.wait(max(work.failures for work in again)):
                self._give_up(again, "TransactionCanceledException")
                return False
        if len(again) == len(pack.works) <= self._writer.pace.size:
            return True
        self._again(again, isolated=pack.isolated)
        return False

    def _set_apart(
        self, busy: Mapping[PendingWrite, str], again: list[PendingWrite], pack: WritePack
    ) -> None:
        """Send the changes that were not named again at once, and those that were named later.

        Conflicts are retried one by one, because each item has another writer of its own, and so is
        a change whose entry cannot be read. The others stay together, in halves: if they were
        throttled, they probably share a partition.
        """
        others = [work for work in again if work not in busy]
        alone = [[work] for work, code in busy.items() if _concerns_one_item(code)]
        throttled = [work for work in busy if [work] not in alone]
        if not pack.busy and set(busy.values()) != {"ConditionalCheckFailed"}:
            self._writer.pace.slower()
        for work in busy:
            work.failures += 1
        # While there is something else to write, only throttling is a reason to wait.
        waits = not others and (throttled or pack.busy or not self._waiting)
        if waits and not self._context.deadline.wait(max(each.failures for each in busy)):
            self._give_up(list(busy), next(iter(busy.values())))
            return
        middle = (len(throttled) + 1) // 2
        with self._lock:
            self._busy.extend(alone)
            self._busy.extend(half for half in (throttled[:middle], throttled[middle:]) if half)
        self._again(others, isolated=pack.isolated)

    def _judge(self, work: PendingWrite, item: Mapping[str, Any] | None) -> Verdict:
        """Judge a change by the entry of its key, and set its result where there is one."""
        try:
            entry = from_item(item) if item else None
        except ValueError as error:
            self._context.report_error("TransactWriteItems", "LedgerEntryUnreadable", str(error))
            return Verdict.NEWER
        verdict = decide(entry, work.attempt.change.entry)
        if work.attempt.pin is not None and verdict.applies:
            # Its condition can never hold again: redelivery judges it anew, and may note it anew.
            work.result = Retry("the noted entry has moved")
        if entry is not None and not verdict.applies:
            mixed = entry.version.precision != work.attempt.change.version.precision
            work.result = self._result(verdict, entry, mixed, work)
        return verdict

    def _result(self, verdict: Verdict, entry: Entry, mixed: bool, work: PendingWrite) -> Result:
        if verdict is Verdict.DOUBTFUL:
            return NeedsNote(entry)
        if verdict is Verdict.AMBIGUOUS:
            return Ambiguous(entry, mixed)
        if verdict is Verdict.CONTRADICTED:
            return Retry("its number is older than its key's entry, and its time newer", True)
        if verdict is Verdict.SAME and work.uncertain:
            return Applied(self._clock.now_micros())
        return Superseded(mixed and verdict is not Verdict.OLDER)

    def _invalid(self, pack: WritePack, failure: Failure) -> None:
        """Split a call that was refused as invalid, until the invalid change is alone."""
        works = pack.works
        if len(works) > 1:
            self._split(works)
        elif self._ledger_takes(works[0]):
            works[0].result = Rejected(f"{failure.code}: {failure.message}")
        else:
            self._give_up(works, "the ledger refuses entries")

    def _ledger_takes(self, work: PendingWrite) -> bool:
        """Return whether the ledger takes the entry: if not, the record is not at fault."""
        change = work.attempt.change
        if not self._context.deadline.allows_call():
            return False
        request = {
            "TableName": self._writer.ledger_table,
            "Item": to_item(change.key, change.entry),
            "ConditionExpression": NEVER,
        }
        answer = aws.call(self._writer.dynamodb.put_item, request)
        if isinstance(answer, Failure) and answer.code == "ConditionalCheckFailedException":
            return True
        if isinstance(answer, Failure):
            self._context.report_error("PutItem", answer.code, "the ledger does not take entries")
        return False

    # Reading first, where most changes were probably applied before.

    def _look(self, works: list[PendingWrite]) -> None:
        """Supersede the changes that the ledger proves superseded; queue the others for writing.

        Reads are eventually consistent on purpose. Entries only move forward, so even a stale entry
        that supersedes a change is proof. Everything less clear is left to the conditional write.
        """
        by_key = {work.attempt.change.key: work for work in works}
        for key, item in self._writer.reader.read(by_key, self._context).items.items():
            self._learn(by_key[key], item)
        for work in works:
            work.looked = True
        self._again([work for work in works if work.result is None])

    def _learn(self, work: PendingWrite, item: Mapping[str, Any]) -> None:
        if self._judge(work, item) not in (Verdict.OLDER, Verdict.SAME):
            work.result = None
