"""The end of a table's own stream as a buffer: mapping and policy go, and a stream that is ours."""

from __future__ import annotations

from bootstrap.core import stream_policy
from bootstrap.core.errors import BlockedError, LeaseLostError
from bootstrap.core.facts import TableFacts
from bootstrap.core.outcome import Acted, Outcome, Pending
from bootstrap.core.table_stream_facts import VIEW
from bootstrap.core.write_deny import PolicyError
from bootstrap.journal.stream_records import TableStreamRecord
from bootstrap.run.step_context import StepContext


def leave(context: StepContext) -> Outcome | None:
    """Undo what the buffer step made, one act at a time. The consumer is off. None: it is undone.

    The mapping goes first: it could not read without the policy, and would say so.
    """
    known = context.journal.get(TableStreamRecord)
    if known is None:
        return None
    assert context.table_stream is not None
    clients = context.table_stream
    found = clients.mappings.find(context.table.function_arn, known.arn) if known.arn else None
    uuids = [*known.former_mappings, *([found.uuid] if found is not None else [])]
    for uuid in uuids:
        mapping = context.target.mapping(uuid)
        if mapping is None:
            continue
        if mapping.state not in ("Disabled", "Enabled"):
            return Pending(
                f"the event source mapping to settle (it is {mapping.state})",
                context.timing.poll(5),
            )
        clients.mappings.delete(uuid)
        return Acted()
    facts = context.source.table(context.table.source_table)
    if facts is None:
        return None  # its stream is off with it, and its policy binds nothing
    if known.arn and clients.streams.describe(known.arn) is not None:
        outcome = _withdraw(context, known.arn)
        if outcome is not None:
            return outcome
    # Another stream of the table is another hand's, and so is one that was on before.
    if _is_ours(context, known, facts) and not _has_other_consumers(context, facts.stream_arn):
        if facts.status != "ACTIVE":
            return Pending(
                f"table {context.table.source_table} to settle (it is {facts.status})",
                context.timing.poll(5),
            )
        clients.streams.switch_off(context.table.source_table)
        return Acted()
    return None


def _is_ours(context: StepContext, known: TableStreamRecord, facts: TableFacts) -> bool:
    """Tell whether the table's stream is on, and is the one that this run switched on.

    Where the run ended before it had seen the stream, its owner may have switched on another.
    """
    if not known.by_us or facts.stream_view != VIEW:
        return False
    return known.arn == facts.stream_arn or (not known.arn and known.asked(context.journal.now()))


def _has_other_consumers(context: StepContext, stream_arn: str) -> bool:
    """Tell whether another stack replicates from this stream, which has to stay on for it.

    A policy that cannot be read may let one in.
    """
    assert context.table_stream is not None
    document = context.table_stream.policies.read(stream_arn).document
    try:
        return bool(stream_policy.others(document, context.table.consumer_role_arn))
    except PolicyError:
        return True


def _withdraw(context: StepContext, stream_arn: str) -> Outcome | None:
    """Take the consumer's statement out of the stream's policy."""
    assert context.table_stream is not None
    policies = context.table_stream.policies
    seen = policies.read(stream_arn)
    try:
        if not stream_policy.has_ours(seen.document, context.table.consumer_role_arn):
            return None
        users = stream_policy.without_reads(seen.document, context.table.consumer_role_arn)
    except PolicyError:
        return None  # no policy that can be read lets the consumer in
    try:
        policies.replace(stream_arn, seen, users)
    except LeaseLostError:
        raise
    except BlockedError:
        return Pending("the stream's resource policy to be read again", context.timing.poll(5))
    return Acted()
