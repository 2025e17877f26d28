"""The row `unended` of the ledger table: records of a table's stream that are delivered again.

An event does not name its shard, so no position can be kept for each. What is known is which record
a batch could not end: the consumer notes it here with its creation time, and removes it once it has
ended. The oldest one is what the stream forgets first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

UNENDED_KEY = b"unended"
NOTED_SECONDS = 60
"""A record that is younger is not noted: to be delivered again within a minute is normal."""
FORGOTTEN_SECONDS = 3 * 86_400
"""After this a record is in no stream: DynamoDB trims it after 24 hours, if not at once."""
_PREFIX = "at:"


def member(order: str) -> str:
    """Return the attribute of a record; `order` is that of `stream_order`."""
    return _PREFIX + order


def created_in(item: Mapping[str, Any]) -> dict[str, int]:
    """Return each record's order and its creation time in epoch seconds.

    Raise ValueError for an item that is no such row.
    """
    try:
        return {
            name.removeprefix(_PREFIX): int(value["N"])
            for name, value in item.items()
            if name.startswith(_PREFIX)
        }
    except (KeyError, TypeError) as error:
        raise ValueError("a row of records that have not ended without their times") from error
