"""The states of tables as AWS describes them, and what is wrong with any that is not usual.

A state that this version does not know is named and is never taken for a healthy one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from replicator.watchdog.detectors import Level

UNNAMED = "unknown"
"""The state in an answer that names none."""
ARCHIVED_AFTER_SECONDS = 7 * 86_400.0
"""DynamoDB archives a table whose key was out of reach for so long (API reference, SSEDescription).
"""
KEY_INACCESSIBLE = "INACCESSIBLE_ENCRYPTION_CREDENTIALS"

RESTORE_KEY = (
    "restore the table's KMS key before then: cancel its deletion (aws kms cancel-key-deletion "
    "--key-id KEY), enable it (aws kms enable-key --key-id KEY), or restore its policy and grants. "
    "DynamoDB makes the table ACTIVE again by itself within the hour; then verify the table."
)
RESTORE_BACKUP = (
    "stop the readers of the replica. DynamoDB keeps an archived table as a backup alone, and a "
    "table restored from it is another table: it needs a new stack and a new snapshot."
)
FIND_CAUSE = (
    "find out in the DynamoDB console why the table is not ACTIVE (CloudTrail names the caller); "
    "`bootstrap status` shows when it is."
)


@dataclass(frozen=True)
class TableProblem:
    """A problem that AWS reports of a table, and its remedy."""

    level: Level
    what: str
    remedy: str


@dataclass(frozen=True)
class OwnStream:
    """A table's own stream. One that is switched off and on again is another, by another ARN."""

    arn: str = ""
    """LatestStreamArn, which a table keeps while its stream is off; empty if it never had one."""
    on: bool = False
    """StreamEnabled: changes enter it now."""
    view: str = ""
    """StreamViewType."""


@dataclass(frozen=True)
class TableState:
    """A table's id, which changes when it is created again, and its state. Epoch seconds."""

    table_id: str
    status: str
    """TableStatus."""
    key_inaccessible_at: float | None = None
    """Since when DynamoDB cannot use its KMS key."""
    archived_at: float | None = None
    archival_reason: str = ""
    stream: OwnStream = OwnStream()

    @property
    def problem(self) -> TableProblem | None:
        """Return what is wrong; None while the table works. It does while it is UPDATING."""
        if self.archived_at is not None or self.status in ("ARCHIVING", "ARCHIVED"):
            when = "" if self.archived_at is None else f" since {iso(self.archived_at)}"
            why = f" ({self.archival_reason})" if self.archival_reason else ""
            what = f"{self.status}{when}{why}: its key was out of reach for seven days"
            return TableProblem(Level.LOSS, what, RESTORE_BACKUP)
        if self.key_inaccessible_at is not None or self.status == KEY_INACCESSIBLE:
            return TableProblem(Level.LOSS, self._key_problem, RESTORE_KEY)
        if self.status == "DELETING":
            return TableProblem(Level.LOSS, self.status, "")
        if self.status not in ("ACTIVE", "UPDATING"):
            return TableProblem(Level.WARNING, self.status, FIND_CAUSE)
        return None

    @property
    def _key_problem(self) -> str:
        what = f"{self.status}: DynamoDB cannot use its KMS key"
        if self.key_inaccessible_at is None:
            return f"{what}, and archives the table after seven days of that"
        since, ends = self.key_inaccessible_at, self.key_inaccessible_at + ARCHIVED_AFTER_SECONDS
        return f"{what} since {iso(since)}, and archives the table after seven days, at {iso(ends)}"


def table_in(answer: Mapping[str, Any]) -> TableState:
    """Read an answer of DescribeTable."""
    table = answer["Table"]
    archival = table.get("ArchivalSummary") or {}
    encryption = table.get("SSEDescription") or {}
    return TableState(
        table_id=str(table["TableId"]),
        status=str(table.get("TableStatus") or UNNAMED),
        key_inaccessible_at=_moment(encryption.get("InaccessibleEncryptionDateTime")),
        archived_at=_moment(archival.get("ArchivalDateTime")),
        archival_reason=str(archival.get("ArchivalReason") or ""),
        stream=_stream_in(table),
    )


def _stream_in(table: Mapping[str, Any]) -> OwnStream:
    """Read a table's stream. Without one the answer has neither member (API reference,
    TableDescription)."""
    specified = table.get("StreamSpecification") or {}
    return OwnStream(
        arn=str(table.get("LatestStreamArn") or ""),
        on=specified.get("StreamEnabled") is True,
        view=str(specified.get("StreamViewType") or ""),
    )


def _moment(value: datetime | None) -> float | None:
    return None if value is None else value.timestamp()


def iso(moment: float) -> str:
    """Render epoch seconds as an instant in UTC."""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds")
