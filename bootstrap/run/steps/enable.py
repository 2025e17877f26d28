"""The consumer is switched on. It was deployed off, at the beginning of the stream."""

from __future__ import annotations

from bootstrap.core.errors import AccountError, BlockedError, Side
from bootstrap.core.facts import EventSource
from bootstrap.core.formatting import moment
from bootstrap.core.outcome import Acted, Done, Outcome, Pending
from bootstrap.core.state import State
from bootstrap.journal.records import Configured, Earlier, Enabled, Exported, Imported, Paused
from bootstrap.run.step import Step
from bootstrap.run.step_context import StepContext


def advance(context: StepContext) -> Outcome:
    """Observes the mapping, and enables it if it is off."""
    journal, table = context.journal, context.table
    mapping = context.target.mapping(table.mapping_uuid)
    if mapping is None:
        raise AccountError(
            Side.TARGET,
            f"The event source mapping {table.mapping_uuid} of function {table.function_name} in "
            f"{table.consumer_region} is gone.",
            fix="pulumi up --refresh",
        )
    _refuse_wrong_source(context, mapping)
    if mapping.state == "Enabled":
        if journal.get(Enabled) is None:
            # No harm: what it met before the table was there it has tried again and again. But
            # who looks into the journal should not search for an act of ours.
            journal.put(Enabled(journal.now(), by_us=False), "the consumer was found switched on")
        settings = context.ledger.settings()
        if not settings.consume:
            # The first time only now that it is on: nothing is missed by a consumer that has never
            # been on, and the watchdog would complain of it until then.
            context.ledger.expect_consumer()
            return Acted()
        if settings.paused:
            # Somebody else switched it on. Its next stop would be taken for a wanted one.
            context.ledger.set_paused(False)
            return Acted()
        return Done()
    if mapping.state != "Disabled":
        return Pending(
            f"the event source mapping to settle (it is {mapping.state})", context.timing.poll(5)
        )
    earlier = journal.get(Earlier)
    if (journal.get(Paused) or earlier) and context.ledger.settings().paused:
        if earlier:
            # The watchdog would take the new table for a stranger in the place of the first.
            context.ledger.forget_target()
        # After a pause before it is on: if this process dies in between, changes wait and nobody is
        # at work on it, and the watchdog has to say so.
        context.ledger.set_paused(False)
        return Acted()
    # Only on a complete import with its settings: a change that were applied to a table that the
    # import still fills would be overwritten by the snapshot's older item, with nothing to say so.
    imported, configured = journal.get(Imported), journal.get(Configured)
    if imported is None or not imported.done or configured is None:
        raise AssertionError("Import and settings come first.")
    journal.put(Enabled(journal.now()), "switching the consumer on")
    context.target.enable_mapping(table.mapping_uuid)
    return Acted()


STEP = Step("enable", State.CONFIGURING, advance)


def _refuse_wrong_source(context: StepContext, mapping: EventSource) -> None:
    expected = context.table.stream_arn
    if mapping.stream_arn != expected:
        raise BlockedError(
            f"The event source mapping {mapping.uuid} reads {mapping.stream_arn}, not {expected}.",
            fix="pulumi up --refresh",
        )
    if mapping.starting_position == "LATEST":
        raise BlockedError(
            f"The event source mapping {mapping.uuid} starts at LATEST: what has been buffered "
            "since the snapshot would be skipped.",
            fix="pulumi up --refresh, so that it is made again at TRIM_HORIZON",
        )
    # Made again at a later time before it was ever on, it would skip what came in during the
    # export and the import. Once it has been on, where to begin is the operator's to say (README).
    exported = context.journal.get(Exported)
    if context.journal.get(Enabled) is not None or exported is None or mapping.starts_at is None:
        return
    if mapping.starts_at > exported.export_time - context.timing.export_fuzz:
        raise BlockedError(
            f"The event source mapping {mapping.uuid} starts AT_TIMESTAMP "
            f"{moment(mapping.starts_at)}, and the snapshot is as of "
            f"{moment(exported.export_time)}: what has been buffered in between would be skipped.",
            fix="take startAt out of the stack configuration, then: pulumi up --refresh",
        )
