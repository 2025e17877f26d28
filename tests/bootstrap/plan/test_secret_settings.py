"""Secrets in a stack file that `plan --config` reads: unknown, or refused by their keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from bootstrap.core.errors import UsageError
from bootstrap.plan.replication import of_file
from tests.support.bootstrap.fake_aws import FakeAws
from tests.support.bootstrap.plans import CONFIG, planned_before_deployment, stack_file

SECRET = "{secure: AAABADQXFlU0mxC6p4q7uEHDt5Yx}"


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        (
            CONFIG.replace(
                "operators: {source: [account], target: [account]}",
                f"operators: {{source: [{SECRET}], target: {SECRET}, externalId: {SECRET}}}",
            ),
            "operators.source[0], operators.target, operators.externalId",
        ),
        (CONFIG + f"  dynamodb-replication:tags: {{team: {SECRET}}}\n", "tags.team"),
        (CONFIG + f"  dynamodb-replication:tags: {SECRET}\n", "tags"),
        (CONFIG + f"  dynamodb-replication:retentionHours: {SECRET}\n", "retentionHours"),
        (CONFIG + f"  dynamodb-replication:protect: {SECRET}\n", "protect"),
        (
            CONFIG + f"  dynamodb-replication:alarms: {{emails: [{SECRET}, a@example.com]}}\n",
            "alarms.emails[0]",
        ),
        (
            CONFIG + f"  dynamodb-replication:alarms: {{topics: {{source: {SECRET}}}}}\n",
            "alarms.topics.source",
        ),
        (
            CONFIG + f"  dynamodb-replication:buckets: {{accessLogs: {{target: {SECRET}}}}}\n",
            "buckets.accessLogs.target",
        ),
        (
            CONFIG + f"  dynamodb-replication:vpc: {{subnetIds: [{SECRET}], "
            "securityGroupIds: [sg-01234567]}\n",
            "vpc.subnetIds[0]",
        ),
        (CONFIG + f"      batchSize: {SECRET}\n", "tables[1].batchSize"),
        (CONFIG + f"  dynamodb-replication:keys: {{target: {SECRET}}}\n", "keys.target"),
        (
            CONFIG.replace(
                'accountId: "111111111111"',
                f'permissionsBoundaryArn: {SECRET}, accountId: "111111111111"',
            ),
            "source.permissionsBoundaryArn",
        ),
        (
            CONFIG.replace(
                "operators: {source: [account], target: [account]}", f"operators: {SECRET}"
            ),
            "operators",
        ),
    ],
)
def test_a_secret_of_the_stack_file_that_a_plan_can_do_without_is_unknown_and_named(
    text: str, keys: str, tmp_path: Path
) -> None:
    made = planned_before_deployment(FakeAws(), of_file(stack_file(tmp_path, text)).tables[0])
    assert made.blockers == ()
    (note,) = (each for each in made.notes if "secret in the stack file" in each)
    assert note.startswith(f"{keys}: ")
    assert "AAABADQ" not in note


@pytest.mark.parametrize(
    ("text", "key", "fix"),
    [
        (
            CONFIG.replace('accountId: "111111111111"', f"accountId: {SECRET}"),
            "source.accountId",
            "pulumi config set --plaintext --path source.accountId VALUE --stack prod",
        ),
        (
            CONFIG.replace("source: orders", f"source: {SECRET}"),
            "tables[0].source",
            "pulumi config set --plaintext --path 'tables[0].source' VALUE --stack prod",
        ),
        (
            CONFIG.replace("profile: shop", f"profile: {SECRET}"),
            "source.profile",
            "--path source.profile VALUE",
        ),
        (
            CONFIG.partition("  dynamodb-replication:tables")[0]
            + f"  dynamodb-replication:tables: {SECRET}\n",
            "tables",
            "pulumi config rm tables --stack prod && pulumi config set --plaintext --path "
            "'tables[0].source' VALUE --stack prod",
        ),
    ],
)
def test_a_secret_that_a_plan_cannot_do_without_is_refused_by_its_key_with_the_command(
    text: str, key: str, fix: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError) as refused:
        of_file(stack_file(tmp_path, text))
    assert f"cannot be planned from: {key} is a secret" in refused.value.what
    assert fix in refused.value.fix
    assert "AAABADQ" not in str(refused.value)


def test_the_file_is_named_where_its_name_says_no_stack(tmp_path: Path) -> None:
    path = tmp_path / "other.yaml"
    path.write_text(CONFIG.replace("region: eu-west-1", f"region: {SECRET}"))
    with pytest.raises(UsageError) as refused:
        of_file(path)
    assert f"--path source.region VALUE --config-file {path}" in refused.value.fix
