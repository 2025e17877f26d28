"""Decoding alone: from the Lambda event to changes with their ledger entries, no call made."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterable
from typing import Any

from replicator.change import Change
from replicator.consumer import kinesis_records
from tests.benchmarks.events import SOURCE_TABLE, Shape, event


def changes(batch: dict[str, Any]) -> list[Change]:
    """The changes of an event, as the consumer reads them."""
    found: list[Change] = []
    for record in kinesis_records.envelope(batch):
        user_records = kinesis_records.user_records(record)
        assert isinstance(user_records, list), "the bench makes readable records only"
        for user_record in user_records:
            content = kinesis_records.content(user_record, SOURCE_TABLE)
            assert isinstance(content, Change)
            found.append(content)
    return found


def rates(sizes: Iterable[int]) -> dict[str, dict[str, float]]:
    """CPU microseconds per change of decoding, and of decoding and digesting both images."""
    result: dict[str, dict[str, float]] = {}
    for size in sizes:
        for aggregated in (False, True):
            shape = Shape(size, None, aggregated=aggregated)
            batch, count = event(shape)
            first = copy.deepcopy(batch)
            changes(first)
            started = time.process_time()
            decoded = changes(batch)
            between = time.process_time()
            for change in decoded:
                _ = change.key, change.entry
            ended = time.process_time()
            result[shape.name] = {
                "decode_us": round((between - started) * 1e6 / count, 1),
                "digest_us": round((ended - between) * 1e6 / count, 1),
            }
    return result
