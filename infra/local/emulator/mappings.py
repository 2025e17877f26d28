"""Event source mappings on streams: their states, and the pollers of each shard.

States and limits: developer guide, services-kinesis-parameters.html and services-ddb-params.html;
API reference, CreateEventSourceMapping.
"""

from __future__ import annotations

import contextvars
import json
import logging
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial

from infra.local.emulator.access import PermissionChecks
from infra.local.emulator.invocation import Delivery
from infra.local.emulator.mapping_positions import MappingProgress
from infra.local.emulator.mapping_sources import MappingSource
from infra.local.emulator.on_failure import OnFailureDestinations
from infra.local.emulator.patching import Json, Ministack, Response
from infra.local.emulator.pollers import PollerPosition, ShardPoller
from infra.local.emulator.refusals import RefusedError
from infra.local.emulator.settings import EmulatorSettings
from infra.local.emulator.shards import Shards

log = logging.getLogger("local.mappings")

LOOK_SECONDS = 0.1
ACCESS_SECONDS = 1.0

DEFAULTS: Json = {
    "BatchSize": 100,
    "ParallelizationFactor": 1,
    "MaximumRetryAttempts": -1,
    "MaximumRecordAgeInSeconds": -1,
    "BisectBatchOnFunctionError": False,
    "TumblingWindowInSeconds": 0,
    "DestinationConfig": {"OnFailure": {}},
}


class EventSourceMappings:
    """Replaces ministack's mapping calls and its pollers of streams; queues stay with it."""

    def __init__(
        self,
        ministack: Ministack,
        sources: Sequence[MappingSource],
        shards: Shards,
        access: PermissionChecks,
        delivery: Delivery,
        settings: EmulatorSettings,
    ) -> None:
        self._ministack = ministack
        self._sources = sources
        self._shards = shards
        self._delivery = delivery
        self._on_failure = OnFailureDestinations(ministack, access)
        self._transition = settings.mapping_seconds
        self._progress: dict[str, MappingProgress] = {}
        self._running: set[tuple[str, str, int]] = set()
        self._refusals: dict[str, tuple[float, str | None]] = {}
        self._create: Callable[[Json], Response]
        self._update: Callable[[str, Json], Response]
        self._delete: Callable[[str], Response]
        self._response: Callable[[Json], Json]
        self._validate: Callable[[str], tuple[object, Response | None]]

    def install(self) -> None:
        """Replace ministack's functions."""
        replace = self._ministack.replace
        self._create = replace("lambda_svc", "_create_esm", self.create)
        self._update = replace("lambda_svc", "_update_esm", self.update)
        self._delete = replace("lambda_svc", "_delete_esm", self.delete)
        self._response = replace("lambda_svc", "_esm_response", self.shown)
        self._validate = replace("lambda_svc", "_validate_event_source_arn", self.validate)
        replace("lambda_svc", "_poll_kinesis", lambda: False)
        replace("lambda_svc", "_poll_dynamodb_streams", lambda: False)

    # -- operations ------------------------------------------------------------------------------

    def create(self, data: Json) -> Response:
        """Answer CreateEventSourceMapping; check that the function's role may read the stream."""
        arn = data.get("EventSourceArn", "")
        source = self._source(arn)
        if source is None:
            return self._create(data)
        name = data.get("FunctionName", "")
        refusal = (
            self._bad_settings(data)
            or self._unsuitable(source, data)
            or self._unreadable(source, name, arn)
            or self._existing(source, name, arn)
        )
        if refusal:
            return refusal
        response = self._create({**DEFAULTS, **data})
        if response[0] != 202:
            return response
        mapping = self._ministack.lambda_svc._esms[json.loads(response[2])["UUID"]]
        for name in ("StartingPositionTimestamp", "TumblingWindowInSeconds"):
            if name in data:
                mapping[name] = data[name]
        mapping["StateTransitionReason"] = "User action"
        return self._begin(mapping, "Creating", 202)

    def validate(self, arn: str) -> tuple[object, Response | None]:
        """Return what ministack makes of an ARN; it knows no DynamoDB stream of other accounts.

        "Cross-region triggers are not supported" (services-dynamodb-eventsourcemapping.html).
        """
        source, parts = self._source(arn), arn.split(":")
        here = self._ministack.responses.get_region()
        if source is None or parts[2] != "dynamodb":
            return self._validate(arn)
        if parts[3] != here:
            return None, self._error(
                "InvalidParameterValueException",
                f"Event source region must match Lambda region {here}",
                400,
            )
        return self._ministack.lambda_svc.parse_arn(arn), None

    def update(self, uuid: str, data: Json) -> Response:
        """Answer UpdateEventSourceMapping. The starting position cannot change."""
        mapping = self._ministack.lambda_svc._esms.get(uuid)
        if mapping is None or self._source(mapping["EventSourceArn"]) is None:
            return self._update(uuid, data)
        refusal = self._bad_settings(data)
        if refusal:
            return refusal
        if mapping.get("_until", 0) > time.time():
            return self._error(
                "ResourceInUseException",
                "Cannot update the event source mapping because it is in use.",
                400,
            )
        was = mapping["Enabled"]
        response = self._update(uuid, data)
        if response[0] >= 300:
            return response
        mapping["StateTransitionReason"] = "User action"
        changed = "Enabling" if mapping["Enabled"] else "Disabling"
        return self._begin(mapping, changed if mapping["Enabled"] != was else "Updating", 202)

    def delete(self, uuid: str) -> Response:
        """Answer DeleteEventSourceMapping; forget its positions."""
        response = self._delete(uuid)
        self._progress.pop(uuid, None)
        return response

    def shown(self, mapping: Json) -> Json:
        """Return a mapping as the API shows it, with its current state."""
        body = self._response(mapping)
        body = {name: value for name, value in body.items() if not name.startswith("_")}
        if mapping.get("_until", 0) > time.time():
            body["State"] = mapping["_state"]
        return body

    def _begin(self, mapping: Json, state: str, status: int) -> Response:
        mapping["_state"], mapping["_until"] = state, time.time() + self._transition
        response: Response = self._ministack.responses.json_response(
            self.shown(mapping), status, content_type="application/json"
        )
        return response

    def _bad_settings(self, data: Json) -> Response | None:
        age = data.get("MaximumRecordAgeInSeconds", -1)
        limits = [
            ("BatchSize", 1, 10_000),
            ("MaximumBatchingWindowInSeconds", 0, 300),
            ("ParallelizationFactor", 1, 10),
            ("MaximumRetryAttempts", -1, 10_000),
            ("MaximumRecordAgeInSeconds", -1, 604_800),
        ]
        for name, low, high in limits:
            if name in data and not low <= data[name] <= high:
                return self._error(
                    "InvalidParameterValueException", f"{name}: {low} to {high}", 400
                )
        if -1 < age < 60:
            return self._error(
                "InvalidParameterValueException",
                "MaximumRecordAgeInSeconds: -1, or 60 and more",
                400,
            )
        return None

    def _unsuitable(self, source: MappingSource, data: Json) -> Response | None:
        """Refuse what this kind of source does not take; another Region's, ministack refuses."""
        if data["EventSourceArn"].split(":")[3] != self._ministack.responses.get_region():
            return self.validate(data["EventSourceArn"])[1]
        try:
            source.check(data)
        except RefusedError as refused:
            status = 404 if refused.code == "ResourceNotFoundException" else 400
            return self._error(refused.code, refused.message, status)
        return None

    def _unreadable(self, source: MappingSource, function_name: str, arn: str) -> Response | None:
        service = self._ministack.lambda_svc
        name, qualifier = service._resolve_request_scoped_name_and_qualifier(function_name)
        function, _config = service._get_func_record_for_qualifier(name, qualifier)
        stream = source.find(arn)
        if function is None or stream is None:
            return None  # ministack's own refusal says which
        refusal = source.refusal(function["config"], stream)
        if refusal is None:
            return None
        return self._error(
            "InvalidParameterValueException",
            f"Cannot access stream {arn}. Please ensure the role can perform the {source.reads}. "
            f"It may not perform: {refusal}",
            400,
        )

    def _existing(self, source: MappingSource, function_name: str, arn: str) -> Response | None:
        service = self._ministack.lambda_svc
        name, _qualifier = service._resolve_request_scoped_name_and_qualifier(function_name)
        for uuid, mapping in service._esms.items():
            function = mapping["FunctionArn"].split(":function:")[1].partition(":")[0]
            if mapping["EventSourceArn"] == arn and function == name:
                return self._error(
                    "ResourceConflictException",
                    f'An event source mapping with {source.kind} arn (" {arn} ") and function '
                    f'(" {name} ") already exists. Please update or delete the existing mapping '
                    f"with UUID {uuid}",
                    409,
                )
        return None

    def _error(self, code: str, message: str, status: int) -> Response:
        response: Response = self._ministack.responses.error_response_json(
            code, message, status, content_type="application/json"
        )
        return response

    # -- lanes -----------------------------------------------------------------------------------

    def run(self) -> None:
        """Start the pollers that are due, forever."""
        while True:
            time.sleep(LOOK_SECONDS)
            try:
                self.look()
            except Exception:
                log.exception("Looking after the event source mappings failed and will be repeated")

    def look(self) -> None:
        """Start each poller that may run and does not."""
        for (_account, _region, uuid), mapping in self._ministack.lambda_svc._esms.all_items():
            source = self._source(mapping["EventSourceArn"])
            if source is None or not self._is_enabled(uuid, mapping):
                continue
            stream = source.find(mapping["EventSourceArn"])
            if stream is None:
                continue
            progress = self._progress.setdefault(uuid, MappingProgress(mapping))
            progress.look(stream, self._shards)
            factor = int(mapping.get("ParallelizationFactor") or 1)
            for shard_id in progress.ready(stream):
                running = tuple(self._running)  # pollers leave it on their own threads
                if not any(key[:2] == (uuid, shard_id) for key in running):
                    progress.shards[shard_id].resize(factor)
                for number in range(len(progress.shards[shard_id].positions)):
                    if number not in progress.shards[shard_id].drained:
                        self._start(source, mapping, stream, shard_id, number)

    def _start(
        self, source: MappingSource, mapping: Json, stream: Json, shard_id: str, number: int
    ) -> None:
        uuid = mapping["UUID"]
        _, _, _, region, account, *_ = mapping["FunctionArn"].split(":")
        key = (uuid, shard_id, number)
        if key in self._running:
            return
        shard_progress = self._progress[uuid].shards[shard_id]
        inputs = PollerPosition(
            mapping=mapping,
            stream=stream,
            shard_id=shard_id,
            number=number,
            factor=len(shard_progress.positions),
            function=partial(self._function, mapping),
            refusal=partial(self._refusal, source, mapping, stream),
            admitted=partial(source.admit, shard_id, uuid),
            is_enabled=partial(self._is_enabled, uuid, mapping),
        )
        poller = ShardPoller(inputs, shard_progress, self._shards, self._delivery, self._on_failure)

        def run_in_scope() -> None:
            try:
                with self._ministack.responses.request_scope(account, region):
                    poller.run()
            except Exception:
                log.exception("A poller of mapping %s failed and is restarted", uuid)
            finally:
                source.release(shard_id, uuid)
                self._running.discard(key)

        self._running.add(key)
        context = contextvars.Context()
        name = f"poller-{shard_id[-4:]}-{number}"
        threading.Thread(target=context.run, args=(run_in_scope,), name=name, daemon=True).start()

    def _is_enabled(self, uuid: str, mapping: Json) -> bool:
        region_account = mapping["FunctionArn"].split(":")
        found = self._ministack.lambda_svc._esms.get_scoped(
            region_account[4], region_account[3], uuid
        )
        settled = mapping.get("_until", 0) <= time.time() or mapping.get("_state") == "Updating"
        return found is mapping and bool(mapping["Enabled"]) and settled

    def _function(self, mapping: Json) -> Json | None:
        found: tuple[Json | None, Json | None] = (
            self._ministack.lambda_svc._get_func_record_for_qualifier(
                mapping["FunctionName"], mapping.get("Qualifier")
            )
        )
        return found[0]

    def _source(self, arn: str) -> MappingSource | None:
        """Return the source of a stream's ARN; None for a queue's."""
        return next((source for source in self._sources if source.takes(arn)), None)

    def _refusal(self, source: MappingSource, mapping: Json, stream: Json) -> str | None:
        """Return the permission that the role lacks; checked once a second, as policies change."""
        uuid, now = mapping["UUID"], time.time()
        at, refusal = self._refusals.get(uuid, (0.0, None))
        if now - at < ACCESS_SECONDS:
            return refusal
        function = self._function(mapping)
        new = source.refusal(function["config"], stream) if function else None
        if new and new != refusal:
            log.error("Mapping %s cannot read its stream: not authorized to perform %s", uuid, new)
        self._refusals[uuid] = (now, new)
        return new
