"""Where the objects of an export come from: S3, or a directory in tests and benchmarks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol


class MissingObjectError(Exception):
    """There is no such object. `args` are bucket and key."""


class Objects(Protocol):
    """Reads objects. Other failures are `bootstrap.core.errors`; never a short answer."""

    def read(self, bucket: str, key: str) -> bytes:
        """A small object, whole. Raises MissingObjectError."""

    def stream(self, bucket: str, key: str) -> Iterator[bytes]:
        """An object in chunks of its bytes as stored. Raises MissingObjectError at the first."""


Opener = Callable[[], Objects]
"""Makes `Objects` in another process: has to be picklable, as clients are not."""
