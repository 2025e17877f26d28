"""`explain`: everything that is known about one item."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

import click

from bootstrap.app.command_options import CommandOptions, select
from bootstrap.app.process import this_process
from bootstrap.cli.options import clients_of, common_options, run_command
from bootstrap.cli.quarantine import only
from bootstrap.core.errors import BlockedError
from bootstrap.core.facts import TableFacts
from bootstrap.core.suggestions import Command, suggest
from bootstrap.explain import explanation, keys, view
from bootstrap.quarantine.context import QuarantineContext


@dataclass(frozen=True)
class ExplainContext:
    """One table: its quarantine and ledger, and single items of the target."""

    quarantine: QuarantineContext
    target: Callable[[], TableFacts | None]
    item: Callable[[explanation.Item], explanation.Item | None]


def context_of(options: CommandOptions) -> ExplainContext:
    """Put together what explains items of the one selected table."""
    selection, process = select(options), this_process()
    table = only(selection.tables)
    clients = clients_of(selection.outputs, process, options)
    return ExplainContext(
        clients.quarantine_context(table),
        lambda: clients.target(table.consumer_region).table(table.target_table),
        lambda key: clients.target_items(table).get(key),
    )


@click.command(short_help="Show what is known about one item.")
@common_options
@click.argument("key")
@click.option("--show-values", is_flag=True, help="Also show the key and the target's item.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def explain(options: CommandOptions, key: str, show_values: bool, as_json: bool) -> None:
    """Show what is known about one item. Changes nothing.

    KEY is DynamoDB JSON, or name=value pairs whose types come from the table's key schema. The
    command shows the key's digest (the same as in the consumer's log), the ledger's entry, whether
    the target's item matches that entry, and what is in quarantine. It shows the content of items
    only with --show-values. It reads one item of the target and none of the source.

    \b
    Examples:
      python -m bootstrap explain --stack prod --table orders pk=customer-7,sk=12
      python -m bootstrap explain --stack prod --table orders '{"pk": {"S": "a,b"}}' --json
    """

    def work() -> int:
        context = context_of(options)
        facts = context.target()
        if facts is None:
            raise BlockedError(
                f"The target table {context.quarantine.table.target_table} does not exist (yet).",
                fix=suggest(Command("status"), ", which shows how far the run is"),
            )
        parsed = keys.parse_key(key, keys.key_types(facts))
        found = explanation.explain_item(context.quarantine, parsed, context.item)
        shown = explanation.as_json(found, values=show_values)
        click.echo(json.dumps(shown, indent=2) if as_json else view.page(shown))
        return 0

    run_command(work, options)


COMMANDS: tuple[click.Command, ...] = (explain,)
