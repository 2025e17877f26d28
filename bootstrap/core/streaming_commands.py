"""Commands that switch a table's streaming on again, by the owner of its destination."""

from __future__ import annotations

from bootstrap.core import pulumi_commands
from bootstrap.core.stack_outputs import TableOutputs
from replicator.aws_commands import table_option

BY_SOURCE = "with the source account's credentials"


def enable(table: str, stream_arn: str, region: str) -> str:
    """Return the command for a destination that is not the stack's."""
    return (
        f"aws dynamodb enable-kinesis-streaming-destination {table_option(table)} --stream-arn "
        f"{stream_arn} --enable-kinesis-streaming-configuration "
        f"ApproximateCreationDateTimePrecision=MICROSECOND --region {region}"
    )


def enable_again(stack: str, table: TableOutputs) -> str:
    """Return the command for a table of a deployed stack, in backticks, and whose it is to run."""
    if table.owns_destination:
        return f"`{pulumi_commands.up(stack)}`"
    command = enable(table.source_table, table.stream_arn, table.consumer_region)
    return f"`{command}` ({BY_SOURCE})"
