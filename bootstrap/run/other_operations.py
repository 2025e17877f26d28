"""The check that no bulk operation writes to the target table."""

from __future__ import annotations

from bootstrap.core.bulk_facts import NEWER_CLI, BulkFacts
from bootstrap.core.errors import BlockedError
from bootstrap.core.outcome import Pending
from bootstrap.core.ports import BulkLoads
from bootstrap.run.step_context import StepContext


def wait_for_others(context: StepContext) -> Pending | None:
    """Return the wait for the first operation on the target that is not terminal; None: there is
    none.

    A bulk put has no condition and outlives its caller: beside the consumer it would replace newer
    items by the snapshot's, and nothing would show it. So the list is read each time, and an
    account that does not give it is an error, never a "none". Only where the table has `load: bulk`
    may the roles read it: an import ends before its table can be written.
    """
    if context.loads is None:
        return None
    running = context.loads.on_table(context.target_arn)
    return wait_for(context, running[0]) if running else None


def wait_for(context: StepContext, operation: BulkFacts) -> Pending:
    """Return the wait for the end of an operation that is not the caller's own."""
    return Pending(
        f"bulk operation {operation.operation_id} on table {context.table.target_table} to end",
        context.timing.poll(20),
        operation.measure,
        outlasts=True,
    )


def refuse_running_operations(
    loads: BulkLoads | None, table: str, table_arn: str, command: str
) -> None:
    """Check that no bulk operation writes to the target `table`. `command`: as typed.

    Raises:
        BlockedError: one does.
        AccountError: that cannot be read.
    """
    running = () if loads is None else loads.on_table(table_arn)
    if running:
        arns = ", ".join(each.arn for each in running)
        raise BlockedError(
            f"A bulk operation writes into table {table} ({arns}). It overwrites items, so "
            f"{command} could neither compare nor repair them reliably.",
            fix="wait until it has ended: aws dynamodb describe-bulk-operation "
            f"--bulk-operation-arn {running[0].arn} --region {table_arn.split(':')[3]}, with the "
            f"target account's credentials ({NEWER_CLI}); then the same command",
        )
