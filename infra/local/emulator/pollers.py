"""The poller of one shard, or of some of its partition keys, which feeds one function."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile

from infra.local.emulator.batches import (
    BatchSource,
    Record,
    failed_from,
    fitting,
    is_too_large,
    poller_of,
)
from infra.local.emulator.invocation import Delivery, FunctionAnswer, Invocation
from infra.local.emulator.mapping_positions import ShardProgress
from infra.local.emulator.on_failure import FailedBatch, OnFailureDestinations
from infra.local.emulator.patching import Json
from infra.local.emulator.shards import Shards, sequence

log = logging.getLogger("local.mappings")

POLL_SECONDS = 0.05
SCAN = 10_000
LONGEST_BACKOFF = 2.0
NO_RIGHT = "PROBLEM: the function's role is not authorized to perform"
THROTTLED = "PROBLEM: the shard has two other readers, and reading it is throttled"
NO_FUNCTION = "PROBLEM: the function does not exist"


@dataclass(frozen=True)
class PollerPosition:
    """The inputs of a poller; the callables return the present state each time."""

    mapping: Json
    stream: Json
    shard_id: str
    number: int
    factor: int
    function: Callable[[], Json | None]
    refusal: Callable[[], str | None]
    admitted: Callable[[], bool]
    is_enabled: Callable[[], bool]


class ShardPoller:
    """Reads batches, delivers, retries, bisects and gives up, until disabled or drained."""

    def __init__(
        self,
        inputs: PollerPosition,
        progress: ShardProgress,
        shards: Shards,
        delivery: Delivery,
        on_failure: OnFailureDestinations,
    ) -> None:
        self._inputs = inputs
        self._mapping = inputs.mapping
        self._progress = progress
        self._shards = shards
        self._delivery = delivery
        self._on_failure = on_failure
        self._shard = inputs.stream["shards"][inputs.shard_id]

    def run(self) -> None:
        """Deliver until the mapping is disabled, its parallelization changes, or the shard ends."""
        while self._continues():
            function = self._inputs.function()
            refusal = self._inputs.refusal()
            if function is None or refusal:
                self._mapping["LastProcessingResult"] = (
                    f"{NO_RIGHT}: {refusal}" if refusal else NO_FUNCTION
                )
                time.sleep(POLL_SECONDS * 4)
                continue
            if not self._inputs.admitted():
                self._mapping["LastProcessingResult"] = THROTTLED
                time.sleep(POLL_SECONDS * 4)
                continue
            source = self._source(function)
            # Checked before reading: records put before a split are read before the shard ends.
            closed = self._shard.get("closed")
            batch = self._next_batch(source)
            if batch:
                self._process(function, source, batch)
            elif closed:
                self._progress.drained.add(self._inputs.number)
                return
            else:
                self._note_reading()
                time.sleep(POLL_SECONDS)

    def _note_reading(self) -> None:
        """Record that the stream can be read again: only a batch clears a failed call."""
        if str(self._mapping.get("LastProcessingResult")).startswith(
            (NO_RIGHT, NO_FUNCTION, THROTTLED)
        ):
            self._mapping["LastProcessingResult"] = "No records processed"

    def _continues(self) -> bool:
        factor = int(self._mapping.get("ParallelizationFactor") or 1)
        return self._inputs.is_enabled() and factor == self._inputs.factor

    def _source(self, function: Json) -> BatchSource:
        arn = self._inputs.stream["StreamARN"]
        role = function["config"].get("Role", "")
        return BatchSource(arn, self._inputs.shard_id, arn.split(":")[3], role)

    # -- inputs ---------------------------------------------------------------------------------

    def _next_batch(self, source: BatchSource) -> list[Record]:
        """Return a batch as soon as there are records, or when the batching window has passed."""
        size = int(self._mapping.get("BatchSize") or 100)
        batch = fitting(source, self._mine(size), size)
        window = float(self._mapping.get("MaximumBatchingWindowInSeconds") or 0)
        end = time.time() + window
        while batch and len(batch) < size and time.time() < end and not self._shard.get("closed"):
            time.sleep(POLL_SECONDS)
            available = self._mine(size)
            batch = fitting(source, available, size)
            if len(batch) < len(available) or not self._continues():
                break
        return batch

    def _mine(self, limit: int) -> list[Record]:
        """Return this poller's next records; skip those of others at the front."""
        number, factor = self._inputs.number, self._inputs.factor
        while True:
            position = self._progress.positions[number]
            found = self._shards.after(self._shard, position, limit if factor == 1 else SCAN)
            mine = [record for record in found if poller_of(record, factor) == number]
            if mine or not found:
                return list(mine[:limit])
            self._progress.positions[number] = sequence(found[-1])

    # -- delivering ------------------------------------------------------------------------------

    def _process(self, function: Json, source: BatchSource, batch: Sequence[Record]) -> None:
        """Process the batch in order; a disabled mapping leaves the rest in the stream."""
        pending, attempts, backoffs = [list(batch)], 0, 0
        while pending:
            current = pending[0]
            give_up = self._reason_to_give_up(source, current, attempts)
            if give_up:
                # Only records that are too old themselves: the batch continues after them.
                old = self._too_old(current) or len(current)
                given = FailedBatch(
                    self._mapping, source, current[:old], give_up, attempts, attempts > 0
                )
                self._on_failure.deliver(given, function["config"])
                self._checkpoint(current[:old])
                pending[:1] = [current[old:]] if old < len(current) else []
                attempts = 0
                continue
            if not self._continues():
                return
            answer = self._delivery.deliver(Invocation(function, self._mapping, source, current))
            failed = self._failed_from(answer, current)
            if failed is None:
                self._mapping["LastProcessingResult"] = "OK"
                self._checkpoint(pending.pop(0))
                attempts = backoffs = 0
                continue
            self._mapping["LastProcessingResult"] = "PROBLEM: Function call failed"
            if answer.failed:
                self._note_failure(function, answer, len(current))
            attempts += not answer.throttled
            if failed:  # a partial batch response: the checkpoint is the lowest that failed
                self._checkpoint(current[:failed])
                pending[0] = current[failed:]
                attempts = backoffs = 0
            # An answer that names the first record leaves the batch whole: it is "bisected at the
            # returned sequence number" (Lambda Developer Guide, services-kinesis-
            # batchfailurereporting). An invocation that failed has its batch cut in halves.
            elif answer.failed and not answer.throttled and self._bisects() and len(current) > 1:
                half = len(current) // 2
                pending[:1] = [current[:half], current[half:]]
                attempts = 0
            backoffs += 1
            time.sleep(min(POLL_SECONDS * 2 ** min(backoffs, 10), LONGEST_BACKOFF))
            function = self._inputs.function() or function

    def _bisects(self) -> bool:
        return bool(self._mapping.get("BisectBatchOnFunctionError"))

    def _note_failure(self, function: Json, answer: FunctionAnswer, records: int) -> None:
        """Log what failed, without the error's message, which may hold an item."""
        kind = answer.body.get("errorType") if isinstance(answer.body, dict) else None
        name, shard = function["config"]["FunctionName"], self._inputs.shard_id
        log.warning("%s failed on %d records of %s: %s", name, records, shard, kind or "unknown")

    def _failed_from(self, answer: FunctionAnswer, batch: Sequence[Record]) -> int | None:
        if answer.failed:
            return 0
        if "ReportBatchItemFailures" in (self._mapping.get("FunctionResponseTypes") or ()):
            return failed_from(answer.body, batch)
        return None

    def _reason_to_give_up(
        self, source: BatchSource, batch: Sequence[Record], attempts: int
    ) -> str | None:
        if is_too_large(source, batch):
            return "PayloadSizeExceeded"
        if self._too_old(batch):
            return "RecordAgeExceeded"
        retries = self._mapping.get("MaximumRetryAttempts")
        if retries is not None and 0 <= retries < attempts:
            return "RetryAttemptsExhausted"
        return None

    def _too_old(self, batch: Sequence[Record]) -> int:
        """Count the records at the front that are older than the mapping or the stream allows."""
        oldest = time.time() - self._inputs.stream["RetentionPeriodHours"] * 3600
        age = int(self._mapping.get("MaximumRecordAgeInSeconds") or -1)
        if age > 0:
            oldest = max(oldest, time.time() - age)
        arrivals = (float(record["ApproximateArrivalTimestamp"]) for record in batch)
        return sum(1 for _ in takewhile(lambda arrival: arrival < oldest, arrivals))

    def _checkpoint(self, done: Sequence[Record]) -> None:
        self._progress.positions[self._inputs.number] = sequence(done[-1])
