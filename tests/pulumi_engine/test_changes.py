"""One stack, from a first `up` that fails on: what each change does, of the file and of AWS."""

from __future__ import annotations

import json
from typing import Any

import pytest

from infra import glue_package
from tests.pulumi_engine.engine import OPEN_COROUTINES, Engine, EngineStack, RefusedError

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings(*OPEN_COROUTINES)]

ORDERS = {"source": "orders", "target": "orders-replica"}
LATER = {**ORDERS, "startAt": "2026-11-23T10:00:00Z"}
MAPPING = "replicate-orders-consumer-mapping"
SHARING = "replicate-orders-buffer-sharing"
BUCKETS = ("replicate-orders-on-failure", "replicate-orders-quarantine", "replication-snapshot")
FUNCTIONS = ("replicate-orders-consumer", "replicate-orders-watchdog")
VPC = {"subnetIds": ["subnet-01234567"], "securityGroupIds": ["sg-01234567"]}
OUTPUTS_OF_BUCKETS = ("onFailureBucket", "quarantineBucket")


@pytest.fixture(scope="module")
def created() -> list[str]:
    """The names of what the stack's first runs made, in order."""
    return []


@pytest.fixture(scope="module")
def stack(engine: Engine, created: list[str]) -> EngineStack:
    """A stack of one table, after an `up` that failed half way and one that resumed it."""
    stack = engine.stack("changes")
    stack.configure(engine.config(ORDERS))
    planned = stack.preview()
    engine.log.order(fail={SHARING: "AccessDeniedException: not authorized to PutResourcePolicy"})
    with pytest.raises(RefusedError, match=f"(?s){SHARING}.*AccessDeniedException"):
        stack.up()
    made = {resource["urn"] for resource in stack.resources()}
    assert SHARING not in names(made)
    failed = engine.log.calls()
    engine.log.forget()
    resumed = stack.up()
    assert resumed.by_operation.keys() == {"create"}
    again = {call.name for call in engine.log.calls()} & names(made)
    assert again == set()
    assert len(stack.resources()) == planned.counts["create"]
    created += [call.name for call in failed if call.name in names(made)]
    created += [call.name for call in engine.log.calls()]
    return stack


def names(urns: set[str]) -> set[str]:
    """Return the names of AWS's resources among these."""
    return {urn.rpartition("::")[2] for urn in urns if "aws:" in urn.split("::")[2]}


@pytest.fixture
def table(stack: EngineStack) -> dict[str, Any]:
    """The stack's outputs about its table, with the stack as it was deployed."""
    outputs: dict[str, Any] = stack.outputs()["tables"][0]
    return outputs


def test_a_second_up_changes_nothing(stack: EngineStack) -> None:
    assert stack.up().unchanged


def test_a_table_goes_over_to_bulk_puts_and_back_by_two_policies_and_a_rule(
    engine: Engine, stack: EngineStack
) -> None:
    policies = {f"RolePolicy replication-{role}-grants" for role in ("importer", "operator-target")}
    imported = stack.outputs()["tables"][0]
    assert imported["load"] == "import"
    bulk = {**ORDERS, "load": "bulk", "adopt": True, "maxWriteRequestUnits": 2048}
    rule = {
        "EventRule replicate-orders-bulk-puts",
        "EventTarget replicate-orders-bulk-puts-message",
        "OtherBulkPuts replicate-orders-bulk-puts",
        "TopicPolicy replication-alarms-target-rules",
    }
    for table, load, done in ((bulk, "bulk", "create"), (ORDERS, "import", "delete")):
        stack.configure(engine.config(table))
        up = stack.up()
        assert up.by_operation == {"update": policies, done: rule}
        assert up.changed == {policy: {"policy"} for policy in policies}
        assert up.outputs["tables"][0]["load"] == load
    assert stack.outputs()["tables"][0] == imported


def test_a_verification_on_glue_is_added_changed_and_taken_away_with_nothing_else(
    engine: Engine, stack: EngineStack
) -> None:
    package = glue_package.build("glue-local", folder=engine.project / "glue-local")
    made = {
        "BucketObjectv2 replication-verification-modules",
        "BucketObjectv2 replication-verification-script",
        "Job replication-verification",
        "LogGroup replication-verification-error-log",
        "LogGroup replication-verification-output-log",
        "Policy replication-verification-operators",
        "Role replication-verification-role",
        "RolePolicy replication-verification-grants",
        "RolePolicyAttachment replication-verification-operators-attachment",
        "VerificationJob replication-verification",
    }
    chosen = {"engine": "glue", "workers": 5, "package": str(package.folder)}
    stack.configure(engine.config(ORDERS, verification=chosen))
    up = stack.up()
    assert up.by_operation == {"create": made}
    assert up.outputs["verification"]["workers"] == 5
    assert stack.up().unchanged
    stack.configure(engine.config(ORDERS, verification={**chosen, "workers": 8}))
    up = stack.up()
    assert up.changed == {"Job replication-verification": {"numberOfWorkers"}}
    glue = engine.cloud.client("glue", engine.cloud.target)
    found = glue.get_job(JobName=up.outputs["verification"]["jobName"])["Job"]
    assert (found["NumberOfWorkers"], found["MaxRetries"]) == (8, 0)
    stack.configure(engine.config(ORDERS))
    assert stack.up().by_operation == {"delete": made}
    assert "verification" not in stack.outputs()


def test_what_a_first_up_makes_is_in_the_order_that_the_parts_need(
    stack: EngineStack, created: list[str]
) -> None:
    for earlier, later in (
        ("replicate-orders-consumer-role", SHARING),
        ("replicate-orders-consumer-grants", "replicate-orders-consumer"),
        ("replicate-orders-buffer-destination", MAPPING),
        (SHARING, MAPPING),
        (MAPPING, "replicate-orders-watchdog"),
    ):
        assert created.index(earlier) < created.index(later)


def test_a_change_of_settings_updates_what_they_are_of_and_the_mapping_stays_on(
    engine: Engine, stack: EngineStack, table: dict[str, Any]
) -> None:
    lambda_ = engine.cloud.client("lambda", engine.cloud.target)
    lambda_.update_event_source_mapping(UUID=table["mappingUuid"], Enabled=True)
    rules = {
        "accessLogs": dict.fromkeys(("consumer", "target"), "logs"),
        "blockPublicAccess": False,
    }
    stack.configure(
        engine.config(
            {**ORDERS, "batchSize": 100, "memory": 512},
            retentionHours=8000,
            logRetentionDays=365,
            buckets=rules,
            vpc=VPC,
        )
    )
    engine.log.forget()
    up = stack.up()
    assert up.changed == {
        "EventSourceMapping replicate-orders-consumer-mapping": {"batchSize"},
        "Function replicate-orders-consumer": {"memorySize", "vpcConfig"},
        "Function replicate-orders-watchdog": {"environment", "vpcConfig"},
        "LogGroup replicate-orders-consumer-logs": {"retentionInDays"},
        "LogGroup replicate-orders-watchdog-logs": {"retentionInDays"},
        "Stream replicate-orders-buffer-stream": {"retentionPeriod"},
    }
    assert up.by_operation == {
        "create": {f"BucketLogging {bucket}-access-log" for bucket in BUCKETS}
        | {f"RolePolicy {function}-network" for function in FUNCTIONS},
        "delete": {f"BucketPublicAccessBlock {bucket}-private" for bucket in BUCKETS},
        "update": up.changed.keys(),
    }
    # A role may keep network interfaces before its function needs one.
    calls = [call.name for call in engine.log.calls()]
    assert all(calls.index(f"{name}-network") < calls.index(name) for name in FUNCTIONS)
    found = lambda_.get_function_configuration(FunctionName=table["functionName"])["VpcConfig"]
    assert (found["SubnetIds"], found["SecurityGroupIds"]) == tuple(VPC.values())
    # The stack no longer sets the blocks, and those that are there stay.
    s3 = engine.cloud.client("s3", engine.cloud.target)
    blocks = [s3.get_public_access_block(Bucket=table[each]) for each in OUTPUTS_OF_BUCKETS]
    assert all(all(b["PublicAccessBlockConfiguration"].values()) for b in blocks)
    logged = s3.get_bucket_logging(Bucket=table["quarantineBucket"])["LoggingEnabled"]
    assert logged == {"TargetBucket": "logs", "TargetPrefix": f"{table['quarantineBucket']}/"}
    mapping = lambda_.get_event_source_mapping(UUID=table["mappingUuid"])
    assert (mapping["State"] in ("Enabled", "Enabling"), mapping["BatchSize"]) == (True, 100)
    assert retention(engine, table) == 8000
    # What is changed by hand is taken back, together with the rest.
    lambda_.update_function_configuration(
        FunctionName=table["functionName"],
        VpcConfig={"SubnetIds": ["subnet-89abcdef"], "SecurityGroupIds": ["sg-89abcdef"]},
    )
    stack.configure(engine.config(ORDERS))
    engine.log.forget()
    assert stack.up().by_operation == {
        "create": up.by_operation["delete"],
        "delete": up.by_operation["create"],
        "update": up.changed.keys(),
    }
    # And keeps that right until its function has left the VPC.
    calls = [call.name for call in engine.log.calls()]
    assert all(calls.index(name) < calls.index(f"{name}-network") for name in FUNCTIONS)
    found = lambda_.get_function_configuration(FunctionName=table["functionName"])["VpcConfig"]
    assert found["SubnetIds"] == []
    assert retention(engine, table) == 8760


def test_shards_that_were_split_by_hand_stay_until_the_stack_file_changes(
    engine: Engine, stack: EngineStack, table: dict[str, Any]
) -> None:
    kinesis = engine.cloud.client("kinesis", engine.cloud.source)
    name = table["streamName"]

    def shards() -> int:
        found = kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]
        return int(found["OpenShardCount"])

    provisioned = {**ORDERS, "streamMode": "PROVISIONED", "shards": 2}
    stack.configure(engine.config(provisioned))
    stack.up()
    assert shards() == 2
    kinesis.update_shard_count(StreamName=name, TargetShardCount=4, ScalingType="UNIFORM_SCALING")
    assert stack.up().unchanged
    # Another change of the stream leaves them too.
    stack.configure(engine.config(provisioned, retentionHours=8000))
    stack.up()
    assert (shards(), retention(engine, table)) == (4, 8000)
    stack.configure(engine.config({**provisioned, "shards": 3}))
    stack.up()
    assert (shards(), retention(engine, table)) == (3, 8760)
    stack.configure(engine.config(ORDERS))
    stack.up()
    assert stack.up().unchanged


def test_one_up_takes_back_whatever_was_changed_by_hand(
    engine: Engine, stack: EngineStack, table: dict[str, Any]
) -> None:
    alarm = drift(engine, table)
    up = stack.up()
    assert up.by_operation == {
        "create": {
            f"MetricAlarm {alarm}",
            "KinesisStreamingDestination replicate-orders-buffer-destination",
        },
        "update": {
            # An alarm that is made anew has a new name.
            "Dashboard replication-dashboard",
            "Function replicate-orders-consumer",
            "RolePolicy replicate-orders-watchdog-grants",
            "Stream replicate-orders-buffer-stream",
        },
    }
    assert retention(engine, table) == 8760
    assert stack.up().unchanged


def test_a_replacement_of_what_holds_data_is_refused_before_any_call(
    engine: Engine, stack: EngineStack
) -> None:
    engine.log.forget()
    stack.configure(engine.config(LATER))
    with pytest.raises(RefusedError, match="marked for protection"):
        stack.up()
    assert engine.log.calls() == []


def test_an_unprotected_mapping_is_deleted_then_made_again_disabled_and_protected(
    engine: Engine, stack: EngineStack, table: dict[str, Any]
) -> None:
    stack.configure(engine.config(LATER))
    stack.pulumi("state", "unprotect", stack.urn(MAPPING), "--yes")
    engine.log.forget()
    up = stack.up()
    assert up.by_operation["create-replacement"] == {f"EventSourceMapping {MAPPING}"}
    calls = [(call.operation, call.name) for call in engine.log.calls()]
    assert calls[:2] == [("delete", MAPPING), ("create", MAPPING)]
    # Those that name the mapping follow it.
    assert up.by_operation["update"] == {
        "Function replicate-orders-watchdog",
        "RolePolicy replicate-orders-watchdog-grants",
        "RolePolicy replication-importer-grants",
        "RolePolicy replication-operator-target-grants",
    }
    now = up.outputs["tables"][0]["mappingUuid"]
    assert now != table["mappingUuid"]
    mapping = engine.cloud.client("lambda", engine.cloud.target).get_event_source_mapping(UUID=now)
    assert mapping["State"] == "Disabled"
    [state] = [each for each in stack.resources() if each["urn"].endswith(f"::{MAPPING}")]
    assert state["protect"] is True


def test_destroy_is_refused_by_its_preview_as_long_as_the_stack_is_protected(
    engine: Engine, stack: EngineStack
) -> None:
    engine.log.forget()
    with pytest.raises(RefusedError, match="because it is protected"):
        stack.pulumi("destroy", "--yes")
    assert engine.log.calls() == []


def retention(engine: Engine, table: dict[str, Any]) -> int:
    """Return how many hours the table's stream keeps a record."""
    kinesis = engine.cloud.client("kinesis", engine.cloud.source)
    found = kinesis.describe_stream_summary(StreamName=table["streamName"])
    return int(found["StreamDescriptionSummary"]["RetentionPeriodHours"])


def drift(engine: Engine, table: dict[str, Any]) -> str:
    """Change the stack's resources behind its back; return the name of the deleted alarm."""
    source, target = engine.cloud.source, engine.cloud.target
    kinesis = engine.cloud.client("kinesis", source)
    kinesis.decrease_stream_retention_period(
        StreamName=table["streamName"], RetentionPeriodHours=24
    )
    dynamodb = engine.cloud.client("dynamodb", source)
    dynamodb.disable_kinesis_streaming_destination(TableName="orders", StreamArn=table["streamArn"])
    cloudwatch = engine.cloud.client("cloudwatch", target)
    alarms = cloudwatch.describe_alarms()["MetricAlarms"]
    [alarm] = [each["AlarmName"] for each in alarms if "mapping-off" in each["AlarmName"]]
    cloudwatch.delete_alarms(AlarmNames=[alarm])
    iam = engine.cloud.client("iam", target)
    [role] = [r["RoleName"] for r in iam.list_roles()["Roles"] if "watchdog-role" in r["RoleName"]]
    [policy] = iam.list_role_policies(RoleName=role)["PolicyNames"]
    wide = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    iam.put_role_policy(
        RoleName=role,
        PolicyName=policy,
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [wide]}),
    )
    lambda_ = engine.cloud.client("lambda", target)
    lambda_.update_function_configuration(FunctionName=table["functionName"], MemorySize=128)
    return str(alarm.rpartition("-")[0])
