"""A table's resource policy, changed by this tool and by others, with AWS's own rules for it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from bootstrap.aws.calls import Calls
from bootstrap.aws.resource_policies import NO_POLICY, AwsResourcePolicies
from bootstrap.core.errors import Side, UnavailableError
from bootstrap.core.facts import PolicyRevision
from tests.support.infra.policy_account import ARN, Account, deny

pytestmark = pytest.mark.promise("C9")


class Client:
    """A DynamoDB client on the local cloud's own implementation."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self.lost: Callable[[], bool] = lambda: False

    def get_resource_policy(self, **request: Any) -> Any:
        return _answer("GetResourcePolicy", self._account.get(request["ResourceArn"]))

    def put_resource_policy(self, **request: Any) -> Any:
        def call() -> Any:
            expected = request["ExpectedRevisionId"]
            return self._account.put(request["Policy"], expected, request["ResourceArn"])

        return self._repeated("PutResourcePolicy", call)

    def delete_resource_policy(self, **request: Any) -> Any:
        return self._repeated(
            "DeleteResourcePolicy", lambda: self._account.delete(request["ExpectedRevisionId"])
        )

    def _repeated(self, operation: str, call: Callable[[], Any]) -> Any:
        """Call again, as the SDK does, where the answer is lost."""
        answer = call()
        return _answer(operation, call() if self.lost() else answer)


def _answer(operation: str, body: Any) -> Any:
    if not isinstance(body, str):
        return {**body, "ResponseMetadata": {"HTTPHeaders": {}}}
    code, _, message = body.partition(": ")
    raise ClientError({"Error": {"Code": code, "Message": message}}, operation)


@pytest.fixture
def account() -> Account:
    return Account()


@pytest.fixture
def client(account: Account) -> Client:
    return Client(account)


@pytest.fixture
def policies(client: Client) -> AwsResourcePolicies:
    return AwsResourcePolicies(Calls(Side.SOURCE, "Role switch"), client)


def test_a_table_without_a_policy_has_the_revision_that_aws_expects(
    policies: AwsResourcePolicies,
) -> None:
    assert policies.read(ARN) == PolicyRevision(None, NO_POLICY)


def test_a_policy_is_put_replaced_and_taken_off(
    account: Account, policies: AwsResourcePolicies
) -> None:
    known = policies.read(ARN)
    for document in (deny("One"), deny("Two"), None):
        known = policies.replace(ARN, known, document)
        account.now += 300
        found = policies.read(ARN)
        assert found.revision == known.revision
        assert (found.document is None) == (document is None)
    assert known == PolicyRevision(None, NO_POLICY)


def test_no_call_is_made_to_take_off_what_is_not_there(policies: AwsResourcePolicies) -> None:
    absent = PolicyRevision(None, NO_POLICY)
    assert policies.replace(ARN, absent, None) == absent


def test_what_somebody_else_put_is_not_overwritten(
    account: Account, policies: AwsResourcePolicies
) -> None:
    known = policies.read(ARN)
    account.put(deny("Theirs"))
    account.now += 300
    with pytest.raises(UnavailableError, match="Another caller"):
        policies.replace(ARN, known, deny("Ours"))
    assert "Theirs" in account.get()["Policy"]


def test_what_somebody_else_took_off_is_not_put_back(
    account: Account, policies: AwsResourcePolicies
) -> None:
    account.put(deny("One"))
    account.now += 300
    known = policies.read(ARN)
    account.delete()
    account.now += 300
    with pytest.raises(UnavailableError, match="Another caller"):
        policies.replace(ARN, known, deny("Ours"))


def test_a_lost_answer_is_no_change_by_somebody_else(
    account: Account, client: Client, policies: AwsResourcePolicies
) -> None:
    client.lost = lambda: True
    known = policies.read(ARN)
    for document in (deny("One"), None):
        with pytest.raises(UnavailableError):  # the change cannot be read yet
            policies.replace(ARN, known, document)
        account.now += 3
        again = policies.replace(ARN, known, document)
        assert (again.document is None) == (document is None)
        assert "Two" not in json.dumps(again.document)
        known = again
        account.now += 300


def test_a_second_change_within_seconds_is_a_matter_of_waiting(
    account: Account, policies: AwsResourcePolicies
) -> None:
    known = policies.replace(ARN, policies.read(ARN), deny("One"))
    account.now += 5
    with pytest.raises(UnavailableError):
        policies.replace(ARN, known, deny("Two"))
