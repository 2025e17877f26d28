"""Customer-managed keys in what is asked of AWS, and the roles that may only look."""

from __future__ import annotations

import copy
import dataclasses
import json
from typing import Any

import pytest

from bootstrap.aws.calls import Calls
from bootstrap.aws.source import AwsSource
from bootstrap.core.errors import Side, UsageError
from bootstrap.core.facts import ExportRequest, TableFacts
from bootstrap.core.stack_outputs import parse
from bootstrap.plan.table_parameters import creation_parameters
from tests.support.bootstrap.fake_aws import OUTPUTS_JSON, SOURCE_ARN
from tests.support.bootstrap.request_recorder import Recorder

KEY = "arn:aws:kms:eu-west-1:222222222222:key/a"
EXPORT = ExportRequest(SOURCE_ARN, 1_767_225_600, "token", "bucket", "222222222222", "p/1")
FACTS = TableFacts(SOURCE_ARN, "id", "ACTIVE", 1, 1, False)


def asked_for(request: ExportRequest) -> dict[str, Any]:
    asked: list[tuple[str, dict[str, Any]]] = []
    clients = [Recorder(name, asked) for name in ("dynamodb", "kinesis", "cloudwatch")]
    AwsSource(Calls(Side.SOURCE, "Role exporter"), *clients).export(request)
    return asked[0][1]


def outputs(**operators: str) -> str:
    whole = copy.deepcopy(OUTPUTS_JSON)
    for side, role in operators.items():
        whole[side]["operatorRoleArn"] = role
    return json.dumps({**whole, "snapshotKeyArn": KEY})


def test_the_export_is_encrypted_with_the_buckets_own_key_where_it_has_one() -> None:
    assert asked_for(EXPORT)["S3SseAlgorithm"] == "AES256"
    request = asked_for(dataclasses.replace(EXPORT, key=KEY))
    assert (request["S3SseAlgorithm"], request["S3SseKmsKeyId"]) == ("KMS", KEY)


def test_the_target_is_encrypted_with_the_key_of_the_stack_and_never_with_the_sources() -> None:
    theirs = dataclasses.replace(FACTS, encryption="KMS")
    assert "SSESpecification" not in creation_parameters(FACTS, "copy")
    assert "KMSMasterKeyId" not in creation_parameters(theirs, "copy")["SSESpecification"]
    for facts in (FACTS, theirs):
        encryption = creation_parameters(facts, "copy", KEY)["SSESpecification"]
        assert encryption == {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": KEY}


def test_who_may_only_look_assumes_the_operator_roles_of_both_accounts() -> None:
    accounts = {side: OUTPUTS_JSON[side]["accountId"] for side in ("source", "target")}
    roles = {side: f"arn:aws:iam::{account}:role/look" for side, account in accounts.items()}
    whole = parse(outputs(**roles), "test")
    looking = whole.for_looking()
    assert {"source": looking.source.role_arn, "target": looking.target.role_arn} == roles
    assert looking.tables == whole.tables
    assert whole.source.role_arn != looking.source.role_arn
    assert whole.snapshot_key_arn == KEY


def test_a_stack_without_operator_roles_says_how_to_get_them() -> None:
    with pytest.raises(UsageError, match=r"(?s)no operator roles.*Try: pulumi up"):
        parse(outputs(), "test").for_looking()
