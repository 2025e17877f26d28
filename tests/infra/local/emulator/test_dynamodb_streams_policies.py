"""Resource policies of DynamoDB streams: what they may say, and whom they let in."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.local.cloud import SOURCE, TARGET, LocalCloud
from tests.support.infra.clouds import as_role, make_role, policy, until
from tests.support.infra.table_streams import TABLE_STREAM_READS, TableStream

pytestmark = pytest.mark.slow

NAMES = (f"shared-{number}" for number in itertools.count())


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    with LocalCloud(tmp_path_factory.mktemp("cloud"), chaos="policy_spread=0") as running:
        yield running


@pytest.fixture
def stream(cloud: LocalCloud) -> TableStream:
    return TableStream(cloud, next(NAMES))


def code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


def reader(cloud: LocalCloud, name: str, actions: list[str] | None = None) -> tuple[str, Any]:
    """A role of the target account that may do these anywhere; its ARN and its client."""
    allowed = policy((actions or ["dynamodb:*"], ["*"]))
    role = make_role(cloud, TARGET, name, allowed)
    return role, as_role(cloud, TARGET, role, "dynamodbstreams")


def share(stream: TableStream, principal: str, *actions: str) -> None:
    document = policy((actions or TABLE_STREAM_READS, [stream.arn]), principal=principal)
    stream.dynamodb.put_resource_policy(ResourceArn=stream.arn, Policy=document)


def read(stream: TableStream, client: Any) -> list[str]:
    """The keys that a client reads from the stream, by each of its three calls."""
    found = []
    for shard in client.describe_stream(StreamArn=stream.arn)["StreamDescription"]["Shards"]:
        token = client.get_shard_iterator(
            StreamArn=stream.arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        found += client.get_records(ShardIterator=token)["Records"]
    return [record["dynamodb"]["Keys"]["pk"]["S"] for record in found]


def test_another_accounts_role_reads_where_its_policies_and_the_streams_allow_it(
    cloud: LocalCloud, stream: TableStream
) -> None:
    stream.put("a")
    role, client = reader(cloud, f"{stream.name}-reader")
    with pytest.raises(ClientError, match="no resource-based policy allows") as refused:
        read(stream, client)
    assert code(refused) == "AccessDeniedException"
    share(stream, role)
    until(lambda: read(stream, client) == ["a"], "the record")
    stream.dynamodb.get_resource_policy(ResourceArn=stream.arn)


@pytest.mark.parametrize("missing", TABLE_STREAM_READS)
def test_each_call_is_checked_by_its_own_action_on_both_sides(
    cloud: LocalCloud, stream: TableStream, missing: str
) -> None:
    stream.put("a")
    kept = [action for action in TABLE_STREAM_READS if action != missing]
    limited, limited_client = reader(cloud, f"{stream.name}-limited", kept)
    wide, wide_client = reader(cloud, f"{stream.name}-wide")
    statements = json.loads(policy((TABLE_STREAM_READS, [stream.arn]), principal=limited))
    shared = json.loads(policy((kept, [stream.arn]), principal=wide))
    statements["Statement"] += shared["Statement"]
    stream.dynamodb.put_resource_policy(ResourceArn=stream.arn, Policy=json.dumps(statements))
    for client in (limited_client, wide_client):
        with pytest.raises(ClientError, match=missing) as refused:
            read(stream, client)
        assert code(refused) == "AccessDeniedException"


def test_another_accounts_root_needs_the_streams_policy_too(
    cloud: LocalCloud, stream: TableStream
) -> None:
    client = cloud.client("dynamodbstreams", TARGET)
    with pytest.raises(ClientError) as refused:
        client.describe_stream(StreamArn=stream.arn)
    assert code(refused) == "AccessDeniedException"
    share(stream, f"arn:aws:iam::{TARGET.account_id}:root")
    assert client.describe_stream(StreamArn=stream.arn)["StreamDescription"]


def test_a_policy_of_the_table_says_nothing_of_its_stream(
    cloud: LocalCloud, stream: TableStream
) -> None:
    role, client = reader(cloud, f"{stream.name}-reader")
    document = policy((["dynamodb:GetItem"], [stream.table_arn]), principal=role)
    stream.dynamodb.put_resource_policy(ResourceArn=stream.table_arn, Policy=document)
    with pytest.raises(ClientError) as refused:
        client.describe_stream(StreamArn=stream.arn)
    assert code(refused) == "AccessDeniedException"


def test_a_deny_binds_the_owners_account_too(cloud: LocalCloud, stream: TableStream) -> None:
    (shard_id, *_rest) = stream.shards()
    token = stream.iterator(shard_id)
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "dynamodb:GetRecords",
        "Resource": stream.arn,
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    stream.dynamodb.put_resource_policy(ResourceArn=stream.arn, Policy=document)
    with pytest.raises(ClientError, match="explicit deny in a resource-based policy"):
        stream.api.get_records(ShardIterator=token)
    assert stream.status() == "ENABLED"


def test_streams_of_a_table_under_the_aws_managed_key_are_not_shared(
    cloud: LocalCloud, stream: TableStream
) -> None:
    """Rbac-considerations.html, cross-account considerations."""
    role, client = reader(cloud, f"{stream.name}-reader")
    share(stream, role)
    until(lambda: client.describe_stream(StreamArn=stream.arn), "the policy in force")
    stream.dynamodb.update_table(
        TableName=stream.name, SSESpecification={"Enabled": True, "SSEType": "KMS"}
    )
    with pytest.raises(ClientError) as refused:
        client.describe_stream(StreamArn=stream.arn)
    assert code(refused) == "AccessDeniedException"
    assert stream.status() == "ENABLED", "in its own account it is read as before"


@pytest.mark.parametrize("decrypts", [True, False])
def test_a_reader_needs_to_decrypt_with_a_customer_managed_key(
    cloud: LocalCloud, stream: TableStream, decrypts: bool
) -> None:
    key = cloud.client("kms", SOURCE).create_key()["KeyMetadata"]["Arn"]
    sse = {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key}
    stream.dynamodb.update_table(TableName=stream.name, SSESpecification=sse)
    stream.put("a")
    allowed = [(TABLE_STREAM_READS, [stream.arn]), *([(["kms:Decrypt"], [key])] * decrypts)]
    role = make_role(cloud, SOURCE, f"{stream.name}-reader", policy(*allowed))
    client = as_role(cloud, SOURCE, role, "dynamodbstreams")
    if decrypts:
        assert read(stream, client) == ["a"]
        return
    with pytest.raises(ClientError, match="kms:Decrypt") as refused:
        read(stream, client)
    assert code(refused) == "AccessDeniedException"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"Action": "dynamodb:ListStreams"}, "action names are invalid"),
        ({"Action": "dynamodb:GetItem"}, "action names are invalid"),
        ({"Resource": "TABLE"}, "relative-id"),
        ({"Principal": {"AWS": "arn:aws:iam::222222222222:role/none"}}, "Invalid principal"),
        ({"Effect": "Allow", "Principal": "*"}, "unbounded access"),
    ],
)
def test_a_policy_that_is_none_of_a_streams_is_refused(
    stream: TableStream, changes: dict[str, Any], message: str
) -> None:
    if changes.get("Resource") == "TABLE":
        changes = {"Resource": stream.table_arn}
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "dynamodb:GetRecords",
        "Resource": stream.arn,
        **changes,
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    with pytest.raises(ClientError, match=message) as refused:
        stream.dynamodb.put_resource_policy(ResourceArn=stream.arn, Policy=document)
    assert code(refused) == "ValidationException"


def test_a_tables_policy_cannot_name_the_reads_of_a_stream(stream: TableStream) -> None:
    document = policy((["dynamodb:GetRecords"], [stream.table_arn]), principal="222222222222")
    with pytest.raises(ClientError, match="action names are invalid"):
        stream.dynamodb.put_resource_policy(ResourceArn=stream.table_arn, Policy=document)


def test_a_policy_is_put_read_and_deleted_with_revisions(stream: TableStream) -> None:
    root = f"arn:aws:iam::{TARGET.account_id}:root"
    with pytest.raises(ClientError) as refused:
        stream.dynamodb.get_resource_policy(ResourceArn=stream.arn)
    assert code(refused) == "PolicyNotFoundException"
    document = policy((TABLE_STREAM_READS, [stream.arn]), principal=root)
    put = stream.dynamodb.put_resource_policy(
        ResourceArn=stream.arn, Policy=document, ExpectedRevisionId="NO_POLICY"
    )

    def shown() -> Any:
        try:
            return stream.dynamodb.get_resource_policy(ResourceArn=stream.arn)
        except ClientError as error:
            assert "PolicyNotFound" in str(error)
            return None

    found = until(shown, "the policy shown")
    assert found["RevisionId"] == put["RevisionId"]
    assert json.loads(found["Policy"])["Statement"][0]["Principal"] == {"AWS": root}

    def deleted() -> bool:
        try:
            stream.dynamodb.delete_resource_policy(ResourceArn=stream.arn)
        except ClientError as error:
            assert code_of(error) in ("ResourceInUseException", "ThrottlingException")
            return False
        return True

    until(deleted, "the deletion, once the quiet time is over")
    until(lambda: shown() is None, "no policy")


def code_of(error: ClientError) -> str:
    return str(error.response["Error"]["Code"])


def test_the_policy_of_a_stream_that_is_off_can_be_changed_and_the_new_stream_has_none(
    cloud: LocalCloud, stream: TableStream
) -> None:
    """Rbac-attach-resource-policy-streams.html."""
    old, root = stream.arn, f"arn:aws:iam::{TARGET.account_id}:root"
    stream.switch_off()
    share(stream, root)
    client = cloud.client("dynamodbstreams", TARGET)
    assert client.describe_stream(StreamArn=old)["StreamDescription"]["StreamStatus"] == "DISABLED"
    stream.switch_on()
    with pytest.raises(ClientError) as refused:
        client.describe_stream(StreamArn=stream.arn)
    assert code(refused) == "AccessDeniedException"


def test_a_policy_of_no_stream_is_refused(stream: TableStream) -> None:
    arn = f"{stream.table_arn}/stream/2015-05-11T21:21:33.291"
    document = policy((TABLE_STREAM_READS, [arn]), principal=TARGET.account_id)
    with pytest.raises(ClientError) as refused:
        stream.dynamodb.put_resource_policy(ResourceArn=arn, Policy=document)
    assert code(refused) == "ResourceNotFoundException"


@pytest.mark.parametrize(
    ("resource", "named", "allowed"),
    [
        ("*", False, True),
        ("TABLE/stream/*", True, True),
        ("TABLE/stream/*", False, False),
        ("TABLE", True, False),
    ],
)
def test_listing_streams_is_an_action_on_a_tables_streams_or_on_all(
    cloud: LocalCloud, stream: TableStream, resource: str, named: bool, allowed: bool
) -> None:
    """Developer guide, iam-policy-read-stream-only.html: its policy has the resource stream/*."""
    arn = resource.replace("TABLE", stream.table_arn)
    name = f"{stream.name}-lister"
    role = make_role(cloud, SOURCE, name, policy((["dynamodb:ListStreams"], [arn])))
    client = as_role(cloud, SOURCE, role, "dynamodbstreams")
    asked = {"TableName": stream.name} if named else {}
    if allowed:
        assert client.list_streams(**asked)["Streams"]
        return
    with pytest.raises(ClientError) as refused:
        client.list_streams(**asked)
    assert code(refused) == "AccessDeniedException"
