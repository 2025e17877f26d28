"""The conditions on a table of the user's own that a bulk load may fill."""

from __future__ import annotations

from bootstrap.core.errors import AccountError, BlockedError, Side
from bootstrap.core.facts import TableFacts
from bootstrap.core.outcome import Pending
from bootstrap.core.suggestions import Command, suggest
from bootstrap.run import load_gate
from bootstrap.run.step_context import StepContext


def examine(context: StepContext) -> TableFacts | Pending:
    """Describe the table that is to be adopted, or wait for a change that it is in.

    Raises:
        BlockedError: for a table that a load may not fill.
    """
    name = context.table.target_table
    facts = context.target.table(name)
    if facts is None:
        raise BlockedError(
            f"The target account has no table {name}, which the stack file adopts.",
            fix="make the table with your own code; or take `adopt` out of the stack file, and "
            "the load makes it",
        )
    _refuse_other_keys(context, facts)
    if facts.replicas or facts.global_version:
        raise _unfit(context, "it is a global table, which a bulk put does not load")
    if facts.status != "ACTIVE":
        return Pending(f"table {name} to become ACTIVE", context.timing.poll(5))
    if any(index.get("IndexStatus", "ACTIVE") != "ACTIVE" for index in facts.global_indexes):
        # AWS refuses a bulk put meanwhile.
        return Pending(f"the indexes of table {name} to become ACTIVE", context.timing.poll(20))
    if context.target.expiry(name).enabled:
        raise _unfit(
            context,
            "its time to live is on: it would expire items that the source keeps, and race with it",
        )
    _refuse_readers(context, facts)
    # Before the look into the table: what such an operation puts in would come after it.
    wait = load_gate.wait_for_others(context)
    if wait is not None:
        return wait
    if not context.target_items.empty():
        raise BlockedError(
            f"Table {name}, which the stack file adopts, is not empty. Items that the source does "
            "not have would stay in it, and be taken for the source's.",
            fix="empty the table, or make it anew; then the same command",
        )
    return facts


def _refuse_other_keys(context: StepContext, facts: TableFacts) -> None:
    table = context.table
    source = context.source.table(table.source_table)
    if source is None:
        raise AccountError(
            Side.SOURCE,
            f"Table {table.source_table} is gone; its keys are needed to check those of "
            f"{table.target_table}.",
            fix=f"aws dynamodb describe-table --table-name {table.source_table} --region "
            f"{table.consumer_region}, with the source account's credentials",
        )
    ours, theirs = _keys(facts), _keys(source)
    if ours != theirs:
        raise BlockedError(
            f"Table {table.target_table}, which the stack file adopts, has the key "
            f"{_shown(ours)}, and the source table {table.source_table} has {_shown(theirs)}.",
            fix="make the table anew with the source's key; then the same command",
        )


def _keys(facts: TableFacts) -> list[tuple[str, str, str]]:
    types = {each["AttributeName"]: each["AttributeType"] for each in facts.attributes}
    return [
        (each["AttributeName"], each["KeyType"], types.get(each["AttributeName"], ""))
        for each in facts.keys
    ]


def _shown(keys: list[tuple[str, str, str]]) -> str:
    return ", ".join(f"{name} ({role}, {kind})" for name, role, kind in keys)


def _refuse_readers(context: StepContext, facts: TableFacts) -> None:
    """Refuse a table whose changes go somewhere, unless the operator has confirmed it.

    AWS does not say if bulk puts appear in streams: a trigger may run for each item of the table.
    """
    if context.options.accept_target_stream:
        return
    name = context.table.target_table
    found = ["a DynamoDB stream"] if facts.stream_view else []
    on = [each for each in context.target.destinations(name).all if not each.is_off]
    found += [f"the Kinesis data stream {each.stream_arn}" for each in on]
    if found:
        raise BlockedError(
            f"Table {name}, which the stack file adopts, has {' and '.join(found)}. Whether a bulk "
            "load appears there is not known: what reads it may see every item as a change.",
            fix=suggest(
                "switch it off until the load is done; or, if what reads it may see every item: ",
                Command("run", "--accept-target-stream"),
            ),
        )


def _unfit(context: StepContext, why: str) -> BlockedError:
    return BlockedError(
        f"Table {context.table.target_table}, which the stack file adopts, cannot be loaded: "
        f"{why}.",
        fix="change that, or make the table anew; then the same command",
    )
