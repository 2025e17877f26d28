"""AWS's limits on a request's values, held by a hook on a client."""

from __future__ import annotations

import json
from typing import Any

import boto3
import botocore.session
import pytest
from botocore.exceptions import ParamValidationError
from botocore.stub import Stubber

from infra.local.request_limits import compiled, enforce_limits, faults
from infra.local.size_limits import role_faults

SERVICES = (
    "cloudwatch",
    "dynamodb",
    "events",
    "iam",
    "kinesis",
    "kms",
    "lambda",
    "logs",
    "s3",
    "sns",
)
UNREADABLE = {
    ("dynamodb", r"[\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF\r\n\t]*"),
    ("logs", r"[\w-_]*"),
}
"""Patterns that Python cannot read. None belongs to a value that the program sets."""


def client(service: str) -> Any:
    made = boto3.client(
        service,
        region_name="eu-west-1",
        aws_access_key_id="111111111111",
        aws_secret_access_key="local",
    )
    return enforce_limits(made)


def dashboard(widgets: int, metrics: int = 0) -> dict[str, Any]:
    widget = {"type": "metric", "properties": {"metrics": [["A", "b"]] * metrics}}
    return {"DashboardName": "d", "DashboardBody": json.dumps({"widgets": [widget] * widgets})}


POLICY = "arn:aws:iam::111111111111:policy/number-{}"
STREAM = {"ResourceARN": "arn:aws:kinesis:eu-west-1:111111111111:stream/s"}
TABLE = {"ResourceArn": "arn:aws:dynamodb:eu-west-1:111111111111:table/t"}
RULE = {"Name": "n" * 65, "ScheduleExpression": "rate(5 minutes)"}
ROLE = {"RoleName": "consumer", "AssumeRolePolicyDocument": "{}"}
REFUSED: list[tuple[str, str, dict[str, Any], str]] = [
    ("events", "put_rule", RULE, r"Name: 65 is long, and AWS allows 64"),
    ("events", "put_rule", {**RULE, "Name": "a b"}, r"Name: 'a b' does not match"),
    ("events", "put_rule", {"Name": "a", "State": "ON"}, r"State: 'ON' is none of ENABLED"),
    ("iam", "create_role", {**ROLE, "Description": "a\u2026"}, r"Description: .*does not match"),
    *(
        ("iam", operation, {name: "n", document: "x" * (most + 1)}, f"AWS allows {most}")
        for operation, name, document, most in (
            ("create_role", "RoleName", "AssumeRolePolicyDocument", 2048),
            ("update_assume_role_policy", "RoleName", "PolicyDocument", 2048),
            ("create_policy", "PolicyName", "PolicyDocument", 6144),
        )
    ),
    (
        "iam",
        "create_policy_version",
        {"PolicyArn": POLICY.format(1), "PolicyDocument": "x" * 6145},
        "AWS allows 6144",
    ),
    (
        "iam",
        "put_role_policy",
        {"RoleName": "r", "PolicyName": "p", "PolicyDocument": "x" * 10_241},
        "AWS allows 10240",
    ),
    ("kms", "create_key", {"Policy": "x" * 32_769}, "Policy: 32769 bytes, and AWS allows 32768"),
    ("s3", "put_bucket_policy", {"Bucket": "b", "Policy": "x" * 20_481}, "AWS allows 20480"),
    ("kinesis", "put_resource_policy", {**STREAM, "Policy": " " * 20_481}, "AWS allows 20480"),
    ("dynamodb", "put_resource_policy", {**TABLE, "Policy": " " * 20_481}, "AWS allows 20480"),
    (
        "lambda",
        "update_function_configuration",
        {"FunctionName": "f", "Environment": {"Variables": {"A": "x" * 4096}}},
        r"Environment: 4104 bytes, and AWS allows 4096",
    ),
    ("cloudwatch", "put_dashboard", dashboard(501), "501 widgets, and AWS allows 500"),
    ("cloudwatch", "put_dashboard", dashboard(1, 501), "a widget: 501 metrics, and AWS allows 500"),
    ("cloudwatch", "put_dashboard", dashboard(6, 450), "2700 metrics, and AWS allows 2500"),
    (
        "kinesis",
        "create_stream",
        {"StreamName": "s", "MaxRecordSizeInKiB": 1},
        "1 is the value, and AWS needs 1024",
    ),
    (
        "lambda",
        "create_function",
        {"FunctionName": "f" * 65, "Role": "arn:aws:iam::111111111111:role/r", "Code": {}},
        r"FunctionName is 65 long, and AWS allows 64",
    ),
    ("s3", "create_bucket", {"Bucket": "A_b"}, r"Bucket is 'A_b', and does not match"),
    (
        "cloudwatch",
        "put_metric_alarm",
        {
            "AlarmName": "a",
            "EvaluationPeriods": 1,
            "ComparisonOperator": "LessThanThreshold",
            "Dimensions": [{"Name": "n", "Value": ""}],
        },
        r"Dimensions\[0\]\.Value: 0 is long, and AWS needs 1",
    ),
]


FUNCTION = {"FunctionName": "f", "Role": "arn:aws:iam::111111111111:role/r", "Code": {}}
ALARM = {"EvaluationPeriods": 1, "ComparisonOperator": "LessThanThreshold"}
NAMES: list[tuple[str, str, str, int, dict[str, Any]]] = [
    ("events", "PutRule", "Name", 64, {}),
    ("events", "PutRule", "Description", 512, {"Name": "n"}),
    ("events", "PutTargets", "Id", 64, {"Rule": "r"}),
    ("lambda", "CreateFunction", "FunctionName", 64, FUNCTION),
    ("lambda", "CreateFunction", "Description", 256, FUNCTION),
    ("lambda", "AddPermission", "StatementId", 100, {}),
    ("iam", "CreateRole", "RoleName", 64, ROLE),
    ("iam", "CreateRole", "Description", 1000, ROLE),
    ("iam", "CreatePolicy", "PolicyName", 128, {}),
    ("s3", "CreateBucket", "Bucket", 63, {}),
    ("kinesis", "CreateStream", "StreamName", 128, {}),
    ("cloudwatch", "PutMetricAlarm", "AlarmName", 255, ALARM),
    ("cloudwatch", "PutDashboard", "DashboardName", 255, {"DashboardBody": '{"widgets": []}'}),
    ("dynamodb", "CreateTable", "TableName", 255, {}),
    ("dynamodb", "CreateTable", "IndexName", 255, {"TableName": "table"}),
    ("logs", "CreateLogGroup", "logGroupName", 512, {}),
    ("sns", "CreateTopic", "Name", 256, {}),
]
"""Service, operation, parameter and its most characters, and what else the request has."""


@pytest.mark.parametrize(("service", "operation", "name", "most", "others"), NAMES)
def test_a_name_may_have_as_many_characters_as_aws_documents_and_no_more(
    service: str, operation: str, name: str, most: int, others: dict[str, Any]
) -> None:
    model = botocore.session.get_session().get_service_model(service).operation_model(operation)
    for length, refused in ((most, False), (most + 1, True)):
        value: Any = {name: "n" * length}
        nested = {"Id": "Targets", "IndexName": "GlobalSecondaryIndexes"}.get(name)
        request = {**others, **({nested: [value]} if nested else value)}
        found = [fault for fault in faults(request, model) if name in fault]
        assert bool(found) is refused, found


@pytest.mark.parametrize(("service", "operation", "request_", "fault"), REFUSED)
def test_a_value_that_aws_would_refuse_is_not_sent(
    service: str, operation: str, request_: dict[str, Any], fault: str
) -> None:
    with pytest.raises(ParamValidationError, match=fault):
        getattr(client(service), operation)(**request_)


def test_every_fault_of_a_request_is_named_at_once() -> None:
    with pytest.raises(ParamValidationError, match=r"(?s)Name: 65.*State: 'ON'"):
        client("events").put_rule(**RULE, State="ON")


def test_a_legal_request_passes() -> None:
    made = client("events")
    with Stubber(made) as stub:
        stub.add_response("put_rule", {"RuleArn": "arn:aws:events:eu-west-1:111111111111:rule/a"})
        made.put_rule(Name="n" * 64, ScheduleExpression="rate(5 minutes)", State="ENABLED")


def test_every_pattern_of_the_services_in_use_is_held_but_these() -> None:
    session = botocore.session.get_session()
    unread = set()
    for service in SERVICES:
        model = session.get_service_model(service)
        for name in model.shape_names:
            pattern = model.shape_for(name).metadata.get("pattern")
            if pattern and compiled(pattern) is None:
                unread.add((service, pattern))
    assert unread == UNREADABLE


def test_white_space_does_not_count_in_a_policy_of_iam() -> None:
    made = client("iam")
    policy = {"PolicyName": "p", "PolicyDocument": "x " * 6144}
    with Stubber(made) as stub:
        stub.add_response("create_policy", {"Policy": {}}, policy)
        made.create_policy(**policy)


class Role:
    """A client of IAM, for one role and what it has."""

    def __init__(self, inline: dict[str, str], attached: int = 0) -> None:
        self._inline = inline
        self._pages: dict[str, list[dict[str, Any]]] = {
            "list_role_policies": [{"PolicyNames": [name]} for name in inline],
            "list_attached_role_policies": [
                {"AttachedPolicies": [{"PolicyArn": POLICY.format(n)}]} for n in range(attached)
            ],
        }

    def get_paginator(self, operation: str) -> Role:
        self._operation = operation
        return self

    def paginate(self, *, RoleName: str) -> list[dict[str, Any]]:  # noqa: N803 (AWS's name)
        return self._pages[self._operation]

    def get_role_policy(self, *, RoleName: str, PolicyName: str) -> Any:  # noqa: N803
        return {"PolicyDocument": json.loads(self._inline[PolicyName])}


def test_the_inline_policies_of_a_role_are_added_up() -> None:
    """The one that is written counts with its new size, the others as they are."""
    other = json.dumps({"Sid": "x" * (6144 - len('{"Sid":""}'))})
    role = Role({"mine": json.dumps({"Sid": "x" * 9000}), "other": other})
    mine = {"RoleName": "r", "PolicyName": "mine", "PolicyDocument": "x" * 4096}
    assert list(role_faults(role, "PutRolePolicy", mine)) == []
    mine["PolicyDocument"] += "x"
    assert list(role_faults(role, "PutRolePolicy", mine)) == [
        "the inline policies of r: 10241 characters, and AWS allows 10240"
    ]


def test_the_managed_policies_of_a_role_are_counted() -> None:
    again, more = ({"RoleName": "r", "PolicyArn": POLICY.format(n)} for n in (9, 10))
    assert list(role_faults(Role({}, attached=9), "AttachRolePolicy", again)) == []
    assert list(role_faults(Role({}, attached=10), "AttachRolePolicy", again)) == []
    assert list(role_faults(Role({}, attached=10), "AttachRolePolicy", more)) == [
        "r: 11 attached policies, and AWS allows 10"
    ]
