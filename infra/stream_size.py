"""Mode and shards of a stream: what the stack file sets, and what was changed by hand since.

In an incident an operator splits shards, or puts the stream on demand. The next `pulumi up`, with
its refresh, must not put the old number back. So size follows the stack file when the stack file
changes, and stays as it is otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi

from infra.held_resources import last_table
from infra.table_config import TableConfig

SIZE = ["shardCount", "streamModeDetails"]


def size_outputs(table: TableConfig, stream_id: pulumi.Output[str]) -> dict[str, Any]:
    """Return the configured size for the stack's outputs, known once the stream has it."""
    found: dict[str, Any] = {"streamMode": stream_id.apply(lambda _: table.stream_mode)}
    if table.shards is not None:
        found["shards"] = stream_id.apply(lambda _: table.shards)
    return found


def kept_properties(table: TableConfig, before: Mapping[str, Any]) -> list[str]:
    """Return the properties of the stream that this run leaves as they are.

    `before`: the stack's outputs after the last `pulumi up`.
    """
    last = last_table(table, before)
    if not last:
        return []
    if last.get("streamMode") is None:
        return _kept_without_knowing(table)
    # Numbers come back from the engine as floats.
    shards = last.get("shards")
    changed = (last["streamMode"], shards and int(shards)) != (table.stream_mode, table.shards)
    return [] if changed else list(SIZE)


def _kept_without_knowing(table: TableConfig) -> list[str]:
    """Decide after an `up` by a program that did not record the size."""
    if table.shards is None:
        return []
    pulumi.log.warn(
        f"The stream of table {table.source} keeps the shards that it has: the last `pulumi up` "
        f"did not record what the stack file said. From now on, a change of shards (now "
        f"{table.shards}) is applied, and shards that were split by hand stay."
    )
    return list(SIZE)
