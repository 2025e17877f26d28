"""Checks of a StartBulkPutItems request and of the table that it names."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

LEAST_WRITE_UNITS = 1024
TYPES = ("ERROR", "CONDITION_CHECK_FAILURE")


class RefusalError(Exception):
    """A call that AWS refuses: the error code and message of the answer."""


def check_request(data: Mapping[str, Any]) -> None:
    """Refuse a request that botocore's model of the operation forbids, and what is not emulated.

    Raises:
        RefusalError: ValidationException.
    """
    source, target = data.get("InputS3Configuration"), data.get("OutputS3Configuration")
    for name, value in (
        ("TableName", data.get("TableName")),
        ("InputS3Configuration.S3Bucket", (source or {}).get("S3Bucket")),
        ("InputS3Configuration.InputFormat", (source or {}).get("InputFormat")),
        ("OutputS3Configuration.S3Bucket", (target or {}).get("S3Bucket")),
        ("OutputS3Configuration.OutputType", (target or {}).get("OutputType")),
    ):
        if not value:
            raise _invalid(f"{name} must not be null")
    assert source and target
    _choice("InputFormat", source["InputFormat"], ("DYNAMODB_JSON", "ION"))
    if source["InputFormat"] == "ION":
        raise _invalid("The local cloud reads no ION. Try: DYNAMODB_JSON")
    compression = source.get("InputCompressionType") or "NONE"
    _choice("InputCompressionType", compression, ("GZIP", "ZSTD", "NONE"))
    if compression == "ZSTD":
        raise _invalid("The local cloud reads no ZSTD. Try: GZIP or NONE")
    for each in target["OutputType"]:
        _choice("OutputType", each, TYPES)
    _choice("PerformanceTier", data.get("PerformanceTier", "STANDARD"), ("STANDARD", "ACCELERATED"))
    units = data.get("MaxWriteRequestUnits", LEAST_WRITE_UNITS)
    if units < LEAST_WRITE_UNITS:
        raise _invalid(f"MaxWriteRequestUnits is {units}, and must be at least {LEAST_WRITE_UNITS}")
    key = target.get("S3SseKmsKeyId")
    if bool(key) != (target.get("S3SseAlgorithm") == "KMS"):
        raise _invalid("S3SseKmsKeyId is for the S3SseAlgorithm KMS, which needs it")


def check_table(table: Mapping[str, Any] | None) -> None:
    """Refuse a table that cannot be loaded now (developer guide, BulkPutItems.Considerations).

    `table` is its description; None for no table. The guide names the states and no error codes:
    these are those of other calls.

    Raises:
        RefusalError: ResourceNotFoundException, ResourceInUseException or ValidationException.
    """
    if table is None:
        raise RefusalError("ResourceNotFoundException", "Requested resource not found")
    name = table["TableName"]
    if table.get("Replicas"):
        raise _invalid(f"Table {name} is part of a global table, which bulk put does not support")
    if table["TableStatus"] not in ("ACTIVE", "UPDATING"):
        raise RefusalError("ResourceInUseException", f"Table {name} is {table['TableStatus']}")
    for kind in ("GlobalSecondaryIndexes", "VectorIndexes"):
        for index in table.get(kind) or ():
            if index.get("IndexStatus", "ACTIVE") == "CREATING":
                raise RefusalError(
                    "ResourceInUseException",
                    f"Index {index['IndexName']} of table {name} is being created",
                )


def _choice(name: str, value: Any, choices: Collection[str]) -> None:
    if value not in choices:
        raise _invalid(f"{name} is {value!r}, which is none of {', '.join(choices)}")


def _invalid(message: str) -> RefusalError:
    return RefusalError("ValidationException", message)
