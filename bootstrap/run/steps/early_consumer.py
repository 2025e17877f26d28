"""A consumer that is on before a bulk load is done: it applies changes, and the load replaces them.

An import's consumer has no table until the import has ended, and Lambda keeps what it fails to
apply. The table of a bulk load exists, and takes what the consumer applies.
"""

from __future__ import annotations

from bootstrap.core.errors import BlockedError
from bootstrap.core.facts import EventSource
from bootstrap.core.suggestions import Command, suggest
from bootstrap.journal.load_records import EarlyConsumer
from bootstrap.run.step_context import StepContext


def refuse(context: StepContext, since: float) -> None:
    """Record a consumer that is on, or that was changed after `since`, and refuse one that is on.

    `since`: the moment from which on a change that was applied is not in the snapshot, or not in
    the table. Between two looks the consumer may have been on and off again; of that, its mapping
    shows only when it was last changed (LastModified in Lambda's API reference).

    Raises:
        BlockedError: it is on.
    """
    mapping = context.mapping()
    if mapping is None:
        return
    known = context.journal.get(EarlyConsumer)
    seen = max(since, known.at if known is not None else 0.0)
    if is_on(mapping) or (mapping.modified or 0.0) > seen:
        record(context)
    if is_on(mapping):
        raise BlockedError(
            f"The consumer of table {context.table.source_table} is switched on (event source "
            f"mapping {mapping.uuid} is {mapping.state}), and the bulk load is not done: it "
            "replaces what the consumer applies by the snapshot's older items.",
            fix=suggest(
                f"aws lambda update-event-source-mapping --uuid {mapping.uuid} --no-enabled "
                f"--region {context.table.consumer_region}, with the target account's "
                "credentials; then ",
                Command("run"),
                ", which continues with the load. The replica is DEGRADED afterwards, until ",
                Command("verify", "--repair"),
                " is complete; or ",
                Command("abandon"),
                ", and another snapshot",
            ),
        )


def is_on(mapping: EventSource) -> bool:
    """Answer if invocations may begin. While it is Disabling, some still do."""
    return mapping.running or mapping.state == "Disabling"


def record(context: StepContext) -> None:
    """Record that changes may be replaced, as of now."""
    context.journal.put(
        EarlyConsumer(context.journal.now()),
        "the consumer was on, or was changed, before the bulk load was done",
    )
