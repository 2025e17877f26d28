"""The real command, as a process, between the two accounts of the local cloud."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.local.cloud import SOURCE, TARGET
from replicator.buffers import KINESIS
from replicator.watchdog import detectors
from tests.support.bootstrap.local_stack import (
    ITEMS,
    PATIENCE,
    TABLES,
    Stack,
    Writer,
    deployed,
)

pytestmark = [pytest.mark.slow, pytest.mark.promise("C1", "C5", "C6")]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with deployed(tmp_path_factory.mktemp("cloud"), *TABLES) as stack:
        yield stack


def test_killed_in_every_state_the_same_command_replicates_with_one_export_and_one_import(
    stack: Stack,
) -> None:
    table = ("--table", "orders")
    with Writer(stack, "orders"):
        for words in ("waiting for point-in-time", "waiting for the export", "IMPORTING"):
            stack.killed_at(words, *table)
        shown = stack.status("orders")
        assert (shown["holder"], shown["mappingEnabled"]) == (None, False)
        assert "bootstrap run" in shown["next"]
        stack.killed_at("CATCHING_UP", *table)
        ended = stack.end("run", *table)
        assert ended.returncode == 0, ended.stderr
    assert stack.end("run", *table).returncode == 0, "what the writer did last is through as well"
    shown = stack.status("orders")
    assert (shown["state"], shown["mappingEnabled"], shown["next"]) == ("REPLICATING", True, None)
    source = stack.cloud.client("dynamodb", SOURCE)
    target = stack.cloud.client("dynamodb", TARGET)
    arn = next(t["sourceTableArn"] for t in stack.values["tables"] if t["sourceTable"] == "orders")
    assert len(source.list_exports(TableArn=arn)["ExportSummaries"]) == 1
    assert len(target.list_imports()["ImportSummaryList"]) == 1
    assert stack.items(TARGET, "orders-replica") == stack.items(SOURCE, "orders")
    assert target.describe_table(TableName="orders-replica")["Table"]["DeletionProtectionEnabled"]


def test_a_missing_permission_ends_the_run_naming_it_and_granted_the_run_goes_on(
    stack: Stack,
) -> None:
    table = ("--table", "customers")
    iam = stack.cloud.client("iam", SOURCE)
    role = stack.values["source"]["exporterRoleArn"].rsplit("/", 1)[1]
    (name,) = iam.list_role_policies(RoleName=role)["PolicyNames"]
    granted = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
    denied = json.loads(json.dumps(granted).replace("dynamodb:ExportTable", "dynamodb:DenyTable"))

    def grant(document: Any) -> None:
        iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(document))

    grant(denied)
    try:
        ended = stack.end("run", *table)
    finally:
        grant(granted)
    assert ended.returncode == 3
    assert f"role/{role} may not dynamodb:ExportTableToPointInTime on arn:aws:" in ended.stderr
    assert "\nTry: " in ended.stderr
    assert "Traceback" not in ended.stderr
    assert stack.status("customers")["failure"]["step"] == "export"
    ended = stack.end("run", *table)
    assert ended.returncode == 0, ended.stderr


def test_of_two_runs_at_once_one_works_and_the_other_says_who_does(stack: Stack) -> None:
    first = stack.start("run", "--table", "customers")
    assert first.stdout is not None
    first.stdout.readline()
    # Held still: on a busy machine it would be done before the second one has begun.
    first.send_signal(signal.SIGSTOP)
    try:
        second = stack.end("run", "--table", "customers")
    finally:
        first.send_signal(signal.SIGCONT)
    assert second.returncode == 1
    assert f"process {first.pid} on " in second.stderr
    assert "--take-over" in second.stderr
    _, said = first.communicate(timeout=PATIENCE)
    assert first.returncode == 0, said


def test_a_stack_of_two_tables_is_shown_and_run_as_a_whole(stack: Stack) -> None:
    ended = stack.end("run")
    assert ended.returncode == 0, ended.stderr
    assert "orders → orders-replica: REPLICATING" in ended.stdout
    assert "customers → customers-replica: REPLICATING" in ended.stdout
    shown = json.loads(stack.end("status", "--json").stdout)
    assert [each["state"] for each in shown["tables"]] == ["REPLICATING", "REPLICATING"]
    assert shown["next"] is None


def test_a_paused_table_waits_in_the_stream_and_catches_up_when_it_is_resumed(
    stack: Stack,
) -> None:
    table = ("--table", "orders")
    lane = next(each for each in stack.values["tables"] if each["sourceTable"] == "orders")
    target = stack.cloud.client("dynamodb", TARGET)

    def keeps() -> bool:
        found = target.describe_time_to_live(TableName=lane["ledgerTable"])
        return str(found["TimeToLiveDescription"]["TimeToLiveStatus"]) == "DISABLED"

    ended = stack.end("pause", *table)
    assert ended.returncode == 0, ended.stderr
    shown = stack.status("orders")
    assert (shown["state"], shown["mappingEnabled"]) == ("PAUSED", False)
    assert shown["next"] is None
    assert "bootstrap resume" in shown["decision"]
    assert shown["bufferCoversUntil"] is not None
    assert keeps()
    item = {"pk": {"S": "while paused"}, "v": {"N": "1"}}
    stack.cloud.client("dynamodb", SOURCE).put_item(TableName="orders", Item=item)
    assert stack.end("run", *table).returncode == 1, "a paused table stays paused"
    ended = stack.end("resume", *table)
    assert ended.returncode == 0, ended.stderr
    assert not keeps()
    assert stack.items(TARGET, "orders-replica") == stack.items(SOURCE, "orders")


def test_a_write_in_the_target_during_a_pause_keeps_the_consumer_off(stack: Stack) -> None:
    table = ("--table", "customers")
    target = stack.cloud.client("dynamodb", TARGET)
    assert stack.end("pause", *table).returncode == 0
    (before, *_) = stack.items(TARGET, "customers-replica").values()
    moved = {**before, "moved": {"S": "by the application"}}
    target.put_item(TableName="customers-replica", Item=moved)
    ended = stack.end("resume", *table)
    assert ended.returncode == 1, ended.stderr
    assert "has been written to during the pause: 1 write unit" in ended.stderr
    assert stack.status("customers")["mappingEnabled"] is False
    target.put_item(TableName="customers-replica", Item=before)
    ended = stack.end("resume", *table, "--overwrite-target")
    assert ended.returncode == 0, ended.stderr


def test_a_plan_of_what_is_there_already_says_so_and_its_settings_have_not_drifted(
    stack: Stack,
) -> None:
    ended = stack.end("plan", "--table", "orders")
    assert ended.returncode == 1, "the target table exists, the consumer is on"
    assert "orders-replica exists already" in ended.stdout
    assert "Estimate:" in ended.stdout
    value = json.loads(stack.end("parity", "--table", "orders", "--json").stdout)
    drifted = [each["setting"] for each in value["settings"] if each["drifted"]]
    unread = [each["setting"] for each in value["settings"] if "not be read" in each["source"]]
    # The local cloud has no Application Auto Scaling, which does not hide the rest.
    assert (drifted, unread) == ([], ["autoscaling"])


@pytest.mark.promise("C8")
def test_a_bucket_that_denies_the_export_blocks_the_plan_and_allowed_no_object_is_left(
    stack: Stack,
) -> None:
    s3, bucket = stack.cloud.client("s3", TARGET), stack.values["snapshotBucket"]
    exporter = stack.values["source"]["exporterRoleArn"]
    granted = s3.get_bucket_policy(Bucket=bucket)["Policy"]
    policy = json.loads(granted)
    policy["Statement"].append(
        {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:PutObject",
            "Resource": f"arn:aws:s3:::{bucket}/*",
            "Condition": {"ArnEquals": {"aws:PrincipalArn": exporter}},
        }
    )

    def refusals() -> list[str]:
        value = json.loads(stack.end("plan", "--table", "orders", "--json").stdout)
        return [each["what"] for each in value["blockers"] if "s3:PutObject" in each["what"]]

    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
    try:
        [refused] = refusals()
    finally:
        s3.put_bucket_policy(Bucket=bucket, Policy=granted)
    assert refused.startswith(f"Role {exporter} of the source account may not s3:PutObject on ")
    assert "in the target account. AWS says: " in refused
    assert refusals() == []
    kept = s3.list_objects_v2(Bucket=bucket, Prefix="orders/").get("Contents", [])
    assert kept, "the snapshot is there"
    assert [each["Key"] for each in kept if "cross-account-check" in each["Key"]] == []


def test_a_second_terminal_that_may_only_read_sees_every_detector_look_after_look(
    stack: Stack,
) -> None:
    assert stack.end("run", "--table", "orders").returncode == 0
    watcher = stack.start("status", "--watch", "--json", "--operator", "--table", "orders")
    assert watcher.stdout is not None
    try:
        looks = [json.loads(watcher.stdout.readline()) for _ in range(2)]
    finally:
        watcher.send_signal(signal.SIGINT)
        _, said = watcher.communicate(timeout=PATIENCE)
    assert "Traceback" not in said
    assert looks[0]["at"] <= looks[1]["at"]
    levels = {each["metric"]: each["level"] for each in looks[1]["detectors"]}
    assert levels.keys() == {each.metric for each in detectors.of_buffer(KINESIS)}
    assert set(levels.values()) == {"fine"}, looks[1]["detectors"]
    assert looks[1]["safeToSwitch"] is True


def test_one_run_replicates_two_tables_of_a_stack_from_the_first_export_on(tmp_path: Path) -> None:
    with deployed(tmp_path, *TABLES) as stack:
        with Writer(stack, "orders"), Writer(stack, "customers"):
            ended = stack.end("run")
            assert ended.returncode == 0, ended.stderr
        assert stack.end("run").returncode == 0, "what the writers did last is through as well"
        shown = json.loads(stack.end("status", "--json").stdout)
        assert [each["state"] for each in shown["tables"]] == ["REPLICATING", "REPLICATING"]
        for table in TABLES:
            there = stack.items(SOURCE, table)
            assert len(there) > ITEMS / 2
            assert {item["of"]["S"] for item in there.values() if "of" in item} == {table}
            assert stack.items(TARGET, f"{table}-replica") == there
        target = stack.cloud.client("dynamodb", TARGET)
        assert len(target.list_imports()["ImportSummaryList"]) == len(TABLES)
        ledgers = {each["ledgerTable"]: each for each in stack.values["tables"]}
        assert len(ledgers) == len(TABLES)
        for ledger in ledgers:
            entries = stack.cloud.client("dynamodb", TARGET).scan(TableName=ledger, Select="COUNT")
            assert entries["Count"] > 1, f"{ledger} knows of no change"
