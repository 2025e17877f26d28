"""The next command for a table, and the warnings that come with its state."""

from __future__ import annotations

from bootstrap.core.facts import EventSource
from bootstrap.core.journal_rows import Row, RunFailure
from bootstrap.core.state import PRIMARIES, REPLICAS, State
from bootstrap.core.suggestions import Suggestion
from bootstrap.journal.load_records import BulkLoad
from bootstrap.journal.records import Abandoning, Exported, Imported, Paused
from bootstrap.status.data_loss import KnownLosses
from bootstrap.status.inputs import StatusInputs
from bootstrap.status.next_of_switch import decide_switch, next_of_switch
from replicator.watchdog.detectors import SOURCE, TABLE_STREAM, Level
from replicator.watchdog.lambda_states import OFF

RUN = "run"
RESUME = "resume"
PAUSE = "pause"
STATUS = "status"
ABANDON = "abandon"
BACKFILL = "backfill"
EXPORT, IMPORT = "export", "import"
"""The steps that cost money."""
PAID_ATTEMPTS = 2
"""Exports or imports that a run attempts by itself. A further one is the operator's decision."""
DISCARD = "--discard-failed-load"
BY_SWITCH = (State.SWITCHING, *PRIMARIES)
"""The states that a switch or a promotion leads on from."""


def next_command(inputs: StatusInputs) -> str | None:
    """Return the command that advances the table.

    None if the table is where it should be, or if the next step is the operator's decision.
    """
    row, mapping, command = inputs.row, inputs.mapping, inputs.command
    paused = row.record(Paused)
    if inputs.holder:
        return command.format(STATUS)
    if row.state in BY_SWITCH:
        return None if inputs.switch is None else next_of_switch(inputs.switch, command)
    if row.record(Abandoning) is not None:
        # The operator confirmed it when it began, and no other command leads out of this state.
        return f"{command.format(ABANDON)} --yes"
    if paused is not None:
        return _paused_command(inputs, paused)
    if inputs.source_replaced:
        return None
    if _lost_stream(inputs):
        return command.format(RUN)
    if row.state in REPLICAS and not _is_stopped(mapping):
        repaired = inputs.losses is not None and not inputs.losses.any
        # A run records that the missing changes have been put in.
        return command.format(RUN) if row.state is State.DEGRADED and repaired else None
    if row.failure is not None:
        return _recovery_command(row, row.failure, command)
    return command.format(RUN)


def _lost_stream(inputs: StatusInputs) -> bool:
    """Tell whether the table's own stream is off or another one, which a run replaces."""
    found = inputs.finding(TABLE_STREAM)
    return found is not None and found.level is Level.LOSS and not found.value


def _paused_command(inputs: StatusInputs, paused: Paused) -> str | None:
    """Return the command that completes a pause or its end. To end it is a decision.

    If the application has moved to the target meanwhile, a resumed consumer would overwrite it.
    """
    row, mapping, command = inputs.row, inputs.mapping, inputs.command
    failed = row.failure is not None and row.failure.step == PAUSE
    if failed or (not paused.off_at and mapping is not None and mapping.state != "Disabled"):
        return command.format(PAUSE)
    return command.format(RESUME) if paused.resumed and not inputs.source_replaced else None


def decide(inputs: StatusInputs) -> str:
    """Describe the decision that is the operator's; empty where `next_command` is not None."""
    if inputs.row.state in BY_SWITCH:
        if inputs.switch is None or inputs.holder:
            return ""
        return decide_switch(inputs.switch, inputs.command)
    paused = inputs.row.record(Paused)
    if paused is None or next_command(inputs) is not None:
        return ""
    if inputs.source_replaced:
        found = inputs.finding(SOURCE)
        advice = SOURCE.first if found is None else found.first
        return Suggestion.parse(advice).text(inputs.command)
    resume = inputs.command.format(RESUME)
    return (
        f"if the application still writes to the source: `{resume}`, which first looks for writes "
        "in the target; if it has moved to the target, leave the pause as it is: resuming would "
        "replace its newer items with the source's older ones (docs/cutover.md)"
    )


def _is_stopped(mapping: EventSource | None) -> bool:
    return mapping is not None and not mapping.running


def _recovery_command(row: Row, failure: RunFailure, command: str) -> str | None:
    """Return the command that resumes after a failure without losing data, or None.

    A failed import is repeated from the same export after its table is deleted: the snapshot holds
    everything that the table held. A bulk load is repeated into the same table. Two things are the
    operator's decision: to continue without the items that a load refused, and to pay again for a
    step that has failed twice.
    """
    if not failure.resumable:
        return None
    for step, record in ((EXPORT, row.record(Exported)), (IMPORT, row.record(Imported))):
        if failure.step == step and record is not None and record.failure:
            if record.attempt >= PAID_ATTEMPTS:
                return None
            return command.format(RUN) + (f" {DISCARD}" if step == IMPORT else "")
    load = row.record(BulkLoad)
    if failure.step == IMPORT and load is not None and load.failures >= PAID_ATTEMPTS:
        return None
    return command.format(RUN)


def collect_warnings(inputs: StatusInputs, losses: KnownLosses) -> tuple[str, ...]:
    """Describe known losses, a short import and a stopped consumer, each with its command."""
    row, mapping = inputs.row, inputs.mapping
    if row.state in PRIMARIES:
        return ()  # no command would apply anything of the source any more
    warnings = list(losses.warnings)
    exported, imported = row.record(Exported), row.record(Imported)
    counted = exported.items if exported else None
    loaded = imported.items if imported and imported.done and not imported.refused else counted
    if counted is not None and loaded != counted:
        warnings.append(
            f"the export holds {counted} items, but {loaded} were imported: "
            "`python -m bootstrap verify --repair`"
        )
    if mapping is not None and row.state in REPLICAS and _is_stopped(mapping):
        known = mapping.state in (*OFF, "Deleting")
        what = "the consumer is off" if known else "it is not known if the consumer runs"
        warnings.append(f"{what}: its event source mapping is {mapping.state}")
    return tuple(warnings)
