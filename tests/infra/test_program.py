"""What the program asks AWS for."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pulumi
import pytest

from tests.support.infra.recording_engine import (
    CONFIG,
    SOURCE,
    TARGET,
    Deployment,
    record,
    statements,
)

HOLDS_DATA = {
    ("Bucket", "replicate-orders-on-failure"),
    ("Bucket", "replicate-orders-quarantine"),
    ("Bucket", "replication-snapshot"),
    ("EventSourceMapping", "replicate-orders-consumer-mapping"),
    ("Key", "replicate-orders-buffer-key"),
    ("KinesisStreamingDestination", "replicate-orders-buffer-destination"),
    ("Stream", "replicate-orders-buffer-stream"),
    ("Table", "replicate-orders-ledger"),
    ("Table", "replication-journal"),
}
IN_THE_SOURCE_ACCOUNT = {
    "replicate-orders-buffer-destination",
    "replicate-orders-buffer-key",
    "replicate-orders-buffer-sharing",
    "replicate-orders-buffer-stream",
    "replicate-orders-observer",
    "replicate-orders-observer-grants",
    "replication-alarms-source",
    "replication-exporter",
    "replication-exporter-grants",
    "replication-operator-source",
    "replication-operator-source-grants",
}


def test_everything_that_holds_data_is_protected_and_nothing_else_is(stack: Deployment) -> None:
    assert {(r.kind, r.name) for r in stack.resources if r.protect} == HOLDS_DATA
    # A bucket's block leaves with its bucket, or stays where the configuration leaves it to others.
    retained = {r.kind for r in stack.resources if r.retain_on_delete}
    assert retained == {"BucketPublicAccessBlock"}


def test_tables_refuse_to_be_deleted_by_anybody_while_protected(
    stack: Deployment, tmp_path: Path
) -> None:
    assert all(table.inputs["deletionProtectionEnabled"] for table in stack.of("Table"))
    torn_down = record({**CONFIG, "protect": False}, tmp_path / "archive")
    assert not any(table.inputs["deletionProtectionEnabled"] for table in torn_down.of("Table"))
    assert not [r.name for r in torn_down.resources if r.protect]


def test_every_resource_names_its_account(stack: Deployment) -> None:
    assert [r.name for r in stack.aws if r.side not in ("source", "target")] == []
    alarms = {r.name for r in stack.of("MetricAlarm")}
    assert {r.name for r in stack.aws if r.side == "source"} - alarms == IN_THE_SOURCE_ACCOUNT


def test_each_provider_refuses_any_account_but_its_own(stack: Deployment) -> None:
    allowed = {p.name: json.loads(p.inputs["allowedAccountIds"]) for p in stack.of("aws")}
    assert allowed == {"source": [SOURCE["accountId"]], "target": [TARGET["accountId"]]}


def test_a_provider_is_told_the_role_in_the_words_that_it_understands(tmp_path: Path) -> None:
    role = "arn:aws:iam::111111111111:role/deploy"
    source = {**SOURCE, "roleArn": role, "profile": "production"}
    deployed = record({**CONFIG, "source": source}, tmp_path / "archive")
    [provider] = [p for p in deployed.of("aws") if p.name == "source"]
    assert provider.inputs["profile"] == "production"
    [assumed] = json.loads(provider.inputs["assumeRoles"])
    assert assumed["roleArn"] == role


def test_the_consumer_is_born_disabled_and_pulumi_never_touches_the_switch_again(
    stack: Deployment,
) -> None:
    mapping = stack.one("EventSourceMapping")
    assert mapping.inputs["enabled"] is False
    assert mapping.inputs["startingPosition"] == "TRIM_HORIZON"
    assert mapping.ignore_changes == ("enabled",)
    assert mapping.delete_before_replace


def test_the_mapping_never_gives_a_record_up(stack: Deployment) -> None:
    inputs = stack.one("EventSourceMapping").inputs
    assert inputs["maximumRetryAttempts"] == -1
    assert inputs["maximumRecordAgeInSeconds"] == -1
    assert inputs["bisectBatchOnFunctionError"] is True
    assert inputs["functionResponseTypes"] == ["ReportBatchItemFailures"]
    failures = stack.one("Bucket", "on-failure")
    destination = inputs["destinationConfig"]["onFailure"]["destinationArn"]
    assert destination == stack.arn(failures)


def test_the_mapping_waits_until_both_accounts_let_it_read(stack: Deployment) -> None:
    waits_for = set(stack.one("EventSourceMapping").depends_on)
    assert {
        "replicate-orders-buffer-sharing",
        "replicate-orders-consumer-grants",
        "replicate-orders-on-failure-policy",
    } <= waits_for


def test_the_stream_keeps_a_year_of_changes_of_any_size_under_a_key_of_its_own(
    stack: Deployment,
) -> None:
    inputs = stack.one("Stream").inputs
    assert inputs["retentionPeriod"] == 8760
    assert inputs["maxRecordSizeInKib"] == 10 * 1024
    assert inputs["streamModeDetails"] == {"streamMode": "ON_DEMAND"}
    assert inputs["encryptionType"] == "KMS"
    assert inputs["kmsKeyId"] == stack.arn(stack.one("Key"))


def test_changes_carry_microseconds_from_the_first_one_on(stack: Deployment) -> None:
    destination = stack.one("KinesisStreamingDestination")
    assert destination.inputs["tableName"] == "orders"
    assert destination.inputs["approximateCreationDateTimePrecision"] == "MICROSECOND"
    assert not destination.delete_before_replace


def test_pulumi_leaves_the_ledgers_expiry_to_the_operators_tool(stack: Deployment) -> None:
    ledger = stack.one("Table", "ledger")
    assert ledger.inputs["ttl"] == {"attributeName": "x", "enabled": True}
    assert ledger.inputs["attributes"] == [{"name": "k", "type": "B"}]
    assert "ttl" in ledger.ignore_changes


def test_nothing_in_the_journal_expires(stack: Deployment) -> None:
    journal = stack.one("Table", "journal").inputs
    assert (journal["hashKey"], journal["rangeKey"]) == ("pk", "sk")
    assert "ttl" not in journal
    assert journal["pointInTimeRecovery"] == {"enabled": True}


def test_every_bucket_is_private_encrypted_and_its_owners_alone(stack: Deployment) -> None:
    for bucket in stack.of("Bucket"):
        assert "forceDestroy" not in bucket.inputs
        block = stack.one("BucketPublicAccessBlock", bucket.name).inputs
        assert all(value for key, value in block.items() if key not in ("bucket", "region"))
        assert len(block) == 6
        rule = stack.one("BucketOwnershipControls", bucket.name).inputs["rule"]
        assert rule == {"objectOwnership": "BucketOwnerEnforced"}
        assert stack.one("BucketServerSideEncryptionConfiguration", bucket.name)
    assert not stack.of("BucketVersioning")


@pytest.mark.slow
def test_a_companys_rules_for_buckets_and_logs_reach_each_of_them(tmp_path: Path) -> None:
    rules = {
        "target": {**TARGET, "region": "us-east-1"},
        "buckets": {
            "accessLogs": {"consumer": "logs-eu", "target": "logs-us"},
            "blockPublicAccess": False,
        },
        "logRetentionDays": 365,
    }
    deployed = record({**CONFIG, **rules}, tmp_path / "archive")
    logged = {
        each.inputs["bucket"]: (each.inputs["targetBucket"], each.inputs["targetPrefix"])
        for each in deployed.of("BucketLogging")
    }
    assert logged == {
        "replicate-orders-on-failure": ("logs-eu", "replicate-orders-on-failure/"),
        "replicate-orders-quarantine": ("logs-us", "replicate-orders-quarantine/"),
        "replication-snapshot": ("logs-us", "replication-snapshot/"),
    }
    assert {deployed.region(each) for each in deployed.of("BucketLogging")} == {
        *("eu-west-1", "us-east-1")
    }
    assert deployed.of("BucketPublicAccessBlock") == []
    assert {each.inputs["retentionInDays"] for each in deployed.of("LogGroup")} == {365}


@pytest.mark.slow
def test_both_functions_are_in_the_vpc_and_their_roles_have_the_rights_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warned: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", warned.append)
    vpc = {"subnetIds": ["subnet-01234567", "subnet-89abcdef"], "securityGroupIds": ["sg-01234567"]}
    deployed = record({**CONFIG, "vpc": vpc}, tmp_path / "archive")
    assert warned == []
    functions = deployed.of("Function")
    assert {each.name for each in functions} == {
        *("replicate-orders-consumer", "replicate-orders-watchdog")
    }
    for function in functions:
        assert function.inputs["vpcConfig"] == vpc
        assert f"{function.name}-network" in function.depends_on
        rights = deployed.one("RolePolicy", f"{function.name}-network")
        assert rights.inputs["role"] == f"{function.name}-role"
        allowed, looks, denied = statements(rights.inputs["policy"])
        assert allowed["Resource"] == ["arn:aws:ec2:eu-west-1:222222222222:*/*"]
        assert sorted(denied["Action"]) == sorted([*allowed["Action"], *looks["Action"]])
        assert denied["Effect"] == "Deny"
    assert deployed.outputs["vpc"] == vpc
    far = {**CONFIG, "target": {**TARGET, "region": "us-east-1"}, "vpc": vpc}
    record(far, tmp_path / "archive")
    assert "No gateway endpoint in eu-west-1 serves DynamoDB and S3 of us-east-1" in warned[0]


def test_a_function_outside_of_a_vpc_has_no_rights_in_one(stack: Deployment) -> None:
    assert [each.name for each in stack.of("Function") if "vpcConfig" in each.inputs] == []
    assert [each.name for each in stack.of("RolePolicy") if "network" in each.name] == []
    assert "vpc" not in stack.outputs


def test_only_resolved_quarantine_objects_expire(stack: Deployment) -> None:
    expiring = [
        (lifecycle.inputs["bucket"], rule["filter"]["prefix"])
        for lifecycle in stack.of("BucketLifecycleConfiguration")
        for rule in lifecycle.inputs["rules"]
        if "expiration" in rule
    ]
    assert expiring == [("replicate-orders-quarantine", "resolved/")]


def test_logs_do_not_grow_for_ever(stack: Deployment) -> None:
    for name in ("consumer", "watchdog"):
        function, group = stack.one("Function", name), stack.one("LogGroup", name)
        assert function.inputs["loggingConfig"]["logGroup"] == group.name
        assert group.inputs["retentionInDays"] == 90


def test_the_function_is_the_consumer_with_everything_it_has_to_be_told(stack: Deployment) -> None:
    function = stack.one("Function", "consumer")
    assert function.inputs["handler"] == "replicator.handler.handler"
    assert function.inputs["runtime"] == "python3.13"
    assert function.inputs["architectures"] == ["arm64"]
    assert function.inputs["environment"]["variables"] == {
        "STACK": "test",
        "SOURCE_TABLE": "orders",
        "SOURCE_ACCOUNT": "111111111111",
        "TARGET_TABLE": "orders-replica",
        "TARGET_REGION": "eu-west-1",
        "LEDGER_TABLE": "replicate-orders-ledger",
        "LEDGER_RETENTION_DAYS": "30",
        "QUARANTINE_BUCKET": "replicate-orders-quarantine",
        "QUARANTINE_BURST": "10",
        "ORDERING": "ledger",
    }


@pytest.mark.slow
def test_the_settings_of_a_table_reach_its_resources(tmp_path: Path) -> None:
    table = {
        "source": "orders",
        "streamMode": "PROVISIONED",
        "shards": 4,
        "parallelizationFactor": 2,
        "batchSize": 50,
        "batchWindow": 3,
        "memory": 512,
        "reservedConcurrency": 20,
        "ledgerRetentionDays": 60,
        "quarantineBurst": 25,
    }
    config = {**CONFIG, "tables": [table], "retentionHours": 48}
    deployed = record(config, tmp_path / "archive")
    stream, mapping = deployed.one("Stream").inputs, deployed.one("EventSourceMapping").inputs
    assert (stream["shardCount"], stream["retentionPeriod"]) == (4, 48)
    assert stream["streamModeDetails"] == {"streamMode": "PROVISIONED"}
    assert (mapping["parallelizationFactor"], mapping["batchSize"]) == (2, 50)
    assert mapping["maximumBatchingWindowInSeconds"] == 3
    function = deployed.one("Function", "consumer").inputs
    assert (function["memorySize"], function["reservedConcurrentExecutions"]) == (512, 20)
    assert function["environment"]["variables"]["LEDGER_RETENTION_DAYS"] == "60"
    assert function["environment"]["variables"]["QUARANTINE_BURST"] == "25"
    assert function["environment"]["variables"]["TARGET_TABLE"] == "orders"
    (lane,) = deployed.outputs["tables"]
    assert lane["reservedConcurrency"] == 20, "`plan` holds it against the shards"


@pytest.mark.slow
def test_a_tag_in_capital_letters_takes_the_place_of_the_stacks_own_and_null_drops_one(
    tmp_path: Path,
) -> None:
    """IAM refuses two keys that differ only in capital letters."""
    given = {"Project": "payments", "managed-by": None}
    deployed = record({**CONFIG, "tags": given}, tmp_path / "archive")
    for provider in deployed.of("aws"):
        tags = json.loads(provider.inputs["defaultTags"])["tags"]
        assert tags == {"Project": "payments", "stack": "test"}
    assert deployed.outputs["tags"] == {"Project": "payments", "stack": "test"}


@pytest.mark.slow
def test_tags_reach_both_accounts(tmp_path: Path) -> None:
    deployed = record({**CONFIG, "tags": {"team": "payments"}}, tmp_path / "archive")
    for provider in deployed.of("aws"):
        tags = json.loads(provider.inputs["defaultTags"])["tags"]
        assert tags["team"] == "payments"
        assert (tags["project"], tags["stack"]) == ("dynamodb-replication", "test")


@pytest.mark.slow
def test_across_regions_lambda_stands_with_the_source_and_what_it_keeps_with_the_target(
    tmp_path: Path,
) -> None:
    far = {**TARGET, "region": "us-east-1"}
    deployed = record({**CONFIG, "target": far}, tmp_path / "archive")
    global_kinds = {"Role", "RolePolicy"}
    places = {
        r.name: (r.side, deployed.region(r)) for r in deployed.aws if r.kind not in global_kinds
    }
    with_the_source = {name for name, place in places.items() if place == ("target", "eu-west-1")}
    on_failure = {name for name in places if "on-failure" in name}
    watching = {name for name in places if "-watchdog" in name}
    alarms = {r.name for r in deployed.of("MetricAlarm")}
    assert with_the_source - alarms == (on_failure | watching) - alarms | {
        "replicate-orders-consumer",
        "replicate-orders-consumer-logs",
        "replicate-orders-consumer-mapping",
        "replication-alarms-consumer",
        "replication-dashboard",
    }
    assert places["replication-alarms-target"] == ("target", "us-east-1")
    assert places["replicate-orders-alarm-target-throttled"] == ("target", "us-east-1")
    assert places["replicate-orders-buffer-stream"] == ("source", "eu-west-1")
    for name in ("replicate-orders-ledger", "replication-journal", "replicate-orders-quarantine"):
        assert places[name] == ("target", "us-east-1")
    assert places["replication-snapshot"] == ("target", "us-east-1")
    function = deployed.one("Function", "consumer").inputs
    assert function["environment"]["variables"]["TARGET_REGION"] == "us-east-1"
    assert deployed.outputs["tables"][0]["consumerRegion"] == "eu-west-1"
    assert deployed.outputs["target"]["region"] == "us-east-1"


def test_the_outputs_carry_all_that_the_operators_tool_needs(stack: Deployment) -> None:
    assert stack.outputs == {
        "project": "dynamodb-replication",
        "stack": "test",
        "source": {
            "accountId": "111111111111",
            "region": "eu-west-1",
            "exporterRoleArn": stack.arn(stack.one("Role", "exporter")),
            "operatorRoleArn": stack.arn(stack.one("Role", "operator-source")),
        },
        "target": {
            "accountId": "222222222222",
            "region": "eu-west-1",
            "importerRoleArn": stack.arn(stack.one("Role", "importer")),
            "operatorRoleArn": stack.arn(stack.one("Role", "operator-target")),
        },
        "tags": {"project": "dynamodb-replication", "stack": "test", "managed-by": "pulumi"},
        "journalTable": "replication-journal",
        "snapshotBucket": "replication-snapshot",
        "tables": [
            {
                "sourceTable": "orders",
                "sourceTableArn": "arn:aws:dynamodb:eu-west-1:111111111111:table/orders",
                "targetTable": "orders-replica",
                "ordering": "ledger",
                "streamName": "replicate-orders-buffer-stream",
                "streamArn": stack.arn(stack.one("Stream")),
                "consumerRegion": "eu-west-1",
                "functionName": "replicate-orders-consumer",
                "functionArn": stack.arn(stack.one("Function", "consumer")),
                "consumerRoleArn": stack.arn(stack.one("Role", "consumer")),
                "metricDimensions": {
                    "Stack": "test",
                    "Table": "orders",
                    "SourceAccount": "111111111111",
                    "Function": "replicate-orders-consumer",
                },
                "logGroup": "replicate-orders-consumer-logs",
                "mappingUuid": "uuid-of-replicate-orders-consumer-mapping",
                "parallelizationFactor": 1,
                "ledgerTable": "replicate-orders-ledger",
                "ledgerRetentionDays": 30,
                "quarantineBucket": "replicate-orders-quarantine",
                "onFailureBucket": "replicate-orders-on-failure",
                "snapshotPrefix": "orders",
                "streamMode": "ON_DEMAND",
                "retentionHours": 8760,
                "maxRecordKib": 10240,
                "watchdogLogGroup": "replicate-orders-watchdog-logs",
                "watchdogRoleArn": stack.arn(stack.one("Role", "watchdog-role")),
                "observerRoleArn": stack.arn(stack.one("Role", "observer")),
                "denyOtherWriters": False,
                "stackOwnsTargetDeny": False,
                "load": "import",
                "alarmLimits": {
                    "retentionUsedPercent": 25,
                    "probeAgeMinutes": 30,
                    "unreplicatedWarningHours": 1,
                },
            }
        ],
    }


@pytest.mark.slow
def test_a_second_table_touches_nothing_of_the_first(stack: Deployment, tmp_path: Path) -> None:
    tables = [*CONFIG["tables"], {"source": "customers"}]
    both = record({**CONFIG, "tables": tables}, tmp_path / "archive")
    shared = {
        "replication-dashboard",
        "replication-exporter-grants",
        "replication-importer-grants",
        "replication-operator-source-grants",
        "replication-operator-target-grants",
    }
    # Only the path of the stand-in archive differs.
    archives = {"replicate-orders-consumer", "replicate-orders-watchdog"}
    first = {r.name: r for r in stack.resources if r.name not in shared | archives}
    second = {(r.kind, r.name): r for r in both.resources}
    for name, resource in first.items():
        again = second[resource.kind, name]
        assert (again.inputs, again.parent) == (resource.inputs, resource.parent)
    added = {name for _, name in second if name not in first} - shared - archives
    assert added
    assert all(name.startswith("replicate-customers-") for name in added)


@pytest.mark.slow
def test_any_table_name_makes_names_that_every_service_accepts(tmp_path: Path) -> None:
    names = ["Orders", "orders", "My_Table.v2", "a" * 255, "a" * 254, "...", "ends-in-a-hyphen-"]
    tables = [{"source": name} for name in names]
    deployed = record({**CONFIG, "tables": tables}, tmp_path / "archive")
    autonaming = 8  # a hyphen and seven digits, which Pulumi appends
    limits = {"Bucket": 63, "Role": 64, "RolePolicy": 128, "Function": 64, "Stream": 128}
    for resource in deployed.aws:
        assert resource.name == resource.name.lower()
        assert set(resource.name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
        assert len(resource.name) + autonaming <= limits.get(resource.kind, 255)
    assert len({r.name for r in deployed.of("Stream")}) == len(names)


@pytest.mark.slow
def test_the_program_runs_as_pulumis_language_host_runs_it(tmp_path: Path) -> None:
    """Working directory infra/, run as a path, the project not on the import path."""
    import subprocess

    project = Path(__file__).resolve().parents[2]
    script = f"""
import sys
sys.path[:] = [p for p in sys.path if p not in ("", {str(project)!r})]
import asyncio, json, runpy, pulumi
from pulumi.runtime import settings
from pulumi.runtime.stack import run_pulumi_func
class Echo(pulumi.runtime.Mocks):
    def new_resource(self, args):
        return args.name, {{"arn": "arn:" + args.name, "name": args.name, **args.inputs}}
    def call(self, args):
        return {{}}
async def program():
    runpy.run_path(".", run_name="__main__")
async def main():
    pulumi.runtime.set_mocks(Echo(), project="dynamodb-replication", stack="host", preview=False)
    await run_pulumi_func(program)
    print(json.dumps(sorted(settings.get_root_resource().outputs)))
asyncio.run(main())
"""
    from infra.dry_run import stand_in_archive

    archive = tmp_path / "archive"
    stand_in_archive(archive)
    config = {**CONFIG, "lambdaArchive": str(archive)}
    values = {
        f"dynamodb-replication:{key}": value if isinstance(value, str) else json.dumps(value)
        for key, value in config.items()
    }
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        cwd=project / "infra",
        env={"PATH": os.environ["PATH"], "PULUMI_CONFIG": json.dumps(values)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout.splitlines()[-1]) == sorted(
        ["project", "stack", "source", "target", "tags", "journalTable", "snapshotBucket", "tables"]
    )


@pytest.mark.slow
def test_a_run_puts_back_what_it_changes_of_the_process(tmp_path: Path) -> None:
    before = (Path.cwd(), list(sys.path), sys.modules["__main__"])
    record(CONFIG, tmp_path / "archive")
    assert (Path.cwd(), list(sys.path), sys.modules["__main__"]) == before
    with pytest.raises(ValueError, match="tables"):
        record({**CONFIG, "tables": []}, tmp_path / "archive")
    assert (Path.cwd(), list(sys.path), sys.modules["__main__"]) == before


def test_the_throughput_that_aws_has_warmed_a_stream_for_is_no_difference(
    stack: Deployment,
) -> None:
    """AWS warms an on-demand stream by itself, and each preview would show it."""
    assert all("warmThroughputMibPs" in each.ignore_changes for each in stack.of("Stream"))
