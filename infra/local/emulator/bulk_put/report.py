"""The report of a bulk operation: what was not written, and why.

Which records a report has is documented (developer guide, BulkPutItems.Output); keys of objects and
names of members are the local cloud's own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from infra.local.emulator.export_files import S3Object

ERROR, CONDITION = "ERROR", "CONDITION_CHECK_FAILURE"


@dataclass
class BulkReport:
    """Collects records by type; `wanted` are the types that the request asks for."""

    wanted: tuple[str, ...]
    records: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def error(self, key: str, line: int | None, message: str, item: Any = None) -> None:
        """Note a record, or a whole object (`line` None), that could not be processed."""
        found = {"InputObject": key, "ErrorCode": "ValidationException", "ErrorMessage": message}
        self._note(
            ERROR,
            found
            | ({} if line is None else {"LineNumber": line})
            | ({} if item is None else {"Item": item}),
        )

    def condition(self, key: str, line: int, item: Any, existing: Any) -> None:
        """Note an item whose condition was false, with the item that is there, if any."""
        found = {
            "InputObject": key,
            "LineNumber": line,
            "ErrorCode": "ConditionalCheckFailedException",
            "ErrorMessage": "The conditional request failed",
            "Item": item,
        }
        self._note(CONDITION, found | ({} if existing is None else {"ExistingItem": existing}))

    def objects(self, root: str, description: Mapping[str, Any]) -> list[S3Object]:
        """Return the report's objects under `root`: one of each type with records, a manifest."""
        made = [
            S3Object(
                f"{root}{kind}/00000.json",
                "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in records).encode(),
            )
            for kind, records in sorted(self.records.items())
        ]
        summary = {
            "bulkOperationArn": description["BulkOperationArn"],
            "processedItemCount": description["ProcessedItemCount"],
            "failedItemCount": description["FailedItemCount"],
            "outputObjects": [each.key for each in made],
        }
        return [*made, S3Object(f"{root}manifest.json", json.dumps(summary).encode())]

    def _note(self, kind: str, record: dict[str, Any]) -> None:
        if kind in self.wanted:
            self.records.setdefault(kind, []).append(record)
