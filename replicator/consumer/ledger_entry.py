"""A key's entry in the ledger: its item, and the condition under which a change replaces it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from replicator.change import (
    MICROSECOND,
    MILLISECOND,
    SECOND,
    SECOND_MICROS,
    Entry,
    Precision,
    Version,
)
from replicator.consumer.writer import ABSENT, Pin

_PRECISIONS: dict[str, Precision] = {
    MICROSECOND: MICROSECOND,
    MILLISECOND: MILLISECOND,
    SECOND: SECOND,
}

# Each clause accepts one state of the key's entry. Together they are `Verdict.NEWER` and
# `Verdict.SUCCESSOR` of `ordering.decide`; a clause that accepts more than its verdict breaks C2.
# No entry: the key was never written, or its entry expired long after the last change. An entry
# must outlive every record that can still arrive, or a late old change passes here.
NONE = "attribute_not_exists(k)"
# An entry of the same precision and an earlier timestamp.
OLDER = "p = :p AND t < :t"
# An entry of the other precision: only an earlier millisecond is known to be older.
OLDER_COARSELY = "p = :q AND t < :first"
# An entry of the same timestamp; across precisions, of the same millisecond.
SAME_TIME = "(p = :p AND t = :t OR p = :q AND t BETWEEN :first AND :last)"
# The entry's image is the image that this change found.
CONTINUES = "i = :o"
# The change does not return to the image before the entry's (`o <> :i`), and the entry knows that
# image (`o <> i`: a backfill's entry names its own image twice). A late duplicate would pass
# otherwise; such a change is noted in quarantine first and then pinned.
NOT_BACK = "o <> :i AND o <> i"
SUCCESSOR = f"{SAME_TIME} AND {CONTINUES} AND {NOT_BACK}"
NEWER = f"{NONE} OR ({OLDER}) OR ({OLDER_COARSELY}) OR ({SUCCESSOR})"

# The same for a change of a DynamoDB stream. An entry without a number is of another buffer: no
# clause but the first accepts it.
# An entry of a stream's change with a lower number.
LOWER = "p = :second AND q < :q"
# A restored entry of an earlier second. It contains every change up to its number, whatever their
# times: without `q < :q` a change that waits since before a backfill would undo it.
LOWER_AND_EARLIER = "p = :micros AND q < :q AND t < :t"
# A restored entry of the same second.
LOWER_AT_SAME_TIME = "p = :micros AND q < :q AND t BETWEEN :t AND :last"
NEWER_BY_ORDER = (
    f"{NONE} OR ({LOWER}) OR ({LOWER_AND_EARLIER})"
    f" OR ({LOWER_AT_SAME_TIME} AND {CONTINUES} AND {NOT_BACK})"
)

# The same for a restored item without a pin: what quarantine kept of a backfill.
# An entry of a stream's change that the restored item contains, by its number or by its second.
CONTAINED = "p = :second AND (q <= :q OR t < :first)"
# Another restored entry, of an earlier time.
RESTORED_EARLIER = "p = :micros AND t < :t"
# An entry of the same time.
RESTORED_AT_SAME_TIME = (
    "(p = :second AND q > :q AND t = :first OR p = :micros AND attribute_exists(q) AND t = :t)"
)
RESTORED = (
    f"{NONE} OR ({CONTAINED}) OR (attribute_exists(q) AND {RESTORED_EARLIER})"
    f" OR ({RESTORED_AT_SAME_TIME} AND {CONTINUES} AND {NOT_BACK})"
)

# Exactly the entry that was noted in quarantine, or judged by a verification. Any other write of
# the key voids the note and the judgement.
EXACTLY = "t = :t AND p = :p AND i = :i AND o = :o"
EXACTLY_IN_ORDER = f"{EXACTLY} AND q = :q"

# No state at all: a refusal by this condition proves that the ledger takes an entry of this form.
NEVER = "attribute_exists(k) AND attribute_not_exists(k)"


def to_item(key: bytes, entry: Entry, expiry: int | None = None) -> dict[str, Any]:
    """Make the ledger item of a key; `expiry` in seconds since 1970, None for no expiry."""
    item = {
        "k": {"B": key},
        "t": {"N": str(entry.version.micros)},
        "p": {"S": entry.version.precision},
        "i": {"B": entry.image},
        "o": {"B": entry.previous},
    }
    if entry.version.order:
        item["q"] = {"S": entry.version.order}
    if expiry is not None:
        item["x"] = {"N": str(expiry)}
    return item


def from_item(item: Mapping[str, Any]) -> Entry:
    """Read the entry of a ledger item. Raise ValueError for an item that is not an entry."""
    try:
        order = item["q"]["S"] if "q" in item else ""
        version = Version(int(item["t"]["N"]), _PRECISIONS[item["p"]["S"]], order)
        entry = Entry(version, image=bytes(item["i"]["B"]), previous=bytes(item["o"]["B"]))
    except (KeyError, TypeError) as error:
        raise ValueError("a ledger item without timestamp, precision or digests") from error
    if version.precision == SECOND and not order:
        raise ValueError("a ledger item to the second without its order")
    return entry


def condition(change: Entry, pin: Pin) -> dict[str, Any]:
    """Make the condition of an entry's put: the change is newer, or its pin is the entry."""
    if pin is ABSENT:
        return {"ConditionExpression": NONE}
    if pin is not None:
        return _exactly(pin)
    if change.version.order:
        return _ordered(change)
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


def _exactly(pin: Entry) -> dict[str, Any]:
    values = {
        ":t": {"N": str(pin.version.micros)},
        ":p": {"S": pin.version.precision},
        ":i": {"B": pin.image},
        ":o": {"B": pin.previous},
    }
    if not pin.version.order:
        return {"ConditionExpression": EXACTLY, "ExpressionAttributeValues": values}
    values[":q"] = {"S": pin.version.order}
    return {"ConditionExpression": EXACTLY_IN_ORDER, "ExpressionAttributeValues": values}


def _ordered(change: Entry) -> dict[str, Any]:
    version = change.version
    values = {
        ":second": {"S": SECOND},
        ":micros": {"S": MICROSECOND},
        ":q": {"S": version.order},
        ":t": {"N": str(version.micros)},
        ":i": {"B": change.image},
        ":o": {"B": change.previous},
    }
    if version.restored:
        values[":first"] = {"N": str(version.second * SECOND_MICROS)}
        return {"ConditionExpression": RESTORED, "ExpressionAttributeValues": values}
    values[":last"] = {"N": str(version.latest)}
    return {"ConditionExpression": NEWER_BY_ORDER, "ExpressionAttributeValues": values}
