"""The end of an abandoned run: what it made is deleted, as far as the options say.

The ledger's entries stay. They are true whatever becomes of the target, and the next run builds on
them.
"""

from __future__ import annotations

import dataclasses

from bootstrap.core import write_deny
from bootstrap.core.errors import BlockedError, LeaseLostError
from bootstrap.core.facts import ImportFacts, TableFacts
from bootstrap.core.journal_rows import StepRecord
from bootstrap.core.outcome import Acted, Done, Outcome, Pending
from bootstrap.core.ports import BulkLoads
from bootstrap.core.state import State
from bootstrap.core.suggestions import Command, suggest
from bootstrap.core.write_deny import PolicyError
from bootstrap.journal.load_records import BulkLoad, LoadTarget
from bootstrap.journal.records import (
    Abandoning,
    Earlier,
    Enabled,
    Exported,
    Imported,
    RecoveryRecord,
)
from bootstrap.journal.switch_records import TargetDeny
from bootstrap.run import other_operations
from bootstrap.run.step import Step
from bootstrap.run.step_context import StepContext
from bootstrap.run.steps import (
    bulk_load,
    import_,
    load_table,
    snapshot,
    stream_end,
    target_deny,
)
from bootstrap.run.steps.pause import keep_entries
from replicator.aws_commands import table_option


def advance(context: StepContext) -> Outcome:
    """Undo the run, one act at a time: record the intention first, close the journal last."""
    journal, options = context.journal, context.options
    noted = journal.get(Abandoning) or Abandoning(journal.now())
    wanted = dataclasses.replace(
        noted,
        drop_target=noted.drop_target or options.drop_target,
        disable_source_pitr=noted.disable_source_pitr or options.disable_source_pitr,
        target_table_id=noted.target_table_id or _known_id(context),
    )
    if journal.get(Abandoning) != wanted:
        journal.put(wanted, "abandoning")
        return Acted()
    # The consumer first: the rest deletes what it works on. Export and load next: an export would
    # write more objects after their deletion, a load fails if an object is gone before it is read,
    # and a bulk put that runs on would write into whatever the table is by then. AWS cancels bulk
    # puts alone.
    for act in (
        _stop_consumer,
        _leave_stream,
        _await_export,
        _await_import,
        _cancel_load,
        _delete_objects,
        _disable_recovery,
        _open_target,
        _drop_target,
    ):
        outcome = act(context, wanted)
        if outcome is not None:
            return outcome
    recovery = journal.get(RecoveryRecord)
    kept: list[StepRecord] = [Earlier(journal.now(), wanted.target_table_id)]
    if recovery is not None and not wanted.disable_source_pitr:
        kept.append(recovery)  # another run may still switch it off
    journal.close(kept, "abandoned")
    return Done()


STEP = Step("abandon", State.ABANDONING, advance)


def refuse(context: StepContext) -> None:
    """Check that the run may be abandoned, before anything is touched.

    Raises:
        BlockedError: when it may not.
    """
    table, journal, options = context.table, context.journal, context.options
    if not journal.run_id:
        raise BlockedError(
            f"No run of table {table.source_table} has begun: there is nothing to abandon.",
            fix=suggest(Command("status")),
        )
    noted = journal.get(Abandoning)
    if options.disable_source_pitr or (noted is not None and noted.disable_source_pitr):
        refuse_foreign_recovery(context)
    if options.drop_target and adopts(context):
        raise BlockedError(
            f"The table {table.target_table} in the target account is your own, which the stack "
            "file adopts: nothing here deletes it.",
            fix=suggest(Command("abandon"), "; then delete or empty the table yourself"),
        )
    target_id = _known_id(context) or (noted.target_table_id if noted else "")
    # What a call without an answer has made is found before anything is deleted.
    unknown = journal.get(Imported) is not None or journal.get(LoadTarget) is not None
    if options.drop_target and (target_id or not unknown):
        facts = context.target.table(table.target_table)
        if facts is not None:
            refuse_foreign(table.target_table, facts, target_id)


def refuse_foreign(name: str, facts: TableFacts, imported_id: str) -> None:
    """Check that a run of this journal imported the table.

    Raises:
        BlockedError: when none did.
    """
    if imported_id and facts.table_id == imported_id:
        return
    known = f"its id is {imported_id}" if imported_id else "none is in the journal"
    raise BlockedError(
        f"The table {name} in the target account ({facts.table_id}) is not the one that this run "
        f"imported ({known}): it is not deleted.",
        fix="abandon without --drop-target; delete the table yourself if it is not needed",
    )


def refuse_foreign_recovery(context: StepContext) -> None:
    """Check that a run enabled the source's point-in-time recovery.

    Raises:
        BlockedError: when it was enabled before any run.
    """
    table = context.table.source_table
    if context.journal.get(RecoveryRecord) is not None:
        return
    if context.source.table(table) is not None and context.source.backups(table).enabled:
        raise BlockedError(
            f"Point-in-time recovery of the source table {table} was not switched on by this run: "
            "others rely on it, and it is not switched off.",
            fix="abandon without --disable-source-pitr; or, if it is certainly not needed, "
            f"aws dynamodb update-continuous-backups {table_option(table)} "
            "--point-in-time-recovery-specification PointInTimeRecoveryEnabled=false",
        )


def _known_id(context: StepContext) -> str:
    """Return the id of the table that the run made; empty if the journal does not have it, and for
    a table that the run adopted.
    """
    imported, earlier = context.journal.get(Imported), context.journal.get(Earlier)
    made = context.journal.get(LoadTarget)
    if made is not None:
        return "" if made.adopted else made.table_id
    if imported is not None:
        return imported.table_id
    return earlier.target_table_id if earlier is not None else ""


# Each of these observes before it acts. None: nothing is left to do.


def _stop_consumer(context: StepContext, noted: Abandoning) -> Outcome | None:
    table, target = context.table, context.target
    mapping = context.mapping()
    ran = context.journal.get(Enabled) is not None or (mapping is not None and mapping.running)
    # Before the mapping stops, as in a pause: the next run's consumer resumes where this one ends,
    # and a change that waited until then must find its key's entry.
    if ran and target.expiry(table.ledger_table).enabled:
        keep_entries(context)
        return Acted()
    if not context.ledger.settings().paused:
        context.ledger.set_paused(True)
        return Acted()
    if mapping is None or mapping.state == "Disabled":
        return None
    if mapping.state == "Enabled":
        target.disable_mapping(mapping.uuid)
        return Acted()
    return Pending(
        f"the event source mapping to settle (it is {mapping.state})", context.timing.poll(5)
    )


def _leave_stream(context: StepContext, noted: Abandoning) -> Outcome | None:
    return stream_end.leave(context) if context.table.reads_table_stream else None


def _await_export(context: StepContext, noted: Abandoning) -> Outcome | None:
    exported, source = context.journal.get(Exported), context.source
    if exported is None or not exported.begun or exported.done:
        return None
    if exported.arn:
        facts = source.describe_export(exported.arn)
    else:
        # The call may have been made and its answer lost.
        facts = snapshot.find_started_export(context, exported)
    if facts is None or facts.over:
        return None
    what = "the export to end, which AWS does not cancel"
    return Pending(what, context.timing.poll(20), facts.measure, outlasts=True)


def _await_import(context: StepContext, noted: Abandoning) -> Outcome | None:
    imported = context.journal.get(Imported)
    if imported is None or not imported.token or imported.done:
        return None
    facts = _import(context, imported)
    if facts is None:
        return None
    if facts.table_id and facts.table_id != noted.target_table_id:
        wanted = dataclasses.replace(noted, target_table_id=facts.table_id)
        context.journal.put(wanted, f"the import made table {facts.table_id}")
        return Acted()
    if facts.over:
        return None
    what = "the import to end, which AWS does not cancel"
    return Pending(what, context.timing.poll(20), import_.progress(facts, context), outlasts=True)


def adopts(context: StepContext) -> bool:
    """Answer if the target is the user's own table."""
    made = context.journal.get(LoadTarget)
    return context.table.load.adopt if made is None else made.adopted


def _cancel_load(context: StepContext, noted: Abandoning) -> Outcome | None:
    """Find what a bulk load has made or started, also by a call without an answer, and end it."""
    made, journal = context.journal.get(LoadTarget), context.journal
    if made is None:
        return None
    if made.tag_value and not made.table_id:
        found = load_table.find_created(context, made)
        if isinstance(found, Pending):
            return found
        if found is not None and found.table_id != noted.target_table_id:
            wanted = dataclasses.replace(noted, target_table_id=found.table_id)
            journal.put(wanted, f"the load made table {found.table_id}")
            return Acted()
    load = journal.get(BulkLoad) or BulkLoad()
    if not load.token and not load.former and context.loads is None:
        return None
    loads = bulk_load.operations(context)
    facts = loads.describe(load.arn) if load.arn else None
    if load.arn and facts is None and bulk_load.may_be_unknown(context, load):
        return Pending("the bulk load to be described", context.timing.poll(5))
    if load.token and not load.arn:
        facts = bulk_load.find_started(loads, load)
    unlisted = (load.token and not load.arn and facts is None) or load.former
    if unlisted and journal.now() - load.intended_at <= context.timing.listing:
        # It may have begun, and not be listed yet: a bulk put that no record has.
        return Pending("the bulk load to be listed", context.timing.poll(5))
    if facts is None or facts.terminal:
        return _end_others(context, loads, made.table_id or noted.target_table_id)
    if facts.status == "IN_PROGRESS":
        loads.cancel(facts.arn)
    return Pending(
        "the bulk load to be cancelled",
        context.timing.poll(5),
        bulk_load.progress(context, load, facts),
        outlasts=True,
    )


def _end_others(context: StepContext, loads: BulkLoads, table_id: str) -> Outcome | None:
    """Wait for every other operation on the table. Those that this run may have begun, by a call
    that it has given up, are cancelled.
    """
    for facts in loads.on_table(context.target_arn):
        if facts.terminal or facts.table_id not in ("", table_id):
            continue
        if not facts.token.startswith(context.journal.run_id):
            return other_operations.wait_for(context, facts)
        if facts.status == "IN_PROGRESS":
            loads.cancel(facts.arn)
        return Pending(
            "the bulk load to be cancelled", context.timing.poll(5), facts.measure, outlasts=True
        )
    return None


def _import(context: StepContext, imported: Imported) -> ImportFacts | None:
    if imported.arn:
        return context.target.describe_import(imported.arn)
    return import_.find_started_import(context, imported)


def _delete_objects(context: StepContext, noted: Abandoning) -> Outcome | None:
    return Acted() if context.snapshots.remove(prefix(context)) else None


def prefix(context: StepContext) -> str:
    """Return the prefix of everything that this run exported, and of nothing else."""
    return f"{context.table.snapshot_prefix}/{context.journal.run_id}/"


def _disable_recovery(context: StepContext, noted: Abandoning) -> Outcome | None:
    table, source = context.table.source_table, context.source
    if not noted.disable_source_pitr or source.table(table) is None:
        return None
    if not source.backups(table).enabled:
        return None
    refuse_foreign_recovery(context)
    source.disable_backups(table)
    return Acted()


def _open_target(context: StepContext, noted: Abandoning) -> Outcome | None:
    """Let other writers in again: take this project's statement out of the user's policy."""
    policies, name = context.target_policies, context.table.target_table
    # Without a record no run has put one. What the stack put is the stack's to take out.
    if policies is None or context.journal.get(TargetDeny) is None:
        return None
    if context.table.stack_owns_target_deny or context.target.table(name) is None:
        return None
    known = policies.read(context.target_arn)
    try:
        if not write_deny.project_statements(known.document):
            return None
        users = write_deny.without_deny(known.document)
    except PolicyError as error:
        raise target_deny.unusable(context, error) from None
    try:
        policies.replace(context.target_arn, known, users)
    except LeaseLostError:
        raise
    except BlockedError:
        return Pending("the target's resource policy to be read again", context.timing.poll(5))
    context.journal.forget(TargetDeny, "other writers may reach the target again")
    return Acted()


def _drop_target(context: StepContext, noted: Abandoning) -> Outcome | None:
    if not noted.drop_target or adopts(context):
        return None
    target, name = context.target, context.table.target_table
    facts = target.table(name)
    if facts is None:
        context.ledger.forget_target()
        return None
    # A name proves nothing: it may be another table by now.
    refuse_foreign(name, facts, noted.target_table_id)
    if facts.status != "ACTIVE":
        return Pending(f"table {name} to settle (it is {facts.status})", context.timing.poll(5))
    if facts.deletion_protection:
        target.unprotect(name)
    else:
        target.drop(name)
    return Acted()
