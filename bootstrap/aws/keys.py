"""KMS keys and their policies, as an account describes them."""

from __future__ import annotations

from typing import Any

from bootstrap.aws.calls import Calls
from bootstrap.core.errors import AccessDeniedError, AccountError, UnavailableError
from bootstrap.core.facts import KeyFacts

AWSS_OWN = "alias/aws/dynamodb"
"""The key that AWS manages for DynamoDB in each account (API reference, kms:ListAliases)."""


class KeyReader:
    """A reader of metadata and policies. It encrypts and decrypts nothing."""

    def __init__(self, calls: Calls, kms: Any) -> None:
        self._calls = calls
        self._kms = kms

    def look(self, arn: str) -> KeyFacts:
        """Read state and policy of a key.

        `refused` holds the error code where the key may not be described. A key that may be used
        need not let its policy be read: that is unknown then, and no refusal of its use.
        """
        try:
            found = self._calls("kms", self._kms.describe_key, arn, KeyId=arn)
        except AccessDeniedError as error:
            return KeyFacts(arn, "", None, refused=error.code)
        except AccountError as error:
            if error.code != "NotFoundException":
                raise
            return KeyFacts(arn, "", None, refused=error.code)
        return KeyFacts(arn, found["KeyMetadata"]["KeyState"], self._policy(arn))

    def _policy(self, arn: str) -> str | None:
        try:
            policy: str = self._calls("kms", self._kms.get_key_policy, arn, KeyId=arn)["Policy"]
        except AccessDeniedError:
            return None
        return policy

    def awss_own(self, arn: str) -> bool | None:
        """Tell whether AWS manages this key for DynamoDB; None if that is unknown."""
        try:
            answer = self._calls("kms", self._kms.list_aliases, arn, KeyId=arn)
        except UnavailableError:
            raise
        except AccountError:
            return None
        return any(each["AliasName"] == AWSS_OWN for each in answer.get("Aliases", []))
