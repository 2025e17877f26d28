"""A bucket of the target account that keeps records that could not be applied."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from botocore import exceptions

from bootstrap.aws.calls import Calls
from bootstrap.core.errors import AccountError, UnavailableError
from bootstrap.core.objects import ListedObject
from replicator.uploads import encryption

_MISSING = frozenset({"404", "NoSuchKey"})


class AwsBucket:
    """`Bucket` through the importer role. `s3` is a client in the bucket's Region."""

    def __init__(self, calls: Calls, s3: Any, name: str, key: str = "") -> None:
        """`key`: the customer-managed key of the bucket; empty for S3's own."""
        self._calls = calls
        self._s3 = s3
        self._name = name
        self._encryption = encryption(key)

    def listed(self, prefix: str = "") -> Iterator[ListedObject]:
        request: dict[str, Any] = {"Bucket": self._name, "Prefix": prefix}
        while True:
            answer = self._calls("s3", self._s3.list_objects_v2, self._name, **request)
            for each in answer.get("Contents", []):
                yield ListedObject(each["Key"], int(each["Size"]), each["LastModified"].timestamp())
            if not answer.get("IsTruncated"):
                return
            request["ContinuationToken"] = answer["NextContinuationToken"]

    def get(self, key: str) -> bytes | None:
        try:
            answer = self._calls(
                "s3", self._s3.get_object, f"{self._name}/{key}", Bucket=self._name, Key=key
            )
        except AccountError as error:
            if error.code in _MISSING:
                return None
            raise
        # The body follows the answer: a connection that breaks within it is a failed call.
        try:
            body: bytes = self._calls("s3", lambda: {"read": answer["Body"].read()}, key)["read"]
        except exceptions.IncompleteReadError as error:
            raise UnavailableError(
                self._calls.side,
                f"The content of {self._name}/{key} is incomplete: {error}",
                fix="run the same command again",
            ) from error
        return body

    def put(self, key: str, body: bytes) -> None:
        self._calls(
            "s3",
            self._s3.put_object,
            f"{self._name}/{key}",
            Bucket=self._name,
            Key=key,
            Body=body,
            ContentType="application/json",
            **self._encryption,
        )

    def remove(self, key: str) -> None:
        self._calls("s3", self._s3.delete_object, f"{self._name}/{key}", Bucket=self._name, Key=key)
