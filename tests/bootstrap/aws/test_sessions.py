"""Credentials that cannot be loaded: the profile, what failed, and a command to try."""

from __future__ import annotations

from hashlib import sha1
from pathlib import Path
from typing import NoReturn

import pytest
from botocore.credentials import SSOProvider
from botocore.exceptions import RefreshWithMFAUnsupportedError
from botocore.tokens import SSOTokenProvider

from bootstrap.aws import login
from bootstrap.aws.calls import Calls
from bootstrap.aws.login import Logins
from bootstrap.aws.sessions import Session
from bootstrap.core.durations import Timing
from bootstrap.core.errors import AccountError, Side
from bootstrap.core.stack_outputs import AccountOutputs

ACCOUNT = "111111111111"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/exporter"
NOWHERE = "/nowhere/at/all"

KEYS = "aws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = secret"

PROFILES = {
    "process-missing": f"credential_process = {NOWHERE}",
    "process-fails": "credential_process = false",
    "process-not-json": "credential_process = echo logged out",
    "process-half-json": """credential_process = echo '{"Version": 1}'""",
    "process-prints-null": (
        "credential_process = "
        """echo '{"Version": 1, "AccessKeyId": "A", "SecretAccessKey": null}'"""
    ),
    "process-prints-numbers": (
        """credential_process = echo '{"Version": 1, "AccessKeyId": 5, "SecretAccessKey": 6}'"""
    ),
    "process-prints-a-list": "credential_process = echo [1]",
    "process-is-empty": "credential_process =",
    "web-identity": f"role_arn = {ROLE}\nweb_identity_token_file = {NOWHERE}",
    "sso": (
        f"sso_session = corp\nsso_account_id = {ACCOUNT}\nsso_role_name = Admin\n"
        "[sso-session corp]\nsso_region = eu-west-1\nsso_start_url = https://corp.example/start"
    ),
    "mfa": (
        f"role_arn = {ROLE}\nsource_profile = keys\nmfa_serial = arn:aws:iam::{ACCOUNT}:mfa/me\n"
        "[profile keys]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = secret"
    ),
    "loop": f"role_arn = {ROLE}\nsource_profile = other\n"
    f"[profile other]\nrole_arn = {ROLE}\nsource_profile = loop",
    "unknown-source": f"role_arn = {ROLE}\ncredential_source = Moon",
    "sts-endpoints": f"{KEYS}\nsts_regional_endpoints = moon",
    "defaults-mode": f"{KEYS}\ndefaults_mode = odd",
    "endpoint-url": f"{KEYS}\nendpoint_url = no url",
    "metadata-timeout": "metadata_service_timeout = soon",
    "no-source": f"role_arn = {ROLE}\nsource_profile = missing",
}


@pytest.fixture(autouse=True)
def _no_other_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    # Nothing listens there: a call that is made all the same ends at once.
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")

    # Otherwise the test of a profile with MFA would wait at the terminal that it runs in.
    monkeypatch.setattr(login, "_has_terminal", lambda: False)


@pytest.mark.parametrize("role", [ROLE, ""], ids=["role", "before there is a role"])
@pytest.mark.parametrize("name", PROFILES)
def test_credentials_that_cannot_be_loaded_are_never_a_bug(
    monkeypatch: pytest.MonkeyPatch, name: str, role: str, tmp_path: Path
) -> None:
    (tmp_path / "config").write_text(f"[profile {name}]\n{PROFILES[name]}\n")
    if name == "endpoint-url":
        monkeypatch.delenv("AWS_ENDPOINT_URL")
    account = AccountOutputs(ACCOUNT, "eu-west-1", role)
    with pytest.raises(AccountError) as ended:
        session = Session(Side.TARGET, account, Timing(), login=Logins().of(name))
        session.refuse_another_account()
        dynamodb = session.client("dynamodb")
        Calls(Side.TARGET, "the role")("dynamodb", dynamodb.list_tables, "the tables")
    assert ended.value.exit_code == Side.TARGET.value
    assert f"profile {name}" in ended.value.what
    assert "target account" in ended.value.what
    assert f"--profile {name}" in ended.value.fix
    assert "continues where it stopped" in ended.value.fix
    assert "does not answer" not in ended.value.what


@pytest.mark.parametrize("source", [False, True], ids=["itself", "as the source of a role"])
@pytest.mark.parametrize("token", ["{", "null", "[1", '{"accessToken": "t", "expiresAt": "soon"}'])
@pytest.mark.parametrize("kind", ["sso-session", "sso-start-url"])
def test_a_cached_sso_token_that_cannot_be_read_asks_for_the_log_in(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str, token: str, source: bool
) -> None:
    for provider in (SSOTokenProvider, SSOProvider):
        monkeypatch.setattr(provider, "_SSO_TOKEN_CACHE_DIR", str(tmp_path))
    for name in ("corp", "https://corp.example/start"):
        (tmp_path / f"{sha1(name.encode()).hexdigest()}.json").write_text(token)
    start = "sso_region = eu-west-1\nsso_start_url = https://corp.example/start\n"
    role = f"sso_account_id = {ACCOUNT}\nsso_role_name = Admin\n"
    own = f"{role}sso_session = corp\n" if kind == "sso-session" else f"{role}{start}"
    (tmp_path / "config").write_text(
        f"[profile shop]\n{own}[sso-session corp]\n{start}"
        f"[profile via]\nrole_arn = {ROLE}\nsource_profile = shop\n"
    )
    name = "via" if source else "shop"
    account = AccountOutputs(ACCOUNT, "eu-west-1", ROLE)
    session = Session(Side.TARGET, account, Timing(), login=Logins().of(name))
    with pytest.raises(AccountError, match=r"token of the last log-in cannot be read") as ended:
        session._session.get_credentials().get_frozen_credentials()
    assert ended.value.exit_code == Side.TARGET.value
    assert ended.value.fix.startswith(f"aws sso login --profile {name}, then run the same")


@pytest.mark.parametrize("role", [ROLE, ""], ids=["role", "before there is a role"])
@pytest.mark.parametrize(
    ("config", "failed"),
    [("", "gone"), ("[[[", "parse"), ("\udcff", "parse")],
    ids=["AWS_PROFILE names none", "no configuration file", "not UTF-8"],
)
def test_the_environments_configuration_that_cannot_be_read_is_never_a_bug(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, config: str, failed: str, role: str
) -> None:
    (tmp_path / "config").write_bytes(config.encode("utf-8", "surrogateescape"))
    monkeypatch.setenv("AWS_PROFILE", "gone")
    with pytest.raises(AccountError) as ended:
        Session(Side.SOURCE, AccountOutputs(ACCOUNT, "eu-west-1", role), Timing()).client("kms")
    assert ended.value.exit_code == Side.SOURCE.value
    assert failed in ended.value.what
    assert "--source-profile NAME" in ended.value.fix


def test_a_given_profile_is_used_whatever_aws_profile_names(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "config").write_text(f"[profile given]\n{KEYS}\n")
    monkeypatch.setenv("AWS_PROFILE", "gone")
    account = AccountOutputs(ACCOUNT, "eu-west-1", ROLE)
    session = Session(Side.SOURCE, account, Timing(), login=Logins().of("given"))
    assert session.client("kms").meta.region_name == "eu-west-1"


def test_a_session_with_mfa_that_ends_asks_to_log_in_again() -> None:
    def refuse() -> NoReturn:
        raise RefreshWithMFAUnsupportedError

    with pytest.raises(AccountError) as ended:
        Calls(Side.SOURCE, "the role")("sts", refuse, "role")
    assert ended.value.exit_code == Side.SOURCE.value
    assert "run the same command again" in ended.value.fix
    assert "new MFA code" in ended.value.fix
