"""A table with the longest names in China and GovCloud: each request of its deployment is legal."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.dry_run import stand_in_archive
from infra.local.cloud import LocalAccount, LocalCloud
from infra.local.deploy import deploy
from tests.support.infra.clouds import make_table

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("region", "partition"), [("cn-northwest-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")]
)
def test_a_table_deploys_in_another_partition(region: str, partition: str, tmp_path: Path) -> None:
    """Without a write fence: the emulator knows a table only under an ARN of the partition aws."""
    stand_in_archive(tmp_path / "archive")
    source, target = LocalAccount("111111111111", region), LocalAccount("222222222222", region)
    table = {"source": "s" * 255, "target": "t" * 255}
    places = {}
    for side, account in (("source", source), ("target", target)):
        places[side] = {"accountId": account.account_id, "region": region}
        table[f"{side}KeyArn"] = f"arn:{partition}:kms:{region}:{account.account_id}:key/1234abcd"
    config = {**places, "tables": [table], "snapshotKey": True}
    with LocalCloud(tmp_path / "cloud", source=source, target=target) as cloud:
        make_table(cloud.client("dynamodb", source), table["source"])
        outputs = deploy(cloud, {**config, "lambdaArchive": str(tmp_path / "archive")})
        [made] = outputs["tables"]
        assert made["sourceTableArn"].startswith(f"arn:{partition}:dynamodb:{region}:111111111111:")
        iam = cloud.client("iam", target)
        [role] = [r["RoleName"] for r in iam.list_roles()["Roles"] if "-importer-" in r["RoleName"]]
        [policy] = iam.list_role_policies(RoleName=role)["PolicyNames"]
        text = str(iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"])
        suffix = "amazonaws.com.cn" if partition == "aws-cn" else "amazonaws.com"
        assert f"'dynamodb.{region}.{suffix}'" in text
        assert f"arn:{partition}:dynamodb:{region}:222222222222:table/ttt" in text
