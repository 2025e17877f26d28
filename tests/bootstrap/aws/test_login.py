"""Profiles with `mfa_serial`: one code a process tree, none twice, a clear end after an hour."""

from __future__ import annotations

import pickle
import re
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path

import pytest

from bootstrap.aws import login
from bootstrap.aws.login import Login, Logins
from bootstrap.aws.sessions import Session
from bootstrap.core.durations import Timing
from bootstrap.core.errors import AccountError, Side
from bootstrap.core.stack_outputs import AccountOutputs
from tests.support.bootstrap.sts import FakeSts, sts_server

pytestmark = [pytest.mark.slow, pytest.mark.promise("C6", "C8")]

ACCOUNTS = {Side.SOURCE: "111111111111", Side.TARGET: "222222222222"}
DEVICE = "arn:aws:iam::999999999999:mfa/anna"


@pytest.fixture
def sts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeSts]:
    role = (
        "role_arn = arn:aws:iam::999999999999:role/{0}\nsource_profile = keys\nmfa_serial = {1}\n"
    )
    (tmp_path / "config").write_text(
        f"[profile one]\n{role.format('one', DEVICE)}[profile two]\n{role.format('two', DEVICE)}"
        f"[profile plain]\nrole_arn = arn:aws:iam::999999999999:role/p\nsource_profile = keys\n"
        "[profile keys]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = s\n"
    )
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setattr(login, "_has_terminal", lambda: True)
    with sts_server() as service:
        monkeypatch.setenv("AWS_ENDPOINT_URL", service.url)
        yield service


class Terminal:
    """What the operator reads and types."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *codes: str) -> None:
        self.prompts: list[str] = []
        self._codes = iter(codes)
        monkeypatch.setattr("getpass.getpass", self.ask)

    def ask(self, prompt: str) -> str:
        self.prompts.append(prompt)
        return next(self._codes)


def session(side: Side, logins: Logins, profile: str) -> Session:
    role = f"arn:aws:iam::{ACCOUNTS[side]}:role/role"
    account = AccountOutputs(ACCOUNTS[side], "eu-west-1", role)
    return Session(side, account, Timing(), login=logins.of(profile))


def load(one: Session) -> None:
    """Assume the stack's role, as the first call does."""
    one._session.get_credentials().get_frozen_credentials()


def test_one_profile_for_both_accounts_asks_once(
    sts: FakeSts, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal, logins = Terminal(monkeypatch, "123456"), Logins()
    for side in Side:
        load(session(side, logins, "one"))
    assert len(terminal.prompts) == 1
    assert DEVICE in terminal.prompts[0]


def test_two_profiles_on_one_device_do_not_use_one_code(
    sts: FakeSts, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal, logins = Terminal(monkeypatch, "123456", "123456", "", "654321"), Logins()
    load(session(Side.SOURCE, logins, "one"))
    load(session(Side.TARGET, logins, "two"))
    assert sts.codes == ["123456", "654321"]
    assert "a code works once" not in terminal.prompts[0]
    assert all("a code works once" in prompt for prompt in terminal.prompts[1:])


def test_a_wrong_code_says_what_to_type(sts: FakeSts, monkeypatch: pytest.MonkeyPatch) -> None:
    Terminal(monkeypatch, "000000")
    with pytest.raises(AccountError, match="MultiFactorAuthentication failed") as ended:
        load(session(Side.TARGET, Logins(), "one"))
    assert "the code that the device shows now" in ended.value.fix
    assert ended.value.exit_code == 4


@pytest.mark.parametrize("side", list(Side))
def test_without_a_terminal_the_account_is_named(
    side: Side, sts: FakeSts, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal(monkeypatch)
    monkeypatch.setattr(login, "_has_terminal", lambda: False)
    with pytest.raises(AccountError, match="no terminal to ask for it") as ended:
        load(session(side, Logins(), "one"))
    assert ended.value.exit_code == side.value
    assert f"{side.account} in profile one" in ended.value.what
    assert not terminal.prompts, "standard input, if it is a pipe, may never end"


def test_after_the_hour_the_operator_is_asked_to_log_in_again(
    sts: FakeSts, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    Terminal(monkeypatch, "123456", "654321")
    sts.lasts = timedelta(seconds=5)
    one = session(Side.SOURCE, Logins(), "one")
    # botocore renews ten minutes before the end, and so at once.
    with pytest.raises(AccountError, match="the session that an MFA code began has ended") as ended:
        load(one)
        load(one)
    assert ended.value.exit_code == 3
    assert ended.value.fix.startswith("log in again: run the same command again: it continues")
    assert not caplog.records, "botocore's own warning has a traceback"


def keys_of_a_worker(received: Login) -> str:
    """In a worker process: load the credentials, and return their key."""
    found = received.session().get_credentials()
    return str(found.get_frozen_credentials().access_key)


@pytest.mark.slow
def test_a_worker_process_uses_the_log_in_of_its_parent(
    sts: FakeSts, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal, logins = Terminal(monkeypatch, "123456"), Logins()
    load(session(Side.TARGET, logins, "one"))
    mine = keys_of_a_worker(logins.of("one"))
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        assert pool.submit(keys_of_a_worker, logins.of("one")).result() == mine
    assert len(terminal.prompts) == 1


def test_what_a_worker_received_ends_with_the_same_demand(
    sts: FakeSts, monkeypatch: pytest.MonkeyPatch
) -> None:
    Terminal(monkeypatch, "123456")
    logins = Logins()
    load(session(Side.TARGET, logins, "one"))
    received = pickle.loads(pickle.dumps(logins.of("one")))
    credentials = received.session().get_credentials()
    credentials._expiry_time = datetime.now(UTC) + timedelta(minutes=1)
    one = Session(
        Side.TARGET,
        AccountOutputs(ACCOUNTS[Side.TARGET], "eu-west-1", "arn:aws:iam::222222222222:role/role"),
        Timing(),
        login=received,
    )
    with pytest.raises(AccountError, match="has ended") as ended:
        load(one)
    assert "log in again" in ended.value.fix


def test_a_worker_never_asks(sts: FakeSts, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal(monkeypatch, "123456")
    received = pickle.loads(pickle.dumps(Logins().of("one")))
    with pytest.raises(EOFError):
        keys_of_a_worker(received)
    assert not terminal.prompts


def test_credentials_that_can_be_renewed_are_not_fixed_for_a_worker(
    sts: FakeSts, monkeypatch: pytest.MonkeyPatch
) -> None:
    Terminal(monkeypatch, "123456")
    logins = Logins()
    load(session(Side.SOURCE, logins, "one"))
    load(session(Side.TARGET, logins, "plain"))
    received = pickle.loads(pickle.dumps(logins.of("plain")))
    assert received._loaded is None
    assert keys_of_a_worker(received) != keys_of_a_worker(logins.of("plain"))


def test_no_secret_is_in_what_a_log_in_prints(
    sts: FakeSts, monkeypatch: pytest.MonkeyPatch
) -> None:
    Terminal(monkeypatch, "123456")
    logins = Logins()
    load(session(Side.TARGET, logins, "one"))
    received = pickle.loads(pickle.dumps(logins.of("one")))
    assert not re.search("secret'|token-", repr(received._loaded))
