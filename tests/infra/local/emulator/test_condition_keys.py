"""Condition keys of a call: the role behind a session, and the time."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from infra.local.emulator.condition_keys import ConditionKeys
from infra.local.emulator.patching import Ministack

NOON = 1_795_953_600.5  # 2026-11-29T12:00:00.5Z
STORED = {"worker": {"Arn": "arn:aws:iam::1:role/apps/worker"}}


@pytest.fixture
def keys() -> ConditionKeys:
    theirs = SimpleNamespace(_resolve_condition_key=lambda key, context: f"theirs: {key}")
    roles = SimpleNamespace(get_scoped=lambda account, region, name: STORED.get(name))
    ministack = Ministack("", {"iam_evaluator": theirs, "iam": SimpleNamespace(_roles=roles)})
    made = ConditionKeys(ministack, now=lambda: NOON)
    made.install()
    return made


@pytest.mark.parametrize(
    ("caller", "principal"),
    [
        ("arn:aws:sts::1:assumed-role/worker/session", "arn:aws:iam::1:role/apps/worker"),
        ("arn:aws:sts::1:assumed-role/gone/session", "arn:aws:iam::1:role/gone"),
        ("arn:aws:iam::1:user/anna", "arn:aws:iam::1:user/anna"),
        ("arn:aws:iam::1:root", "arn:aws:iam::1:root"),
    ],
)
def test_the_principal_of_a_session_is_its_role(
    keys: ConditionKeys, caller: str, principal: str
) -> None:
    context = SimpleNamespace(principal_arn=caller)
    assert keys.resolve("aws:PrincipalArn", context) == principal


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("aws:CurrentTime", "2026-11-29T12:00:00.500000+00:00"),
        ("aws:EpochTime", "1795953600"),
        ("aws:ViaAWSService", "false"),
        ("aws:SourceIp", "theirs: aws:SourceIp"),
    ],
)
def test_the_time_is_that_of_the_clock_and_other_keys_are_ministacks(
    keys: ConditionKeys, key: str, value: Any
) -> None:
    assert keys.resolve(key, SimpleNamespace()) == value
