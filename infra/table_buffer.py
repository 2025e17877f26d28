"""A table's buffer, whichever it is, as the parts of a stack know it."""

from __future__ import annotations

from infra.table_config import TableConfig

TABLE_STREAM_HOURS = 24
"""How long a table's own stream keeps a change (Amazon DynamoDB Developer Guide, Streams)."""


def buffer_variable(table: TableConfig) -> dict[str, str]:
    """Return the variable that tells a function of the buffer. None: a Kinesis stream."""
    return {"BUFFER": table.buffer} if table.reads_table_stream else {}
