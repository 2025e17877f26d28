"""The statement that denies writers, in policies of every form that users have."""

from __future__ import annotations

import json
from string import ascii_letters, digits
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bootstrap.core.write_deny import (
    BULK_ACTION,
    POLICY_BYTES,
    WRITE_ACTIONS,
    PolicyError,
    WriteDeny,
    holds,
    names_bulk,
    project_statements,
    sid,
    size,
    with_deny,
    without_deny,
)

pytestmark = pytest.mark.promise("C9")

TABLE = "arn:aws:dynamodb:eu-west-1:111111111111:table/orders"
READERS = {
    "Sid": "Readers",
    "Effect": "Allow",
    "Principal": {"AWS": "arn:aws:iam::333333333333:root"},
    "Action": "dynamodb:GetItem",
    "Resource": TABLE,
}


def deny(nonce: str = "A1", **more: Any) -> WriteDeny:
    return WriteDeny(nonce, TABLE, **more)


def policy(*statements: dict[str, Any], **more: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements), **more}, indent=2)


def test_a_table_without_a_policy_gets_one() -> None:
    document = with_deny(None, deny())
    assert json.loads(document) == {"Version": "2012-10-17", "Statement": [deny().statement()]}
    assert without_deny(document) is None


def test_every_action_that_writes_is_denied_to_everyone() -> None:
    statement = deny().statement()
    assert statement["Principal"] == "*"
    assert set(statement["Action"]) == {
        f"dynamodb:{name}"
        for name in (
            *("PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem"),
            *("PartiQLInsert", "PartiQLUpdate", "PartiQLDelete", "StartBulkPutItems"),
        )
    }
    assert "Condition" not in statement


def test_its_dates_are_in_utc_to_the_second() -> None:
    condition = deny(begins=1_767_225_599, ends=1_767_225_600).statement()["Condition"]
    assert condition == {
        "DateGreaterThan": {"aws:CurrentTime": "2025-12-31T23:59:59Z"},
        "DateLessThan": {"aws:CurrentTime": "2026-01-01T00:00:00Z"},
    }


def test_roles_may_be_excepted_or_be_the_only_ones() -> None:
    assert deny(excepted=["b", "a"]).statement()["Condition"] == {
        "ArnNotEquals": {"aws:PrincipalArn": ["a", "b"]}
    }
    assert deny(only=["b", "a"]).statement()["Condition"] == {
        "ArnEquals": {"aws:PrincipalArn": ["a", "b"]}
    }


@pytest.mark.parametrize("mine", [[READERS], READERS], ids=["a list", "one object"])
def test_the_users_statements_stay_as_they_are(mine: Any) -> None:
    before = json.dumps({"Version": "2008-10-17", "Id": "mine", "Statement": mine})
    closed = with_deny(before, deny())
    assert json.loads(closed) == {
        "Version": "2008-10-17",
        "Id": "mine",
        "Statement": [READERS, deny().statement()],
    }
    opened = without_deny(closed)
    assert opened is not None
    assert json.loads(opened)["Statement"] == [READERS]


def test_a_new_attempt_takes_the_place_of_the_old_one() -> None:
    document = with_deny(with_deny(policy(READERS), deny("A1")), deny("B2"))
    assert list(project_statements(document)) == ["B2"]
    assert json.loads(document)["Statement"][0] == READERS


def test_a_users_statement_whose_name_begins_like_ours_is_theirs() -> None:
    theirs = READERS | {"Sid": sid("Readers")}
    document = with_deny(policy(theirs), deny())
    assert list(project_statements(document)) == ["A1"]
    opened = without_deny(document)
    assert opened is not None
    assert json.loads(opened)["Statement"] == [theirs]


def test_a_name_that_a_user_has_taken_is_refused() -> None:
    with pytest.raises(PolicyError, match="two statements named DynamoDbReplicationA1"):
        with_deny(policy(READERS | {"Sid": sid("A1")}), deny())


def test_the_deny_is_ours_with_the_bulk_load_and_without_it() -> None:
    for bulk in (True, False):
        document = with_deny(None, deny(bulk=bulk))
        assert list(project_statements(document)) == ["A1"]
        assert holds(document, deny())
        assert names_bulk(document, "A1") is bulk
    assert BULK_ACTION not in deny(bulk=False).statement()["Action"]
    assert not names_bulk(with_deny(None, deny()), "B2")
    assert not names_bulk(None, "A1")


def test_actions_in_another_order_are_still_ours() -> None:
    statement = deny().statement() | {"Action": list(reversed(WRITE_ACTIONS))}
    assert list(project_statements(policy(statement))) == ["A1"]


def test_a_policy_that_grows_too_large_is_refused_before_it_is_put() -> None:
    large = READERS | {"Resource": [f"{TABLE}/index/{n:0240d}" for n in range(67)]}
    document = json.dumps({"Statement": large}, separators=(",", ":"))
    assert POLICY_BYTES - 500 < size(document) < POLICY_BYTES
    with pytest.raises(PolicyError, match="20,480"):
        with_deny(document, deny())


@pytest.mark.parametrize("document", ["", "[]", '{"Statement": "x"}', '{"Statement": ["x"]}', "{"])
def test_what_is_no_policy_is_refused(document: str) -> None:
    with pytest.raises(PolicyError):
        with_deny(document, deny())
    with pytest.raises(PolicyError):
        without_deny(document)


@pytest.mark.parametrize("nonce", ["", "a-b", "ä", "a b"])
def test_a_nonce_that_no_sid_takes_is_refused(nonce: str) -> None:
    with pytest.raises(ValueError, match="nonce"):
        deny(nonce).statement()


statements = st.fixed_dictionaries(
    {"Effect": st.sampled_from(["Allow", "Deny"]), "Action": st.just("dynamodb:GetItem")},
    optional={"Sid": st.text(ascii_letters + digits, min_size=1, max_size=20)},
)


@given(st.lists(statements, max_size=5, unique_by=lambda each: each.get("Sid", id(each))))
def test_what_is_put_in_can_be_taken_out_again(mine: list[dict[str, Any]]) -> None:
    opened = without_deny(with_deny(policy(*mine), deny()))
    assert (json.loads(opened)["Statement"] if opened else []) == mine
