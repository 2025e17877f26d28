"""The bulk load: a snapshot put into a table that exists, by operations of DynamoDB's own.

One table gets one snapshot. A failed load is repeated from the same export, which changes nothing
in what is there already; of a newer one, an item that was deleted between the two would stay.
"""

from __future__ import annotations

import dataclasses
import json

from bootstrap.core.bulk_facts import MOST_OBJECTS, BulkFacts, BulkRequest
from bootstrap.core.errors import AccountError, BlockedError, Side
from bootstrap.core.export_search import CLOCK_SKEW, token_is_valid
from bootstrap.core.facts import Measure, TableFacts
from bootstrap.core.outcome import Acted, Done, Outcome, Pending
from bootstrap.core.ports import BulkLoads
from bootstrap.core.suggestions import Command, suggest
from bootstrap.journal.load_records import BulkLoad, LoadTarget
from bootstrap.journal.records import Exported, Imported
from bootstrap.run import other_operations
from bootstrap.run.load_prefixes import IndivisibleKeysError, divide
from bootstrap.run.step_context import StepContext
from bootstrap.run.steps import (
    adoption,
    early_consumer,
    foreign_puts,
    import_,
    load_failure,
    load_parts,
    load_refusal,
    load_table,
    target_deny,
)
from infra.load_names import OUTPUT_FOLDER

REUSED_TOKEN = "IdempotentParameterMismatchException"


def advance(context: StepContext) -> Outcome:
    """Lead from a complete export to a complete load, one act at a time."""
    imported = context.journal.get(Imported)
    if imported is not None and imported.done:
        return import_.still_there(context, imported)
    made = context.journal.get(LoadTarget) or LoadTarget()
    if not made.table_id or made.deleting:
        return load_table.advance(context, made)
    facts = load_table.observe(context, made)
    early_consumer.refuse(context, made.intended_at)
    load = context.journal.get(BulkLoad) or BulkLoad()
    loads = operations(context)
    if load.parts_done:
        return _complete(context, load, made)
    if not load.token:
        return load_table.make_ready(context, facts) or _intend(context, load, made, facts)
    kept = target_deny.advance(context)  # another program may take it out of the policy
    if not isinstance(kept, Done):
        return kept
    if not load.arn:
        return _begin(context, loads, load)
    return _follow(context, loads, load)


def operations(context: StepContext) -> BulkLoads:
    """Return the target account's bulk operations.

    Raises:
        BlockedError: the stack has no right to them any more.
    """
    if context.loads is None:
        raise BlockedError(
            f"A bulk load of table {context.table.target_table} has begun, and the stack file says "
            "`load: import`: the roles may not read or start bulk operations.",
            fix="set `load: bulk` for the table in the stack file again; then pulumi up, and the "
            "same command",
        )
    return context.loads


def _intend(context: StepContext, load: BulkLoad, made: LoadTarget, facts: TableFacts) -> Outcome:
    table, journal, outputs = context.table, context.journal, context.outputs
    exported = journal.get(Exported)
    if exported is None or not exported.done:
        raise AssertionError("The export step comes first.")
    if made.adopted:
        adoption.refuse_unfit(context, facts)  # days may have passed since the last look
    former = load.former and _find_former(context, load, made)
    if former:
        return former
    # Of an earlier run, or of another hand: what it puts would be taken for this load's.
    wait = other_operations.wait_for_others(context)
    if wait is not None:
        return wait
    foreign = foreign_puts.refuse(context, load, made)
    if foreign is not None:
        return foreign
    prefixes = load.prefixes or _prefixes(context, exported)
    if not prefixes:
        return _nothing_to_load(context, load, exported)
    token = f"{journal.run_id}-load-{load.attempt}"
    request = BulkRequest(
        token=token,
        table_arn=context.target_arn,
        bucket=outputs.snapshot_bucket,
        bucket_owner=outputs.target.account_id,
        prefix=prefixes[load.part],
        output_prefix=f"{table.snapshot_prefix}/{journal.run_id}/{OUTPUT_FOLDER}/{token}/",
        tier=table.load.performance_tier,
        max_write_request_units=table.load.max_write_request_units,
        key_arn=outputs.snapshot_key_arn,
    )
    context.memory.load_intended = token
    of = f" (part {load.part + 1} of {len(prefixes)})" if len(prefixes) > 1 else ""
    journal.put(
        dataclasses.replace(
            load,
            prefixes=prefixes,
            token=token,
            request=json.dumps(dataclasses.asdict(request), sort_keys=True),
            intended_at=journal.now(),
            arn="",
            failure="",
            failed_generation=0,
        ),
        f"loading {request.prefix} into {table.target_table}{of}",
    )
    return Acted()


def _prefixes(context: StepContext, exported: Exported) -> tuple[str, ...]:
    keys = context.snapshots.keys(exported.data_prefix)
    if not keys:
        return ()
    try:
        return divide(exported.data_prefix, keys, MOST_OBJECTS)
    except IndivisibleKeysError as error:
        raise AccountError(
            Side.TARGET,
            f"The objects of the export {exported.arn} cannot be divided into parts of "
            f"{MOST_OBJECTS}: {error}.",
            fix="report this: an export names its objects otherwise",
            resumable=False,
        ) from error


def _nothing_to_load(context: StepContext, load: BulkLoad, exported: Exported) -> Outcome:
    if exported.items:
        raise AccountError(
            Side.TARGET,
            f"The export {exported.arn} holds {exported.items} items, and "
            f"s3://{context.outputs.snapshot_bucket}/{exported.data_prefix} has no object.",
            fix=suggest(
                "find out who deleted them; then for another snapshot: ",
                Command("abandon"),
                ", and ",
                Command("run"),
            ),
            resumable=False,
        )
    context.journal.put(
        dataclasses.replace(load, prefixes=(exported.data_prefix,), part=1),
        "the export is empty: there is nothing to load",
    )
    return Acted()


def _begin(context: StepContext, loads: BulkLoads, load: BulkLoad) -> Outcome:
    """Start the operation, or find the one that this intention has started."""
    journal, memory = context.journal, context.memory
    facts: BulkFacts | None
    first = memory.load_intended == load.token
    memory.load_intended = ""
    refused_for = journal.now() - (memory.load_refused_at or journal.now())
    if memory.load_refused_at is not None and refused_for <= context.timing.listing:
        facts = find_started(loads, load)
        if facts is None:
            return _await_listing(context)
    elif token_is_valid(load.intended_at, journal.now()):
        try:
            facts = loads.start(BulkRequest(**json.loads(load.request)))
        except AccountError as error:
            # A repetition of a call whose answer was lost finds its own operation by the token.
            # In case AWS refuses it instead, as it is known to do for imports, it is looked up.
            if error.code not in (REUSED_TOKEN, "ResourceInUseException", load_refusal.REFUSED):
                raise
            facts = find_started(loads, load)
            refused = facts is None and error.code == load_refusal.REFUSED
            if refused and not first and memory.load_refused_at is None:
                # An earlier call may have begun it, and it is not listed yet.
                memory.load_refused_at = journal.now()
                return _await_listing(context)
            memory.load_refused_at = None
            if refused:
                raise load_refusal.report_refusal(context, load, error) from error
            if facts is None:
                raise
    else:
        facts = find_started(loads, load)
    if facts is None:
        journal.put(
            dataclasses.replace(
                load,
                attempt=load.attempt + 1,
                token="",
                former=(*load.former, load.token),
            ),
            "the bulk load that was intended never began: another one is prepared",
        )
    else:
        journal.put(
            dataclasses.replace(load, arn=facts.arn, begun_at=journal.now()),
            f"bulk operation {facts.operation_id} runs",
        )
    return Acted()


def find_started(loads: BulkLoads, load: BulkLoad) -> BulkFacts | None:
    """Return the operation that this intention has started, if its answer was lost."""
    table_arn = json.loads(load.request)["table_arn"]
    return loads.find(load.token, table_arn, load.intended_at - CLOCK_SKEW)


def _await_listing(context: StepContext) -> Pending:
    return Pending("a bulk load that may have begun to be listed", context.timing.poll(5))


def _find_former(context: StepContext, load: BulkLoad, made: LoadTarget) -> Outcome | None:
    """Turn back to the operation of an intention that was given up, if it has begun all the same.

    None: there is none. Another operation for the same part would be paid for twice.
    """
    for facts in operations(context).on_table(context.target_arn, made.intended_at):
        if facts.token in load.former and facts.prefix == load.prefixes[load.part]:
            context.journal.put(
                dataclasses.replace(
                    load,
                    token=facts.token,
                    arn=facts.arn,
                    begun_at=context.journal.now(),
                    former=tuple(each for each in load.former if each != facts.token),
                    failure="",
                    failed_generation=0,
                ),
                f"bulk operation {facts.operation_id}, which had no answer, has begun",
            )
            return Acted()
    return None


def may_be_unknown(context: StepContext, load: BulkLoad) -> bool:
    """Answer if a description may still lack an operation that has just begun."""
    return context.journal.now() - load.begun_at <= context.timing.listing


def _follow(context: StepContext, loads: BulkLoads, load: BulkLoad) -> Outcome:
    facts = loads.describe(load.arn)
    if facts is None and may_be_unknown(context, load):
        return Pending("the bulk load to be described", context.timing.poll(5))
    if facts is None:
        why = "DynamoDB does not know it any more"
        return load_failure.handle_failure(context, load, None, why)
    if not facts.terminal:
        ends = facts.status == "CANCELLING"
        what = "the bulk load to be cancelled" if ends else "the bulk load"
        return Pending(what, context.timing.poll(20), progress(context, load, facts), True)
    if facts.status != "COMPLETED":
        why = f"{facts.failure_code} {facts.failure}".strip()
        return load_failure.handle_failure(context, load, facts, why or facts.status)
    last = load.part + 1 == len(load.prefixes)
    if last and load_parts.count_difference(context, load, facts):
        # DynamoDB counts what it exports and what it puts, and an export has each key once. If the
        # numbers differ (a removed object, an object that one bad line ended, an unreported error),
        # items are missing that the consumer would never write: the floor makes it skip every
        # change that the snapshot should hold.
        why = "it ended as complete, with another number of items than its export holds"
        return load_failure.handle_failure(context, load, facts, why, all_parts=True)
    load_parts.end_part(context, load, facts)
    return Acted()


def _complete(context: StepContext, load: BulkLoad, made: LoadTarget) -> Outcome:
    """Record what an import records: from here on, both are the same."""
    exported = context.journal.get(Exported)
    held = exported.items if exported is not None else None
    refused = max(1, abs((held or 0) - load.items)) if load.accepted else 0
    context.journal.put(
        Imported(
            attempt=load.failures + 1,
            # Releases that know imports alone look for a token first: without one they would take
            # the loaded table for that of another, and ask for its deletion.
            token=f"{context.journal.run_id}-load-{load.attempt}",
            prefix=exported.data_prefix if exported is not None else "",
            done=True,
            table_id=made.table_id,
            items=load.items,
            size_bytes=load.size_bytes,
            started=load.started,
            ended=context.journal.now(),
            refused=refused,
        ),
        f"{load.items} items are loaded"
        + (f"; {refused} are missing, as accepted" if refused else ""),
    )
    return Acted()


def progress(context: StepContext, load: BulkLoad, facts: BulkFacts) -> Measure:
    """Measure a load against its export."""
    exported = context.journal.get(Exported)
    return load.progress(facts, exported.items if exported else None)
