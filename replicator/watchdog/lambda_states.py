"""The consumer's function and its event source mapping, as Lambda describes them.

A state, a result or a reason that this version does not know is shown and is never taken for a
healthy one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from replicator.watchdog.aws_states import UNNAMED

ON = ("Enabled", "Enabling", "Updating")
OFF = ("Disabled", "Disabling", "Creating")
PROCESSED = ("", "OK", "No records processed")
"""LastProcessingResult of a mapping that works, or that has not read yet."""
FOREVER = -1
"""Lambda retries a batch until the stream has forgotten it."""
REPORTS_ITEMS = "ReportBatchItemFailures"


@dataclass(frozen=True)
class MappingState:
    """The mapping's state, Lambda's own words about it, and the settings that could lose changes.

    None for a setting: the answer lacks it.
    """

    state: str
    result: str = ""
    """LastProcessingResult."""
    reason: str = ""
    """StateTransitionReason: who made the last change of state, or why Lambda did."""
    destination: str | None = None
    """The ARN of the on-failure destination; empty for none."""
    retries: int | None = None
    longest_age: int | None = None
    """MaximumRecordAgeInSeconds."""
    reports_items: bool | None = None
    """Lambda reads from the function's answer which records have failed."""
    filters: int = 0
    parallel: int | None = None
    """ParallelizationFactor."""
    tumbling_window: int | None = None
    """Seconds."""

    @property
    def is_on(self) -> bool:
        return self.state in ON

    @property
    def is_off(self) -> bool:
        return self.state in OFF

    @property
    def is_known(self) -> bool:
        return self.is_on or self.is_off or self.state in ("Deleting", UNNAMED)

    @property
    def reports(self) -> str:
        """Return Lambda's words about a problem; empty while it reports none."""
        return lambda_reports(self.result, self.reason)

    def lossy_settings(self, on_failure_bucket: str) -> tuple[str, ...]:
        """Describe each setting by which Lambda gives up changes that it should retry or keep."""
        wrong = []
        if self.retries is not None and self.retries != FOREVER:
            wrong.append(f"gives a batch up after {self.retries} retries")
        if self.longest_age is not None and self.longest_age != FOREVER:
            wrong.append(f"gives a record up after {self.longest_age} s")
        if self.reports_items is False:
            wrong.append("ignores which records of a batch have failed")
        if self.filters:
            wrong.append("filters records out")
        if self.destination is not None and _bucket(self.destination) != on_failure_bucket:
            where = self.destination or "nowhere"
            wrong.append(f"puts the batches that it gives up {where}, not into {on_failure_bucket}")
        return tuple(wrong)

    def disorder(self) -> tuple[str, ...]:
        """Describe each setting by which a row of the consumer, of a table's own stream, no longer
        proves the records before it."""
        found = []
        if self.parallel not in (None, 1):
            found.append(f"runs {self.parallel} batches of a shard at once")
        if self.tumbling_window:
            found.append(f"has a tumbling window of {self.tumbling_window} s")
        return tuple(found)


def lambda_reports(result: str, reason: str) -> str:
    """Combine LastProcessingResult and StateTransitionReason; empty where neither is a problem.

    The reason says whether a user or Lambda made the last change of state (API reference,
    EventSourceMappingConfiguration): a user's is none.
    """
    parts = [] if result in PROCESSED else [result]
    if reason and not reason.lower().startswith("user"):
        parts.append(f"{reason} (StateTransitionReason)")
    return "; ".join(parts)


def mapping_in(answer: Mapping[str, Any]) -> MappingState:
    """Read an answer of GetEventSourceMapping."""
    destination = (answer.get("DestinationConfig") or {}).get("OnFailure") or {}
    types = answer.get("FunctionResponseTypes")
    if types is None and "MaximumRetryAttempts" in answer:
        types = ()  # a whole answer: nothing is set
    return MappingState(
        state=str(answer.get("State") or UNNAMED),
        result=str(answer.get("LastProcessingResult") or ""),
        reason=str(answer.get("StateTransitionReason") or ""),
        destination=(
            str(destination.get("Destination") or "") if "DestinationConfig" in answer else None
        ),
        retries=answer.get("MaximumRetryAttempts"),
        longest_age=answer.get("MaximumRecordAgeInSeconds"),
        reports_items=None if types is None else REPORTS_ITEMS in types,
        filters=len((answer.get("FilterCriteria") or {}).get("Filters") or ()),
        parallel=answer.get("ParallelizationFactor"),
        tumbling_window=answer.get("TumblingWindowInSeconds"),
    )


def _bucket(arn: str) -> str:
    return arn.partition(":s3:::")[2]


@dataclass(frozen=True)
class FunctionState:
    """A function's state and that of its last update, with AWS's reasons."""

    state: str
    """State: Pending, Active, Inactive, Failed or a newer one."""
    update: str
    """LastUpdateStatus: Successful, InProgress, Failed or a newer one."""
    state_reason: str = ""
    update_reason: str = ""

    def problems(self, *, idle: bool) -> tuple[str, ...]:
        """Describe what is not as it should be. `idle`: nothing invokes it, and Lambda may have
        put it to rest."""
        wrong = []
        if self.state != "Active" and not (idle and self.state == "Inactive"):
            wrong.append(_with_reason(f"its state is {self.state}", self.state_reason))
        if self.update not in ("Successful", "InProgress"):
            wrong.append(_with_reason(f"its last update is {self.update}", self.update_reason))
        return tuple(wrong)


def function_in(answer: Mapping[str, Any]) -> FunctionState:
    """Read an answer of GetFunctionConfiguration."""
    return FunctionState(
        state=str(answer.get("State") or UNNAMED),
        update=str(answer.get("LastUpdateStatus") or UNNAMED),
        state_reason=_reason(answer, "StateReason"),
        update_reason=_reason(answer, "LastUpdateStatusReason"),
    )


def _reason(answer: Mapping[str, Any], name: str) -> str:
    return str(answer.get(name) or answer.get(f"{name}Code") or "")


def _with_reason(what: str, reason: str) -> str:
    return f"{what} ({reason})" if reason else what
