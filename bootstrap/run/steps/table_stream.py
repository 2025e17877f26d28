"""The buffer where it is the table's own stream: the stream, its policy, and the mapping.

The stack cannot make them: the stream's ARN exists only once the stream is on. As with a streaming
destination, this step observes the stream ENABLED before the export time is chosen, and watches it
as long as the run lasts.
"""

from __future__ import annotations

from dataclasses import replace

from bootstrap.core import stream_policy
from bootstrap.core.errors import AccountError, BlockedError, Side
from bootstrap.core.facts import TableFacts
from bootstrap.core.outcome import Acted, Done, Outcome, Pending
from bootstrap.core.suggestions import Command, suggest
from bootstrap.core.table_stream_facts import KEPT_HOURS, VIEW, TableStreamFacts
from bootstrap.core.table_stream_ports import TableStreamClients
from bootstrap.core.write_deny import PolicyError
from bootstrap.journal.records import Buffered, Exported
from bootstrap.journal.stream_records import TableStreamRecord
from bootstrap.run.step_context import StepContext
from bootstrap.run.steps import stream_loss, stream_mapping
from replicator.aws_commands import table_option


def clients(context: StepContext) -> TableStreamClients:
    """Return what reaches the table's stream. A table that it buffers always has them."""
    assert context.table_stream is not None
    return context.table_stream


def advance(context: StepContext) -> Outcome:
    """Lead to a stream that is on, readable for the consumer, and observed; then watch it."""
    journal = context.journal
    facts = context.source.table(context.table.source_table)
    known = journal.get(TableStreamRecord)
    exported = journal.get(Exported)
    if known is not None and exported is not None and exported.begun:
        return stream_loss.check(context, known, facts) or _maintain(context, known)
    if facts is None:
        raise _no_table(context)
    if facts.stream_view is None or facts.stream_view != VIEW:
        return _switch_on(context, known, facts)
    if known is None or known.arn != facts.stream_arn:
        return _note_stream(context, known, facts)
    outcome = _maintain(context, known)
    if not isinstance(outcome, Done):
        return outcome
    return _observe(context, known, facts)


def describe(context: StepContext) -> TableStreamFacts:
    """Describe the stream that the journal names.

    Raises:
        AccountError: DynamoDB does not know it any more.
    """
    # A verification has a row of its own in the journal, without the run's records.
    arn = context.stream_arn or context.ledger.settings().stream
    found = clients(context).streams.describe(arn)
    if found is None:
        raise AccountError(
            Side.SOURCE,
            f"The stream {arn} does not exist any more: it was switched off a day ago or earlier.",
            fix=suggest(Command("run"), ", which begins another stream and records the gap"),
        )
    return found


def _switch_on(context: StepContext, known: TableStreamRecord | None, facts: TableFacts) -> Outcome:
    journal, table = context.journal, context.table
    if facts.stream_view is not None:
        raise BlockedError(
            f"Table {table.source_table} has a stream of the view type {facts.stream_view}, whose "
            f"readers rely on it, and the consumer needs {VIEW}.",
            fix="set buffer: kinesis in the stack file (before the first run, a new stack); or, "
            "if no one reads that stream: aws dynamodb update-table "
            f"{table_option(table.source_table)} --stream-specification StreamEnabled=false "
            f"--region {table.consumer_region}, with the source account's credentials; then run "
            "again",
        )
    if journal.get(Buffered) is not None:
        # An ExportTime based on the earlier observation would leave a hole.
        journal.forget(Buffered, "the table's stream is not on any more")
        context.memory.active_seen_at = None
        return Acted()
    stale = known is not None and not known.asked(journal.now())
    if known is None or not known.by_us or known.arn or stale:
        # Before the call: after a crash, a stream that is on is known to be ours, to switch off.
        journal.put(
            replace(stream_mapping.left(context, known), intended_at=journal.now()),
            "switching on the table's stream",
        )
        return Acted()
    if facts.status != "ACTIVE":
        return Pending(
            f"table {table.source_table} to settle (it is {facts.status})", context.timing.poll(5)
        )
    clients(context).streams.switch_on(table.source_table)
    journal.put(replace(known, asked_at=journal.now()), "the table's stream is switched on")
    return Acted()


def _note_stream(
    context: StepContext, known: TableStreamRecord | None, facts: TableFacts
) -> Outcome:
    """Record the stream that the table has, and forget one that it had."""
    journal = context.journal
    if journal.get(Buffered) is not None and known is not None and known.arn:
        journal.forget(Buffered, "the table's stream is another one")
        context.memory.active_seen_at = None
        return Acted()
    if known is not None and not known.arn:
        noted = known.found(facts.stream_arn, journal.now())
    else:
        # It was on, or another hand switched it off and on: it is not ours to switch off.
        noted = replace(stream_mapping.left(context, known), arn=facts.stream_arn)
    journal.put(noted, f"the table's stream is {facts.stream_arn}")
    return Acted()


def _maintain(context: StepContext, known: TableStreamRecord) -> Outcome:
    """Lead to a stream that the consumer's mapping may read, and does. Done: so it is."""
    facts = describe(context)
    if facts.status != "ENABLED":
        if context.journal.get(Buffered) is not None and not _export_begun(context):
            context.journal.forget(Buffered, "the table's stream is not ENABLED any more")
            context.memory.active_seen_at = None
            return Acted()
        return Pending(
            f"the table's stream to be ENABLED (it is {facts.status})", context.timing.poll(5)
        )
    outcome = _allow(context)
    if outcome is not None:
        return outcome
    outcome = stream_mapping.advance(context, known)
    if outcome is not None:
        return outcome
    settings = context.ledger.settings()
    if (settings.stream, settings.mapping) != (known.arn, known.mapping_uuid):
        # Consumer and watchdog read there which buffer the ledger is for.
        context.ledger.set_table_stream(known.arn, known.mapping_uuid)
        return Acted()
    return Done()


def _export_begun(context: StepContext) -> bool:
    exported = context.journal.get(Exported)
    return exported is not None and exported.begun


def _allow(context: StepContext) -> Outcome | None:
    """Put the statement for the consumer's role into the stream's policy. None: it is there."""
    memory, now = context.memory, context.journal.now()
    arn, role = context.stream_arn, context.table.consumer_role_arn
    policies = clients(context).policies
    seen = policies.read(arn)
    try:
        if stream_policy.allows(seen.document, arn, role):
            return None
        put_at = memory.stream_policy_put_at
        if put_at is not None and now - put_at < context.timing.policy_reading:
            return Pending("the stream's resource policy to be read", context.timing.poll(5))
        wanted = stream_policy.with_reads(seen.document, arn, role)
    except PolicyError as error:
        raise BlockedError(
            f"The resource policy of the stream {arn} cannot take the statement for the consumer: "
            f"{error}.",
            fix=f"aws dynamodb get-resource-policy --resource-arn {arn}, with the source account's "
            "credentials; correct it there, then run again",
        ) from error
    policies.replace(arn, seen, wanted)
    memory.stream_policy_put_at = now
    return Acted()


def _observe(context: StepContext, known: TableStreamRecord, table: TableFacts) -> Outcome:
    """Record the first moment at which this process saw the stream ENABLED, by AWS's clock."""
    journal, memory = context.journal, context.memory
    at = describe(context).at
    before, memory.active_seen_at = memory.active_seen_at, at
    watched = before is not None and at - before <= context.timing.watch_gap
    if journal.get(Buffered) is None or not watched:
        # An observation by an earlier process is not enough: the stream may have been off since.
        journal.put(
            Buffered(
                active_at=at,
                stream_arn=known.arn,
                table_id=table.table_id,
                retention_hours=KEPT_HOURS,
            ),
            "the table's stream is ENABLED",
        )
        return Acted()
    return Done()


def _no_table(context: StepContext) -> AccountError:
    name = context.table.source_table
    return AccountError(
        Side.SOURCE,
        f"The source table {name} does not exist.",
        fix=f"aws dynamodb describe-table {table_option(name)} --region "
        f"{context.table.consumer_region}, with the source account's credentials; correct "
        "`source` in the stack file, then pulumi up",
    )
