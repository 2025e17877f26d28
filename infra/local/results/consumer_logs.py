"""The consumer's metrics and denied permissions, read from its log group."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from replicator.names import (
    CHANGES_APPLIED,
    CHANGES_QUARANTINED,
    CHANGES_SUPERSEDED,
    REPLICATION_LAG,
)

# How IAM words a refusal: action and resource are what the operator has to grant.
_REFUSAL = re.compile(r"not authorized to perform: ([\w-]+:\w+)(?: on resource: (\S+))?")


@dataclass(frozen=True)
class Refusal:
    """A permission that the consumer's role lacks."""

    action: str
    resource: str

    def __str__(self) -> str:
        return f"{self.action} on {self.resource}"


@dataclass(frozen=True)
class LagPercentiles:
    """Milliseconds from a change to its appearance in the target."""

    p50: float
    p99: float
    max: float

    @classmethod
    def of(cls, values: Iterable[float]) -> LagPercentiles | None:
        """Return the percentiles; None if there are no values."""
        ranked = sorted(values)
        if not ranked:
            return None
        return cls(_rank(ranked, 0.50), _rank(ranked, 0.99), ranked[-1])

    def as_json(self) -> dict[str, float]:
        return {"p50": round(self.p50, 1), "p99": round(self.p99, 1), "max": round(self.max, 1)}


@dataclass
class ConsumerCounts:
    """Sums over the function's log."""

    counts: Counter[str] = field(default_factory=Counter)
    lags: list[tuple[float, float]] = field(default_factory=list)
    """When it was measured (epoch seconds), and milliseconds."""
    refusals: list[Refusal] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    """Other errors, first line each, the newest last."""

    @property
    def ended(self) -> int:
        """Changes that were applied, superseded or quarantined."""
        return (
            self.counts[CHANGES_APPLIED]
            + self.counts[CHANGES_SUPERSEDED]
            + self.counts[CHANGES_QUARANTINED]
        )

    def lag(self, since: float = 0.0) -> LagPercentiles | None:
        """Return the lag of changes applied since a time (epoch seconds)."""
        return LagPercentiles.of(value for at, value in self.lags if at >= since)

    def take(self, line: str) -> None:
        """Add one line of the log."""
        value: Any = None
        with suppress(ValueError):
            value = json.loads(line)
        if isinstance(value, dict) and "_aws" in value:
            self._take_metrics(value)
            return
        self._take_refusals(line)
        if isinstance(value, dict) and value.get("level") in ("ERROR", "CRITICAL"):
            self.complaints.append(str(value.get("message", "")).split("\n")[0])
        elif "Task timed out" in line or "[ERROR]" in line:
            self.complaints.append(line.strip().split("\n")[0])

    def _take_metrics(self, line: Mapping[str, Any]) -> None:
        at = line["_aws"]["Timestamp"] / 1000
        for directive in line["_aws"]["CloudWatchMetrics"]:
            for metric in directive["Metrics"]:
                value = line[metric["Name"]]
                values = value if isinstance(value, list) else [value]
                if metric["Name"] == REPLICATION_LAG:
                    self.lags += [(at, each) for each in values]
                else:
                    self.counts[metric["Name"]] += int(sum(values))

    def _take_refusals(self, line: str) -> None:
        self.refusals += [each for each in refusals_in(line) if each not in self.refusals]


def refusals_in(text: str, resource: str = "its resource") -> list[Refusal]:
    """Return the permissions that a text reports as missing; `resource` where the text has none."""
    found = _REFUSAL.findall(text)
    return [Refusal(action, named.strip("\"'.,;\\") or resource) for action, named in found]


def read(logs: Any, log_group: str, since: int = 0) -> ConsumerCounts:
    """Read the log group from a time (epoch milliseconds) on.

    `logs` is a boto3 client of its account and Region.
    """
    consumer_counts = ConsumerCounts()
    pages = logs.get_paginator("filter_log_events").paginate(
        logGroupName=log_group, startTime=since
    )
    for page in pages:
        for event in page["events"]:
            for line in event["message"].splitlines():
                consumer_counts.take(line)
    return consumer_counts


def _rank(ranked: list[float], share: float) -> float:
    return ranked[min(len(ranked) - 1, int(share * len(ranked)))]
