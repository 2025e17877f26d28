"""Commands of the Pulumi CLI to suggest, as they are typed in a shell."""

from __future__ import annotations

import shlex

from bootstrap.core.stack_outputs import Outputs, TableOutputs

MAPPING_TYPE = (
    "replication:index:Consumer$aws:lambda/eventSourceMapping:EventSourceMapping"  # never changes
)


def up(stack: str) -> str:
    """Return the command that applies the stack file, after a look at AWS. Empty: no stack named.

    Without --stack, the CLI takes the stack that was selected last.
    """
    return f"pulumi up --refresh --stack {shlex.quote(stack)}" if stack else "pulumi up --refresh"


def set_value(stack: str, path: str, value: str) -> str:
    """Return the command that sets a value in the stack file, by its path. Empty: no stack named.

    A path has brackets, which a shell may take for a pattern.
    """
    named = f" --stack {shlex.quote(stack)}" if stack else ""
    return f"pulumi config set --path {shlex.quote(path)} {shlex.quote(value)}{named}"


def remove_value(stack: str, path: str) -> str:
    """Return the command that removes a value from the stack file, by its path."""
    named = f" --stack {shlex.quote(stack)}" if stack else ""
    return f"pulumi config rm --path {shlex.quote(path)}{named}"


def mapping_urn(outputs: Outputs, table: TableOutputs) -> str:
    """Return the name of a table's event source mapping in the Pulumi state."""
    # The snapshot prefix is the slug that names the table's resources.
    name = f"replicate-{table.snapshot_prefix}-consumer-mapping"
    return f"urn:pulumi:{outputs.stack}::{outputs.project}::{MAPPING_TYPE}::{name}"


def replace_mapping(outputs: Outputs, table: TableOutputs) -> str:
    """Return the commands that replace a table's mapping, which the stack protects.

    A URN contains `$`: only single quotes keep it whole.
    """
    stack, urn = shlex.quote(outputs.stack), shlex.quote(mapping_urn(outputs, table))
    return (
        f"pulumi state unprotect --yes --stack {stack} {urn} && pulumi up --refresh --stack {stack}"
    )
