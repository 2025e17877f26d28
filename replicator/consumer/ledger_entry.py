"""A key's entry in the ledger: its item, and the condition under which a change replaces it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from replicator.change import MICROSECOND, MILLISECOND, Entry, Precision, Version

_PRECISIONS: dict[str, Precision] = {MICROSECOND: MICROSECOND, MILLISECOND: MILLISECOND}

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

# Exactly the entry that was noted in quarantine. Any other write of the key voids the note.
EXACTLY = "t = :t AND p = :p AND i = :i AND o = :o"

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
    if expiry is not None:
        item["x"] = {"N": str(expiry)}
    return item


def from_item(item: Mapping[str, Any]) -> Entry:
    """Read the entry of a ledger item. Raise ValueError for an item that is not an entry."""
    try:
        version = Version(int(item["t"]["N"]), _PRECISIONS[item["p"]["S"]])
        return Entry(version, image=bytes(item["i"]["B"]), previous=bytes(item["o"]["B"]))
    except (KeyError, TypeError) as error:
        raise ValueError("a ledger item without timestamp, precision or digests") from error


def condition(change: Entry, pin: Entry | None) -> dict[str, Any]:
    """Make the condition of an entry's put: the change is newer, or its pin is the entry."""
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
