"""The tables that a load cannot do without, and the errors where one is gone."""

from __future__ import annotations

from bootstrap.core.errors import AccountError, Side
from bootstrap.core.facts import TableFacts
from bootstrap.core.suggestions import Command, suggest
from bootstrap.run.step_context import StepContext
from replicator.aws_commands import table_option


def require_source(context: StepContext, needed: str) -> TableFacts:
    """Describe the source table. `needed`: what of it is needed for what, as a sentence's end.

    Raises:
        AccountError: it is gone.
    """
    table = context.table
    facts = context.source.table(table.source_table)
    if facts is None:
        raise AccountError(
            Side.SOURCE,
            f"Table {table.source_table} is gone; its {needed} {table.target_table}.",
            fix=f"aws dynamodb describe-table {table_option(table.source_table)} --region "
            f"{table.consumer_region}, with the source account's credentials",
        )
    return facts


def lost_target(target: str, facts: TableFacts | None, known_as: str) -> AccountError:
    """Return the error of a target that is not the one in the journal.

    `known_as`: what that one was, `the one that was imported`.
    """
    became = "gone" if facts is None else f"another table than {known_as}"
    return AccountError(
        Side.TARGET,
        f"The target table {target} is {became}.",
        fix=suggest(
            "find out who deleted it; then for another snapshot: ",
            Command("abandon"),
            ", and ",
            Command("run"),
        ),
        resumable=False,
    )
