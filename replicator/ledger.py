"""The ledger guard: each write is a transaction of the item and the key's entry in a ledger.

The condition on the entry admits only what is newer, and the entry changes with the item or not at
all, so no schedule of duplicates, overlaps and deaths can leave one without the other. The target's
items carry nothing extra. The price is double write units, for the item and for the entry.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from replicator.change import MICROSECOND, MILLISECOND, Change, Entry
from replicator.effects import Effects
from replicator.entries import to_item
from replicator.guard import Attempt, Terms
from replicator.outcome import Result
from replicator.packs import Pace, Run

DAY_SECONDS = 86_400

# Each clause accepts one state of the key's entry; together they are the verdicts that apply.
NONE = "attribute_not_exists(k)"  # never seen, or forgotten long after the last change
OLDER = "p = :p AND t < :t"  # same precision: the timestamps decide
OLDER_COARSELY = "p = :q AND t < :first"  # other precision: only an earlier millisecond is older
SAME_TIME = "(p = :p AND t = :t OR p = :q AND t BETWEEN :first AND :last)"
CONTINUES = "i = :o"  # the entry's image is what this change found
NOT_BACK = "o <> :i"  # and it does not go back to the image before: that has to be noted first
SUCCESSOR = f"{SAME_TIME} AND {CONTINUES} AND {NOT_BACK}"
NEWER = f"{NONE} OR ({OLDER}) OR ({OLDER_COARSELY}) OR ({SUCCESSOR})"

# Doubtful changes are written to exactly the entry that was noted, or not at all.
EXACTLY = "t = :t AND p = :p AND i = :i AND o = :o"

# Accepts no state: asks whether the ledger would take an entry of this form, and writes nothing.
NEVER = "attribute_exists(k) AND attribute_not_exists(k)"


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


class LedgerGuard:
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
        effects: Effects,
        retention_days: int = 30,
    ) -> None:
        self.dynamodb = dynamodb
        self.target_table = target_table
        self.ledger_table = ledger_table
        self.effects = effects
        self.retention_seconds = retention_days * DAY_SECONDS
        self.pace = Pace()

    def apply(self, attempts: Sequence[Attempt], terms: Terms) -> list[Result]:
        return Run(self, attempts, terms).results()

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

    def trial(self, change: Change) -> dict[str, Any]:
        """A PutItem that is always refused, as invalid if the ledger would not take this entry."""
        return {
            "TableName": self.ledger_table,
            "Item": to_item(change.key, change.entry),
            "ConditionExpression": NEVER,
        }

    def _expiry(self, change: Change) -> int | None:
        """When the entry may go; never, while the lane lags: older changes may still be waiting."""
        now = self.effects.clock.now_micros() // 1_000_000
        if now - change.arrival > DAY_SECONDS:
            return None
        return now + self.retention_seconds
