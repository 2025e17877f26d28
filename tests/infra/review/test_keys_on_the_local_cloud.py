"""Given keys whose policies are what the tool prints: a stack deploys, and uses them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from infra import package
from infra.local.cloud import SOURCE, TARGET, LocalAccount, LocalCloud
from infra.local.program import run
from infra.local.provider import LocalProvider
from infra.policies import KEY_ADMINISTRATION
from infra.review.key_statements import statements_by_key
from infra.statements import Statement, allow, policy_of

pytestmark = pytest.mark.slow


def a_key(cloud: LocalCloud, account: LocalAccount) -> str:
    """A key of an account; returns its ARN."""
    arn: str = cloud.client("kms", account).create_key()["KeyMetadata"]["Arn"]
    return arn


def set_policy(
    cloud: LocalCloud, account: LocalAccount, key: str, statements: list[Statement]
) -> None:
    """Let the account administer the key, and let only these statements use it."""
    root = f"arn:aws:iam::{account.account_id}:root"
    own = allow("Administers", KEY_ADMINISTRATION, ["*"], principal=root)
    cloud.client("kms", account).put_key_policy(
        KeyId=key, PolicyName="default", Policy=json.dumps(policy_of([own, *statements]))
    )


@pytest.mark.promise("C8")
def test_a_stack_deploys_with_given_keys_whose_policies_are_as_printed(tmp_path: Path) -> None:
    with LocalCloud(tmp_path / "cloud") as cloud:
        cloud.client("dynamodb", SOURCE).create_table(
            TableName="orders",
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        )
        of_stream, kept = a_key(cloud, SOURCE), a_key(cloud, TARGET)
        config = {
            "source": {"accountId": SOURCE.account_id, "region": SOURCE.region},
            "target": {"accountId": TARGET.account_id, "region": TARGET.region},
            "operators": {"source": ["account"], "target": ["account"]},
            "tables": [{"source": "orders", "target": "copy"}],
            "keys": {"source": of_stream, "consumer": "create", "target": kept},
        }
        asked = statements_by_key(config, stack="local")
        set_policy(cloud, SOURCE, of_stream, asked[of_stream])
        set_policy(cloud, TARGET, kept, asked[kept])
        built = {**config, "lambdaArchive": str(package.build("local").folder)}
        # Lambda refuses the mapping if the consumer may not decrypt what is in the stream.
        outputs = run(LocalProvider(cloud, "local"), built, stack="local")
        [table] = outputs["tables"]
        dynamodb, s3 = cloud.client("dynamodb", TARGET), cloud.client("s3", TARGET)
        for name in (table["ledgerTable"], outputs["journalTable"]):
            found = dynamodb.describe_table(TableName=name)["Table"]["SSEDescription"]
            assert (found["SSEType"], found["KMSMasterKeyArn"]) == ("KMS", kept)
        encryption = s3.get_bucket_encryption(Bucket=table["quarantineBucket"])
        assert kept in str(encryption["ServerSideEncryptionConfiguration"])
        stream = cloud.client("kinesis", SOURCE).describe_stream_summary(
            StreamName=table["streamName"]
        )
        assert stream["StreamDescriptionSummary"]["KeyId"] == of_stream
        # And with one that the stack makes.
        made = outputs["keys"]["consumer"]
        function = cloud.client("lambda", TARGET).get_function(FunctionName=table["functionName"])
        assert function["Configuration"]["KMSKeyArn"] == made
        aliases = cloud.client("kms", TARGET).list_aliases()["Aliases"]
        [alias] = [each for each in aliases if "replication-consumer" in each["AliasName"]]
        assert made.endswith(alias["TargetKeyId"])
