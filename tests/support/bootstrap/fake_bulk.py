"""DynamoDB's bulk operations in memory: unconditional puts that outlive their caller."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Sequence

from bootstrap.core.bulk_facts import MOST_OBJECTS, BulkFacts, BulkRequest
from bootstrap.core.errors import AccountError, Side, UnavailableError
from bootstrap.core.facts import TableFacts

TOKEN_SECONDS = 8 * 3600.0


@dataclasses.dataclass
class Operation:
    """One operation, and what becomes of it."""

    request: BulkRequest
    table_id: str
    began: float
    objects: int
    cancelled_at: float | None = None


class FakeBulk:
    """The operations of the target account."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.operations: dict[str, Operation] = {}
        self.seconds = 900.0
        """Of an operation, and of single ones by the last part of their ARN."""
        self.seconds_of: dict[str, float] = {}
        self.cancel_seconds = 30.0
        self.listed_after = 0.0
        """Seconds until a new operation is in the list."""
        self.described_after = 0.0
        """Seconds until it can be described."""
        self.refused_items: dict[str, int] = {}
        """By the last part of the ARN: items that the operation refuses."""
        self.left_out: dict[str, int] = {}
        """Items that it leaves out, and says nothing of."""
        self.failures: dict[str, str] = {}
        """Why it fails as a whole."""
        self.emptied = False
        """Another hand has deleted what operations have put so far."""
        self.refused = False
        """No call is allowed."""

    def start(self, request: BulkRequest, table: TableFacts, objects: Collection[str]) -> BulkFacts:
        now = self._clock()
        for arn, known in self.operations.items():
            if known.request.token == request.token and now - known.began < TOKEN_SECONDS:
                if known.request != request:
                    raise AccountError(
                        Side.TARGET, "-", fix="-", code="IdempotentParameterMismatchException"
                    )
                return self.facts(arn)
        if table.status != "ACTIVE":
            raise UnavailableError(Side.TARGET, "-", fix="-", code="ResourceInUseException")
        count = sum(key.startswith(request.prefix) for key in objects)
        assert 0 < count <= MOST_OBJECTS, f"{count} objects under {request.prefix}"
        assert not request.output_prefix.startswith(request.prefix)
        arn = f"{request.table_arn}/bulk-operation/{len(self.operations) + 1:04d}"
        self.operations[arn] = Operation(request, table.table_id, now, count)
        return self.facts(arn)

    def by_another(self, table_arn: str, began: float, table_id: str = "target-1") -> str:
        """An operation that no run has started."""
        arn = f"{table_arn}/bulk-operation/{len(self.operations) + 1:04d}"
        request = BulkRequest(f"theirs-{arn}", table_arn, "b", "2" * 12, "p", "o")
        self.operations[arn] = Operation(request, table_id, began, 1)
        return arn

    def cancel(self, arn: str) -> None:
        found = self.operations[arn]
        if not self.facts(arn).terminal and found.cancelled_at is None:
            found.cancelled_at = self._clock()

    def listed(self) -> Sequence[BulkFacts]:
        return [
            self.facts(arn)
            for arn, each in self.operations.items()
            if self._clock() >= each.began + self.listed_after
        ]

    def described(self, arn: str) -> BulkFacts | None:
        found = self.operations.get(arn)
        if found is None or self._clock() < found.began + self.described_after:
            return None
        return self.facts(arn)

    def end(self, arn: str) -> float:
        """When it writes for the last time."""
        found = self.operations[arn]
        if found.cancelled_at is not None:
            return found.cancelled_at + self.cancel_seconds
        return found.began + self.seconds_of.get(arn.rsplit("/", 1)[-1], self.seconds)

    def facts(self, arn: str) -> BulkFacts:
        found, number, now = self.operations[arn], arn.rsplit("/", 1)[-1], self._clock()
        refused, failure = self.refused_items.get(number, 0), self.failures.get(number, "")
        over = now >= self.end(arn)
        status = "IN_PROGRESS" if found.cancelled_at is None else "CANCELLING"
        if over and found.cancelled_at is not None:
            status = "CANCELLED"
        elif over:
            status = "COMPLETED_WITH_ERRORS" if refused else "COMPLETED"
            status = "FAILED" if failure else status
        whole = over and status != "CANCELLED"
        held = found.objects  # each object of the fake's exports holds one item
        return BulkFacts(
            arn=arn,
            status=status,
            table_arn=found.request.table_arn,
            table_id=found.table_id,
            token=found.request.token,
            prefix=found.request.prefix,
            processed_items=held - self.left_out.get(number, 0) if whole else min(1, held),
            failed_items=refused if over else 0,
            processed_bytes=300 if whole else 100,
            total_bytes=300,
            started=found.began,
            ended=self.end(arn) if over else None,
            failure_code=failure,
            output_bucket=found.request.bucket,
            output_prefix=found.request.output_prefix,
        )
