"""The identity of the source table: a table restored or made again under its name is another one.

What changed between the old table and the new one is in no stream. So the new one is adopted only
after a verification that found both tables equal, and that covers every change until the new
table's changes were seen to enter the stream.
"""

from __future__ import annotations

from dataclasses import replace

from bootstrap.core.errors import BlockedError
from bootstrap.core.facts import TableFacts
from bootstrap.core.formatting import moment
from bootstrap.core.run_options import Goal
from bootstrap.core.streaming_commands import enable_again
from bootstrap.core.suggestions import Command, suggest
from bootstrap.core.table_stream_facts import VIEW
from bootstrap.journal.records import Adopting, Buffered, Paused
from bootstrap.run.step_context import StepContext
from replicator.aws_commands import table_option

FLOWING = ("ACTIVE", "UPDATING")
"""States of a destination that gets the table's changes; UPDATING is a change of precision."""


def check_source(context: StepContext) -> None:
    """Check that the source table is the one that the journal names, or adopt another one.

    Raises:
        BlockedError: for another table that is not to be adopted, or cannot be yet; for none.
    """
    buffered = context.journal.get(Buffered)
    facts = context.source.table(context.table.source_table)
    if buffered is None:
        return
    if facts is None:
        raise _no_table(context)
    if facts.table_id == buffered.table_id:
        _update_watchdog(context, facts)
        return
    if not context.options.adopt_source:
        raise _another_table(context, buffered, facts)
    adopting = _observe(context, facts)
    verified = context.verified()
    if verified is not None and verified.covers(adopting.active_at):
        context.journal.put(
            replace(buffered, table_id=facts.table_id),
            f"source table {facts.table_id} adopted instead of {buffered.table_id}: a "
            f"verification was equal, and covers all changes before {moment(adopting.active_at)}",
        )
        context.journal.forget(Adopting, "the source table is adopted")
        _update_watchdog(context, facts)
        return
    paused = context.journal.get(Paused)
    if paused is None:
        raise _unverified(context, adopting)
    # A pause ends without adoption: a verification needs a consumer that works.


def _update_watchdog(context: StepContext, facts: TableFacts) -> None:
    """Let the watchdog's row name this table: an adoption may have been interrupted before."""
    context.ledger.expect_source(facts.table_id)


def _observe(context: StepContext, facts: TableFacts) -> Adopting:
    """Record since when the new table's changes have entered the stream.

    Raises:
        BlockedError: when they do not.
    """
    table, journal = context.table, context.journal
    if table.reads_table_stream:
        return _observe_stream(context, facts)
    seen = context.source.destinations(table.source_table)
    here = seen.to(table.stream_arn)
    if here is None or here.status not in FLOWING:
        raise BlockedError(
            f"The source table {table.source_table} ({facts.table_id}) was created again since "
            f"this run began, and its changes do not go to stream {table.stream_name} yet.",
            fix=suggest(
                f"{enable_again(context.outputs.stack, table)}, which gives the table its "
                "stream; then ",
                Command(
                    "resume" if context.options.goal is Goal.RESUME else "run", "--adopt-source"
                ),
            ),
        )
    known = journal.get(Adopting)
    if known is not None and known.table_id == facts.table_id:
        return known
    outage = context.ledger.book().outage
    # The watchdog may have seen the new table's destination earlier.
    since = seen.at
    if outage is not None and outage.end is not None and outage.end > facts.created > 0:
        since = min(since, outage.end)
    adopting = Adopting(facts.table_id, since)
    journal.put(adopting, f"the changes of source table {facts.table_id} enter the stream")
    return adopting


def _observe_stream(context: StepContext, facts: TableFacts) -> Adopting:
    """Do the same where the table's own stream is the buffer: the new table needs its own."""
    assert context.table_stream is not None
    known, name = context.journal.get(Adopting), context.table.source_table
    found = None
    if facts.stream_view == VIEW:
        found = context.table_stream.streams.describe(facts.stream_arn)
    if found is None or found.status != "ENABLED":
        raise BlockedError(
            f"The source table {name} ({facts.table_id}) was created again since this run began, "
            "and has no stream yet.",
            fix=suggest(
                f"aws dynamodb update-table {table_option(name)} --stream-specification "
                f"StreamEnabled=true,StreamViewType={VIEW} --region "
                f"{context.table.consumer_region}, with the source account's credentials; a "
                "minute later ",
                Command(
                    "resume" if context.options.goal is Goal.RESUME else "run", "--adopt-source"
                ),
            ),
        )
    if known is not None and known.table_id == facts.table_id:
        return known
    adopting = Adopting(facts.table_id, found.at)
    context.journal.put(adopting, f"the changes of source table {facts.table_id} enter its stream")
    return adopting


def _no_table(context: StepContext) -> BlockedError:
    return BlockedError(
        f"The source table {context.table.source_table} was deleted since this run began.",
        fix=suggest(
            Command("pause"),
            ", which leaves the replica as it is; restore the table from a backup under its name; "
            "then ",
            Command("status"),
            " names what leads on",
        ),
    )


def _another_table(context: StepContext, was: Buffered, facts: TableFacts) -> BlockedError:
    name = context.table.source_table
    return BlockedError(
        f"The source table {name} was deleted and created again since this run began "
        f"({was.table_id} then, {facts.table_id} now): the snapshot is of another table.",
        fix=suggest(
            Command("pause"),
            "; then, if the table holds the same data (restored from a backup): ",
            *_stream_given(context),
            Command("resume", "--adopt-source"),
            ", ",
            Command("verify", "--repair"),
            " until it ends with no difference, and ",
            Command("run", "--adopt-source"),
            ". Any other table needs a new stack with a new target table, for a new snapshot",
        ),
    )


def _stream_given(context: StepContext) -> tuple[str, ...]:
    """Name what gives the new table its stream, where that is not the tool's own work."""
    if context.table.reads_table_stream:
        return ()
    return (f"{enable_again(context.outputs.stack, context.table)}, which gives it its stream, ",)


def _unverified(context: StepContext, adopting: Adopting) -> BlockedError:
    name = context.table.source_table
    return BlockedError(
        f"The source table {name} is another one, {adopting.table_id}, and no verification has "
        f"found both tables equal since its changes enter the stream ({moment(adopting.active_at)})"
        ". What changed before may be missing.",
        fix=suggest(
            Command("verify", "--repair"),
            ", again until it ends with no difference; then ",
            Command("run", "--adopt-source"),
        ),
    )
