"""`explain`: parses, and tells."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import click

from bootstrap.cli import quarantine as quarantine
from bootstrap.cli.options import chosen, common_options, gateways, guarded, process
from bootstrap.core.errors import BlockedError
from bootstrap.core.facts import TableFacts
from bootstrap.explain import explanation, keys, view
from bootstrap.quarantine.context import QuarantineContext


class Reader:
    """The target table: its description, and single items of it."""

    def __init__(self, given: Mapping[str, Any], desk: QuarantineContext) -> None:
        outputs, _, _ = chosen(given)
        self._made = gateways(outputs, process(), given)
        self._table = desk.table

    def facts(self) -> TableFacts | None:
        return self._made.target(self._table.consumer_region).table(self._table.target_table)

    def item(self, key: explanation.Item) -> explanation.Item | None:
        return self._made.items(self._table).get(key)


@click.command()
@common_options
@click.argument("key")
@click.option("--show-values", is_flag=True, help="Show the key and the target's item too.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def explain(key: str, show_values: bool, as_json: bool, debug: bool, **given: Any) -> None:
    """Tells what is known of one item. Changes nothing.

    KEY is DynamoDB JSON, or name=value pairs that the table's key schema types. Shown are the
    key's digest (the consumer's log has the same), the ledger's entry, whether the target's item
    is what that entry says, and what is in quarantine. The content of items is shown only with
    --show-values. One item of the target is read; none of the source.

    \b
    Examples:
      python -m bootstrap explain --stack prod --table orders pk=customer-7,sk=12
      python -m bootstrap explain --stack prod --table orders '{"pk": {"S": "a,b"}}' --json
    """

    def work() -> int:
        desk = quarantine.only(given)
        reader = Reader(given, desk)
        facts = reader.facts()
        if facts is None:
            raise BlockedError(
                f"The target table {desk.table.target_table} does not exist (yet).",
                fix="python -m bootstrap status, which shows how far the run is",
            )
        parsed = keys.parse_key(key, keys.key_types(facts))
        found = explanation.explain_item(desk, parsed, reader.item)
        shown = explanation.as_json(found, values=show_values)
        click.echo(json.dumps(shown, indent=2) if as_json else view.page(shown))
        return 0

    guarded(work, debug)


COMMANDS: tuple[click.Command, ...] = (explain,)
