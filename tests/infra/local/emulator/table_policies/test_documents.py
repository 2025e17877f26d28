"""A table's resource policy: what AWS refuses, and the form in which it is read back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from infra.local.emulator.table_policies.actions import kind_of
from infra.local.emulator.table_policies.documents import InvalidPolicyError, parse

ACCOUNT = "111111111111"
TABLE = f"arn:aws:dynamodb:eu-west-1:{ACCOUNT}:table/orders"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/app"


def statement(**changes: Any) -> dict[str, Any]:
    """Return a Deny that AWS accepts, with some elements replaced; None removes one."""
    whole = {
        "Sid": "Fence",
        "Effect": "Deny",
        "Principal": "*",
        "Action": ["dynamodb:PutItem", "dynamodb:UpdateItem"],
        "Resource": TABLE,
        "Condition": {"DateGreaterThan": {"aws:CurrentTime": "2026-11-29T12:00:00Z"}},
    } | changes
    return {name: value for name, value in whole.items() if value is not None}


def document(*statements: Any, **changes: Any) -> str:
    whole = {"Version": "2012-10-17", "Statement": list(statements or [statement()])} | changes
    return json.dumps({name: value for name, value in whole.items() if value is not None})


def read(text: str) -> dict[str, Any]:
    return parse(text, exists=lambda arn: arn == ROLE).shown


def refusal(text: str) -> str:
    with pytest.raises(InvalidPolicyError) as refused:
        read(text)
    return str(refused.value)


INVALID = "One or more parameter values were invalid: "
SYNTAX = f"{INVALID}Invalid policy document: "


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", f"{SYNTAX}This policy contains invalid Json"),
        ("{not json", f"{SYNTAX}This policy contains invalid Json"),
        ("[]", f"{SYNTAX}This policy contains invalid Json"),
        ('{"Version": "2012-10-17", "Statement": []}', f"{SYNTAX}Could not parse the policy: "),
        ('{"Version": "2012-10-17"}', f"{SYNTAX}Could not parse the policy: Statement is empty!"),
        ("{}", f"{SYNTAX}Could not parse the policy: Statement is empty!"),
        (document(Version="2026-01-01"), f"{SYNTAX}Syntax error"),
        (document(Comment="mine"), f"{SYNTAX}Syntax error"),
        (document("no statement"), f"{SYNTAX}Syntax error"),
        (document(statement(Note="x")), f"{SYNTAX}Syntax error"),
        (document(statement(Effect="Refuse")), f"{SYNTAX}Syntax error"),
        (document(statement(Effect=None)), f"{SYNTAX}Missing required field Effect"),
        (document(statement(Action=None)), f"{SYNTAX}Missing required field Action"),
        (document(statement(Action=[])), f"{SYNTAX}Syntax error"),
        (document(statement(Action=[1])), f"{SYNTAX}Syntax error"),
        (document(statement(Resource=None)), f"{SYNTAX}Missing required field Resource"),
        (document(statement(Principal=None)), f"{SYNTAX}Missing required field Principal"),
        (document(statement(Sid="with-a-hyphen")), f"{SYNTAX}Syntax error"),
        (document(statement(), statement()), f"{SYNTAX}The Statement Ids in the policy are not"),
        (document(statement(Principal=ACCOUNT)), f"{SYNTAX}Syntax error"),
        (document(statement(Principal={"AWS": "anna"})), f"{INVALID}Invalid principal in policy"),
        (document(statement(Principal={"AWS": f"{ROLE}-2"})), f"{INVALID}Invalid principal in"),
        (document(statement(Principal={"AWS": []})), f"{SYNTAX}Syntax error"),
        (
            document(statement(Principal={"Service": "ec2.amazonaws.com"})),
            f"{SYNTAX}Policy contains invalid service principal",
        ),
        (document(statement(Resource="orders")), f"{SYNTAX}"),
        (document(statement(Resource="arn:aws:s3:::bucket")), f"{SYNTAX}"),
        (
            document(statement(Resource=f"{TABLE}/stream/2026-11-29T00:00:00.000")),
            f'{SYNTAX}The relative-id "table/orders/stream/2026-11-29T00:00:00.000" is invalid',
        ),
        (document(statement(Condition={"DateGreaterThan": []})), f"{SYNTAX}Syntax error"),
        (document(statement(Condition={"DateGreaterThan": {}})), f"{SYNTAX}Syntax error"),
        (
            document(statement(Condition={"Bool": {"aws:SecureTransport": "maybe"}})),
            f"{SYNTAX}Invalid value of Bool",
        ),
        (
            document(statement(Condition={"DateLessThan": {"aws:CurrentTime": "soon"}})),
            f"{SYNTAX}Invalid value of DateLessThan",
        ),
    ],
)
def test_an_invalid_document_is_refused_in_the_words_of_aws(text: str, message: str) -> None:
    assert refusal(text).startswith(message)


@pytest.mark.parametrize(
    "action",
    [
        "dynamodb:Put",
        "dynamodb:GetRecords",
        "dynamodb:DescribeStream",
        "dynamodb:ExecuteStatement",
        "dynamodb:ImportTable",
        "dynamodb:CreateTable",
        "dynamodb:StartBulkPutItems",
        "s3:GetObject",
        "dynamodb:Nothing*",
    ],
)
def test_an_action_that_a_tables_policy_does_not_know_is_refused(action: str) -> None:
    message = refusal(document(statement(Action=["dynamodb:PutItem", action])))
    assert message == f'{SYNTAX}The following action names are invalid: "{action}"'


def test_the_bulk_load_may_be_named_where_the_local_cloud_is_told_so() -> None:
    sent = document(statement(Action=["dynamodb:PutItem", "dynamodb:StartBulkPutItems"]))
    shown = parse(sent, exists=lambda arn: arn == ROLE, kind=kind_of(TABLE, bulk=True)).shown
    assert shown["Statement"][0]["Action"][1] == "dynamodb:StartBulkPutItems"
    stream = kind_of(f"{TABLE}/stream/1", bulk=True)
    assert not stream.knows("dynamodb:StartBulkPutItems")


@pytest.mark.parametrize(
    "action",
    ["dynamodb:*", "*", "dynamodb:Put*", "dynamodb:putitem", "dynamodb:PartiQLInsert"],
)
def test_known_actions_may_have_wildcards_and_any_case(action: str) -> None:
    assert read(document(statement(Action=action)))["Statement"][0]["Action"] == action


@pytest.mark.parametrize(
    "condition",
    [
        {"DateGreatherThan": {"aws:CurrentTime": "2026-11-29T12:00:00Z"}},
        {"StringEquals": {"aws:SourceVpc": "vpc-1"}},
        {"StringEquals": {"aws:PrincipalArn": "arn:aws:iam::1:role/${aws:username}"}},
        {"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*"}},
    ],
)
def test_a_condition_that_the_local_cloud_cannot_judge_is_refused(
    condition: dict[str, Any],
) -> None:
    message = refusal(document(statement(Condition=condition)))
    assert "The local cloud does not evaluate" in message


def test_principals_that_the_local_cloud_cannot_judge_are_refused() -> None:
    excluded = statement(Principal=None, NotPrincipal={"AWS": ROLE})
    federated = statement(Principal={"Federated": "cognito-identity.amazonaws.com"})
    for each in (excluded, federated):
        assert "The local cloud does not evaluate" in refusal(document(each))


@pytest.mark.parametrize(
    "condition",
    [
        {"ArnEquals": {"aws:PrincipalArn": ROLE}},
        {"ArnNotEquals": {"aws:PrincipalArn": [ROLE, f"{ROLE}-2"]}},
        {"ArnLike": {"aws:PrincipalArn": f"arn:aws:iam::{ACCOUNT}:role/*"}},
        {"StringEquals": {"aws:PrincipalAccount": ACCOUNT}},
        {"StringNotLikeIfExists": {"aws:userid": "AIDA*"}},
        {"Bool": {"aws:SecureTransport": False}},
        {"BoolIfExists": {"aws:PrincipalIsAWSService": "false"}},
        {"Null": {"aws:username": "true"}},
        {"DateLessThanEquals": {"aws:EpochTime": "1796000000"}},
        {"ForAnyValue:StringEquals": {"dynamodb:Attributes": ["a"]}},
        {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}},
    ],
)
def test_conditions_that_are_judged_are_accepted(condition: dict[str, Any]) -> None:
    assert read(document(statement(Condition=condition)))


def test_the_limit_of_20_kb_counts_white_space() -> None:
    text = document()
    assert read(text + " " * (20_480 - len(text)))
    too_long = text + " " * (20_481 - len(text))
    assert refusal(too_long) == f"{INVALID}Maximum policy size of 20480 bytes exceeded"
    assert refusal("ü" * 10_241).startswith(f"{INVALID}Maximum policy size")  # bytes, not letters


def test_everyone_may_be_denied_but_not_allowed() -> None:
    for principal in ("*", {"AWS": "*"}, {"AWS": [ROLE, "*"]}):
        read(document(statement(Principal=principal)))
        wide = statement(Effect="Allow", Principal=principal, Condition=None)
        assert refusal(document(wide)).startswith("Resource-based policy grants unbounded access")


@pytest.mark.parametrize(
    ("condition", "narrow"),
    [
        ({"StringEquals": {"aws:PrincipalAccount": ACCOUNT}}, True),
        ({"ArnLike": {"aws:PrincipalArn": ROLE}}, True),
        ({"ArnLike": {"aws:PrincipalArn": f"arn:aws:iam::{ACCOUNT}:role/*"}}, False),
        ({"ArnNotEquals": {"aws:PrincipalArn": ROLE}}, False),
        ({"StringEqualsIfExists": {"aws:PrincipalAccount": ACCOUNT}}, False),
        ({"Bool": {"aws:SecureTransport": "true"}}, False),
    ],
)
def test_a_condition_that_names_principals_makes_an_allow_to_everyone_narrow(
    condition: dict[str, Any], narrow: bool
) -> None:
    text = document(statement(Effect="Allow", Condition=condition))
    if narrow:
        read(text)
    else:
        assert "unbounded access" in refusal(text)


def test_it_is_read_back_without_white_space_in_a_fixed_order_with_single_values_unwrapped() -> (
    None
):
    sent = {
        "Statement": {
            "Resource": [TABLE],
            "Condition": {"StringEquals": {"aws:PrincipalAccount": [ACCOUNT]}},
            "Action": ["dynamodb:GetItem"],
            "Principal": {"AWS": [ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root"]},
            "Effect": "allow",
        },
        "Version": "2012-10-17",
    }
    shown = parse(json.dumps(sent, indent=4), exists=lambda arn: False).text
    assert shown == (
        '{"Version":"2012-10-17","Statement":[{"Effect":"Allow",'
        f'"Principal":{{"AWS":"arn:aws:iam::{ACCOUNT}:root"}},'
        f'"Action":"dynamodb:GetItem","Resource":"{TABLE}",'
        f'"Condition":{{"StringEquals":{{"aws:PrincipalAccount":"{ACCOUNT}"}}}}}}]}}'
    )


def test_a_missing_version_is_shown_as_the_old_one_and_is_yet_another_document() -> None:
    without = parse(document(Version=None), exists=bool)
    with_old = parse(document(Version="2008-10-17"), exists=bool)
    assert without.shown == with_old.shown
    assert without.identity != with_old.identity
