"""The snapshot bucket on AWS. Abandoning a run deletes its exports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bootstrap.aws.calls import Calls

OBJECTS_PER_CALL = 1_000
"""The maximum of a listing and of DeleteObjects (API reference, DeleteObjects)."""


class AwsSnapshots:
    """`Snapshots` through the importer role."""

    def __init__(self, calls: Calls, s3: Any, bucket: str) -> None:
        self._calls = calls
        self._s3 = s3
        self._bucket = bucket

    def keys(self, prefix: str) -> Sequence[str]:
        found: list[str] = []
        more: dict[str, str] = {}
        while True:
            listed = self._list(prefix, **more)
            found += [each["Key"] for each in listed.get("Contents", [])]
            if not listed.get("NextContinuationToken"):
                return found
            more = {"ContinuationToken": listed["NextContinuationToken"]}

    def remove(self, prefix: str) -> int:
        """Delete up to 1,000 objects; return the number found.

        Raises:
            UnavailableError: if S3 kept some of them. The next call retries those.
        """
        keys = [each["Key"] for each in self._list(prefix).get("Contents", [])]
        if not keys:
            return 0
        answer = self._calls(
            "s3",
            self._s3.delete_objects,
            f"{self._bucket}/{prefix}",
            Bucket=self._bucket,
            Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True},
        )
        for error in answer.get("Errors", ()):
            raise self._calls.kept("s3:DeleteObject", f"{self._bucket}/{error['Key']}", error)
        return len(keys)

    def _list(self, prefix: str, **more: str) -> dict[str, Any]:
        return self._calls(
            "s3",
            self._s3.list_objects_v2,
            self._bucket,
            Bucket=self._bucket,
            Prefix=prefix,
            MaxKeys=OBJECTS_PER_CALL,
            **more,
        )
