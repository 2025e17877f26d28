"""The consumer's gate: which attempt owns it, by the settings row of the ledger table."""

from __future__ import annotations

from bootstrap.core.errors import BlockedError
from bootstrap.core.suggestions import Command, suggest
from bootstrap.cutover.context import SwitchContext
from bootstrap.cutover.switch.table_set import SwitchSet


def refuse_taken_gate(group: SwitchSet, context: SwitchContext) -> None:
    """Check that this attempt owns the gate.

    Raises:
        BlockedError: another attempt, or a promotion, does.
    """
    settings = context.steps.ledger.settings()
    if (settings.closed or settings.armed) != group.attempt.nonce:
        raise gate_taken(context)


def gate_taken(context: SwitchContext) -> BlockedError:
    """Make the error of a gate that another attempt owns."""
    return BlockedError(
        f"Another attempt owns the consumer's gate of table {context.table.source_table}.",
        fix=suggest(Command("status")),
    )
