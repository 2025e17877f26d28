"""The ledger guard: each write is a transaction of the item and the key's entry in a ledger.

The condition on the entry admits only what is newer, and the entry changes with the item or not at
all, so no schedule of duplicates, overlaps and deaths can leave one without the other. The target's
items carry nothing extra. The price is double write units, for the item and for the entry.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from replicator import aws
from replicator.aws import CancellationReason, Failure, Kind
from replicator.call_context import CallContext
from replicator.change import MICROSECOND, MILLISECOND, Change, Entry, Precision, Version
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
from replicator.consumer.writer import Attempt
from replicator.runtime import Runtime

# TransactWriteItems takes 100 actions and 4 MB; a change is two actions. The size counted here is
# an upper bound already, and some of the 4 MB is left for what DynamoDB may count beside it.
CHANGES_PER_CALL = 50
BYTES_PER_CALL = 3_900_000
ENTRY_BYTES = 200
KEYS_PER_READ = 100
WORTH_READING = 10  # fewer changes than this are written without looking first

DAY_SECONDS = 86_400

_PRECISIONS: dict[str, Precision] = {MICROSECOND: MICROSECOND, MILLISECOND: MILLISECOND}

# Each clause accepts one state of the key's entry; together they are the verdicts that apply.
NONE = "attribute_not_exists(k)"  # never seen, or forgotten long after the last change
OLDER = "p = :p AND t < :t"  # same precision: the timestamps decide
OLDER_COARSELY = "p = :q AND t < :first"  # other precision: only an earlier millisecond is older
SAME_TIME = "(p = :p AND t = :t OR p = :q AND t BETWEEN :first AND :last)"
CONTINUES = "i = :o"  # the entry's image is what this change found
# And it does not go back to the image before, as far as the entry knows it: that has to be noted
# first.
NOT_BACK = "o <> :i AND o <> i"
SUCCESSOR = f"{SAME_TIME} AND {CONTINUES} AND {NOT_BACK}"
NEWER = f"{NONE} OR ({OLDER}) OR ({OLDER_COARSELY}) OR ({SUCCESSOR})"

# Doubtful changes are written to exactly the entry that was noted, or not at all.
EXACTLY = "t = :t AND p = :p AND i = :i AND o = :o"

# Accepts no state: asks whether the ledger would take an entry of this form, and writes nothing.
NEVER = "attribute_exists(k) AND attribute_not_exists(k)"


def to_item(key: bytes, entry: Entry, expiry: int | None = None) -> dict[str, Any]:
    """The ledger item of a key; `expiry` in seconds since 1970, None for one that stays."""
    item = {
        "k": {"B": key},
        "t": {"N": str(entry.version.micros)},
        "p": {"S": entry.version.precision},
        "i": {"B": entry.image},
        "o": {"B": entry.previous},
    }
    if expiry is not None:
        item["x"] = {"N": str(expiry)}
    return item


def from_item(item: Mapping[str, Any]) -> Entry:
    """The entry that a ledger item holds. Raises ValueError for an item that is not an entry."""
    try:
        version = Version(int(item["t"]["N"]), _PRECISIONS[item["p"]["S"]])
        return Entry(version, image=bytes(item["i"]["B"]), previous=bytes(item["o"]["B"]))
    except (KeyError, TypeError) as error:
        raise ValueError("a ledger item without timestamp, precision or digests") from error


def condition(change: Entry, pin: Entry | None) -> dict[str, Any]:
    """Condition and values of the entry's put: newer than what is there, or exactly the pinned."""
    if pin is not None:
        return {
            "ConditionExpression": EXACTLY,
            "ExpressionAttributeValues": {
                ":t": {"N": str(pin.version.micros)},
                ":p": {"S": pin.version.precision},
                ":i": {"B": pin.image},
                ":o": {"B": pin.previous},
            },
        }
    version = change.version
    first = version.millisecond * 1000
    other = MILLISECOND if version.precision == MICROSECOND else MICROSECOND
    return {
        "ConditionExpression": NEWER,
        "ExpressionAttributeValues": {
            ":p": {"S": version.precision},
            ":q": {"S": other},
            ":t": {"N": str(version.micros)},
            ":first": {"N": str(first)},
            ":last": {"N": str(first + 999)},
            ":i": {"B": change.image},
            ":o": {"B": change.previous},
        },
    }


class LedgerWriter:
    """`Guard` by a ledger table beside the target. Shared by the invocations of a container.

    `dynamodb` is a client with boto3's methods `transact_write_items`, `batch_get_item` and
    `put_item`. Entries get an expiry of `retention_days` from the moment of applying, where the
    terms allow one: never from the version, or a late old change would meet an expired entry and be
    applied over a newer one.
    """

    def __init__(
        self,
        dynamodb: Any,
        *,
        target_table: str,
        ledger_table: str,
        effects: Runtime,
        retention_days: int = 30,
    ) -> None:
        self.dynamodb = dynamodb
        self.target_table = target_table
        self.ledger_table = ledger_table
        self.effects = effects
        self.retention_seconds = retention_days * DAY_SECONDS
        self.pace = PackSizer()

    def apply(self, attempts: Sequence[Attempt], terms: CallContext) -> list[Result]:
        return _Run(self, attempts, terms).results()

    def actions(self, attempt: Attempt, expire: bool) -> tuple[dict[str, Any], dict[str, Any]]:
        """The two actions of one change: its entry, conditionally, and its item."""
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
        """When the entry may go; never, while a lane lags: older changes may still be waiting.

        A redriven record has just arrived, however long its change and its lane's neighbours have
        been waiting; so both the arrival and the version have to be of today.
        """
        now = self.effects.clock.now_micros() // 1_000_000
        if now - min(change.arrival, change.version.micros / 1_000_000) > DAY_SECONDS:
            return None
        return now + self.retention_seconds


class PackSizer:
    """How many changes go into a call: half after throttling or a conflict, then more again."""

    def __init__(self) -> None:
        self.size = CHANGES_PER_CALL

    def slower(self) -> None:
        self.size = max(1, self.size // 2)

    def faster(self) -> None:
        self.size = min(CHANGES_PER_CALL, self.size + 4)


class _Work:
    """One attempt on its way to a result."""

    __slots__ = ("actions", "attempt", "failures", "looked", "result", "uncertain")

    def __init__(self, attempt: Attempt) -> None:
        self.attempt = attempt
        self.actions: tuple[dict[str, Any], dict[str, Any]] | None = None
        self.failures = 0  # cancellations it went through without getting any further
        self.looked = attempt.pin is not None  # a pinned write is settled by its condition only
        self.uncertain = False  # some call with it may have been executed without our knowing
        self.result: Result | None = None


@dataclass
class _Pack:
    """Changes that go in one call. `isolated`: split off on purpose, not to be mixed again."""

    works: list[_Work]
    token: str
    isolated: bool = False
    read: bool = False


class _Run:
    """One call of `apply`: workers take packs from a common queue until all have a result."""

    def __init__(
        self, guard: LedgerWriter, attempts: Sequence[Attempt], terms: CallContext
    ) -> None:
        self._guard = guard
        self._terms = terms
        self._clock = guard.effects.clock
        self._works = [_Work(attempt) for attempt in attempts]
        self._waiting = deque(self._works)
        self._unread: deque[_Work] = deque()
        self._isolated: deque[list[_Work]] = deque()
        self._lock = threading.Lock()
        known = sum(attempt.redelivered for attempt in attempts)
        if known >= WORTH_READING:
            self._read_first(lambda work: work.attempt.redelivered)

    def results(self) -> list[Result]:
        if len(self._waiting) > 4 * CHANGES_PER_CALL:
            # One call ahead of the others tells whether most of this has been applied before.
            pack = self._next()
            if pack is not None:
                self._finish(pack)
        size = self._guard.pace.size
        calls = -(-len(self._waiting) // size) + -(-len(self._unread) // KEYS_PER_READ)
        executor = self._guard.effects.executor
        executor.run_all([self._work] * max(1, min(calls, executor.width)))
        return [work.result or Retry("not attempted") for work in self._works]

    def _work(self) -> None:
        while (pack := self._next()) is not None:
            self._finish(pack)

    def _next(self) -> _Pack | None:
        with self._lock:
            if self._isolated:
                return self._pack(self._isolated.popleft(), isolated=True)
            if self._unread:
                return self._pack(self._take_unread(), read=True)
            return self._pack(self._take()) if self._waiting else None

    def _read_first(self, which: Callable[[_Work], bool]) -> None:
        """Has these looked up before they are written."""
        moved = [work for work in self._waiting if not work.looked and which(work)]
        chosen = set(moved)
        self._waiting = deque(work for work in self._waiting if work not in chosen)
        self._unread.extend(moved)

    def _pack(self, works: list[_Work], *, isolated: bool = False, read: bool = False) -> _Pack:
        token = f"{self._guard.effects.random.getrandbits(128):032x}"
        return _Pack(works, token, isolated, read)

    def _take_unread(self) -> list[_Work]:
        count = min(KEYS_PER_READ, len(self._unread))
        return [self._unread.popleft() for _ in range(count)]

    def _take(self) -> list[_Work]:
        works: list[_Work] = []
        size = 0
        while self._waiting and len(works) < self._guard.pace.size:
            size += self._waiting[0].attempt.change.size + ENTRY_BYTES
            if works and size > BYTES_PER_CALL:
                break
            works.append(self._waiting.popleft())
        return works

    def _again(self, works: list[_Work], *, isolated: bool = False) -> None:
        if not works:
            return
        with self._lock:
            if isolated:
                self._isolated.append(works)
            else:
                self._waiting.extendleft(reversed(works))

    def _give_up(self, works: list[_Work], why: str) -> None:
        for work in works:
            work.result = Retry(why)

    def _finish(self, pack: _Pack) -> None:
        if pack.read:
            self._look(pack.works)
        else:
            self._write(pack)

    # Writing.

    def _write(self, pack: _Pack) -> None:
        """Sends a pack until it is through, or is to be packed anew, or the deadline is near."""
        request = self._request(pack)
        failures = 0
        why = "deadline"
        while self._terms.deadline.allows_call():
            answer = aws.call(self._guard.dynamodb.transact_write_items, request)
            if not isinstance(answer, Failure):
                now = self._clock.now_micros()
                for work in pack.works:
                    work.result = Applied(now)
                self._guard.pace.faster()
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
                self._guard.pace.slower()
            if not self._terms.deadline.wait(failures):
                break
            if len(pack.works) > self._guard.pace.size or answer.code.startswith("Idempotent"):
                self._repack(pack)
                return
        self._give_up(pack.works, why)

    def _repack(self, pack: _Pack) -> None:
        if pack.isolated:
            self._split(pack.works)
        else:
            self._again(pack.works)

    def _split(self, works: list[_Work]) -> None:
        middle = (len(works) + 1) // 2
        self._again(works[:middle], isolated=True)
        self._again(works[middle:], isolated=True)

    def _request(self, pack: _Pack) -> dict[str, Any]:
        actions: list[dict[str, Any]] = []
        for work in pack.works:
            if work.actions is None:
                work.actions = self._guard.actions(work.attempt, self._terms.expire)
            actions.extend(work.actions)
        return {"TransactItems": actions, "ClientRequestToken": pack.token}

    def _report(self, failure: Failure) -> None:
        self._terms.trouble("TransactWriteItems", failure.code, failure.loggable)

    def _cancelled(self, pack: _Pack, reasons: Sequence[CancellationReason]) -> bool:
        """Takes out what has ended and lines up the rest; True: the same pack may go again."""
        again: list[_Work] = []
        slowed = refused = 0
        if len(reasons) != 2 * len(pack.works):
            reasons = [CancellationReason("None", None, "")] * (2 * len(pack.works))
            slowed = 1
        for index, work in enumerate(pack.works):
            on_entry, on_item = reasons[2 * index], reasons[2 * index + 1]
            if on_entry.code == "ConditionalCheckFailed":
                refused += 1
                self._judge(work, on_entry.item)
            elif aws.classify(on_item.code) is Kind.INVALID:
                work.result = Rejected(f"{on_item.code}: {on_item.message}")
            for reason in (on_entry, on_item):
                if reason.code not in ("None", "ConditionalCheckFailed") and work.result is None:
                    slowed += 1
                    self._terms.trouble("TransactWriteItems", reason.code, "")
            if work.result is None:
                again.append(work)
        if 10 * refused > len(pack.works) and len(self._waiting) > CHANGES_PER_CALL:
            with self._lock:
                self._read_first(lambda work: True)
        if again and (slowed or len(again) == len(pack.works)):
            self._guard.pace.slower()
            for work in again:
                work.failures += 1
            if not self._terms.deadline.wait(max(work.failures for work in again)):
                self._give_up(again, "TransactionCanceledException")
                return False
        if len(again) == len(pack.works) <= self._guard.pace.size:
            return True
        self._again(again, isolated=pack.isolated)
        return False

    def _judge(self, work: _Work, item: Mapping[str, Any] | None) -> Verdict:
        """Gives a change the result that the entry of its key makes of it, if it makes one."""
        try:
            entry = from_item(item) if item else None
        except ValueError as error:
            self._terms.trouble("TransactWriteItems", "LedgerEntryUnreadable", str(error))
            return Verdict.NEWER
        verdict = decide(entry, work.attempt.change.entry)
        if work.attempt.pin is not None and verdict.applies:
            # Its own condition can never hold again: it has to be judged, and perhaps noted, anew.
            work.result = Retry("the noted entry has moved")
        if entry is not None and not verdict.applies:
            mixed = entry.version.precision != work.attempt.change.version.precision
            work.result = self._result(verdict, entry, mixed, work)
        return verdict

    def _result(self, verdict: Verdict, entry: Entry, mixed: bool, work: _Work) -> Result:
        if verdict is Verdict.DOUBTFUL:
            return NeedsNote(entry)
        if verdict is Verdict.AMBIGUOUS:
            return Ambiguous(entry, mixed)
        if verdict is Verdict.SAME and work.uncertain:
            return Applied(self._clock.now_micros())
        return Superseded(mixed and verdict is not Verdict.OLDER)

    def _invalid(self, pack: _Pack, failure: Failure) -> None:
        """The whole call was refused as invalid, for the sake of some of its changes: split it."""
        works = pack.works
        if len(works) > 1:
            self._split(works)
        elif self._ledger_takes(works[0]):
            works[0].result = Rejected(f"{failure.code}: {failure.message}")
        else:
            self._give_up(works, "the ledger refuses entries")

    def _ledger_takes(self, work: _Work) -> bool:
        """Whether the ledger's half is valid: if not, the record is not to blame."""
        change = work.attempt.change
        if not self._terms.deadline.allows_call():
            return False
        request = {
            "TableName": self._guard.ledger_table,
            "Item": to_item(change.key, change.entry),
            "ConditionExpression": NEVER,
        }
        answer = aws.call(self._guard.dynamodb.put_item, request)
        if isinstance(answer, Failure) and answer.code == "ConditionalCheckFailedException":
            return True
        if isinstance(answer, Failure):
            self._terms.trouble("PutItem", answer.code, "the ledger does not take entries")
        return False

    # Reading, where most is expected to have been applied before.

    def _look(self, works: list[_Work]) -> None:
        """Ends what the ledger shows to be superseded; the rest is written.

        Eventually consistent on purpose: entries only move forward, so an older state of one that
        supersedes a change is proof enough. Anything less clear is left to the conditional write.
        """
        table = self._guard.ledger_table
        by_key = {work.attempt.change.key: work for work in works}
        keys: list[dict[str, Any]] = [{"k": {"B": key}} for key in by_key]
        failures = 0
        while keys and self._terms.deadline.allows_call():
            request = {"RequestItems": {table: {"Keys": keys}}}
            answer = aws.call(self._guard.dynamodb.batch_get_item, request)
            if isinstance(answer, Failure):
                self._report_read(answer)
                if answer.kind in (Kind.SYSTEMATIC, Kind.INVALID):
                    break  # writing tells the same, at a price
            else:
                for item in answer.get("Responses", {}).get(table, ()):
                    self._learn(by_key[bytes(item["k"]["B"])], item)
                keys = answer.get("UnprocessedKeys", {}).get(table, {}).get("Keys", [])
                if not keys:
                    break
            failures += 1
            if not self._terms.deadline.wait(failures):
                break
        for work in works:
            work.looked = True
        self._again([work for work in works if work.result is None])

    def _learn(self, work: _Work, item: Mapping[str, Any]) -> None:
        if self._judge(work, item) not in (Verdict.OLDER, Verdict.SAME):
            work.result = None

    def _report_read(self, failure: Failure) -> None:
        self._terms.trouble("BatchGetItem", failure.code, failure.loggable)
