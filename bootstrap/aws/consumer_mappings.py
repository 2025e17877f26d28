"""Event source mappings of a consumer that the operator's tool makes: those of tables' own streams.

The failure settings are those of the mappings that the stack makes (infra/consumer.py).
"""

from __future__ import annotations

from typing import Any

from bootstrap.aws.calls import Calls
from bootstrap.aws.tables import timestamp
from bootstrap.core.delivery_settings import AT_ONCE, FOREVER, REPORTS_ITEMS, DeliverySettings
from bootstrap.core.errors import AccountError
from bootstrap.core.facts import EventSource
from bootstrap.core.table_stream_facts import MappingRequest

NOT_FOUND = "ResourceNotFoundException"
IN_USE = ("ResourceInUseException", "ResourceConflictException")


class AwsConsumerMappings:
    """`ConsumerMappings` through the importer role, with a client of the consumer's Region."""

    def __init__(self, calls: Calls, lambda_: Any) -> None:
        self._calls = calls
        self._lambda = lambda_

    def find(self, function_arn: str, stream_arn: str) -> EventSource | None:
        # Of a function and a stream there is one at most, so there is no second page.
        answer = self._calls(
            "lambda",
            self._lambda.list_event_source_mappings,
            stream_arn,
            FunctionName=function_arn,
            EventSourceArn=stream_arn,
        )
        found = answer.get("EventSourceMappings", ())
        return mapping_in(found[0]) if found else None

    def create(self, request: MappingRequest) -> EventSource:
        try:
            answer = self._calls(
                "lambda",
                self._lambda.create_event_source_mapping,
                request.stream_arn,
                EventSourceArn=request.stream_arn,
                FunctionName=request.function_arn,
                # Born disabled, and from the oldest record: what was buffered since before the
                # export is replayed over the snapshot.
                Enabled=False,
                StartingPosition="TRIM_HORIZON",
                # What proves that a shard is through rests on the order within it.
                ParallelizationFactor=AT_ONCE,
                **_delivery(request),
            )
        except AccountError as error:
            if error.code != "ResourceConflictException":
                raise
            # A call that was repeated because its answer was lost meets its own mapping.
            found = self.find(request.function_arn, request.stream_arn)
            if found is None:
                raise
            return found
        return mapping_in(answer)

    def update(self, uuid: str, request: MappingRequest) -> None:
        try:
            self._calls(
                "lambda",
                self._lambda.update_event_source_mapping,
                uuid,
                UUID=uuid,
                **_delivery(request),
            )
        except AccountError as error:
            # A change is in progress, perhaps this call's own with a lost answer.
            if error.code not in IN_USE:
                raise

    def delete(self, uuid: str) -> None:
        try:
            self._calls("lambda", self._lambda.delete_event_source_mapping, uuid, UUID=uuid)
        except AccountError as error:
            # In use: it is changing its state, perhaps by this call with a lost answer.
            if error.code not in (NOT_FOUND, *IN_USE):
                raise


def _delivery(request: MappingRequest) -> dict[str, Any]:
    """Return what a mapping is made with, and what an existing one can be led back to."""
    return {
        "BatchSize": request.batch_size,
        "MaximumBatchingWindowInSeconds": request.batch_window,
        "BisectBatchOnFunctionError": True,
        # For as long as the stream has the record.
        "MaximumRetryAttempts": FOREVER,
        "MaximumRecordAgeInSeconds": FOREVER,
        "FunctionResponseTypes": [REPORTS_ITEMS],
        "DestinationConfig": {"OnFailure": {"Destination": request.on_failure_arn}},
    }


def mapping_in(answer: dict[str, Any]) -> EventSource:
    """Read a mapping as Lambda describes it."""
    return EventSource(
        uuid=answer["UUID"],
        state=answer["State"],
        stream_arn=answer["EventSourceArn"],
        starting_position=answer.get("StartingPosition", ""),
        starts_at=timestamp(answer.get("StartingPositionTimestamp")),
        result=answer.get("LastProcessingResult", ""),
        reason=answer.get("StateTransitionReason", ""),
        modified=timestamp(answer.get("LastModified")),
        delivery=_delivery_in(answer),
    )


def _delivery_in(answer: dict[str, Any]) -> DeliverySettings:
    destination = (answer.get("DestinationConfig") or {}).get("OnFailure") or {}
    types = answer.get("FunctionResponseTypes")
    if types is None and "MaximumRetryAttempts" in answer:
        types = ()  # a whole answer: nothing is set
    return DeliverySettings(
        batch_size=answer.get("BatchSize"),
        batch_window=answer.get("MaximumBatchingWindowInSeconds"),
        parallel=answer.get("ParallelizationFactor"),
        tumbling_window=answer.get("TumblingWindowInSeconds"),
        retries=answer.get("MaximumRetryAttempts"),
        longest_age=answer.get("MaximumRecordAgeInSeconds"),
        bisects=answer.get("BisectBatchOnFunctionError"),
        reports_items=None if types is None else REPORTS_ITEMS in types,
        on_failure_arn=(
            str(destination.get("Destination") or "") if "DestinationConfig" in answer else None
        ),
        filters=len((answer.get("FilterCriteria") or {}).get("Filters") or ()),
    )
