"""Streaming destinations, with state transitions that take time; only ACTIVE ones replicate.

"Starts table data replication … at a timestamp chosen during the enable workflow": API reference,
EnableKinesisStreamingDestination. The latest such moment is taken here: a change made while
ENABLING is not in the stream.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from infra.local.emulator.patching import Json, Ministack, Response
from infra.local.emulator.settings import EmulatorSettings

SETTLED = {"ENABLING": "ACTIVE", "UPDATING": "ACTIVE", "DISABLING": "DISABLED"}
REPLICATING = ("ACTIVE", "UPDATING")


def settle(destination: Json, now: float) -> Json:
    """Apply the transition that is due, if one is; return the destination."""
    if destination["DestinationStatus"] in SETTLED and now >= destination["_until"]:
        destination["DestinationStatus"] = SETTLED[destination["DestinationStatus"]]
        precision = destination.pop("_precision", None)
        if precision:
            destination["ApproximateCreationDateTimePrecision"] = precision
    return destination


def active_destinations(destinations: Iterable[Json] | None) -> list[Json]:
    """Return the destinations that replicate now."""
    now = time.time()
    settled = [settle(destination, now) for destination in destinations or ()]
    return [each for each in settled if each["DestinationStatus"] in REPLICATING]


class StreamingDestinations:
    """Enables, disables, updates and describes destinations."""

    def __init__(self, ministack: Ministack, settings: EmulatorSettings) -> None:
        self._ministack = ministack
        self._settings = settings

    def install(self) -> None:
        """Replace ministack's functions."""
        handlers: dict[str, Callable[[Json], Response]] = {
            "_enable_kinesis_streaming_destination": self.enable,
            "_disable_kinesis_streaming_destination": self.disable,
            "_update_kinesis_streaming_destination": self.update,
            "_describe_kinesis_streaming_destination": self.describe,
        }
        for name, handler in handlers.items():
            self._ministack.replace("dynamodb", name, handler)

    def enable(self, data: Json) -> Response:
        """Answer EnableKinesisStreamingDestination; refuse a second stream."""
        table, stream_arn, refusal = self._request(data)
        if refusal:
            return refusal
        configuration = data.get("EnableKinesisStreamingConfiguration") or {}
        precision = configuration.get("ApproximateCreationDateTimePrecision", "MILLISECOND")
        refusal = self._bad_precision(precision) or self._bad_stream(stream_arn)
        if refusal:
            return refusal
        known = self._of(table)
        if any(each["DestinationStatus"] in ("ACTIVE", "ENABLING", "UPDATING") for each in known):
            return self._ministack.error(
                "ResourceInUseException",
                f"Table {table} already has an active Kinesis streaming destination",
            )
        entry: Json = {
            "StreamArn": stream_arn,
            "DestinationStatus": "ENABLING",
            "DestinationStatusDescription": "",
            "ApproximateCreationDateTimePrecision": precision,
            "_until": time.time() + self._settings.enabling_seconds,
        }
        others = [each for each in known if each["StreamArn"] != stream_arn]
        self._ministack.dynamodb._kinesis_destinations[table] = [*others, entry]
        return self._answer(table, entry, "EnableKinesisStreamingConfiguration", precision)

    def disable(self, data: Json) -> Response:
        """Answer DisableKinesisStreamingDestination."""
        table, stream_arn, refusal = self._request(data)
        if refusal:
            return refusal
        entry = self._active(table, stream_arn)
        if entry is None:
            return self._not_active(table, stream_arn)
        self._begin(entry, "DISABLING")
        precision = entry["ApproximateCreationDateTimePrecision"]
        return self._answer(table, entry, "EnableKinesisStreamingConfiguration", precision)

    def update(self, data: Json) -> Response:
        """Answer UpdateKinesisStreamingDestination. The precision changes when UPDATING ends."""
        table, stream_arn, refusal = self._request(data)
        if refusal:
            return refusal
        configuration = data.get("UpdateKinesisStreamingConfiguration") or {}
        precision = configuration.get("ApproximateCreationDateTimePrecision")
        entry = self._active(table, stream_arn)
        refusal = self._bad_precision(precision)
        if refusal:
            return refusal
        if entry is None:
            return self._not_active(table, stream_arn)
        self._begin(entry, "UPDATING")
        entry["_precision"] = precision
        return self._answer(table, entry, "UpdateKinesisStreamingConfiguration", precision)

    def describe(self, data: Json) -> Response:
        """Answer DescribeKinesisStreamingDestination, past destinations included."""
        table = self._ministack.dynamodb._normalize_table_name(data.get("TableName"))
        if not table or table not in self._ministack.dynamodb._tables:
            return self._ministack.error("ResourceNotFoundException", f"Table not found: {table}")
        shown = [
            {name: value for name, value in each.items() if not name.startswith("_")}
            for each in self._of(table)
        ]
        body = {"TableName": table, "KinesisDataStreamDestinations": shown}
        return self._ministack.ok(body)

    def _request(self, data: Json) -> tuple[str, str, Response | None]:
        table, arn, refusal = self._ministack.dynamodb._validate_kinesis_destination_request(data)
        return table or "", arn or "", refusal

    def _of(self, table: str) -> list[Json]:
        now = time.time()
        known = self._ministack.dynamodb._kinesis_destinations.get(table, [])
        return [settle(each, now) for each in known]

    def _active(self, table: str, stream_arn: str) -> Json | None:
        matching = (each for each in self._of(table) if each["StreamArn"] == stream_arn)
        return next((each for each in matching if each["DestinationStatus"] == "ACTIVE"), None)

    def _begin(self, entry: Json, status: str) -> None:
        entry["DestinationStatus"] = status
        entry["_until"] = time.time() + self._settings.enabling_seconds

    def _bad_precision(self, precision: str | None) -> Response | None:
        if precision in self._ministack.dynamodb._VALID_PRECISIONS:
            return None
        return self._ministack.error(
            "ValidationException",
            "ApproximateCreationDateTimePrecision must be one of MICROSECOND, MILLISECOND",
        )

    def _bad_stream(self, stream_arn: str) -> Response | None:
        _name, stream = self._ministack.kinesis._resolve_stream({"StreamARN": stream_arn})
        if stream is not None:
            return None
        # "You can only stream data … in the same AWS account and AWS Region as your table."
        return self._ministack.error(
            "ResourceNotFoundException",
            f"Stream {stream_arn} was not found in the table's account and Region",
        )

    def _not_active(self, table: str, stream_arn: str) -> Response:
        return self._ministack.error(
            "ResourceNotFoundException",
            f"No active Kinesis streaming destination for {stream_arn} on {table}",
        )

    def _answer(self, table: str, entry: Json, field: str, precision: str | None) -> Response:
        body: Json = {
            "TableName": table,
            "StreamArn": entry["StreamArn"],
            "DestinationStatus": entry["DestinationStatus"],
            field: {"ApproximateCreationDateTimePrecision": precision},
        }
        return self._ministack.ok(body)
