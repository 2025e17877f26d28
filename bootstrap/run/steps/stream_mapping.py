"""The event source mapping of a table's own stream: made disabled, and found again."""

from __future__ import annotations

from dataclasses import replace

from bootstrap.core.errors import AccountError, BlockedError, Side
from bootstrap.core.facts import EventSource
from bootstrap.core.outcome import Acted, Outcome, Pending
from bootstrap.core.pulumi_commands import up
from bootstrap.core.suggestions import Command, suggest
from bootstrap.core.table_stream_facts import MappingRequest
from bootstrap.journal.stream_records import TableStreamRecord
from bootstrap.run.step_context import StepContext

UNREADABLE = "InvalidParameterValueException"
"""Lambda's answer as long as the function's role cannot read the stream."""


def left(context: StepContext, known: TableStreamRecord | None) -> TableStreamRecord:
    """Return the record of another stream than `known`, whose mapping is to be deleted."""
    if known is None:
        return TableStreamRecord()
    uuid = known.mapping_uuid
    if not uuid and known.arn and known.mapping_intended_at:
        # A process may have died between making it and noting its UUID.
        assert context.table_stream is not None
        found = context.table_stream.mappings.find(context.table.function_arn, known.arn)
        uuid = found.uuid if found is not None else ""
    former = (*known.former_mappings, *([uuid] if uuid else []))
    return TableStreamRecord(former_mappings=former)


def advance(context: StepContext, known: TableStreamRecord) -> Outcome | None:
    """Lead to the mapping of the stream, and to no other. None: that is done."""
    assert context.table_stream is not None
    journal, mappings = context.journal, context.table_stream.mappings
    for uuid in known.former_mappings:
        # The last changes of a lost stream may be unread: the gap that was recorded holds them.
        former = context.target.mapping(uuid)
        if former is not None and former.state != "Deleting":
            mappings.delete(uuid)
            return Acted()
        journal.put(
            replace(known, former_mappings=known.former_mappings[1:]),
            f"the mapping {uuid} of a lost stream is deleted",
        )
        return Acted()
    if known.mapping_uuid:
        found = context.target.mapping(known.mapping_uuid)
        if found is not None and found.state != "Deleting":
            if found.state == "Creating":
                return Pending("the event source mapping to be made", context.timing.poll(5))
            return _settle(context, known, found)
        # Deleted by another hand. Made again it reads from the oldest record, which is a day back:
        # the guard knows what was applied, since no entry expires within a day.
        journal.put(
            replace(known, mapping_uuid="", mapping_intended_at=0),
            f"the event source mapping {known.mapping_uuid} is gone",
        )
        return Acted()
    function = context.table.function_arn
    found = mappings.find(function, known.arn)
    if found is None and not known.mapping_intended_at:
        journal.put(
            replace(known, mapping_intended_at=journal.now()), "making the event source mapping"
        )
        return Acted()
    if found is None:
        try:
            found = mappings.create(request(context, known.arn))
        except AccountError as error:
            return _refused(context, known, error)
    journal.put(
        replace(known, mapping_uuid=found.uuid),
        f"the event source mapping is {found.uuid}",
    )
    return Acted()


def _settle(context: StepContext, known: TableStreamRecord, found: EventSource) -> Outcome | None:
    """Lead the mapping to the settings of the stack file, which no `pulumi up` does. None: so it
    is.
    """
    refuse_disorder(context, found)
    wanted = request(context, known.arn)
    different = found.delivery.differences(wanted)
    if not different:
        return None
    if found.state not in ("Enabled", "Disabled"):
        return Pending(
            f"the event source mapping to settle (it is {found.state})", context.timing.poll(5)
        )
    # What no other record of the run says: how it was until now.
    context.journal.put(known, f"the event source mapping {found.uuid}: {'; '.join(different)}")
    assert context.table_stream is not None
    context.table_stream.mappings.update(found.uuid, wanted)
    return Acted()


def refuse_disorder(context: StepContext, found: EventSource | None) -> None:
    """Refuse a mapping of a table's own stream whose batches prove nothing about earlier records.

    Raises:
        BlockedError: its settings are such. Nothing but another hand makes them so.
    """
    if found is None or not found.delivery.disorder:
        return
    table = context.table
    raise BlockedError(
        f"The event source mapping {found.uuid} of table {table.source_table} was changed by "
        f"another hand: {'; '.join(found.delivery.disorder)}. What the consumer has ended no "
        "longer proves that everything before it has ended.",
        fix=suggest(
            f"aws lambda update-event-source-mapping --uuid {found.uuid} "
            "--parallelization-factor 1 --tumbling-window-in-seconds 0 --filter-criteria {} "
            f"--region {table.consumer_region}, with the target account's credentials; then the "
            "same command, and ",
            Command("verify", "--repair"),
            ", which finds what was left out meanwhile",
        ),
    )


def request(context: StepContext, stream_arn: str) -> MappingRequest:
    """Return the mapping that the stack file describes."""
    table, settings = context.table, context.table.mapping_settings
    partition = table.source_table_arn.split(":")[1]
    return MappingRequest(
        stream_arn=stream_arn,
        function_arn=table.function_arn,
        batch_size=settings.batch_size,
        batch_window=settings.batch_window_seconds,
        on_failure_arn=f"arn:{partition}:s3:::{table.on_failure_bucket}",
    )


def _refused(context: StepContext, known: TableStreamRecord, error: AccountError) -> Outcome:
    """Wait as long as the stream's policy may still be spreading, which takes minutes."""
    if error.code != UNREADABLE:
        raise error
    waited = context.journal.now() - known.mapping_intended_at
    if waited < context.timing.policy_spread:
        return Pending("the stream's policy to reach Lambda", context.timing.poll(10))
    raise AccountError(
        Side.TARGET,
        f"Lambda does not take the stream {known.arn} for function {context.table.function_name}, "
        f"although its policy names the consumer's role {context.table.consumer_role_arn}: "
        f"{error.what}",
        fix=f"{up(context.outputs.stack)}, which grants the role its reads; if they are granted, "
        "look for an organisation's policy or a permissions boundary of the role that denies them, "
        "and for a key of the table that its policy does not let the role decrypt with; then run "
        "again",
        code=error.code,
    ) from error
