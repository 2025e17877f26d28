"""IAM: cross-account bucket policies that name a role, and the resource of a request."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.local.cloud import SOURCE, TARGET, LocalCloud
from infra.local.emulator import shard_iterators
from infra.local.emulator.access import named_resource
from tests.support.infra.clouds import as_role, make_bucket, make_role, policy

TABLE = "arn:aws:dynamodb:eu-west-1:1:table/t"
STREAM = "arn:aws:kinesis:eu-west-1:1:stream/s"


@pytest.mark.parametrize(
    ("request_body", "arn"),
    [
        ({"TableArn": TABLE, "S3Bucket": "b"}, TABLE),
        ({"ExportArn": f"{TABLE}/export/1"}, f"{TABLE}/export/1"),
        ({"ImportArn": f"{TABLE}/import/1"}, f"{TABLE}/import/1"),
        ({"TableCreationParameters": {"TableName": "t"}}, TABLE),
        ({"ShardIterator": shard_iterators.encoded(STREAM, "shardId-000000000000", "")}, STREAM),
        ({"ShardIterator": "not one of ours"}, None),
        ({"Limit": 1}, None),
    ],
)
def test_a_request_is_about_the_resource_that_its_body_names(
    request_body: dict[str, Any], arn: str | None
) -> None:
    assert named_resource(json.dumps(request_body).encode(), "eu-west-1", "1") == arn


def test_what_is_not_json_names_nothing() -> None:
    assert named_resource(b"\xff", "eu-west-1", "1") is None


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    with LocalCloud(tmp_path_factory.mktemp("cloud")) as running:
        yield running


@pytest.mark.slow
def test_a_bucket_policy_may_name_a_role_of_another_account(cloud: LocalCloud) -> None:
    s3 = make_bucket(cloud, TARGET, "shared")
    may_put = (["s3:PutObject"], ["arn:aws:s3:::shared/*"])
    named = make_role(cloud, SOURCE, "named", policy(may_put))
    other = make_role(cloud, SOURCE, "other", policy(may_put))
    s3.put_bucket_policy(Bucket="shared", Policy=policy(may_put, principal=named))
    as_role(cloud, SOURCE, named, "s3").put_object(Bucket="shared", Key="a", Body=b"1")
    with pytest.raises(ClientError, match="AccessDenied"):
        as_role(cloud, SOURCE, other, "s3").put_object(Bucket="shared", Key="b", Body=b"1")
    with pytest.raises(ClientError, match="AccessDenied"):
        as_role(cloud, SOURCE, named, "s3").get_object(Bucket="shared", Key="a")
    assert s3.get_object(Bucket="shared", Key="a")["Body"].read() == b"1"


@pytest.mark.slow
def test_a_denial_of_one_role_holds_where_its_account_is_allowed(cloud: LocalCloud) -> None:
    s3 = make_bucket(cloud, TARGET, "denied")
    action, resource = "s3:PutObject", "arn:aws:s3:::denied/*"
    role = make_role(cloud, SOURCE, "barred", policy(([action], [resource])))
    statement = {"Action": action, "Resource": resource}
    account = f"arn:aws:iam::{SOURCE.account_id}:root"
    statements = [
        {"Effect": "Allow", "Principal": {"AWS": account}, **statement},
        {"Effect": "Deny", "Principal": {"AWS": role}, **statement},
    ]
    document = json.dumps({"Version": "2012-10-17", "Statement": statements})
    s3.put_bucket_policy(Bucket="denied", Policy=document)
    with pytest.raises(ClientError, match="AccessDenied"):
        as_role(cloud, SOURCE, role, "s3").put_object(Bucket="denied", Key="a", Body=b"1")


@pytest.mark.slow
def test_each_item_of_a_transaction_is_authorized_for_what_it_does(cloud: LocalCloud) -> None:
    dynamodb = cloud.client("dynamodb", TARGET)
    for name in ("one", "two"):
        dynamodb.create_table(
            TableName=name,
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            BillingMode="PAY_PER_REQUEST",
        )
    arn = f"arn:aws:dynamodb:eu-west-1:{TARGET.account_id}:table/"
    role = make_role(
        cloud,
        TARGET,
        "writer",
        policy((["dynamodb:PutItem"], [f"{arn}one"]), (["dynamodb:DeleteItem"], [f"{arn}two"])),
    )
    writer = as_role(cloud, TARGET, role, "dynamodb")
    item = {"pk": {"S": "a"}}

    def put(table: str) -> dict[str, Any]:
        return {"Put": {"TableName": table, "Item": item}}

    delete = {"Delete": {"TableName": "two", "Key": item}}
    writer.transact_write_items(TransactItems=[put("one"), delete])
    with pytest.raises(ClientError, match="dynamodb:PutItem"):
        writer.transact_write_items(TransactItems=[put("one"), put("two")])


BODY = json.dumps({"widgets": []})
NAMED = (
    ("events", "put_rule", lambda name: {"Name": name, "ScheduleExpression": "rate(1 day)"}),
    ("events", "list_targets_by_rule", lambda name: {"Rule": name}),
    ("cloudwatch", "put_dashboard", lambda name: {"DashboardName": name, "DashboardBody": BODY}),
    ("cloudwatch", "delete_dashboards", lambda name: {"DashboardNames": [name]}),
    ("iam", "create_policy", lambda name: {"PolicyName": name, "PolicyDocument": BODY}),
    ("kms", "create_alias", lambda name: {"AliasName": f"alias/{name}", "TargetKeyId": "a"}),
    ("cloudwatch", "delete_alarms", lambda name: {"AlarmNames": [name]}),
    (
        "lambda",
        "create_function",
        lambda name: {"FunctionName": name, "Role": "arn:aws:iam::1:role/r", "Code": {}},
    ),
)
"""Calls whose resource stands in the body alone, or without the default event bus."""


@pytest.mark.slow
@pytest.mark.parametrize(("service", "operation", "request_for"), NAMED)
def test_a_call_is_authorized_by_the_resource_that_it_names(
    service: str, operation: str, request_for: Callable[[str], dict[str, Any]], cloud: LocalCloud
) -> None:
    account = SOURCE.account_id
    own = [
        f"arn:aws:events:*:{account}:rule/mine-*",
        f"arn:aws:cloudwatch::{account}:dashboard/mine-*",
        f"arn:aws:cloudwatch:*:{account}:alarm:mine-*",
        f"arn:aws:iam::{account}:policy/mine-*",
        f"arn:aws:kms:*:{account}:alias/mine-*",
        f"arn:aws:lambda:*:{account}:function:mine-*",
    ]
    actions = [f"{service}:{operation.title().replace('_', '')}"]
    role = make_role(cloud, SOURCE, f"of-{operation}", policy((actions, own)))
    call = getattr(as_role(cloud, SOURCE, role, service), operation)
    with pytest.raises(ClientError, match=r"AccessDenied|not authorized"):
        call(**request_for("other-1"))
    try:
        call(**request_for("mine-1"))
    except ClientError as error:
        assert "AccessDenied" not in str(error), error


@pytest.mark.slow
def test_a_policy_is_attached_where_the_callers_own_names_it(cloud: LocalCloud) -> None:
    iam = cloud.client("iam", SOURCE)
    made = {
        name: iam.create_policy(
            PolicyName=name, PolicyDocument=policy((["s3:ListBucket"], ["arn:aws:s3:::b"]))
        )["Policy"]["Arn"]
        for name in ("mine-1", "other-1")
    }
    statement = {
        "Effect": "Allow",
        "Action": "iam:AttachRolePolicy",
        "Resource": "*",
        "Condition": {"ArnLike": {"iam:PolicyARN": [made["mine-1"][:-1] + "*"]}},
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    role = make_role(cloud, SOURCE, "attaches", document)
    caller = as_role(cloud, SOURCE, role, "iam")
    caller.attach_role_policy(RoleName="attaches", PolicyArn=made["mine-1"])
    with pytest.raises(ClientError, match="AccessDenied"):
        caller.attach_role_policy(RoleName="attaches", PolicyArn=made["other-1"])


def make_key(cloud: LocalCloud, *actions: str) -> str:
    """A key of the source account whose policy leaves these actions to IAM; returns its ARN."""
    kms, account = cloud.client("kms", SOURCE), f"arn:aws:iam::{SOURCE.account_id}:root"
    arn: str = kms.create_key()["KeyMetadata"]["Arn"]
    allowed = policy((["kms:DescribeKey", "kms:PutKeyPolicy", *actions], ["*"]), principal=account)
    kms.put_key_policy(KeyId=arn, PolicyName="default", Policy=allowed)
    return arn


ALIASES = f"arn:aws:kms:{SOURCE.region}:{SOURCE.account_id}:alias/"
ALIAS_CALLS = ["kms:CreateAlias", "kms:UpdateAlias", "kms:DeleteAlias"]


@pytest.mark.slow
def test_an_alias_asks_the_policy_of_its_key_and_iam_for_both(cloud: LocalCloud) -> None:
    silent, open_ = make_key(cloud), make_key(cloud, *ALIAS_CALLS)
    everywhere = policy((ALIAS_CALLS, [silent, open_, f"{ALIASES}a"]))
    kms = as_role(cloud, SOURCE, make_role(cloud, SOURCE, "namer", everywhere), "kms")
    with pytest.raises(ClientError, match=f"kms:CreateAlias on resource: {silent}"):
        kms.create_alias(AliasName="alias/a", TargetKeyId=silent)
    kms.create_alias(AliasName="alias/a", TargetKeyId=open_)
    with pytest.raises(ClientError, match=f"kms:UpdateAlias on resource: {silent}"):
        kms.update_alias(AliasName="alias/a", TargetKeyId=silent)
    with pytest.raises(ClientError, match=f"kms:CreateAlias on resource: {ALIASES}b"):
        kms.create_alias(AliasName="alias/b", TargetKeyId=open_)
    of_alias = policy((ALIAS_CALLS, [f"{ALIASES}*"]))
    other = as_role(cloud, SOURCE, make_role(cloud, SOURCE, "other-namer", of_alias), "kms")
    with pytest.raises(ClientError, match=f"kms:DeleteAlias on resource: {open_}"):
        other.delete_alias(AliasName="alias/a")
    kms.delete_alias(AliasName="alias/a")
