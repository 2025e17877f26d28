"""The operator's own credentials: one log-in a profile for a whole process tree.

A profile with `mfa_serial` asks for a code when its credentials are loaded. So they are loaded once
for both accounts, and worker processes get what was loaded. A code works once: two profiles on one
device need two.
"""

from __future__ import annotations

import getpass
import logging
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import botocore.session
from botocore import exceptions
from botocore.credentials import RefreshableCredentials

from bootstrap.aws.sdk import sdk_session

# It logs each failed renewal with a traceback, beside the error that this program reports.
logging.getLogger("botocore.credentials").setLevel(logging.ERROR)

ASSUME_ROLE = "assume-role"
"""Name of botocore's provider of profiles with `role_arn`, the one that asks for codes."""
TERMINAL = Path("/dev/tty")


@dataclass(frozen=True)
class LoadedCredentials:
    """Credentials as they were loaded, for a process that cannot ask for a code."""

    access_key: str
    secret_key: str = field(repr=False)
    token: str | None = field(repr=False)
    expiry_time: str
    """ISO 8601."""


class CodePrompter:
    """Asks for one profile's MFA codes, and takes none that was used for the same device.

    `used`: devices and codes, of all profiles. `worker`: in a process that may not ask.
    """

    def __init__(self, used: set[tuple[str, str]], *, worker: bool = False) -> None:
        self.asked = False
        self._used = used
        self._worker = worker

    def __call__(self, prompt: str) -> str:
        """Ask at the terminal. botocore's prompt names the device.

        Raises:
            EOFError: where there is no terminal to ask at.
        """
        self.asked = True
        if self._worker or not _has_terminal():
            raise EOFError
        again = any(device == prompt for device, _ in self._used)
        while True:
            hint = "(a code works once: wait for the next one) " if again else ""
            code = getpass.getpass(f"{prompt}{hint}").strip()
            if code and (prompt, code) not in self._used:
                self._used.add((prompt, code))
                return code
            again = True


def _has_terminal() -> bool:
    # As getpass does: the terminal itself, and else a standard input that is one.
    try:
        with TERMINAL.open("rb"):
            return True
    except OSError:
        return sys.stdin is not None and sys.stdin.isatty()


class Login:
    """The credentials of one profile; None is botocore's default chain.

    It pickles: a worker process gets the credentials that were loaded with a code, which it cannot
    ask for. All others are loaded there again, since they can be renewed.
    """

    def __init__(
        self,
        profile: str | None,
        prompter: CodePrompter,
        loaded: LoadedCredentials | None = None,
    ) -> None:
        self.profile = profile
        self._prompter = prompter
        self._loaded = loaded
        self._session: botocore.session.Session | None = None

    def session(self) -> botocore.session.Session:
        """Return the session, which loads the credentials with its first use.

        Raises:
            BotoCoreError: when the profile does not exist, or the files cannot be parsed.
        """
        if self._session is None:
            session = sdk_session(self.profile)
            session.get_scoped_config()
            if self._loaded is not None:
                session._credentials = _fixed(self._loaded)
            else:
                resolver = session.get_component("credential_provider")
                resolver.get_provider(ASSUME_ROLE)._prompter = self._prompter
            self._session = session
        return self._session

    def __reduce__(self) -> tuple[Any, ...]:
        return _received, (self.profile, self._loaded or self._load())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Login) and self._identity == other._identity

    def __hash__(self) -> int:
        return hash(self._identity)

    @property
    def _identity(self) -> tuple[str | None, LoadedCredentials | None]:
        return self.profile, self._loaded

    def _load(self) -> LoadedCredentials | None:
        if self._session is None or not self._prompter.asked:
            return None
        found = self._session.get_credentials()
        if not isinstance(found, RefreshableCredentials):
            return None
        now = found.get_frozen_credentials()
        expiry = found._expiry_time.isoformat()
        return LoadedCredentials(now.access_key, now.secret_key, now.token, expiry)


def named_sso(error: Exception, session: botocore.session.Session) -> Exception:
    """Return an error of SSO's in place of one of Python's own: a cached token that cannot be read.

    botocore takes the files of `aws sso login` as they are: of a broken one it raises KeyError, of
    a date that is none ValueError. Other errors, and those of profiles without SSO, stay as they
    are.
    """
    if isinstance(error, exceptions.BotoCoreError) or not _uses_sso(session):
        return error
    if isinstance(error, AttributeError | LookupError | TypeError | ValueError):
        why = f"the token of the last log-in cannot be read ({type(error).__name__})"
        broken: Exception = exceptions.SSOTokenLoadError(error_msg=why)
        return broken
    return error


def _uses_sso(session: botocore.session.Session) -> bool:
    """Tell whether the session's profile, or one whose credentials it uses, signs in by SSO."""
    profiles = session.full_config.get("profiles", {})
    name, seen = session.profile or "default", set[str]()
    while name in profiles and name not in seen:
        seen.add(name)
        if profiles[name].keys() & {"sso_session", "sso_start_url"}:
            return True
        name = profiles[name].get("source_profile", "")
    return False


class Logins:
    """The log-ins of a process: one a profile."""

    def __init__(self) -> None:
        self._used: set[tuple[str, str]] = set()
        self._by_profile: dict[str | None, Login] = {}

    def of(self, profile: str | None) -> Login:
        """Return the one log-in of a profile."""
        return self._by_profile.setdefault(profile, Login(profile, CodePrompter(self._used)))


def _received(profile: str | None, loaded: LoadedCredentials | None) -> Login:
    return Login(profile, CodePrompter(set(), worker=True), loaded)


def _fixed(loaded: LoadedCredentials) -> RefreshableCredentials:
    """Make credentials that end as a session with MFA does: with a demand for a new code."""

    def refresh() -> dict[str, str]:
        raise exceptions.RefreshWithMFAUnsupportedError

    return RefreshableCredentials.create_from_metadata(
        metadata={
            "access_key": loaded.access_key,
            "secret_key": loaded.secret_key,
            "token": loaded.token,
            "expiry_time": loaded.expiry_time,
        },
        refresh_using=refresh,
        method=ASSUME_ROLE,
    )
