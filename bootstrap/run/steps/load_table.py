"""The table of a bulk load: one that this run makes, or one that the stack file adopts."""

from __future__ import annotations

import dataclasses
import json

from bootstrap.core.errors import BlockedError
from bootstrap.core.facts import TableFacts
from bootstrap.core.outcome import Acted, Done, Outcome, Pending
from bootstrap.core.table_tags import LOAD_TAG
from bootstrap.journal.load_records import BulkLoad, LoadTarget
from bootstrap.journal.records import Exported, Wanted
from bootstrap.journal.switch_records import TargetDeny
from bootstrap.plan.table_parameters import table_parameters
from bootstrap.run.required_tables import lost_target, require_source
from bootstrap.run.step_context import StepContext
from bootstrap.run.steps import adoption, early_consumer, target_deny, warm_throughput


def advance(context: StepContext, made: LoadTarget) -> Outcome:
    """Lead to a table whose id is in the journal, one act at a time."""
    if made.deleting:
        return _make_anew(context, made)
    if context.table.load.adopt:
        return _adopt(context)
    if not made.tag_value:
        return _intend(context, made)
    return _create(context, made)


def observe(context: StepContext, made: LoadTarget) -> TableFacts:
    """Describe the table, which is still the one in the journal.

    Raises:
        AccountError: it is gone, or another one.
    """
    facts = context.target.table(context.table.target_table)
    if facts is not None and facts.table_id == made.table_id:
        return facts
    name = f"{context.table.target_table} ({made.table_id})"
    raise lost_target(name, facts, "the one that is being loaded")


def make_ready(context: StepContext, facts: TableFacts) -> Outcome | None:
    """Wait until the table takes the load at once; None: it does.

    A new table is cold, and the load meets it first.
    """
    wanted = context.journal.get(Wanted) or Wanted()
    if facts.status != "ACTIVE":
        return Pending("the target table to become ACTIVE", context.timing.poll(5))
    if warm_throughput.indexes_change(facts):
        return Pending("the target's indexes to become ACTIVE", context.timing.poll(5))
    kept = target_deny.advance(context)
    if not isinstance(kept, Done):
        return kept
    if warm_throughput.warm(context, (facts, None), wanted) or warm_throughput.warm_indexes(
        context, facts, wanted
    ):
        return Acted()
    return target_deny.keep_others_off(context)


def find_created(context: StepContext, made: LoadTarget) -> TableFacts | Pending | None:
    """Look for the table that a CreateTable call without an answer has made. None: there is none.

    A name proves nothing, nor does a time: only the load tag does that the call itself put on the
    table. Description and tags are eventually consistent (API reference, DescribeTable and
    TagResource), so a table without it is looked at again for a while.
    """
    there = context.target.table(context.table.target_table)
    if there is not None and context.target.tags(there.arn).get(LOAD_TAG) == made.tag_value:
        return there
    begun = max(made.intended_at, there.created if there is not None else 0)
    if context.journal.now() - begun <= context.timing.listing:
        return Pending("the new table to be described", context.timing.poll(5))
    return None


def _intend(context: StepContext, made: LoadTarget) -> Outcome:
    table, journal = context.table, context.journal
    if context.target.table(table.target_table) is not None:
        raise _taken(context)
    facts = require_source(context, "keys and indexes are needed to make")
    tag_value = f"{journal.run_id}-{made.attempt}"
    wanted = journal.get(Wanted) or Wanted()
    # At once, and not with the other settings after the load: an account's policy may demand tags
    # of the call that makes a table (`aws:RequestTag`).
    tags = {**json.loads(wanted.tags), LOAD_TAG: tag_value}
    parameters = {
        **table_parameters(facts, table.target_table, table.target_key_arn),
        "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
    }
    journal.put(
        dataclasses.replace(
            made,
            tag_value=tag_value,
            table=json.dumps(parameters, sort_keys=True),
            intended_at=journal.now(),
        ),
        f"making table {table.target_table} for a bulk load",
    )
    return Acted()


def _create(context: StepContext, made: LoadTarget) -> Outcome:
    facts: TableFacts | Pending | None
    if context.target.table(context.table.target_table) is None:
        # A repetition by the SDK of a call whose answer was lost is refused with ResourceInUse,
        # which is retried: the next look finds the table.
        facts = context.target.create_table(json.loads(made.table))
    else:
        facts = find_created(context, made)
    if isinstance(facts, Pending):
        return facts
    if facts is None:
        raise _taken(context)
    context.journal.put(
        dataclasses.replace(made, table_id=facts.table_id),
        f"table {context.table.target_table} ({facts.table_id}) is made",
    )
    return Acted()


def _adopt(context: StepContext) -> Outcome:
    # What the consumer had applied before the table was emptied is nowhere: the stream is past it.
    # Up to its time, the snapshot has it.
    exported = context.journal.get(Exported)
    assert exported is not None
    early_consumer.refuse(context, exported.export_time)
    found = adoption.examine(context)
    if not isinstance(found, TableFacts):
        return found
    # The id with the proof of emptiness: what is in the table later is this run's, or a stranger's
    # whom nothing could have told from it.
    context.journal.put(
        LoadTarget(adopted=True, intended_at=context.journal.now(), table_id=found.table_id),
        f"table {context.table.target_table} ({found.table_id}) is empty, and adopted",
    )
    return Acted()


def _make_anew(context: StepContext, made: LoadTarget) -> Outcome:
    """Delete the table of a failed load, whose id is known, and prepare another one."""
    name, journal = context.table.target_table, context.journal
    facts = context.target.table(name)
    if facts is None:
        load = journal.get(BulkLoad) or BulkLoad()
        if journal.get(TargetDeny) is not None:
            journal.forget(TargetDeny, "the Deny on the target's other writers is gone with it")
            return Acted()
        journal.put_all(
            (
                LoadTarget(attempt=made.attempt + 1),
                BulkLoad(attempt=load.attempt + 1, failures=load.failures),
            ),
            f"table {name} of the failed load is gone: another one is prepared",
        )
        return Acted()
    if made.adopted or facts.table_id != made.table_id:
        raise _taken(context)
    if facts.status == "ACTIVE":
        context.target.drop(name)
    return Pending("the table of the failed load to be gone", context.timing.poll(5))


def _taken(context: StepContext) -> BlockedError:
    return BlockedError(
        f"A table {context.table.target_table} exists already in the target account, and this "
        "run did not make it. Nothing here loads or deletes another's table.",
        fix="delete that table yourself if it is not needed, or choose another target name in the "
        "stack; an empty table of your own is loaded where the stack file says `adopt: true`",
    )
