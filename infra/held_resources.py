"""The stack as the last `up` left it: the resources in its state, and its outputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from infra.table_config import TableConfig

BUCKET_ENCRYPTION = (
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
)
DESTINATION = "aws:dynamodb/kinesisStreamingDestination:KinesisStreamingDestination"
KMS_KEY = "aws:kms/key:Key"
LOG_GROUP = "aws:cloudwatch/logGroup:LogGroup"
STREAM = "aws:kinesis/stream:Stream"
TABLE = "aws:dynamodb/table:Table"
TABLE_POLICY = "aws:dynamodb/resourcePolicy:ResourcePolicy"


@dataclass(frozen=True)
class HeldResources:
    """The resources of a state, by URN: what `readStackResourceOutputs` returns."""

    resources: Mapping[str, Any] = field(default_factory=dict)

    def has(self, type_: str, name: str) -> bool:
        """Tell whether the state holds a resource of this type and name, whatever its parent."""
        return self._of(type_, name) is not None

    def value(self, type_: str, name: str, output: str) -> Any:
        """Return an output of a resource; None where the state has no such resource or output."""
        found = self._of(type_, name) or {}
        return (found.get("outputs") or {}).get(output)

    def of_type(self, type_: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yield the name and the outputs of each resource of this type."""
        for urn, found in self.resources.items():
            if urn.split("::")[2].rpartition("$")[2] == type_:
                yield urn.rpartition("::")[2], (found or {}).get("outputs") or {}

    def _of(self, type_: str, name: str) -> Mapping[str, Any] | None:
        for urn, found in self.resources.items():
            if urn.rpartition("::")[2] == name and urn.split("::")[2].rpartition("$")[2] == type_:
                return found or {}
        return None


def last_table(table: TableConfig, before: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a table's entry in the outputs of the last `up`; an empty one if it has none."""
    found = (each for each in last_tables(before) if each.get("sourceTable") == table.source)
    return next(found, {})


def last_tables(before: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the tables of the last `up`'s outputs.

    After an `up` that failed, entries may be there without their values: they are left out.
    """
    return [table for table in before.get("tables") or () if table]
