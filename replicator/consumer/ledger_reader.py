"""Reads of ledger entries, a hundred keys a call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from replicator import aws
from replicator.aws import Failure, Kind
from replicator.call_context import CallContext

KEYS_PER_READ = 100


@dataclass
class EntriesRead:
    """The ledger's items by key. A key that is in neither has no entry."""

    items: dict[bytes, Mapping[str, Any]] = field(default_factory=dict)
    unread: set[bytes] = field(default_factory=set)
    """Keys that could not be read before the deadline."""


@dataclass(frozen=True)
class LedgerReader:
    """`dynamodb` needs boto3's method `batch_get_item`."""

    dynamodb: Any
    ledger_table: str

    def read(
        self, keys: Iterable[bytes], context: CallContext, *, consistent: bool = False
    ) -> EntriesRead:
        """Read the items of these keys, trying again until the deadline."""
        found = EntriesRead(unread=set(keys))
        waiting = list(found.unread)
        for start in range(0, len(waiting), KEYS_PER_READ):
            self._read(waiting[start : start + KEYS_PER_READ], found, context, consistent)
        return found

    def _read(
        self, some: list[bytes], found: EntriesRead, context: CallContext, consistent: bool
    ) -> None:
        keys: list[dict[str, Any]] = [{"k": {"B": key}} for key in some]
        failures = 0
        while keys and context.deadline.allows_call():
            asked = {"Keys": keys, "ConsistentRead": True} if consistent else {"Keys": keys}
            answer = aws.call(
                self.dynamodb.batch_get_item, {"RequestItems": {self.ledger_table: asked}}
            )
            if isinstance(answer, Failure):
                context.report_error("BatchGetItem", answer.code, answer.loggable)
                if answer.kind in (Kind.SYSTEMATIC, Kind.INVALID):
                    return  # no attempt will succeed
            else:
                for item in answer.get("Responses", {}).get(self.ledger_table, ()):
                    found.items[bytes(item["k"]["B"])] = item
                unprocessed = answer.get("UnprocessedKeys", {}).get(self.ledger_table, {})
                left = {bytes(key["k"]["B"]) for key in unprocessed.get("Keys", ())}
                found.unread -= {bytes(key["k"]["B"]) for key in keys} - left
                keys = unprocessed.get("Keys", [])
                if not keys:
                    return
            failures += 1
            if not context.deadline.wait(failures):
                return
