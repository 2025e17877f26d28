"""The Deny statements of a switch, as values: which table, from when to when, and for whom."""

from __future__ import annotations

from bootstrap.core.stack_outputs import Outputs, TableOutputs
from bootstrap.core.write_deny import WriteDeny
from bootstrap.journal.switch_records import Switching

REHEARSED_SECONDS = 3_600
"""How long ago a rehearsal's Deny ended: no clock of AWS is that slow."""


def rehearsal(table: TableOutputs, nonce: str, now: float) -> WriteDeny:
    """Return a Deny of the source that has ended: it proves the right to put one."""
    ended = int(now) - REHEARSED_SECONDS
    return WriteDeny(nonce, table.source_table_arn, begins=ended - REHEARSED_SECONDS, ends=ended)


def dated(table: TableOutputs, attempt: Switching) -> WriteDeny:
    """Return the Deny of the source between its two dates."""
    return WriteDeny(
        attempt.nonce, table.source_table_arn, begins=attempt.closes, ends=attempt.reopens
    )


def sealed(table: TableOutputs, attempt: Switching) -> WriteDeny:
    """Return the Deny of the source that has no end."""
    return WriteDeny(attempt.nonce, table.source_table_arn, begins=attempt.closes)


def replica(outputs: Outputs, table: TableOutputs, nonce: str) -> WriteDeny:
    """Return the Deny of the target while it is a replica: all but this stack's roles."""
    return WriteDeny(
        nonce,
        outputs.target_arn(table),
        excepted=(table.consumer_role_arn, outputs.target.role_arn),
    )


def primary(outputs: Outputs, table: TableOutputs, nonce: str) -> WriteDeny:
    """Return the Deny of the target once it is the primary: exactly this stack's roles."""
    return WriteDeny(
        nonce,
        outputs.target_arn(table),
        only=(table.consumer_role_arn, outputs.target.role_arn),
    )
