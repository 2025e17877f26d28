"""The settings by which an event source mapping hands a table's own stream to the consumer."""

from __future__ import annotations

from dataclasses import dataclass

from bootstrap.core.table_stream_facts import MappingRequest

FOREVER = -1
"""Lambda retries a batch until the stream has forgotten it."""
REPORTS_ITEMS = "ReportBatchItemFailures"
AT_ONCE = 1
"""ParallelizationFactor: batches of one shard at a time."""


@dataclass(frozen=True)
class DeliverySettings:
    """Settings as Lambda describes them. None: the answer lacks it."""

    batch_size: int | None = None
    batch_window: int | None = None
    """Seconds."""
    parallel: int | None = None
    """ParallelizationFactor."""
    tumbling_window: int | None = None
    """Seconds; 0: none."""
    retries: int | None = None
    longest_age: int | None = None
    """MaximumRecordAgeInSeconds."""
    bisects: bool | None = None
    reports_items: bool | None = None
    on_failure_arn: str | None = None
    """Empty: no destination."""
    filters: int = 0

    @property
    def disorder(self) -> tuple[str, ...]:
        """Name each setting under which the row of a record does not prove the records before it:
        they may be in another batch that has not ended, or were never handed over.
        """
        found = []
        if self.parallel not in (None, AT_ONCE):
            found.append(f"ParallelizationFactor is {self.parallel}, not {AT_ONCE}")
        if self.tumbling_window:
            found.append(f"TumblingWindowInSeconds is {self.tumbling_window}, not 0")
        if self.filters:
            found.append(f"FilterCriteria has {self.filters} filters, which skip changes")
        return tuple(found)

    def differences(self, wanted: MappingRequest) -> tuple[str, ...]:
        """Name each setting that is not as wanted, with its value; `disorder` is not among them."""
        pairs = (
            ("BatchSize", self.batch_size, wanted.batch_size),
            ("MaximumBatchingWindowInSeconds", self.batch_window, wanted.batch_window),
            ("MaximumRetryAttempts", self.retries, FOREVER),
            ("MaximumRecordAgeInSeconds", self.longest_age, FOREVER),
            ("BisectBatchOnFunctionError", self.bisects, True),
            (REPORTS_ITEMS, self.reports_items, True),
            ("OnFailure destination", self.on_failure_arn, wanted.on_failure_arn),
        )
        return tuple(
            f"{name} was {found if found != '' else 'none'}, is to be {value}"
            for name, found, value in pairs
            if found is not None and found != value
        )


UNKNOWN = DeliverySettings()
"""Of a mapping that was not described."""
