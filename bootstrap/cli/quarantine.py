"""`quarantine list | show | redrive | discard`: shows and resolves what could not be applied."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial

import click

from bootstrap.app.command_options import CommandOptions, select
from bootstrap.app.process import this_process
from bootstrap.cli.options import clients_of, common_options, confirm, run_command
from bootstrap.core.errors import BlockedError, UsageError
from bootstrap.core.stack_outputs import TableOutputs
from bootstrap.core.suggestions import Command, suggest, template
from bootstrap.quarantine import view
from bootstrap.quarantine.context import QuarantineContext
from bootstrap.quarantine.redrive import RedriveOutcome
from bootstrap.quarantine.redrive import redrive as redrive_objects
from bootstrap.quarantine.store import QuarantinedObject

NOTHING_LOST = (
    "Nothing is lost: run the same command again. A change that is sent twice is superseded."
)


def contexts_of(options: CommandOptions) -> list[QuarantineContext]:
    """Put together what resolves the quarantine of each selected table."""
    selection = select(options)
    clients = clients_of(selection.outputs, this_process(), options)
    return [clients.quarantine_context(table) for table in selection.tables]


def only(tables: Sequence[TableOutputs]) -> TableOutputs:
    """Return the one table that a key, or a record of a shard, belongs to.

    Raises:
        UsageError: when several tables are selected.
    """
    if len(tables) > 1:
        names = ", ".join(table.source_table for table in tables)
        raise UsageError(
            "The stack has several tables, and each has its own quarantine and stream.",
            fix=f"--table with one of: {names}",
        )
    return tables[0]


def only_context(options: CommandOptions) -> QuarantineContext:
    """Return the context of the one selected table."""
    contexts = contexts_of(options)
    only([context.table for context in contexts])
    return contexts[0]


@click.group(short_help="Show and resolve what could not be applied.")
def quarantine() -> None:
    """Show and resolve what could not be applied.

    The consumer keeps a record that it cannot apply, whole and with the reason, until you redrive
    or discard it. Lambda keeps whole events that are too large for the function; they are listed
    as `event`.
    """


@quarantine.command("list", short_help="List what is open.")
@common_options
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def list_(options: CommandOptions, as_json: bool) -> None:
    """List what is open, with its reason and age. Changes nothing.

    \b
    Example:
      python -m bootstrap quarantine list --stack prod
    """

    def work() -> int:
        shown = []
        for context in contexts_of(options):
            kept, now = list(context.store.open_objects()), context.now()
            name = context.table.source_table
            if not as_json:
                click.echo(view.listing(name, kept, now))
            shown.append(view.as_json(name, kept, now))
        if as_json:
            value = shown[0] if len(shown) == 1 else {"tables": shown}
            click.echo(json.dumps(value, indent=2))
        return 0

    run_command(work, options)


@quarantine.command(short_help="Show one object.")
@common_options
@click.argument("key")
@click.option("--show-values", is_flag=True, help="Also show the content of items.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def show(options: CommandOptions, key: str, show_values: bool, as_json: bool) -> None:
    """Show one object: its reason, its place in the stream, its change. Changes nothing.

    Keys appear as digests, the same as in the consumer's log. The content of items is shown only
    with --show-values.

    \b
    Example:
      python -m bootstrap quarantine show open/unreadable/shardId-000000000000/4957…-0.json \\
        --stack prod
    """

    def work() -> int:
        context = only_context(options)
        kept = _find(context, key)
        content = context.store.content(kept)
        if content is None:
            raise _gone(key)
        name = context.table.source_table
        shown = view.describe_object(name, kept, content, values=show_values)
        click.echo(json.dumps(shown, indent=2) if as_json else view.page(shown))
        return 0

    run_command(work, options)


@quarantine.command(short_help="Apply again, once the cause is fixed.")
@common_options
@click.argument("keys", metavar="[KEY]...", nargs=-1)
@click.option("--all", "all_", is_flag=True, help="Redrive everything that is open.")
@click.option("--direct", is_flag=True, help="Apply in this process instead of through the stream.")
def redrive(options: CommandOptions, keys: Sequence[str], all_: bool, direct: bool) -> None:
    """Apply again what could not be applied, once its cause is fixed.

    The records go back on the stream, and the consumer orders them as any other: a newer change
    supersedes an old one. An object is marked resolved once the stream has accepted its record. A
    record that still cannot be applied returns to the quarantine under a new key. Safe to
    interrupt: run the same command again. A change that is sent twice is superseded.

    --direct applies the same rules in this process, without the stream. Use it for records over
    4 MiB, for whole events, and for parked records that may crash the function. An object is
    marked resolved once its change has been applied or superseded.

    These stay open, each with what to do instead:

    \b
    - a change that is older than the ledger's retention, of a key without an entry: it could
      be applied over a newer one. --direct does not help. (The age is judged by the
      ledgerRetentionDays of when the record was quarantined, or today's if that is less. Events
      of the on-failure bucket do not hold it: after you raise it, wait for the difference
      before you redrive those that are older than the former value.)
    - `ambiguous-order`: two changes with one timestamp. As long as no later change of the key
      has been applied, another delivery does not show which of the two was last, and could
      turn the item from the right one to the wrong one. Once a later change has been applied,
      the note is resolved as superseded.
    - what cannot be read: its age is unknown, and the consumer cannot read it either.
    - parked records, unless named by KEY or with --direct.

    \b
    Examples:
      python -m bootstrap quarantine redrive --all --stack prod
      python -m bootstrap quarantine redrive --all --direct --stack prod --table orders
    """

    def work() -> int:
        _check_choice(keys, all_, "redrive")
        failed = False
        for context in [only_context(options)] if keys else contexts_of(options):
            outcome = RedriveOutcome()
            try:
                wanted = _wanted(context, keys)
                redrive_objects(context, wanted, outcome, direct=direct, named=bool(keys))
            finally:
                name = context.table.source_table
                command = template(options.repeated(name))
                click.echo(view.summarize_redrive(name, outcome, direct, command))
            failed = failed or bool(outcome.left)
        return BlockedError.exit_code if failed else 0

    run_command(work, options, NOTHING_LOST)


@quarantine.command(short_help="Resolve without applying.")
@common_options
@click.argument("keys", metavar="[KEY]...", nargs=-1)
@click.option("--all", "all_", is_flag=True, help="Discard everything that is open.")
@click.option("--yes", is_flag=True, help="Do not ask for a confirmation.")
def discard(options: CommandOptions, keys: Sequence[str], all_: bool, yes: bool) -> None:
    """Resolve without applying: what is discarded never reaches the target.

    The object is moved to `resolved/`, with who discarded it and when, and expires there after
    90 days. Asks first.

    \b
    Example:
      python -m bootstrap quarantine discard open/not-a-change/shardId-000000000000/4957…-0.json \\
        --stack prod --yes
    """

    def work() -> int:
        _check_choice(keys, all_, "discard")
        for context in [only_context(options)] if keys else contexts_of(options):
            wanted = _wanted(context, keys)
            name = context.table.source_table
            if wanted and not yes:
                _confirm(name, wanted)
            context.executor.run_all([partial(_discard, context, kept) for kept in wanted])
            click.echo(f"{name}: {len(wanted)} discarded")
        return 0

    run_command(work, options, "What was not discarded is still open.")


def _discard(context: QuarantineContext, kept: QuarantinedObject) -> None:
    document = context.store.document(kept)
    if document is not None:
        context.store.resolve(kept, document, context.note("discarded"))


def _check_choice(keys: Sequence[str], all_: bool, command: str) -> None:
    if bool(keys) == all_:
        raise UsageError(
            f"To {command}, name either keys or --all.",
            fix=suggest(
                Command("quarantine list"),
                ", which shows the keys; or add --all",
            ),
        )


def _wanted(context: QuarantineContext, keys: Sequence[str]) -> list[QuarantinedObject]:
    """List the named objects, all before the first is touched: an object that a redrive returns to
    the quarantine is not redriven again.
    """
    if not keys:
        return list(context.store.open_objects())
    return [_find(context, key) for key in dict.fromkeys(keys)]


def _find(context: QuarantineContext, key: str) -> QuarantinedObject:
    kept = context.store.find(key)
    if kept is None:
        raise _gone(key)
    return kept


def _gone(key: str) -> UsageError:
    return UsageError(
        f"No open object has the key {key}.",
        fix=suggest(Command("quarantine list"), ", which shows what is open"),
    )


def _confirm(table: str, wanted: Sequence[QuarantinedObject]) -> None:
    counted = ", ".join(f"{count} {why}" for why, count in view.count_reasons(wanted).items())
    confirm(
        f"Discard {len(wanted)} of {table} ({counted})? They will never reach the target.",
        attempted=f"Discarding {len(wanted)} objects of {table}",
        declined="Nothing was discarded.",
    )


COMMANDS: tuple[click.Command, ...] = (quarantine,)
