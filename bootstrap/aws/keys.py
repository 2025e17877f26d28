"""What an account says about its keys."""

from __future__ import annotations

from typing import Any

from bootstrap.aws.calls import Calls
from bootstrap.core.errors import AccessDeniedError, AccountError, UnavailableError
from bootstrap.core.facts import KeyFacts

AWSS_OWN = "alias/aws/dynamodb"
"""The key that AWS manages for DynamoDB in each account (API reference, kms:ListAliases)."""


class KeyReader:
    """Metadata and policies alone: nothing is encrypted or decrypted here."""

    def __init__(self, calls: Calls, kms: Any) -> None:
        self._calls = calls
        self._kms = kms

    def look(self, arn: str) -> KeyFacts:
        """State and policy of a key. Refused: the stack's roles may ask, unless the key says no."""
        try:
            found = self._calls("kms", self._kms.describe_key, arn, KeyId=arn)
            policy = self._calls("kms", self._kms.get_key_policy, arn, KeyId=arn)
        except AccessDeniedError as error:
            return KeyFacts(arn, "", "", refused=error.code)
        except AccountError as error:
            if error.code != "NotFoundException":
                raise
            return KeyFacts(arn, "", "", refused=error.code)
        return KeyFacts(arn, found["KeyMetadata"]["KeyState"], policy["Policy"])

    def awss_own(self, arn: str) -> bool | None:
        """Whether a key is the one that AWS manages for DynamoDB; None if it cannot be told."""
        try:
            answer = self._calls("kms", self._kms.list_aliases, arn, KeyId=arn)
        except UnavailableError:
            raise
        except AccountError:
            return None
        return any(each["AliasName"] == AWSS_OWN for each in answer.get("Aliases", []))
