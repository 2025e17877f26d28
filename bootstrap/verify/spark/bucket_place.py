"""The place of a comparison in a bucket: a prefix that the command and the job share."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass

from bootstrap.core.objects import Bucket


@dataclass(frozen=True)
class BucketPlace:
    """A `JobPlace` under a prefix. Picklable if `open_bucket` is, which opens the bucket anew."""

    open_bucket: Callable[[], Bucket]
    bucket: str
    prefix: str
    """Without a slash at its end."""

    @property
    def uri(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}"

    @property
    def deletion(self) -> str:
        return f"aws s3 rm --recursive {shlex.quote(self.uri)}"

    def read(self, name: str) -> bytes | None:
        return self.open_bucket().get(f"{self.prefix}/{name}")

    def write(self, name: str, body: bytes) -> None:
        self.open_bucket().put(f"{self.prefix}/{name}", body)

    def remove(self, name: str) -> None:
        self.open_bucket().remove(f"{self.prefix}/{name}")
