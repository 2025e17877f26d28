"""A table's writers: let in or refused, by what was read of its resource policy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from bootstrap.core.formatting import instant
from bootstrap.core.write_deny import BULK_ACTION, PolicyError, project_statements


@dataclass(frozen=True)
class WriterAccess:
    """A table for its writers, as far as this project's own Deny goes.

    AWS shows a new policy within seconds, and applies it to every caller within minutes.
    """

    open: bool | None
    """None: it could not be read."""
    because: str
    """A clause: what was read."""
    until: float | None = None
    """When it lets writers in by itself (epoch seconds); None: it does not, or does already."""


def unread(why: str) -> WriterAccess:
    return WriterAccess(None, f"its policy could not be read: {why}")


def judge_policy(document: str | None, now: float) -> WriterAccess:
    """Judge a table's policy at a moment in epoch seconds. `document`: None where it has none."""
    try:
        found = project_statements(document)
        if not found:
            return WriterAccess(True, "no Deny of this tool is in its policy")
        statement = next(iter(found.values()))
        access = _judge(statement.get("Condition", {}), now)
        if access.open is False and BULK_ACTION not in statement["Action"]:
            return replace(access, because=f"{access.because}; it does not refuse bulk puts")
        return access
    except (PolicyError, ValueError, TypeError, KeyError) as error:
        return unread(str(error))


def _judge(condition: Mapping[str, Any], now: float) -> WriterAccess:
    begins = _moment(condition.get("DateGreaterThan"))
    ends = _moment(condition.get("DateLessThan"))
    unknown = set(condition) - {"DateGreaterThan", "DateLessThan", "ArnEquals", "ArnNotEquals"}
    if unknown:
        return unread(f"its Deny has the condition {sorted(unknown)[0]}")
    if ends is not None and now >= ends:
        return WriterAccess(True, f"the Deny in its policy ended at {instant(ends)}")
    if begins is not None and now <= begins:
        return WriterAccess(True, f"the Deny in its policy begins at {instant(begins)}")
    if "ArnEquals" in condition:
        return WriterAccess(True, "the Deny in its policy refuses this stack's own roles")
    until = "" if ends is None else f" until {instant(ends)}"
    excepted = ", but for this stack's own roles" if "ArnNotEquals" in condition else ""
    because = f"the Deny in its policy refuses writers{until}{excepted}"
    return WriterAccess(False, because, ends)


def _moment(condition: Mapping[str, str] | None) -> float | None:
    if condition is None:
        return None
    text = condition["aws:CurrentTime"]
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
