"""Objects of S3 buckets, and protocols of their readers and writers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol


class MissingObjectError(Exception):
    """An object does not exist. `args` are bucket and key."""


class ObjectReader(Protocol):
    """A reader of objects. It raises errors of `bootstrap.core.errors` rather than end early."""

    def read(self, bucket: str, key: str) -> bytes:
        """Read a small object. Raises MissingObjectError."""

    def stream(self, bucket: str, key: str) -> Iterator[bytes]:
        """Read an object in chunks of its stored bytes. Raises MissingObjectError at the first."""


ObjectReaderFactory = Callable[[], ObjectReader]
"""Makes an `ObjectReader` in another process. Picklable, which clients are not."""


@dataclass(frozen=True)
class ListedObject:
    """An object of a listing: `size` in bytes, `modified` in seconds since 1970."""

    key: str
    size: int
    modified: float


class Bucket(Protocol):
    """A bucket. Every method may raise `AccountError` and its subclasses."""

    def listed(self, prefix: str = "") -> Iterator[ListedObject]:
        """List the objects under a prefix, page by page."""

    def get(self, key: str) -> bytes | None:
        """Read an object; None if it does not exist."""

    def put(self, key: str, body: bytes) -> None:
        """Write an object."""

    def remove(self, key: str) -> None:
        """Delete an object. One that does not exist is no error."""
