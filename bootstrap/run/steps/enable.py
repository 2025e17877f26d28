"""The consumer: its event source mapping, deployed disabled at the beginning of the stream."""

from __future__ import annotations

from bootstrap.core.errors import BlockedError
from bootstrap.core.facts import EventSource
from bootstrap.core.formatting import moment
from bootstrap.core.outcome import Acted, Done, Outcome, Pending
from bootstrap.core.state import State
from bootstrap.journal.load_records import EarlyConsumer, LoadTarget
from bootstrap.journal.records import Configured, Earlier, Enabled, Exported, Imported, Paused
from bootstrap.run import other_operations
from bootstrap.run.step import Step
from bootstrap.run.step_context import StepContext
from bootstrap.run.steps import consumer_mapping, early_consumer


def advance(context: StepContext) -> Outcome:
    """Observe the mapping, and enable it if it is disabled."""
    journal = context.journal
    mapping = context.mapping()
    if mapping is None:
        raise consumer_mapping.gone(context)
    _refuse_wrong_source(context, mapping)
    if mapping.state == "Enabled":
        if journal.get(Enabled) is None:
            outcome = _note_found(context)
            if outcome is not None:
                return outcome
        settings = context.ledger.settings()
        if not settings.consume:
            # Only once it is on: until then the watchdog would alarm about a consumer that has
            # never been on and misses nothing.
            context.ledger.expect_consumer()
            return Acted()
        if settings.paused:
            # Enabled by another hand. While `paused` is set, the watchdog takes its next stop for
            # wanted.
            context.ledger.set_paused(False)
            return Acted()
        return Done()
    if mapping.state != "Disabled":
        return Pending(
            f"the event source mapping to settle (it is {mapping.state})", context.timing.poll(5)
        )
    # Before anything else changes: a bulk put that is still running, of any caller, would replace
    # what the consumer applies by the snapshot's older items.
    wait = other_operations.wait_for_others(context)
    if wait is not None:
        return wait
    earlier = journal.get(Earlier)
    if (journal.get(Paused) or earlier) and context.ledger.settings().paused:
        if earlier:
            # Else the watchdog would report the new table as a replacement of the first one.
            context.ledger.forget_target()
        # Before the mapping is enabled: if this process dies in between, changes wait while no
        # process works on them, and the watchdog has to alarm.
        context.ledger.set_paused(False)
        return Acted()
    # Only on a complete import with its settings: a change applied while the import still writes
    # would be silently overwritten by the snapshot's older item.
    imported, configured = journal.get(Imported), journal.get(Configured)
    if imported is None or not imported.done or configured is None:
        raise AssertionError("Import and settings come first.")
    journal.put(Enabled(journal.now()), "switching the consumer on")
    context.target.enable_mapping(mapping.uuid)
    return Acted()


STEP = Step("enable", State.CONFIGURING, advance)


def _note_found(context: StepContext) -> Outcome | None:
    """Record that another hand enabled the consumer. None: that is done."""
    journal = context.journal
    if journal.get(LoadTarget) is not None and journal.get(EarlyConsumer) is None:
        # Since when it is on cannot be proved, and the table took what it applied: a bulk put that
        # ran then has replaced it. Before the wait below, in which it may be switched off again.
        early_consumer.record(context)
        return Acted()
    wait = other_operations.wait_for_others(context)
    if wait is not None:
        return wait
    # Of an import it is harmless: before the table existed, every batch failed and was retried.
    journal.put(Enabled(journal.now(), by_us=False), "the consumer was found switched on")
    return None


def _refuse_wrong_source(context: StepContext, mapping: EventSource) -> None:
    expected = context.stream_arn
    replacement = consumer_mapping.replacement(context, mapping.uuid)
    if mapping.stream_arn != expected:
        raise BlockedError(
            f"The event source mapping {mapping.uuid} reads {mapping.stream_arn}, not {expected}.",
            fix=replacement,
        )
    if mapping.starting_position == "LATEST":
        raise BlockedError(
            f"The event source mapping {mapping.uuid} starts at LATEST: what has been buffered "
            "since the snapshot would be skipped.",
            fix=f"{replacement}; it is made again at TRIM_HORIZON",
        )
    # A mapping re-created at a later time before it was ever on would skip what came in during the
    # export and the import. Once it has been on, the operator chooses the start (docs).
    exported = context.journal.get(Exported)
    if context.journal.get(Enabled) is not None or exported is None or mapping.starts_at is None:
        return
    if mapping.starts_at > exported.export_time - context.timing.export_fuzz:
        raise BlockedError(
            f"The event source mapping {mapping.uuid} starts AT_TIMESTAMP "
            f"{moment(mapping.starts_at)}, and the snapshot is as of "
            f"{moment(exported.export_time)}: what has been buffered in between would be skipped.",
            fix=f"take startAt out of the stack configuration, then: {replacement}",
        )
