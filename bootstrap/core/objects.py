"""Objects of S3 buckets, and the protocols that read and write them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol


class MissingObjectError(Exception):
    """There is no such object. `args` are bucket and key."""


class ObjectReader(Protocol):
    """Reads objects. Other failures are `bootstrap.core.errors`; never a short answer."""

    def read(self, bucket: str, key: str) -> bytes:
        """A small object, whole. Raises MissingObjectError."""

    def stream(self, bucket: str, key: str) -> Iterator[bytes]:
        """An object in chunks of its bytes as stored. Raises MissingObjectError at the first."""


ObjectReaderFactory = Callable[[], ObjectReader]
"""Makes an `ObjectReader` in another process. Picklable, which clients are not."""


@dataclass(frozen=True)
class ListedObject:
    """An object of a listing: `size` in bytes, `modified` in seconds since 1970."""

    key: str
    size: int
    modified: float


class Bucket(Protocol):
    """A bucket, as far as it is used here. Every method raises `AccountError` and its kin."""

    def listed(self, prefix: str = "") -> Iterator[ListedObject]:
        """The objects under a prefix, page by page."""

    def get(self, key: str) -> bytes | None:
        """The content; None if there is no such object (any more)."""

    def put(self, key: str, body: bytes) -> None: ...

    def remove(self, key: str) -> None:
        """Deletes; that it is gone already is no error."""
