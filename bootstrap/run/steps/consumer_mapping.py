"""Errors about the consumer's event source mapping, which the stack makes, or this tool."""

from __future__ import annotations

from bootstrap.core import pulumi_commands
from bootstrap.core.errors import AccountError, Side
from bootstrap.core.pulumi_commands import replace_mapping
from bootstrap.core.suggestions import Command, suggest
from bootstrap.run.step_context import StepContext


def gone(context: StepContext) -> AccountError:
    """Make the error for a mapping that does not exist."""
    table, uuid = context.table, context.mapping_uuid
    if table.reads_table_stream:
        fix = suggest(Command("run"), ", which makes it again")
    else:
        fix = suggest(pulumi_commands.up(context.outputs.stack))
    return AccountError(
        Side.TARGET,
        f"The event source mapping {uuid} of function {table.function_name} in "
        f"{table.consumer_region} is gone.",
        fix=fix,
    )


def replacement(context: StepContext, uuid: str) -> str:
    """Return what replaces a mapping that reads from the wrong place."""
    if not context.table.reads_table_stream:
        return replace_mapping(context.outputs, context.table)
    return (
        f"aws lambda delete-event-source-mapping --uuid {uuid} --region "
        f"{context.table.consumer_region}, with the target account's credentials; then run again, "
        "which makes it anew"
    )
