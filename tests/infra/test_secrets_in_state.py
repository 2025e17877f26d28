"""Secrets of the configuration among the inputs of resources."""

from __future__ import annotations

import pulumi
import pytest
from pulumi.runtime import set_all_config
from pulumi.runtime.config import _SECRET_KEYS, CONFIG

from infra.secrets_in_state import SecretTexts

KEY = "arn:aws:kms:eu-west-1:222222222222:key/1"
VALUES = {
    "operators": {"source": ["account"], "externalId": "a-word"},
    "switch": {"source": ["arn:aws:iam::111111111111:role/dba"], "mfa": True},
    "tags": {"owner": "dev"},
    "tables": [{"source": "orders", "targetKeyArn": KEY, "batchSize": 100}],
    "buckets": {"accessLogs": {"target": "logs-of-the-security-team"}},
    "alarms": {"emails": ["one@example.com"]},
}


def texts(*secret: str) -> frozenset[str]:
    """Return what is kept where these top-level keys hold a secret."""
    before, keys = CONFIG.get(), _SECRET_KEYS.get()
    try:
        set_all_config({}, [f"test:{key}" for key in secret])
        return SecretTexts.of(pulumi.Config("test"), VALUES).texts
    finally:
        CONFIG.set(before)
        _SECRET_KEYS.set(keys)


def test_what_no_secret_is_in_is_not_kept() -> None:
    assert texts() == frozenset()
    assert texts("alarms") == {"one@example.com"}
    assert texts("buckets") == {"logs-of-the-security-team"}
    assert texts("switch") == {"arn:aws:iam::111111111111:role/dba"}


def test_names_numbers_and_the_word_account_are_not_kept() -> None:
    assert texts("tables", "operators", "tags") == {KEY, "a-word", "dev"}


@pytest.mark.parametrize(
    ("value", "secret"),
    [
        ("dev", True),
        ("device", False),
        ('{"owner": "dev"}', True),
        (["x", {"y": "dev"}], True),
        (f'{{"Resource": ["{KEY}/*"]}}', True),
        (12, False),
        (None, False),
    ],
)
def test_a_short_text_is_found_whole_and_a_long_one_within_another(
    value: object, secret: bool
) -> None:
    assert SecretTexts(frozenset({"dev", KEY})).in_(value) is secret
