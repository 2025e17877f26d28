"""The import: a new table in the target account, made of the snapshot."""

from __future__ import annotations

import dataclasses
import json

from bootstrap.core.errors import AccountError, BlockedError, Side
from bootstrap.core.export_search import TOKEN_SECONDS
from bootstrap.core.facts import ImportFacts, ImportRequest, Measure
from bootstrap.core.outcome import Acted, Done, Outcome, Pending, import_progress
from bootstrap.core.suggestions import Command, suggest
from bootstrap.journal.records import Exported, Imported
from bootstrap.plan.table_parameters import creation_parameters
from bootstrap.run.required_tables import lost_target, require_source
from bootstrap.run.step_context import StepContext
from bootstrap.run.steps import import_refusal

REFUSED_ITEMS = "ItemValidationError"
"""FailureCode of an import that created its table but refused some items."""
IMPORT_LOG_GROUP = "/aws-dynamodb/imports"


def advance(context: StepContext) -> Outcome:
    """Lead from a complete export to a complete import, one act at a time."""
    imported = context.journal.get(Imported)
    if imported is None or not imported.token:
        return _intend(context, imported or Imported())
    if imported.done:
        return still_there(context, imported)
    if not imported.arn:
        return _begin(context, imported)
    return _follow(context, imported)


def _intend(context: StepContext, imported: Imported) -> Outcome:
    table, journal = context.table, context.journal
    exported = journal.get(Exported)
    if exported is None or not exported.done:
        raise AssertionError("The export step comes first.")
    refuse_running_consumer(context)
    if context.target.table(table.target_table) is not None:
        raise _taken(context)
    facts = require_source(context, "keys and indexes are needed to import into")
    journal.put(
        dataclasses.replace(
            imported,
            token=f"{journal.run_id}-import-{imported.attempt}",
            prefix=exported.data_prefix,
            table=json.dumps(
                creation_parameters(facts, table.target_table, table.target_key_arn),
                sort_keys=True,
            ),
            intended_at=journal.now(),
            arn="",
            failure="",
            failed_generation=0,
            no_table="",
        ),
        f"importing {exported.data_prefix} into {table.target_table}",
    )
    return Acted()


def refuse_running_consumer(context: StepContext) -> None:
    """Check that the consumer is off.

    Raises:
        BlockedError: it is on.
    """
    # A consumer that is on before the import is complete meets the new table the moment it becomes
    # ACTIVE, before the settings row says what the snapshot holds.
    mapping = context.mapping()
    if mapping is not None and mapping.running:
        raise BlockedError(
            f"The consumer of table {context.table.source_table} is switched on (event source "
            f"mapping {mapping.uuid} is {mapping.state}), and there is no snapshot for it to "
            "build on.",
            fix=f"aws lambda update-event-source-mapping --uuid {mapping.uuid} --no-enabled "
            f"--region {context.table.consumer_region}, with the target account's credentials",
        )


def _taken(context: StepContext) -> BlockedError:
    return BlockedError(
        f"A table {context.table.target_table} exists already in the target account, and this "
        "run did not make it. An import makes a new table; nothing here deletes another's.",
        fix="delete that table yourself if it is not needed, or choose another target name in the "
        "stack",
    )


def _begin(context: StepContext, imported: Imported) -> Outcome:
    """Start the import, unless it is in progress already."""
    journal, outputs = context.journal, context.outputs
    facts = find_started_import(context, imported)
    if facts is None:
        if journal.now() - imported.intended_at > TOKEN_SECONDS:
            again = dataclasses.replace(imported, attempt=imported.attempt + 1, token="")
            journal.put(again, "the import that was intended never began: another one is prepared")
            return Acted()
        request = ImportRequest(
            token=imported.token,
            bucket=outputs.snapshot_bucket,
            bucket_owner=outputs.target.account_id,
            prefix=imported.prefix,
            table=json.loads(imported.table),
        )
        if imported.no_table:
            # While the answer is out, it must not be taken for an import that did not begin.
            imported = dataclasses.replace(imported, no_table="")
            journal.put(imported, "asking for the import again")
        try:
            facts = context.target.import_table(request)
        except AccountError as error:
            if error.code in import_refusal.REFUSED:
                raise import_refusal.report_refusal(context, imported, error) from error
            if error.code != "ResourceInUseException":
                raise
            # The SDK repeats a call whose answer was lost, and AWS refuses the repetition: the
            # table may be this run's own, by an import that is not listed yet.
            facts = find_started_import(context, imported)
            if facts is None and journal.now() - imported.intended_at > context.timing.listing:
                raise _taken(context) from error
            if facts is None:
                return Pending("the import to be listed", context.timing.poll(5))
    journal.put(dataclasses.replace(imported, arn=facts.arn, no_table=""), "the import runs")
    return Acted()


def find_started_import(context: StepContext, imported: Imported) -> ImportFacts | None:
    """Return the import that this intention has started, if its answer was lost."""
    facts = context.target.find_import(context.target_arn, imported.prefix)
    return None if facts is None or facts.arn in imported.failed_arns else facts


def _follow(context: StepContext, imported: Imported) -> Outcome:
    facts = context.target.describe_import(imported.arn)
    if facts is None:
        raise AccountError(
            Side.TARGET,
            f"DynamoDB does not know the import {imported.arn} any more (it forgets them after "
            "90 days).",
            fix=suggest(
                f"delete the table {context.table.target_table}, if it exists and is not needed; "
                "then ",
                Command("abandon"),
                ", and ",
                Command("run"),
                ", for another snapshot",
            ),
            resumable=False,
        )
    if facts.status in ("FAILED", "CANCELLED"):
        return _failed(context, imported, facts)
    if facts.status != "COMPLETED":
        return Pending("the import", context.timing.poll(20), progress(facts, context), True)
    # DynamoDB counts what it exports and what it imports, and an export has each key once. If the
    # numbers differ (a removed object, an unreported error), items are missing that the consumer
    # would never write: the floor makes it skip every change that the snapshot should hold.
    if _lacking(context, facts):
        return _failed(context, imported, facts)
    return _complete(context, imported, facts)


def _lacking(context: StepContext, facts: ImportFacts) -> int:
    """Count the items by which the import and its export differ."""
    exported = context.journal.get(Exported)
    counted = exported.items if exported is not None else None
    if counted is None:
        return facts.errors
    return max(abs(counted - facts.imported_items), facts.errors)


def _complete(
    context: StepContext, imported: Imported, facts: ImportFacts, refused: int = 0
) -> Outcome:
    table = context.target.table(context.table.target_table)
    if table is None or table.status != "ACTIVE":
        return Pending("the imported table to become ACTIVE", context.timing.poll(5))
    context.journal.put(
        dataclasses.replace(
            imported,
            done=True,
            table_id=table.table_id,
            items=facts.imported_items,
            size_bytes=facts.processed_bytes,
            started=facts.started,
            ended=facts.ended,
            refused=refused,
        ),
        f"{facts.imported_items} items are imported"
        + (f"; {refused} are missing, as accepted" if refused else ""),
    )
    return Acted()


def progress(facts: ImportFacts, context: StepContext) -> Measure:
    """Measure an import against its export."""
    exported = context.journal.get(Exported)
    return import_progress(facts, exported.items if exported else None)


def _failed(context: StepContext, imported: Imported, facts: ImportFacts) -> Outcome:
    journal, options, name = context.journal, context.options, context.table.target_table
    left = context.target.table(name)
    # A name proves nothing: only a table with the import's own id is what the import left.
    ours = left is not None and bool(facts.table_id) and facts.table_id == left.table_id
    if _is_partial(facts) and ours and options.accept_load_errors:
        return _complete(context, imported, facts, refused=_lacking(context, facts))
    # A failure of this run is reported first, whatever its options: the next attempt costs money.
    reported = imported.failed_generation not in (0, journal.generation)
    if left is None and reported:
        again = Imported(
            attempt=imported.attempt + 1, failed_arns=(*imported.failed_arns, imported.arn)
        )
        journal.put(again, f"the import failed ({_reason(facts)}): another one is prepared")
        return Acted()
    if left is not None and ours and reported and options.discard_failed_load:
        if left.status != "DELETING":
            journal.put(imported, f"deleting table {name}, which the failed import left")
            context.target.drop(name)
        return Pending("the table of the failed import to be gone", context.timing.poll(5))
    if left is None:
        imported = dataclasses.replace(imported, no_table=_reason(facts))
    failure = _failure(context, imported, facts, ours)
    raise _taken(context) if left is not None and not ours else failure


def _failure(
    context: StepContext, imported: Imported, facts: ImportFacts, left: bool
) -> AccountError:
    """Record the failure, and make the error with the cause and the choices."""
    name = context.table.target_table
    why = _reason(facts)
    context.journal.put(
        dataclasses.replace(imported, failure=why, failed_generation=context.journal.generation),
        "the import failed",
    )
    log = f"log group {facts.log_group or IMPORT_LOG_GROUP}, stream {facts.log_stream}"
    fix: list[str | Command] = [f"read the cause in {log}; then "]
    if left:
        fix += [
            Command("run", "--discard-failed-load"),
            f", which deletes the table {name} that the import left, and starts another import "
            "that is paid for",
        ]
    else:
        fix += [Command("run"), ", which starts another import that is paid for"]
        if imported.no_table:
            before = "; or, where the export is over a quota of imports: "
            fix += import_refusal.by_bulk_instead(context, before)
    if left and _is_partial(facts):
        fix += [
            "; or ",
            Command("run", "--accept-load-errors"),
            ", which continues without the missing items: the replica is then DEGRADED",
        ]
    exported = context.journal.get(Exported)
    held = exported.items if exported is not None else None
    of = f" The export holds {held}." if held is not None else ""
    return AccountError(
        Side.TARGET,
        f"The import {facts.arn} into table {name} failed: {why}. {facts.imported_items} of "
        f"{facts.processed_items} items were imported, {facts.errors} were refused.{of}",
        fix=suggest(*fix),
    )


def _is_partial(facts: ImportFacts) -> bool:
    """Answer if the import created its table but left items out."""
    return facts.failure_code == REFUSED_ITEMS or facts.status == "COMPLETED"


def _reason(facts: ImportFacts) -> str:
    if facts.status == "COMPLETED":
        return "it ended as complete, with another number of items than its export holds"
    return f"{facts.failure_code} {facts.failure}".strip() or facts.status


def still_there(context: StepContext, imported: Imported) -> Outcome:
    """Check that the target is the table that was loaded, by its id.

    Raises:
        AccountError: it is gone, or another one.
    """
    table = context.target.table(context.table.target_table)
    if table is not None and table.table_id == imported.table_id:
        return Done()
    raise lost_target(context.table.target_table, table, "the one that was imported")
