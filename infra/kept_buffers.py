"""The refusal of another buffer for a table whose run has begun."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from infra.held_resources import last_table
from infra.refused_changes import listed
from infra.run_rows import RunRow
from infra.stack_config import StackConfig
from replicator.buffers import KINESIS


def find_other_buffers(
    config: StackConfig, before: Mapping[str, Any], runs: Mapping[str, RunRow]
) -> Iterator[str]:
    """Yield a refusal of another `buffer` than that of the table's run, also of one that has ended.

    What waits in the first would never be applied, and the ledger's versions are of its kind: the
    consumer of the other one could not tell which of two changes is newer.
    """
    return listed(
        "A table keeps its buffer once a run has begun",
        _differences(config, before, runs),
        "Changes that wait in it would be lost, and a ledger belongs to one buffer. Try: put the "
        "values back, then pulumi up; or take the table out of the stack and replicate it anew: "
        "docs/operate.md, Change the buffer of a table",
    )


def _differences(
    config: StackConfig, before: Mapping[str, Any], runs: Mapping[str, RunRow]
) -> Iterator[str]:
    for n, table in enumerate(config.tables):
        last = last_table(table, before)
        # An older program knew one buffer, and did not name it.
        known = last.get("buffer") or KINESIS
        if last and table.source in runs and known != table.buffer:
            yield f'tables[{n}].buffer: got {table.buffer}; "{table.source}" has {known}.'
