"""`verify --engine glue` as a process: the real job, by Spark, with the roles of the stack."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from infra import glue_package
from infra.local.cloud import REPOSITORY, TARGET
from tests.infra.least_privilege import evaluate
from tests.infra.least_privilege.declared import from_resources
from tests.infra.least_privilege.needs import Need, of_recording
from tests.support.infra.clouds import until
from tests.support.verify.stack import Stack, order, replicating

pytest.importorskip("pyspark", reason="requirements-spark.txt is not installed")
pytestmark = [pytest.mark.slow, pytest.mark.promise("C1", "C6", "C8")]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    package = glue_package.build("glue-local")
    chosen = {"engine": "glue", "workers": 2, "package": str(package.folder)}
    directory = tmp_path_factory.mktemp("stack")
    recording = directory / "calls.jsonl"
    with replicating(directory, items=60, recording=recording, verification=chosen) as stack:
        yield stack


def runs(stack: Stack) -> list[dict[str, Any]]:
    glue, job = stack.cloud.client("glue", TARGET), stack.outputs["verification"]["jobName"]
    found: list[dict[str, Any]] = glue.get_job_runs(JobName=job)["JobRuns"]
    return found


def test_the_stacks_job_finds_what_differs_and_leaves_its_log_and_nothing_else(
    stack: Stack,
) -> None:
    # Of the snapshot: a repair's version is earlier than a change of these seconds.
    table = stack.lane["targetTable"]
    stack.target.delete_item(TableName=table, Key={"pk": {"S": "seed-1"}})
    stack.target.put_item(TableName=table, Item=order("seed-2", v={"S": "foreign"}))
    found = stack.verify("--repair", code=0)
    assert found["counts"]["repaired"] == 2, found
    # The results are there a little before Spark has ended.
    until(lambda: runs(stack)[0]["JobRunState"] == "SUCCEEDED", "the end of the run", seconds=60)
    [run] = runs(stack)
    assert f"by run {run['Id']} of job" in "\n".join(stack.said)
    logs = stack.cloud.client("logs", TARGET)
    group = stack.outputs["verification"]["errorLogGroup"]
    streams = logs.describe_log_streams(logGroupName=group)["logStreams"]
    assert [each["logStreamName"] for each in streams] == [run["Id"]]
    s3 = stack.cloud.client("s3", TARGET)
    left = s3.list_objects_v2(Bucket=stack.outputs["snapshotBucket"], Prefix="verify-jobs/")
    assert left.get("KeyCount", 0) == 0


def test_an_interrupted_command_finds_its_run_again_and_cancel_stops_one(stack: Stack) -> None:
    before = len(runs(stack))
    process = begin(stack)
    until(lambda: len(runs(stack)) > before, "a run", seconds=60)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert "on Glue, and is paid for" in err, err
    assert stack.verify()["equal"] is True
    assert len(runs(stack)) == before + 1
    process = begin(stack)
    until(lambda: len(runs(stack)) > before + 1, "another run", seconds=60)
    ran = stack.run("verify", "--cancel")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "is STOPPED, and has cost about $" in ran.stdout
    _, err = process.communicate(timeout=60)
    assert (process.returncode, "it was stopped" in err) == (4, True), err
    assert len(runs(stack)) == before + 2


def begin(stack: Stack) -> subprocess.Popen[str]:
    """Begin a verification, which the test interrupts or stops."""
    process = subprocess.Popen(
        stack.command("verify", "--json", "--spool", str(stack.directory / "spool")),
        cwd=REPOSITORY,
        env=stack.cloud.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(0.1)
    return process


def test_the_estimate_says_what_a_comparison_takes_here_and_there(stack: Stack) -> None:
    ran = stack.run("verify", "--estimate")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "processes here" in ran.stdout
    assert "on Glue with 2 workers" in ran.stdout
    other = stack.run("verify", "--engine", "process", "--cancel")
    assert other.returncode == 2
    assert "--cancel belongs to runs on AWS Glue" in other.stderr


POLICIES = ("replication-verification-grants", "replication-verification-operators")


def test_the_job_and_who_runs_it_may_do_what_these_runs_did_and_no_more(stack: Stack) -> None:
    """Of all calls that the tests of this module have led to, with what AWS asks for beside."""
    declared = from_resources(stack.created)
    own, operators = map(declared.policy, POLICIES)
    needs = [
        need
        for need in of_recording(stack.directory / "calls.jsonl")
        if f":assumed-role/{own.on}/" in need.caller
        or f":assumed-role/{operators.on}/" in need.caller
    ]
    needs += beside_the_calls(
        stack, f"arn:aws:sts::{own.account}:assumed-role/{own.on}/run", operators.on
    )
    assert [str(need) for need in evaluate.broken(declared, needs)] == []
    for name in POLICIES:
        mine = declared.looking_at(name)
        assert list(evaluate.superfluous(mine, needs)) == []
        for grant in mine.grants():
            failed = evaluate.broken(declared.without(grant), needs)
            assert {need.action for need in failed} == {grant.action}, str(grant)
    assert [each for each in evaluate.wide(declared) if each.startswith(POLICIES)] == []
    for action in ("dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Scan"):
        table = Need(f"arn:aws:sts::{own.account}:assumed-role/{own.on}/run", action, "*")
        assert not evaluate.Judge(declared).allows(table)


def beside_the_calls(stack: Stack, job: str, operator: str) -> list[Need]:
    """What both roles need that none of these runs shows, each with its reason."""
    verification, bucket = stack.outputs["verification"], stack.outputs["snapshotBucket"]
    importer = f"arn:aws:sts::{TARGET.account_id}:assumed-role/{operator}/run"
    place = f"arn:aws:logs:{TARGET.region}:{TARGET.account_id}:log-group"
    found = [
        Need(
            job, "s3:ListBucket", f"arn:aws:s3:::{bucket}", why="S3 API reference, GetObject: 404"
        ),
        Need(
            job,
            "s3:GetObject",
            f"arn:aws:s3:::{bucket}/{stack.lane['snapshotPrefix']}/any",
            why="--source-export may name the export of the run",
        ),
    ]
    # After a crash between StartJobRun and its record: by it the run is found again.
    arn = f"arn:aws:glue:{TARGET.region}:{TARGET.account_id}:job/{verification['jobName']}"
    found.append(Need(importer, "glue:GetJobRuns", arn, why="a run that is not recorded"))
    # The program prints nothing to it.
    output = f"{place}:{verification['logGroup']}:log-stream:any"
    found.append(Need(job, "logs:PutLogEvents", output, why="AWSGlueServiceRole"))
    for group in (verification["logGroup"], verification["errorLogGroup"]):
        found.append(
            Need(job, "logs:CreateLogGroup", f"{place}:{group}:any", why="AWSGlueServiceRole")
        )
    return found
