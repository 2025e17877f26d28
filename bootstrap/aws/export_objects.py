"""Objects of exports in S3, through the role of an account's outputs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from botocore.config import Config

from bootstrap.aws.calls import Calls
from bootstrap.aws.login import Login
from bootstrap.aws.s3_objects import S3Objects
from bootstrap.aws.sessions import CONFIG, Session
from bootstrap.core.durations import Timing
from bootstrap.core.errors import Side
from bootstrap.core.objects import ObjectReader
from bootstrap.core.stack_outputs import AccountOutputs

# Data files are checked against the manifest's MD5, which another checksum would only repeat.
_CONFIG = CONFIG.merge(Config(response_checksum_validation="when_required"))


@dataclass(frozen=True)
class S3Opener:
    """A picklable factory of `S3Objects` for other processes, which never ask for an MFA code."""

    side: Side
    account: AccountOutputs
    timing: Timing
    login: Login | None = None
    external_id: str | None = None

    def __call__(self) -> ObjectReader:
        return _opened(self)


@cache
def _opened(opener: S3Opener) -> ObjectReader:
    """Make one client a process: each client assumes the role for itself."""
    session = Session(
        opener.side,
        opener.account,
        opener.timing,
        login=opener.login,
        external_id=opener.external_id,
    )
    return S3Objects(
        Calls(opener.side, f"Role {opener.account.role_arn}"), session.client("s3", config=_CONFIG)
    )
