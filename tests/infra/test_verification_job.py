"""The job of a verification: made where the stack file asks for it, with few rights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from infra.stack_config import ConfigError, StackConfig
from infra.verification_config import VerificationConfig
from tests.support.infra.recording_engine import CONFIG, Deployment, record, statements

GLUE = {"engine": "glue", "workers": 20, "workerType": "G.2X", "maxHours": 3}
KEY = "arn:aws:kms:eu-west-1:222222222222:key/target"
BUCKET = "arn:aws:bucket:::replication-snapshot"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    config = {**CONFIG, "verification": GLUE, "tables": [{"source": "orders"}, {"source": "users"}]}
    return record(config, tmp_path_factory.mktemp("glue") / "archive")


def grants(stack: Deployment, policy: str, kind: str = "RolePolicy") -> dict[str, list[str]]:
    """What a policy allows: action -> resources, sorted."""
    found: dict[str, list[str]] = {}
    for statement in statements(stack.one(kind, policy).inputs["policy"]):
        for action in statement["Action"]:
            found[action] = sorted([*found.get(action, []), *statement["Resource"]])
    return found


def test_a_stack_without_the_section_makes_no_job_and_says_nothing_of_it(tmp_path: Path) -> None:
    without = record(CONFIG, tmp_path / "archive")
    by_default = record({**CONFIG, "verification": {"engine": "process"}}, tmp_path / "archive")
    for stack in (without, by_default):
        assert not stack.of("Job") + stack.of("BucketObjectv2")
        assert "verification" not in stack.outputs
    assert {r.name for r in without.resources} == {r.name for r in by_default.resources}


def test_the_local_engine_is_an_output_and_no_resource(tmp_path: Path) -> None:
    stack = record({**CONFIG, "verification": {"engine": "spark"}}, tmp_path / "archive")
    assert stack.outputs["verification"] == {"engine": "spark"}
    assert not stack.of("Job")


def test_the_job_is_as_the_stack_file_says_and_never_repeats_itself(stack: Deployment) -> None:
    job = stack.one("Job")
    assert job.side == "target"
    given = job.inputs
    assert (given["workerType"], given["numberOfWorkers"], given["timeout"]) == ("G.2X", 20, 180)
    assert (given["glueVersion"], given["maxRetries"]) == ("5.0", 0)
    assert given["executionProperty"] == {"maxConcurrentRuns": 2}
    assert "securityConfiguration" not in given


def test_the_program_comes_from_the_bucket_and_no_package_index(stack: Deployment) -> None:
    given = stack.one("Job").inputs
    arguments = given["defaultArguments"]
    places = [
        given["command"]["scriptLocation"],
        arguments["--extra-py-files"],
        arguments["--additional-python-modules"],
    ]
    keys = {each.inputs["key"] for each in stack.of("BucketObjectv2")}
    assert {place.removeprefix("s3://replication-snapshot/") for place in places} == keys
    assert len({key.rpartition("/")[0] for key in keys}) == 1
    assert arguments["--python-modules-installer-option"] == "--no-index"


def test_objects_get_no_tags_of_the_stack_because_s3_takes_ten(stack: Deployment) -> None:
    assert stack.of("BucketObjectv2")
    for each in stack.of("BucketObjectv2"):
        assert each.inputs["serverSideEncryption"] == "AES256"
        assert each.inputs["overrideProvider"] == {"defaultTags": {"tags": {}}}


@pytest.mark.promise("C8")
def test_the_job_reads_exports_writes_its_results_and_touches_no_table(stack: Deployment) -> None:
    reads = ("verify/*", "orders/*", "users/*", "verify-jobs/*", "verify-program/*")
    logs = sorted(f"{stack.arn(group)}:*" for group in groups(stack))
    assert grants(stack, "replication-verification-grants") == {
        "s3:GetObject": sorted(f"{BUCKET}/{prefix}" for prefix in reads),
        "s3:ListBucket": [BUCKET],
        "s3:PutObject": [f"{BUCKET}/verify-jobs/*"],
        "s3:DeleteObject": [f"{BUCKET}/verify-jobs/*"],
        "logs:CreateLogGroup": logs,
        "logs:CreateLogStream": logs,
        "logs:PutLogEvents": logs,
    }
    trust = json.loads(stack.one("Role", "verification").inputs["assumeRolePolicy"])
    assert trust["Statement"][0]["Principal"] == {"Service": "glue.amazonaws.com"}


@pytest.mark.promise("C8")
def test_the_importer_alone_runs_the_job_and_may_not_change_it(stack: Deployment) -> None:
    job, results = [stack.arn(stack.one("Job"))], [f"{BUCKET}/verify-jobs/*"]
    assert grants(stack, "replication-verification-operators", "Policy") == {
        "glue:BatchStopJobRun": job,
        "glue:GetJobRun": job,
        "glue:GetJobRuns": job,
        "glue:StartJobRun": job,
        "s3:DeleteObject": results,
        "s3:PutObject": results,
    }
    attached = stack.one("RolePolicyAttachment", "verification-operators").inputs
    assert attached["role"] == "replication-importer"


def test_the_log_groups_are_where_glue_writes_and_are_kept_as_long_as_the_others(
    stack: Deployment,
) -> None:
    prefix = stack.one("Job").inputs["defaultArguments"]["--custom-logGroup-prefix"]
    found = groups(stack)
    assert sorted(each.inputs["name"] for each in found) == [f"{prefix}/error", f"{prefix}/output"]
    assert {each.inputs["retentionInDays"] for each in found} == {90}
    output = stack.outputs["verification"]
    assert (output["logGroup"], output["errorLogGroup"]) == (f"{prefix}/output", f"{prefix}/error")


def groups(stack: Deployment) -> list[Any]:
    return [group for group in stack.of("LogGroup") if "verification" in group.name]


def test_under_a_key_of_the_place_everything_that_the_job_keeps_is_encrypted_with_it(
    tmp_path: Path,
) -> None:
    config = {**CONFIG, "verification": GLUE, "keys": {"target": KEY}}
    stack = record(config, tmp_path / "archive")
    assert {group.inputs["kmsKeyId"] for group in groups(stack)} == {KEY}
    assert {each.inputs["kmsKeyId"] for each in stack.of("BucketObjectv2")} == {KEY}
    assert stack.one("Job").inputs["defaultArguments"]["--results-key"] == KEY
    security = stack.one("SecurityConfiguration")
    encryption = security.inputs["encryptionConfiguration"]
    assert encryption["s3Encryption"] == {"s3EncryptionMode": "SSE-KMS", "kmsKeyArn": KEY}
    # A configuration that encrypts logs would move them to groups of other names.
    assert encryption["cloudwatchEncryption"] == {"cloudwatchEncryptionMode": "DISABLED"}
    [statement] = statements(stack.one("RolePolicy", "verification-keys").inputs["policy"])
    assert statement["Action"] == ["kms:Decrypt", "kms:GenerateDataKey"]
    assert statement["Resource"] == [KEY]
    assert statement["Condition"]["StringEquals"] == {
        "kms:ViaService": "s3.eu-west-1.amazonaws.com"
    }
    # The owner of the key has to let CloudWatch Logs use it.
    assert "logs.eu-west-1.amazonaws.com" in stack.outputs["keyServices"]["target"]


def test_the_buckets_own_key_names_the_job(tmp_path: Path) -> None:
    config = {**CONFIG, "verification": GLUE, "snapshotKey": True}
    stack = record(config, tmp_path / "archive")
    key = stack.one("Key", "replication-snapshot")
    role = stack.arn(stack.one("Role", "verification"))
    named = [s for s in statements(key.inputs["policy"]) if s["Sid"] == "JobUses"]
    assert [each["Principal"] for each in named] == [{"AWS": role}]
    assert grants(stack, "replication-verification-grants")["kms:Decrypt"] == [stack.arn(key)]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"engine": "emr"}, "process or spark or glue"),
        ({"engine": "glue", "workers": 1}, "a whole number of workers from 2 to 299"),
        ({"engine": "glue", "workerType": "G.3X"}, "Try: set workerType to G."),
        ({"workers": 5}, "set engine to glue, or remove workers"),
        ({"engine": "spark", "maxHours": 5}, "only the engine glue has one"),
        ({"engine": "glue", "worker": 5}, "rename it to workers"),
    ],
)
def test_a_mistake_is_named_with_its_fix(given: Mapping[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        StackConfig.parse({**CONFIG, "verification": given})
    assert "verification" in str(refused.value)
    assert message in str(refused.value)


def test_the_defaults_are_those_of_glue_itself() -> None:
    config = StackConfig.parse({**CONFIG, "verification": {"engine": "glue"}}).verification
    assert (config.workers, config.worker_type, config.max_hours) == (10, "G.1X", 8)
    assert StackConfig.parse(CONFIG).verification == VerificationConfig()
