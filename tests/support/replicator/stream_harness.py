"""A consumer of a table's own stream on fakes, and what it wrote."""

from __future__ import annotations

from typing import Any

from replicator.consumer.consumer import Consumer
from replicator.ended_rows import EndedRow, ended_key
from tests.support.replicator.consumer_harness import LEDGER, ConsumerHarness, failed
from tests.support.replicator.stream_events import FIRST, order, stream_event

BUFFER = {"buffer": {"S": "streams"}}


class StreamHarness(ConsumerHarness):
    def __init__(self) -> None:
        super().__init__()
        self.settings(**BUFFER)

    def container(self, **config: Any) -> Consumer:
        return super().container(**{"buffer": "streams", **config})

    def deliver(self, *records: dict[str, Any], first: int = FIRST) -> int | None:
        """Deliver a batch; return the position in it from which to redeliver it, or None."""
        number = failed(self.consumer.handle(stream_event(*records, first=first), 60_000))
        return None if number is None else int(number) - first

    def ended(self, number: int) -> EndedRow | None:
        found = self.dynamodb.get_item(
            TableName=LEDGER, Key={"k": {"B": ended_key(order(number))}}, ConsistentRead=True
        ).get("Item")
        return EndedRow.from_item(found) if found else None
