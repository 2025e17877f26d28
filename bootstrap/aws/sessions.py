"""Credentials of the stack's role in each account, renewed before they expire."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import botocore.session
from botocore import exceptions
from botocore.config import Config
from botocore.credentials import DeferredRefreshableCredentials

from bootstrap.aws.calls import Calls
from bootstrap.aws.login import Login, Logins, named_sso
from bootstrap.aws.sdk import sdk_session
from bootstrap.core.durations import SCALE_VARIABLE, Timing, is_loopback
from bootstrap.core.errors import AccountError, BootstrapError, Side, UsageError
from bootstrap.core.stack_outputs import AccountOutputs

T = TypeVar("T")

SESSION_NAME = "dynamodb-replication-bootstrap"
SESSION_SECONDS = 3600
"""The default maximum of a role. botocore assumes it again a quarter of an hour before the end."""

# Control-plane calls are few, and throttling of them lasts: more attempts than the default.
CONFIG = Config(
    connect_timeout=5,
    read_timeout=30,
    retries={"mode": "standard", "total_max_attempts": 6},
    tcp_keepalive=True,
)


def single_attempt(*, connect_seconds: float, read_seconds: float, connections: int) -> Config:
    """Configure a client that never retries and leaves validation to DynamoDB."""
    return Config(
        connect_timeout=connect_seconds,
        read_timeout=read_seconds,
        max_pool_connections=connections,
        retries={"mode": "standard", "total_max_attempts": 1},
        parameter_validation=False,
        tcp_keepalive=True,
    )


class _NoTextError(Exception):
    """Credentials that cannot sign: a program printed null or a number."""


class Session:
    """Clients in one account, under the role of its outputs.

    `login` has the credentials that may assume the role. Sessions of one process share it.
    """

    def __init__(
        self,
        side: Side,
        account: AccountOutputs,
        timing: Timing,
        *,
        login: Login | None = None,
        external_id: str | None = None,
    ) -> None:
        self.side = side
        self.account = account
        self._timing = timing
        self._login = login or Logins().of(None)
        profile = self._login.profile
        self._external_id = external_id
        self._sts: Any = None
        who = f"Profile {profile}" if profile else "The default credentials"
        self._calls = Calls(side, who, profile=profile)
        if not account.role_arn:
            # Before the first deployment there is no role, and only `plan` works.
            self._session = self._base_session()
            return
        # Of the same profile, or botocore reads the one that AWS_PROFILE names.
        self._session = self._configured(lambda: sdk_session(profile))
        # The first call assumes the role; the constructor calls nothing.
        self._session._credentials = DeferredRefreshableCredentials(
            refresh_using=self._assume, method="assume-role"
        )

    def client(self, service: str, region: str | None = None, config: Config = CONFIG) -> Any:
        """Make a client in the account's Region, or another.

        Raises:
            UsageError: for a scaled clock with an endpoint on another machine.
        """
        if not self.account.role_arn:
            self._log_in(self._session)
        return self._made(self._session, service, region or self.account.region, config)

    def refuse_another_account(self) -> None:
        """Check the caller's account. A role names its account in its ARN, so only a plan without a
        role asks AWS.

        Raises:
            AccountError: for credentials of an account that the stack does not name.
        """
        if self.account.role_arn:
            return
        client = self._base_client()
        answer = self._calls("sts", client.get_caller_identity, "the caller")
        if answer["Account"] != self.account.account_id:
            raise AccountError(
                self.side,
                f"{self._calls.role}: of account {answer['Account']}, and the stack's "
                f"{self.side.account} is {self.account.account_id}.",
                fix=f"--{self.side.name.lower()}-profile with credentials of that account, or "
                "another accountId in the stack configuration",
            )

    def _made(
        self, session: botocore.session.Session, service: str, region: str, config: Config
    ) -> Any:
        """Make a client, and check where its calls go."""
        client = self._configured(
            lambda: session.create_client(service, region_name=region, config=config)
        )
        endpoint = client.meta.endpoint_url
        if self._timing.scale != 1 and not is_loopback(endpoint):
            raise UsageError(
                f"{SCALE_VARIABLE} is {self._timing.scale}, and calls would go to {endpoint}. On "
                "AWS a margin shrunk by it would lose changes.",
                fix=f"unset {SCALE_VARIABLE}",
            )
        return client

    def _assume(self) -> dict[str, str]:
        client = self._base_client()
        request = {
            "RoleArn": self.account.role_arn,
            "RoleSessionName": self.account.session_name or SESSION_NAME,
            "DurationSeconds": SESSION_SECONDS,
        }
        if self._external_id:
            request["ExternalId"] = self._external_id
        answer = self._calls("sts", client.assume_role, self.account.role_arn, **request)
        credentials = answer["Credentials"]
        return {
            "access_key": credentials["AccessKeyId"],
            "secret_key": credentials["SecretAccessKey"],
            "token": credentials["SessionToken"],
            "expiry_time": credentials["Expiration"].isoformat(),
        }

    def _base_client(self) -> Any:
        """Return the client that assumes the role, with credentials that have been loaded."""
        base = self._base_session()
        self._log_in(base)
        if self._sts is None:
            # Another Region where the credentials' account has not opted in to the stack's.
            region = self.account.sts_region or self.account.region
            self._sts = self._made(base, "sts", region, CONFIG)
        return self._sts

    def _log_in(self, session: botocore.session.Session) -> None:
        """Load the credentials of a session, or renew those that are about to expire.

        Raises:
            AccountError: if that fails. Loading runs the user's own programs and reads files that
                may not exist, and botocore passes on whatever exception they end in.
        """

        def load() -> dict[str, Any]:
            found = session.get_credentials()
            if found is None:
                raise exceptions.NoCredentialsError
            now = found.get_frozen_credentials()
            if not all(isinstance(each, str) for each in (now.access_key, now.secret_key)):
                raise _NoTextError("AccessKeyId or SecretAccessKey is no text")
            return {}

        try:
            self._calls("sts", load, self._calls.role)
        except BootstrapError:
            raise
        except Exception as error:
            raise self._calls.no_credentials(named_sso(error, session)) from error

    def _base_session(self) -> botocore.session.Session:
        return self._configured(self._login.session)

    def _configured(self, make: Callable[[], T]) -> T:
        """Make something of botocore's from the user's AWS configuration.

        Raises:
            AccountError: if that fails. botocore passes on whatever exception a wrong value causes.
        """
        try:
            return make()
        except Exception as error:
            raise self._calls.no_credentials(error) from error
