"""Resource policies of tables, changed only over the revision that was read."""

from __future__ import annotations

import json
from typing import Any

from bootstrap.aws.calls import Calls
from bootstrap.core.errors import AccountError, UnavailableError
from bootstrap.core.facts import PolicyRevision
from bootstrap.core.write_deny import canonical

NO_POLICY = "NO_POLICY"
"""The revision of a table without a policy, as PutResourcePolicy expects it."""
NOT_FOUND = "PolicyNotFoundException"
"""The answer for a table without a policy, and for a policy of another revision."""


class AwsResourcePolicies:
    """`ResourcePolicies` of one account and Region."""

    def __init__(self, calls: Calls, dynamodb: Any) -> None:
        self._calls = calls
        self._dynamodb = dynamodb

    def read(self, table_arn: str) -> PolicyRevision:
        try:
            answer = self._calls(
                "dynamodb",
                self._dynamodb.get_resource_policy,
                table_arn,
                ResourceArn=table_arn,
            )
        except AccountError as error:
            if error.code == NOT_FOUND:
                return PolicyRevision(None, NO_POLICY)
            raise
        return PolicyRevision(answer["Policy"], answer["RevisionId"])

    def replace(
        self, table_arn: str, known: PolicyRevision, document: str | None
    ) -> PolicyRevision:
        if document is None and known.document is None:
            return known
        try:
            revision = self._change(table_arn, known.revision, document)
        except AccountError as error:
            if error.code != NOT_FOUND:
                raise
            # A call that was repeated because its answer was lost meets its own revision.
            return self._after_miss(table_arn, known, document)
        return PolicyRevision(document, revision)

    def _after_miss(
        self, table_arn: str, known: PolicyRevision, document: str | None
    ) -> PolicyRevision:
        found = self.read(table_arn)
        if same_policy(found.document, document):
            return found
        if found.revision == known.revision:
            raise UnavailableError(
                self._calls.side,
                f"AWS does not show the latest resource policy of {table_arn} yet.",
                fix="the same command again",
                code=NOT_FOUND,
            )
        raise UnavailableError(
            self._calls.side,
            f"Another caller changed the resource policy of {table_arn} meanwhile.",
            fix="the same command again: it reads the policy anew",
            code=NOT_FOUND,
        )

    def _change(self, table_arn: str, expected: str, document: str | None) -> str:
        """Put or delete the policy, and return its revision."""
        if document is None:
            self._calls(
                "dynamodb",
                self._dynamodb.delete_resource_policy,
                table_arn,
                ResourceArn=table_arn,
                ExpectedRevisionId=expected,
            )
            return NO_POLICY
        answer = self._calls(
            "dynamodb",
            self._dynamodb.put_resource_policy,
            table_arn,
            ResourceArn=table_arn,
            Policy=document,
            ExpectedRevisionId=expected,
        )
        return str(answer["RevisionId"])


def same_policy(one: str | None, other: str | None) -> bool:
    """Compare two documents by their content. AWS shows a list of one as its only element."""
    if one is None or other is None:
        return one is other
    return bool(canonical(json.loads(one)) == canonical(json.loads(other)))
