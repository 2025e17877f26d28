"""Calls to AWS, and the errors that their failures mean."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from botocore import exceptions

from bootstrap.core.errors import (
    AccessDeniedError,
    AccountError,
    BootstrapError,
    Side,
    UnavailableError,
)

DENIED = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "KMS.AccessDeniedException",
        "KMSAccessDeniedException",
        "NotAuthorized",
        "UnauthorizedOperation",
    }
)
CREDENTIALS = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
# AWS refuses a call whose signature is minutes old or ahead, by its own clock.
SKEWED = re.compile(
    "RequestTimeTooSkewed|RequestExpired|RequestInTheFuture|Signature (expired|not yet current)",
    re.IGNORECASE,
)
# These pass with time. LimitExceeded: too many exports, imports or table operations at once.
# ResourceInUse: a change is in progress. This call may have begun it, if its answer was lost and
# the SDK repeated the call.
PASSING = frozenset(
    {
        "ContinuousBackupsUnavailableException",
        "LimitExceededException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestTimeout",
        "RequestTimeoutException",
        "ResourceInUseException",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)
# Reasons of a cancelled transaction that pass, unless there are others (API reference,
# TransactWriteItems).
PASSING_REASONS = frozenset(
    {
        "None",
        "ProvisionedThroughputExceeded",
        "ThrottlingError",
        "TransactionConflict",
    }
)
_SSO = (exceptions.SSOError, exceptions.TokenRetrievalError)
_LOGIN = (
    *_SSO,
    exceptions.ConfigNotFound,
    exceptions.ConfigParseError,
    exceptions.CredentialRetrievalError,
    exceptions.InvalidConfigError,
    exceptions.NoCredentialsError,
    exceptions.NoRegionError,
    exceptions.PartialCredentialsError,
    exceptions.ProfileNotFound,
    exceptions.RefreshWithMFAUnsupportedError,
    exceptions.UnknownCredentialError,
)
_NO_TERMINAL = "they need an MFA code, and there is no terminal to ask for it"
_REASONS: Mapping[type, str] = {
    EOFError: _NO_TERMINAL,
    exceptions.RefreshWithMFAUnsupportedError: "the session that an MFA code began has ended",
}
_AGAIN = "run the same command again: it continues where it stopped"


class Calls:
    """Calls in one account under one role.

    `before` runs before each call. It stops a process that has lost its lease. `owner`: the account
    of what is called, for calls that cross accounts; None: the role's own.
    """

    def __init__(
        self,
        side: Side,
        role: str,
        before: Callable[[], None] | None = None,
        profile: str | None = None,
        owner: Side | None = None,
    ) -> None:
        self.side = side
        self.role = role if owner is None else f"{role} of the {side.account}"
        self._place = (owner or side).account
        self._before = before
        self._profile = profile

    def __call__(
        self, service: str, method: Callable[..., Any], resource: str, **request: Any
    ) -> dict[str, Any]:
        """Call a client's method on a resource (an ARN or a name, for the message).

        Raises:
            AccessDeniedError, UnavailableError, AccountError: in place of botocore's errors.
        """
        if self._before is not None:
            self._before()
        try:
            answer: dict[str, Any] = method(**request)
        except exceptions.ClientError as error:
            raise self._refused(service, resource, error) from error
        except _LOGIN as error:
            raise self.no_credentials(error) from error
        except (exceptions.HTTPClientError, exceptions.ConnectionError) as error:
            raise UnavailableError(
                self.side,
                f"{service} in the {self.side.account} does not answer: {error}",
                fix="check the network, and run again: it continues where it stopped",
            ) from error
        return answer

    def no_credentials(self, why: Exception | str, code: str = "") -> AccountError:
        """Make the error for a call that no credentials can sign."""
        where = f" in profile {self._profile}" if self._profile else ""
        return AccountError(
            self.side,
            f"There are no usable credentials for the {self.side.account}{where}: "
            f"{_REASONS.get(type(why)) or _described(why)}",
            fix=self._login_fix(why),
            code=code,
        )

    def _login_fix(self, why: Exception | str) -> str:
        flag, named = f"--{self.side.name.lower()}-profile", self._profile
        option = f" --profile {shlex.quote(named)}" if named else ""
        if isinstance(why, _SSO):
            return f"aws sso login{option}, then {_AGAIN}"
        if isinstance(why, EOFError):
            return f"aws sts get-caller-identity{option} in a terminal, and {_AGAIN} there"
        if isinstance(why, exceptions.RefreshWithMFAUnsupportedError):
            return f"log in again: {_AGAIN}, and asks for a new MFA code"
        if named:
            return (
                f"aws sts get-caller-identity{option}; once that works, {_AGAIN}; or pass another "
                f"profile: {flag} NAME"
            )
        return f"aws sts get-caller-identity --profile NAME, and pass that profile: {flag} NAME"

    def kept(self, action: str, resource: str, error: Mapping[str, Any]) -> BootstrapError:
        """Make the error for one of several objects that an accepted call did not process."""
        code, message = str(error.get("Code", "Unknown")), str(error.get("Message", ""))
        if code in DENIED:
            return AccessDeniedError(
                self.side,
                f"{self.role} may not {action} on {resource} in the {self._place}. "
                f"AWS says: {message}",
                fix=self._denied_fix("s3", action),
                code=code,
            )
        return UnavailableError(
            self.side,
            f"{action} on {resource} in the {self._place} failed with {code}: {message}",
            fix="run again in a few minutes: it continues where it stopped",
            code=code,
        )

    def _refused(
        self, service: str, resource: str, error: exceptions.ClientError
    ) -> BootstrapError:
        details: Mapping[str, Any] = error.response.get("Error", {})
        code = str(details.get("Code", "Unknown"))
        message = str(details.get("Message", ""))
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400))
        action = f"{service}:{error.operation_name}"
        if "MultiFactorAuthentication failed" in message:
            return AccountError(
                self.side,
                f"{action} was refused with {code}: {message}",
                fix=f"{_AGAIN}, and asks for the code that the device shows now; a code works once",
                code=code,
            )
        if code in DENIED:
            action, resource = _named(message, action, resource)
            return AccessDeniedError(
                self.side,
                f"{self.role} may not {action} on {resource} in the {self._place}. "
                f"AWS says: {message}",
                fix=self._denied_fix(service, action),
                code=code,
            )
        if SKEWED.search(f"{code}: {message}"):
            return AccountError(
                self.side,
                f"{action} was refused with {code}: {message}. This machine's clock is wrong.",
                fix="set the clock (timedatectl set-ntp true, or your system's own way), and run "
                "again: it continues where it stopped",
                code=code,
            )
        if code in CREDENTIALS:
            return self.no_credentials(f"{action} was refused with {code}: {message}", code)
        if code in PASSING or status >= 500 or _cancelled_for_now(code, message):
            return UnavailableError(
                self.side,
                f"{action} on {resource} in the {self._place} is refused for now, with "
                f"{code}: "
                f"{message}",
                fix="run again in a few minutes: it continues where it stopped",
                code=code,
            )
        return AccountError(
            self.side,
            f"{action} on {resource} in the {self._place} failed with {code}: {message}",
            fix="fix the cause that it names, and run again: it continues where it stopped",
            code=code,
        )

    def _denied_fix(self, service: str, action: str) -> str:
        if service == "sts":
            return (
                f"pass --{self.side.name.lower()}-profile with credentials of that account, and "
                "see that "
                "`operators` in the stack configuration names them (and --external-id, if it asks "
                "for one)"
            )
        return (
            f"pulumi up --refresh, which grants {action}; if it is granted, look for an "
            "organisation's "
            "policy, a permissions boundary or a key policy that denies it"
        )


def _described(why: Exception | str) -> str:
    """Return an error's text; a few of Python's own say nothing without their type."""
    if isinstance(why, AttributeError | LookupError | TypeError):
        return f"{type(why).__name__}: {why}"
    return str(why)


def _cancelled_for_now(code: str, message: str) -> bool:
    reasons = re.search(r"\[([\w, ]+)\]", message)
    if code != "TransactionCanceledException" or reasons is None:
        return False
    return set(reasons[1].split(", ")) <= PASSING_REASONS


def _named(message: str, action: str, resource: str) -> tuple[str, str]:
    """Return action and resource as AWS names them: it may require another than was called."""
    named = re.search(r"perform: ([\w-]+:\w+)(?: on resource: (\S+))?", message)
    if named is None:
        return action, resource
    return named[1], named[2] or resource


def answered_at(answer: Mapping[str, Any]) -> float:
    """Return AWS's time: the Date header of an answer, in whole seconds."""
    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    return parsedate_to_datetime(headers["date"]).timestamp()
