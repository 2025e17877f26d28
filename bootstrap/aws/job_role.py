"""S3 with the role that a program runs under: of the verification's job, on AWS Glue.

It uses only what the SDK of Glue 5 has, which is older than this project's.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from botocore.config import Config

from bootstrap.aws.calls import Calls
from bootstrap.aws.quarantine import AwsBucket
from bootstrap.aws.s3_objects import S3Objects
from bootstrap.aws.sdk import role_client
from bootstrap.core.errors import Side
from bootstrap.core.objects import Bucket, ObjectReader

CONFIG = Config(
    connect_timeout=5,
    read_timeout=30,
    retries={"mode": "standard", "total_max_attempts": 6},
    tcp_keepalive=True,
)
ROLE = "The role of the verification's job"


@dataclass(frozen=True)
class JobObjects:
    """A picklable factory of readers."""

    def __call__(self) -> ObjectReader:
        return S3Objects(Calls(Side.TARGET, ROLE), _client())


@dataclass(frozen=True)
class JobBucket:
    """A picklable factory of one bucket. `key`: its customer-managed key; empty for S3's own."""

    name: str
    key: str = ""

    def __call__(self) -> Bucket:
        return AwsBucket(Calls(Side.TARGET, ROLE), _client(), self.name, self.key)


@cache
def _client() -> Any:
    """Make one client a process."""
    return role_client("s3", CONFIG)
