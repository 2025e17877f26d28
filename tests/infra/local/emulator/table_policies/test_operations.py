"""The three operations on a table's resource policy, by a clock that stands still."""

from __future__ import annotations

import json

import pytest

from tests.support.infra.policy_account import ACCOUNT, ARN, Account, deny


@pytest.fixture
def account() -> Account:
    return Account()


def test_a_policy_is_read_back_a_little_after_it_was_put(account: Account) -> None:
    revision = account.put(deny())["RevisionId"]
    assert account.get() == (
        f"PolicyNotFoundException: Resource-based policy not found for the provided "
        f"ResourceArn: {ARN}"
    )
    account.now += 3
    shown = account.get()
    assert shown["RevisionId"] == revision
    assert json.loads(shown["Policy"])["Statement"][0]["Action"] == "dynamodb:PutItem"


def test_the_previous_policy_is_read_for_a_moment_after_a_change(account: Account) -> None:
    first = account.put(deny("One"))["RevisionId"]
    account.now += 20
    second = account.put(deny("Two"))["RevisionId"]
    assert account.get()["RevisionId"] == first
    account.now += 3
    assert account.get()["RevisionId"] == second
    account.now += 20
    account.delete()
    assert account.get()["RevisionId"] == second
    account.now += 3
    assert account.get().startswith("PolicyNotFoundException")


def test_the_same_document_has_the_same_revision_however_it_is_written(account: Account) -> None:
    first = account.put(deny())["RevisionId"]
    assert account.put(deny())["RevisionId"] == first
    assert account.put(deny(indent=4))["RevisionId"] == first, "within the quiet time, too"
    account.now += 20
    other = account.put(deny("Other"))["RevisionId"]
    assert other != first


def test_a_document_that_comes_back_has_its_old_revision_so_a_nonce_is_needed(
    account: Account,
) -> None:
    first = account.put(deny())["RevisionId"]
    account.now += 20
    account.put(deny("Other"))
    account.now += 20
    assert account.put(deny())["RevisionId"] == first


def test_a_compare_and_set_that_misses_finds_no_policy(account: Account) -> None:
    assert account.put(deny(), expected="1").startswith("PolicyNotFoundException")
    assert account.delete(expected="1").startswith("PolicyNotFoundException")
    first = account.put(deny(), expected="NO_POLICY")["RevisionId"]
    account.now += 20
    assert account.put(deny("Two"), expected="NO_POLICY").startswith("PolicyNotFoundException")
    assert account.put(deny("Two"), expected="1").startswith("PolicyNotFoundException")
    second = account.put(deny("Two"), expected=first)["RevisionId"]
    account.now += 20
    assert account.put(deny("Three"), expected=first).startswith("PolicyNotFoundException")
    assert account.delete(expected=first).startswith("PolicyNotFoundException")
    assert account.delete(expected="NO_POLICY").startswith("PolicyNotFoundException")
    assert account.delete(expected=second) == {"RevisionId": second}
    assert account.delete(expected=second).startswith("PolicyNotFoundException")
    account.now += 20
    assert account.put(deny("Four"), expected="NO_POLICY")["RevisionId"]


def test_the_expected_revision_is_compared_with_the_newest_not_with_what_is_read(
    account: Account,
) -> None:
    first = account.put(deny())["RevisionId"]
    assert account.get().startswith("PolicyNotFoundException")
    assert account.put(deny(), expected=first)["RevisionId"] == first


def test_changes_are_15_seconds_apart(account: Account) -> None:
    first = account.put(deny())["RevisionId"]
    for expected in (None, first):
        refused = account.put(deny("Two"), expected=expected)
        assert refused.startswith("ResourceInUseException: Attempt to change a resource which")
    account.now += 3
    refused = account.put(deny("Two"))
    assert refused.startswith(
        "ThrottlingException: Resource-based policy for table orders modified within the previous "
        "15000 milliseconds. Please try again after 2026-11-30T00:53:35.000Z."
    )
    assert account.delete().startswith("ThrottlingException")
    assert account.put(deny("Two"), expected="1").startswith("PolicyNotFoundException"), "first"
    account.now += 11.9
    assert account.put(deny("Two")).startswith("ThrottlingException")
    account.now += 0.2
    assert account.put(deny("Two"))["RevisionId"]


def test_a_deletion_is_followed_by_quiet_too_and_another_table_is_not(account: Account) -> None:
    account.put(deny())
    account.now += 15
    account.delete()
    account.now += 3
    assert account.put(deny()).startswith("ThrottlingException")
    other = ARN.replace("orders", "other")
    assert account.put(deny(), arn=other)["RevisionId"]


def test_deleting_is_idempotent_and_starts_no_quiet_where_there_is_no_policy(
    account: Account,
) -> None:
    assert account.delete() == {}
    assert account.put(deny())["RevisionId"]
    account.now += 15
    account.delete()
    assert account.delete()["RevisionId"]


def test_a_policy_that_would_lock_its_author_out_needs_a_confirmation(account: Account) -> None:
    locking = deny(action="dynamodb:PutResourcePolicy")
    assert account.put(locking) == (
        "AccessDeniedException: The new resource policy will not allow you to update the resource "
        "policy in the future."
    )
    assert account.put(locking, ConfirmRemoveSelfResourceAccess=True)["RevisionId"]


@pytest.mark.parametrize(
    ("arn", "answer"),
    [
        ("orders", "ValidationException: One or more parameter values were invalid: ARNs must"),
        (ARN.replace(ACCOUNT, "222222222222"), "ValidationException: This action is only"),
        (ARN.replace("eu-west-1", "eu-west-2"), "ValidationException: One or more parameter"),
        (ARN.replace("arn:aws:", "arn:aws-cn:"), "ValidationException: One or more parameter"),
        (f"{ARN}/index/by-status", "ValidationException: One or more parameter values were"),
        (f"{ARN}/stream/2026-11-29T00:00:00.000", "ResourceNotFoundException: Requested resource"),
        (ARN.replace("orders", "missing"), "ResourceNotFoundException: Requested resource not"),
        (ARN.replace("orders", "ORDERS"), "ResourceNotFoundException: Requested resource not"),
    ],
)
def test_a_resource_that_is_no_table_of_this_account_is_refused(
    account: Account, arn: str, answer: str
) -> None:
    assert account.put(deny(), arn=arn).startswith(answer)
    assert account.get(arn).startswith(answer)


def test_a_table_that_is_being_created_is_not_there_yet(account: Account) -> None:
    account.tables["orders"]["TableStatus"] = "CREATING"
    assert account.put(deny()).startswith("ResourceNotFoundException")


def test_an_invalid_policy_leaves_the_old_one(account: Account) -> None:
    account.put(deny())
    account.now += 20
    assert account.put("{}").startswith("ValidationException")
    assert account.get()["Policy"]


def test_a_policy_ends_with_its_table(account: Account) -> None:
    account.put(deny())
    refused = account._answer(account.dynamodb._delete_table({"TableName": "orders"}))
    assert "has a pending resource-based policy update" in refused
    account.now += 3
    account.dynamodb._delete_table({"TableName": "orders"})
    account.dynamodb._create_table({"TableName": "orders"})
    account.now += 600
    assert account.get().startswith("PolicyNotFoundException")
    assert account.policies.seen_by("arn:aws:iam::1:role/app", ARN) is None


def test_a_table_created_with_a_policy_has_it_at_once(account: Account) -> None:
    account.dynamodb._create_table({"TableName": "new", "ResourcePolicy": deny()})
    arn = ARN.replace("orders", "new")
    assert account.policies.seen_by("arn:aws:iam::1:role/app", arn) is not None
    assert account.get(arn)["Policy"]
    refused = account._answer(
        account.dynamodb._create_table({"TableName": "newer", "ResourcePolicy": "{}"})
    )
    assert refused.startswith("ValidationException")
    assert "newer" not in account.tables
