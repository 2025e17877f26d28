"""AWS's limits on a request's values, held by a hook on a client."""

from __future__ import annotations

from typing import Any

import boto3
import botocore.session
import pytest
from botocore.exceptions import ParamValidationError
from botocore.stub import Stubber

from infra.local.request_limits import compiled, enforce_limits

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


RULE = {"Name": "n" * 65, "ScheduleExpression": "rate(5 minutes)"}
ROLE = {"RoleName": "consumer", "AssumeRolePolicyDocument": "{}"}
REFUSED: list[tuple[str, str, dict[str, Any], str]] = [
    ("events", "put_rule", RULE, r"Name: 65 is long, and AWS allows 64"),
    ("events", "put_rule", {**RULE, "Name": "a b"}, r"Name: 'a b' does not match"),
    ("events", "put_rule", {"Name": "a", "State": "ON"}, r"State: 'ON' is none of ENABLED"),
    ("iam", "create_role", {**ROLE, "Description": "a\u2026"}, r"Description: .*does not match"),
    ("iam", "create_role", {**ROLE, "AssumeRolePolicyDocument": "x" * 2049}, "AWS allows 2048"),
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
