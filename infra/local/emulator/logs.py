"""CloudWatch Logs of functions: streams, pages, and embedded metrics.

Embedded metric format: CloudWatch user guide, CloudWatch_Embedded_Metric_Format_Specification.
"""

from __future__ import annotations

import base64
import heapq
import json
import logging
import threading
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from infra.local.emulator.access import PermissionChecks
from infra.local.emulator.patching import Json, Ministack, Response

log = logging.getLogger("local.logs")

PAGE_EVENTS = 10_000
PAGE_BYTES = 1_000_000


class FunctionLogs:
    """Replaces how ministack writes and filters a function's log."""

    def __init__(self, ministack: Ministack, access: PermissionChecks) -> None:
        self._ministack = ministack
        self._access = access
        self._streams: dict[tuple[str, int], str] = {}

    def install(self) -> None:
        """Replace ministack's functions."""
        self._ministack.replace("lambda_svc", "_emit_lambda_logs", self.write)
        self._ministack.replace("cloudwatch_logs", "_filter_log_events", self.filter)
        self._handle = self._ministack.replace(
            "cloudwatch_logs", "handle_request", self.handle_request
        )

    async def handle_request(
        self, method: str, path: str, headers: Json, body: bytes, query: Json
    ) -> Response:
        """Answer a request; AssociateKmsKey, which ministack does not know, changes the key."""
        if not headers.get("x-amz-target", "").endswith(".AssociateKmsKey"):
            answer: Response = await self._handle(method, path, headers, body, query)
            return answer
        asked = json.loads(body)
        group = self._ministack.cloudwatch_logs._log_groups.get(asked["logGroupName"])
        if group is None:
            return self._ministack.error(
                "ResourceNotFoundException", "The specified log group does not exist."
            )
        group["kmsKeyId"] = asked["kmsKeyId"]
        return self._ministack.ok({})

    # -- writing ---------------------------------------------------------------------------------

    def write(
        self,
        function: Json,
        request_id: str,
        text: str,
        error: bool,
        duration_ms: int,
        *,
        log_source: str | None = None,
    ) -> None:
        """Write an invocation's lines, if the role may, and store their embedded metrics."""
        config = function.get("config") or function
        lines = text.splitlines()
        self._store_metrics(lines)
        group_name = (config.get("LoggingConfig") or {}).get("LogGroup")
        group_name = group_name or f"/aws/lambda/{config['FunctionName']}"
        if not self._may_write(config, group_name):
            log.warning(
                "The role of %s is not authorized to perform: logs:PutLogEvents on resource: %s; "
                "its log is lost",
                config["FunctionName"],
                group_name,
            )
            return
        memory = config.get("MemorySize", 128)
        used = self._ministack.lambda_svc._probe_peak_memory_mb(function)
        lines = [
            f"START RequestId: {request_id} Version: {config.get('Version', '$LATEST')}",
            *lines,
            f"END RequestId: {request_id}",
            f"REPORT RequestId: {request_id}\tDuration: {duration_ms} ms\t"
            f"Billed Duration: {duration_ms} ms\tMemory Size: {memory} MB\t"
            f"Max Memory Used: {used} MB",
        ]
        name, stream = self._stream(group_name, config)
        now = int(time.time() * 1000)
        events = [{"timestamp": now, "message": line, "ingestionTime": now} for line in lines]
        service = self._ministack.cloudwatch_logs
        service._append_log_events(stream, events)
        shown = [{"timestamp": now, "message": line} for line in lines]
        service._fanout_to_subscription_filters(group_name, name, shown)

    def _may_write(self, config: Json, group: str) -> bool:
        if not self._ministack.app.AUTH:
            return True
        runtime = self._ministack.lambda_runtime
        key = runtime.execution_credentials(config)["AWS_ACCESS_KEY_ID"]
        _arn, _aws, _lambda, region, account, *_rest = config["FunctionArn"].split(":")
        arn = f"arn:aws:logs:{region}:{account}:log-group:{group}:log-stream:any"
        return self._access.permits(key, account, "logs:PutLogEvents", arn)

    def _stream(self, group_name: str, config: Json) -> tuple[str, Json]:
        """Return the log stream of this thread: about one for each execution environment."""
        service = self._ministack.cloudwatch_logs
        now = int(time.time() * 1000)
        group = service._log_groups.get(group_name)
        if group is None:
            group = {
                "arn": service._make_group_arn(group_name),
                "creationTime": now,
                "retentionInDays": None,
                "tags": {},
                "subscriptionFilters": {},
                "streams": {},
            }
            service._log_groups[group_name] = group
        key = (config["FunctionArn"], threading.get_ident())
        name = self._streams.get(key)
        if name is None or name not in group["streams"]:
            version = config.get("Version", "$LATEST")
            name = f"{datetime.now(UTC):%Y/%m/%d}/[{version}]{uuid.uuid4().hex}"
            self._streams[key] = name
            group["streams"][name] = {
                "events": [],
                "uploadSequenceToken": "1",
                "creationTime": now,
                "firstEventTimestamp": None,
                "lastEventTimestamp": None,
                "lastIngestionTime": None,
            }
        return name, group["streams"][name]

    def _store_metrics(self, lines: Iterable[str]) -> None:
        for line in lines:
            if not (line.startswith("{") and '"_aws"' in line):
                continue
            try:
                document = json.loads(line)
            except ValueError:
                continue
            for namespace, name, unit, dimensions, at, values in embedded_metrics(document):
                self._ministack.cloudwatch._store_datum(
                    namespace, name, dimensions, at, unit, None, values, None, None
                )

    # -- reading ---------------------------------------------------------------------------------

    def filter(self, data: Json) -> Response:
        """Answer FilterLogEvents, a page at a time: 10,000 events or 1 MB, oldest first."""
        service = self._ministack.cloudwatch_logs
        group_name = service._resolve_log_group_name(data)
        if group_name not in service._log_groups:
            return self._ministack.error(
                "ResourceNotFoundException", f"The specified log group does not exist: {group_name}"
            )
        streams = service._log_groups[group_name]["streams"]
        names = data.get("logStreamNames") or [
            name for name in streams if name.startswith(data.get("logStreamNamePrefix") or "")
        ]
        try:
            token = data.get("nextToken")
            at: dict[str, int] = json.loads(base64.b64decode(token)) if token else {}
        except ValueError:
            return self._ministack.error(
                "InvalidParameterException", "The specified nextToken is invalid."
            )
        with service._log_events_lock:
            histories = {name: streams[name]["events"][:] for name in names if name in streams}
        matches = service._compile_filter_pattern(data.get("filterPattern") or "")
        start, end = data.get("startTime", 0), data.get("endTime", float("inf"))
        page: list[Json] = []
        room = PAGE_BYTES
        limit = min(data.get("limit") or PAGE_EVENTS, PAGE_EVENTS)
        for event, name, index in _merged(histories, at):
            if len(page) >= limit or room < 0:
                encoded = base64.b64encode(json.dumps(at).encode()).decode()
                return self._ministack.ok(
                    {"events": page, "searchedLogStreams": [], "nextToken": encoded}
                )
            at[name] = index + 1
            if start <= event["timestamp"] <= end and matches(event["message"]):
                room -= len(event["message"]) + 26
                page.append({**event, "logStreamName": name, "eventId": f"{name}:{index}"})
        return self._ministack.ok({"events": page, "searchedLogStreams": []})


def _merged(
    histories: Mapping[str, list[Json]], at: Mapping[str, int]
) -> Iterator[tuple[Json, str, int]]:
    """Merge the events of all streams by time, each stream from the token's position."""

    def stream(name: str, events: list[Json]) -> Iterator[tuple[Json, str, int]]:
        for index in range(at.get(name, 0), len(events)):
            yield events[index], name, index

    sources = [stream(name, events) for name, events in histories.items()]
    return heapq.merge(*sources, key=lambda entry: entry[0]["timestamp"])


Datum = tuple[str, str, str, dict[str, str], float, list[float]]


def embedded_metrics(document: Mapping[str, Any]) -> Iterator[Datum]:
    """Yield the metrics of a document in embedded metric format, one for each dimension set.

    Yields namespace, name, unit, dimensions, time (epoch seconds) and values.
    """
    envelope = document.get("_aws") or {}
    at = float(envelope.get("Timestamp", time.time() * 1000)) / 1000
    for directive in envelope.get("CloudWatchMetrics") or ():
        for names in directive.get("Dimensions") or [[]]:
            dimensions = {name: str(document[name]) for name in names if name in document}
            for metric in directive.get("Metrics") or ():
                value = document.get(metric["Name"])
                values = value if isinstance(value, list) else [value]
                numbers = [float(number) for number in values if isinstance(number, int | float)]
                if numbers:
                    unit = metric.get("Unit", "None")
                    yield directive["Namespace"], metric["Name"], unit, dimensions, at, numbers
