"""Objects of exports in S3, streamed. A broken connection resumes where it broke.

The job of a verification imports it too, with an older SDK: only what that has is used here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from botocore.exceptions import IncompleteReadError

from bootstrap.aws.calls import Calls
from bootstrap.core.errors import AccountError, UnavailableError
from bootstrap.core.objects import MissingObjectError

CHUNK_BYTES = 1 << 20
ATTEMPTS = 6
"""Reads of one range of an object before it fails. Progress starts the count again."""

_MISSING = frozenset({"404", "NoSuchKey"})


class S3Objects:
    """`ObjectReader` through a role. `s3` is a client in the bucket's Region."""

    def __init__(self, calls: Calls, s3: Any) -> None:
        self._calls = calls
        self._s3 = s3

    def read(self, bucket: str, key: str) -> bytes:
        return b"".join(self.stream(bucket, key))

    def stream(self, bucket: str, key: str) -> Iterator[bytes]:
        done, failed = 0, 0
        answer = self._get(bucket, key)
        size, etag = int(answer["ContentLength"]), answer["ETag"]
        while True:
            before = done
            try:
                for chunk in self._chunks(answer, f"{bucket}/{key}"):
                    done += len(chunk)
                    yield chunk
                if done >= size:
                    return
                raise UnavailableError(
                    self._calls.side,
                    f"{bucket}/{key} broke off after {done} of {size} bytes.",
                    fix="check the network, and run again: it continues where it stopped",
                )
            except UnavailableError:
                failed = 1 if done > before else failed + 1
                if failed >= ATTEMPTS or done >= size:
                    raise
            # IfMatch: the rest of another object must never be joined to this one's beginning.
            answer = self._get(bucket, key, Range=f"bytes={done}-", IfMatch=etag)

    def _get(self, bucket: str, key: str, **more: str) -> dict[str, Any]:
        try:
            return self._calls(
                "s3", self._s3.get_object, f"{bucket}/{key}", Bucket=bucket, Key=key, **more
            )
        except AccountError as error:
            if error.code in _MISSING:
                raise MissingObjectError(bucket, key) from error
            raise

    def _chunks(self, answer: dict[str, Any], name: str) -> Iterator[bytes]:
        body = answer["Body"]
        try:
            while True:
                chunk = self._chunk(body, name)
                if not chunk:
                    return
                yield chunk
        finally:
            body.close()

    def _chunk(self, body: Any, name: str) -> bytes:
        try:
            # Reading is a part of the call: the account is named when it breaks.
            answer = self._calls("s3", lambda: {"chunk": body.read(CHUNK_BYTES)}, name)
        except IncompleteReadError:
            return b""
        chunk: bytes = answer["chunk"]
        return chunk
