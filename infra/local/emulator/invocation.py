"""The delivery of a batch to its function: exactly once here; `chaos` wraps it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from infra.local.emulator.batches import BatchSource, Record, event
from infra.local.emulator.patching import Json, Ministack
from infra.local.emulator.replication_metrics import put_metric


@dataclass(frozen=True)
class Invocation:
    """One batch for one function."""

    function: Json
    mapping: Json
    source: BatchSource
    batch: Sequence[Record]


@dataclass(frozen=True)
class FunctionAnswer:
    """The result of an invocation: `failed` without an answer, `throttled` if it never began."""

    body: Any = None
    failed: bool = False
    throttled: bool = False


class Delivery(Protocol):
    """Delivers a batch to its function and returns the answer that Lambda acts on."""

    def deliver(self, invocation: Invocation) -> FunctionAnswer: ...


class DirectDelivery:
    """Delivers each batch once, and reports Lambda's metrics."""

    def __init__(self, ministack: Ministack) -> None:
        self._ministack = ministack

    def deliver(self, invocation: Invocation) -> FunctionAnswer:
        """Invoke the function and wait for its answer."""
        service = self._ministack.lambda_svc
        begin = time.time()
        payload = event(invocation.source, invocation.batch)
        payload["Records"] = service._apply_filter_criteria(payload["Records"], invocation.mapping)
        if not payload["Records"]:
            return FunctionAnswer()
        result = service._execute_function(invocation.function, payload)
        body = result.get("body")
        answer = FunctionAnswer(body, bool(result.get("error")), bool(result.get("throttle")))
        self._report(invocation, answer, begin)
        return answer

    def _report(self, invocation: Invocation, answer: FunctionAnswer, begin: float) -> None:
        name = invocation.function["config"]["FunctionName"]
        last = float(invocation.batch[-1]["ApproximateArrivalTimestamp"])
        values = [
            ("Invocations", 1.0, "Count"),
            ("Errors", float(answer.failed), "Count"),
            ("Duration", (time.time() - begin) * 1000, "Milliseconds"),
            ("IteratorAge", max(0.0, (begin - last) * 1000), "Milliseconds"),
        ]
        for metric, value, unit in values:
            put_metric(
                self._ministack,
                "AWS/Lambda",
                metric,
                value,
                unit,
                {"FunctionName": name},
                begin,
            )
