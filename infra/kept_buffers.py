"""The refusal of another buffer for a table that is replicated already."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from infra.held_resources import STREAM, HeldResources, last_table
from infra.refused_changes import listed
from infra.stack_config import StackConfig
from infra.table_config import TableConfig
from replicator.buffers import KINESIS


def find_other_buffers(
    config: StackConfig, before: Mapping[str, Any], held: HeldResources
) -> Iterator[str]:
    """Yield a refusal of another `buffer` than a table has.

    What waits in the first would never be applied, and the ledger's versions are of its kind: the
    consumer of the other one could not tell which of two changes is newer.
    """
    return listed(
        "A table keeps its buffer",
        _differences(config, before, held),
        "Changes that wait in it would be lost, and a ledger belongs to one buffer. Try: put the "
        "values back, then pulumi up; or take the table out of the stack and replicate it anew: "
        "docs/operate.md, Change the buffer of a table",
    )


def _differences(
    config: StackConfig, before: Mapping[str, Any], held: HeldResources
) -> Iterator[str]:
    for n, table in enumerate(config.tables):
        known = _known_buffer(table, before, held)
        if known not in (None, table.buffer):
            yield f'tables[{n}].buffer: got {table.buffer}; "{table.source}" has {known}.'


def _known_buffer(table: TableConfig, before: Mapping[str, Any], held: HeldResources) -> str | None:
    last = last_table(table, before)
    if last:
        # An older program knew one buffer, and did not name it.
        return str(last.get("buffer") or KINESIS)
    # A first `up` that failed may have left the stream, and no outputs.
    return KINESIS if held.has(STREAM, f"{table.prefix}-buffer-stream") else None
