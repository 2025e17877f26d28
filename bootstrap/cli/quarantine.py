"""`quarantine list | show | redrive | discard`, `park` and `unpark`: parses, asks and tells."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import click

from bootstrap.app.quarantine_factory import QuarantineFactory
from bootstrap.cli.options import chosen, common_options, guarded
from bootstrap.core.durations import timing_from
from bootstrap.core.errors import BlockedError, UsageError
from bootstrap.quarantine import parks, view
from bootstrap.quarantine.context import QuarantineContext
from bootstrap.quarantine.redrive import RedriveOutcome
from bootstrap.quarantine.redrive import redrive as redrive_objects
from bootstrap.quarantine.store import QuarantinedObject

NOTHING_LOST = "What was accepted is resolved or will be superseded: the same command goes on."


def desks(given: Mapping[str, Any]) -> list[QuarantineContext]:
    """The desks of the tables that a command line means."""
    outputs, tables, _ = chosen(given)
    made = QuarantineFactory(
        outputs,
        timing_from(os.environ),
        source_profile=given["source_profile"],
        target_profile=given["target_profile"],
        external_id=given["external_id"],
    )
    return [made.desk(table) for table in tables]


def only(given: Mapping[str, Any]) -> QuarantineContext:
    """The one table that a key, or a record of a shard, belongs to."""
    found = desks(given)
    if len(found) > 1:
        names = ", ".join(desk.table.source_table for desk in found)
        raise UsageError(
            "The stack has several tables, and each has its own quarantine and stream.",
            fix=f"--table with one of: {names}",
        )
    return found[0]


@click.group()
def quarantine() -> None:
    """Shows and resolves what could not be applied.

    The consumer keeps a record that it cannot apply, whole and with the reason, until somebody
    redrives or discards it. Lambda keeps whole events that are too large for the function; they
    are listed as `event`.
    """


@quarantine.command("list")
@common_options
@click.option("--json", "as_json", is_flag=True, help="Everything, for machines.")
def list_(as_json: bool, debug: bool, **given: Any) -> None:
    """Lists what is open, with its reason and age. Changes nothing.

    \b
    Example:
      python -m bootstrap quarantine list --stack prod
    """

    def work() -> int:
        shown = []
        for desk in desks(given):
            kept, now = list(desk.shelf.kept()), desk.now()
            name = desk.table.source_table
            if not as_json:
                click.echo(view.listing(name, kept, now))
            shown.append(view.as_json(name, kept, now))
        if as_json:
            value = shown[0] if len(shown) == 1 else {"tables": shown}
            click.echo(json.dumps(value, indent=2))
        return 0

    guarded(work, debug)


@quarantine.command()
@common_options
@click.argument("key")
@click.option("--show-values", is_flag=True, help="Show the content of items too.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def show(key: str, show_values: bool, as_json: bool, debug: bool, **given: Any) -> None:
    """Shows one object: reason, place in the stream, what it says.

    Keys appear as digests, the ones that the consumer's log has. The content of items is
    shown only with --show-values.

    \b
    Example:
      python -m bootstrap quarantine show open/unreadable/shardId-000000000000/4957…-0.json \\
        --stack prod
    """

    def work() -> int:
        desk = only(given)
        kept = _find(desk, key)
        holding = desk.shelf.content(kept)
        if holding is None:
            raise _gone(key)
        shown = view.describe_object(desk.table.source_table, kept, holding, values=show_values)
        click.echo(json.dumps(shown, indent=2) if as_json else view.page(shown))
        return 0

    guarded(work, debug)


@quarantine.command(short_help="Has it judged again, once its cause is mended.")
@common_options
@click.argument("keys", metavar="[KEY]...", nargs=-1)
@click.option("--all", "all_", is_flag=True, help="Everything that is open.")
@click.option(
    "--direct", is_flag=True, help="Through the guard in this process, not through the stream."
)
def redrive(keys: Sequence[str], all_: bool, direct: bool, debug: bool, **given: Any) -> None:
    """Has what could not be applied judged again, once its cause is mended.

    It goes back on the stream, and the consumer's guard decides as ever: an old change is
    superseded by a newer one, never applied over it. An object is marked resolved once the
    stream has accepted its record; what still cannot be applied comes back to the quarantine
    under a new key. Killed at any moment, run it again: a change that is sent twice is
    superseded.

    --direct runs the same guard in this process, without the stream. It is for records over
    4 MiB, for whole events, and for parked records that may end the function. An object is
    marked resolved once the guard has ended it.

    Left open, each with what to do instead:

    \b
    - a change that is older than the ledger remembers, of a key that the ledger has
      forgotten: it could be applied over a newer one. Nor does --direct know better.
      (The age is judged by the ledgerRetentionDays of when it was set aside, or today's
      if that is less. Events of the on-failure bucket do not tell: after raising it, wait
      for the difference before you redrive those that are older than the former value.)
    - `ambiguous-order`: two changes of one timestamp, applied or not. As long as no later
      change of the key has been applied, another delivery tells nothing about which of
      the two came last, and could turn the item from the right one to the wrong one.
      With a later change applied the note is resolved as superseded.
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
        for desk in [only(given)] if keys else desks(given):
            outcome = RedriveOutcome()
            try:
                wanted = _wanted(desk, keys)
                redrive_objects(desk, wanted, outcome, direct=direct, named=bool(keys))
            finally:
                click.echo(view.summarize_redrive(desk.table.source_table, outcome, direct))
            failed = failed or bool(outcome.left)
        return BlockedError.exit_code if failed else 0

    guarded(work, debug, NOTHING_LOST)


@quarantine.command(short_help="Resolves without applying.")
@common_options
@click.argument("keys", metavar="[KEY]...", nargs=-1)
@click.option("--all", "all_", is_flag=True, help="Everything that is open.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def discard(keys: Sequence[str], all_: bool, yes: bool, debug: bool, **given: Any) -> None:
    """Resolves without applying: what is discarded will never reach the target.

    The object is moved to `resolved/`, with who did it and when, and expires there after
    90 days. Asks first.

    \b
    Example:
      python -m bootstrap quarantine discard open/not-a-change/shardId-000000000000/4957…-0.json \\
        --stack prod --yes
    """

    def work() -> int:
        _check_choice(keys, all_, "discard")
        for desk in [only(given)] if keys else desks(given):
            wanted = _wanted(desk, keys)
            name = desk.table.source_table
            if wanted and not yes:
                _confirm(name, wanted)
            desk.executor.run_all([partial(_discard, desk, kept) for kept in wanted])
            click.echo(f"{name}: {len(wanted)} discarded")
        return 0

    guarded(work, debug, "What was not discarded is open still.")


def _discard(desk: QuarantineContext, kept: QuarantinedObject) -> None:
    document = desk.shelf.document(kept)
    if document is not None:
        desk.shelf.resolve(kept, document, desk.note("discarded"))


def _check_choice(keys: Sequence[str], all_: bool, command: str) -> None:
    if bool(keys) == all_:
        raise UsageError(
            f"What to {command} is said by either keys or --all.",
            fix="python -m bootstrap quarantine list, which shows the keys; or the same with --all",
        )


def _wanted(desk: QuarantineContext, keys: Sequence[str]) -> list[QuarantinedObject]:
    """The objects that are meant, all listed before the first is touched: what a redrive brings
    back to the quarantine is not redriven again.
    """
    if not keys:
        return list(desk.shelf.kept())
    return [_find(desk, key) for key in dict.fromkeys(keys)]


def _find(desk: QuarantineContext, key: str) -> QuarantinedObject:
    kept = desk.shelf.find(key)
    if kept is None:
        raise _gone(key)
    return kept


def _gone(key: str) -> UsageError:
    return UsageError(
        f"Nothing of the key {key} is open.",
        fix="python -m bootstrap quarantine list, which shows what is",
    )


def _can_answer() -> bool:
    return sys.stdin.isatty()


def _confirm(table: str, wanted: Sequence[QuarantinedObject]) -> None:
    if not _can_answer():
        raise UsageError(
            "Discarding is asked about, and nobody can answer here.", fix="the same with --yes"
        )
    told = ", ".join(f"{count} {reason}" for reason, count in view.count_reasons(wanted).items())
    question = f"Discard {len(wanted)} of {table} ({told})? They will never reach the target."
    try:
        agreed = click.confirm(question)
    except click.Abort:
        agreed = False
    if not agreed:
        raise BlockedError("Nothing was discarded.", fix="the same, and answer y")


# -- parks ---------------------------------------------------------------------------------------


@click.command(short_help="Has a record quarantined without reading it.")
@common_options
@click.argument("shard", required=False)
@click.argument("sequence", required=False)
@click.option("--list", "list_parks", is_flag=True, help="Show what is parked.")
def park(
    shard: str | None, sequence: str | None, list_parks: bool, debug: bool, **given: Any
) -> None:
    """Has the consumer quarantine one record whole, without reading it.

    For a record that ends the function (out of memory, time): Lambda would try it until the
    stream forgets it, and its shard would wait. Once a batch is down to that record, the log
    names it before it is read: `A batch of one record`, with shardId and sequenceNumber. The
    consumer goes by a park within 30 seconds. The record is then in quarantine as `parked`.

    \b
    Examples:
      python -m bootstrap park --stack prod shardId-000000000002 \\
        49578734086442259037497492980620233840400173390482112546
      python -m bootstrap park --list --stack prod
    """

    def work() -> int:
        if list_parks:
            if shard is not None:
                raise UsageError("--list takes no SHARD.", fix="python -m bootstrap park --list")
            for desk in desks(given):
                _tell_parks(desk)
            return 0
        desk, where = only(given), _place(shard, sequence, "park")
        desk.ledger.park(where)
        click.echo(f"{desk.table.source_table}: parked {where}. {parks.TAKES_EFFECT}")
        click.echo("Then: quarantine list shows it as `parked`; unpark it once it does.")
        return 0

    guarded(work, debug)


@click.command(short_help="Takes a park back.")
@common_options
@click.argument("shard")
@click.argument("sequence")
def unpark(shard: str, sequence: str, debug: bool, **given: Any) -> None:
    """Takes a park back. What is in quarantine already stays there.

    \b
    Example:
      python -m bootstrap unpark --stack prod shardId-000000000002 \\
        49578734086442259037497492980620233840400173390482112546
    """

    def work() -> int:
        desk, where = only(given), _place(shard, sequence, "unpark")
        if where not in desk.ledger.parks():
            raise UsageError(
                f"{where} is not parked.",
                fix="python -m bootstrap park --list, which shows what is",
            )
        desk.ledger.unpark(where)
        click.echo(f"{desk.table.source_table}: unparked {where}. {parks.TAKES_EFFECT}")
        return 0

    guarded(work, debug)


def _place(shard: str | None, sequence: str | None, command: str) -> str:
    if shard is None or sequence is None:
        raise UsageError(
            "A record is named by its shard and its sequence number.",
            fix=f"python -m bootstrap {command} SHARD SEQUENCE, or python -m bootstrap park --list",
        )
    return parks.format_park(shard, sequence)


def _tell_parks(desk: QuarantineContext) -> None:
    name, found = desk.table.source_table, sorted(desk.ledger.parks())
    click.echo(f"{name}: {len(found)} parked" if found else f"{name}: nothing is parked")
    for where in found:
        shard, _, sequence = where.partition(":")
        click.echo(f"  {shard} {sequence}")


COMMANDS: tuple[click.Command, ...] = (quarantine, park, unpark)
