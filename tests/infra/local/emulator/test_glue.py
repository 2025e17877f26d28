"""Runs of Glue's jobs: the real program with the job's role, states, refusals and logs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.local.cloud import TARGET, LocalCloud
from tests.support.infra.clouds import make_bucket, make_role, policy, until

pytestmark = pytest.mark.slow

BUCKET, PREFIX = "programs", "/aws-glue/jobs/tested"
WORK = """
import sys, boto3
from helper import place
print("compared")
print("a warning", file=sys.stderr)
arguments = dict(zip(sys.argv[1::2], sys.argv[2::2]))
boto3.client("s3").put_object(
    Bucket="programs", Key=place(arguments["--place"]), Body=arguments["--JOB_RUN_ID"].encode()
)
"""
ENDLESS = "import time\ntime.sleep(600)\n"
BROKEN = "raise SystemExit('the export is damaged')\n"
DENIED = """
import boto3
boto3.client("dynamodb").list_tables()
"""
OVER = ("SUCCEEDED", "FAILED", "STOPPED", "TIMEOUT")


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    with LocalCloud(tmp_path_factory.mktemp("cloud")) as running:
        s3 = make_bucket(running, TARGET, BUCKET)
        for name, text in (
            ("work", WORK),
            ("endless", ENDLESS),
            ("broken", BROKEN),
            ("denied", DENIED),
        ):
            s3.put_object(Bucket=BUCKET, Key=f"{name}.py", Body=text.encode())
        s3.put_object(Bucket=BUCKET, Key="modules.zip", Body=zipped("helper.py", HELPER))
        logs = running.client("logs", TARGET)
        for stream in ("output", "error"):
            logs.create_log_group(logGroupName=f"{PREFIX}/{stream}")
        yield running


HELPER = "def place(name):\n    return f'results/{name}'\n"


def zipped(name: str, text: str) -> bytes:
    import io
    import zipfile

    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, text)
    return file.getvalue()


@pytest.fixture(scope="module")
def glue(cloud: LocalCloud) -> Any:
    return cloud.client("glue", TARGET)


@pytest.fixture(scope="module")
def role(cloud: LocalCloud) -> str:
    allowed = policy(
        (["s3:GetObject"], [f"arn:aws:s3:::{BUCKET}/*"]),
        (["s3:PutObject"], [f"arn:aws:s3:::{BUCKET}/results/*"]),
        (["logs:CreateLogStream", "logs:PutLogEvents"], ["arn:aws:logs:*:*:*"]),
    )
    return make_role(cloud, TARGET, "job", allowed, service="glue.amazonaws.com")


def make_job(glue: Any, role: str, name: str, script: str = "", at_once: int = 1) -> None:
    glue.create_job(
        Name=name,
        Role=role,
        Command={
            "Name": "glueetl",
            "PythonVersion": "3",
            "ScriptLocation": f"s3://{BUCKET}/{script or name}.py",
        },
        DefaultArguments={
            "--extra-py-files": f"s3://{BUCKET}/modules.zip",
            "--custom-logGroup-prefix": PREFIX,
        },
        GlueVersion="5.0",
        WorkerType="G.1X",
        NumberOfWorkers=2,
        Timeout=480,
        ExecutionProperty={"MaxConcurrentRuns": at_once},
    )


def ended(glue: Any, job: str, run: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        found: dict[str, Any] = glue.get_job_run(JobName=job, RunId=run)["JobRun"]
        return found if found["JobRunState"] in OVER else None

    return until(look, f"the end of {run}")


def test_a_run_does_the_work_with_the_jobs_role_and_keeps_its_log(
    cloud: LocalCloud, glue: Any, role: str
) -> None:
    make_job(glue, role, "work")
    run = glue.start_job_run(JobName="work", Arguments={"--place": "a"})["JobRunId"]
    found = ended(glue, "work", run)
    assert (found["JobRunState"], found.get("ErrorMessage", "")) == ("SUCCEEDED", "")
    # The arguments of the run alone: by them it is found again.
    assert found["Arguments"] == {"--place": "a"}
    body = cloud.client("s3", TARGET).get_object(Bucket=BUCKET, Key="results/a")["Body"].read()
    assert body.decode() == run
    logs = cloud.client("logs", TARGET)
    for stream, line in (("output", "compared"), ("error", "a warning")):
        events = logs.get_log_events(logGroupName=f"{PREFIX}/{stream}", logStreamName=run)["events"]
        assert line in [event["message"] for event in events]


def test_two_calls_are_two_runs_and_the_newest_is_listed_first(glue: Any, role: str) -> None:
    make_job(glue, role, "twice", "broken", at_once=2)
    arguments = {"--place": "same"}
    runs = [glue.start_job_run(JobName="twice", Arguments=arguments)["JobRunId"] for _ in range(2)]
    first = glue.get_job_runs(JobName="twice", MaxResults=1)
    second = glue.get_job_runs(JobName="twice", MaxResults=1, NextToken=first["NextToken"])
    assert [first["JobRuns"][0]["Id"], second["JobRuns"][0]["Id"]] == runs[::-1]
    assert "NextToken" not in second


def test_a_failed_run_says_why_and_is_not_repeated(glue: Any, role: str) -> None:
    make_job(glue, role, "broken")
    run = glue.start_job_run(JobName="broken")["JobRunId"]
    found = ended(glue, "broken", run)
    assert found["JobRunState"] == "FAILED"
    assert "the export is damaged" in found["ErrorMessage"]
    assert len(glue.get_job_runs(JobName="broken")["JobRuns"]) == 1


def test_what_the_role_may_not_do_fails_the_run(glue: Any, role: str) -> None:
    make_job(glue, role, "denied")
    found = ended(glue, "denied", glue.start_job_run(JobName="denied")["JobRunId"])
    assert found["JobRunState"] == "FAILED"
    assert "AccessDenied" in found["ErrorMessage"]


def test_more_runs_than_the_job_allows_are_refused_until_one_has_stopped(
    glue: Any, role: str
) -> None:
    make_job(glue, role, "endless")
    run = glue.start_job_run(JobName="endless")["JobRunId"]
    with pytest.raises(ClientError) as refused:
        glue.start_job_run(JobName="endless")
    assert refused.value.response["Error"]["Code"] == "ConcurrentRunsExceededException"
    stopped = glue.batch_stop_job_run(JobName="endless", JobRunIds=[run, "jr_unknown"])
    assert [each["JobRunId"] for each in stopped["SuccessfulSubmissions"]] == [run]
    [error] = stopped["Errors"]
    assert error["ErrorDetail"]["ErrorCode"] == "EntityNotFoundException"
    assert ended(glue, "endless", run)["JobRunState"] == "STOPPED"
    again = glue.start_job_run(JobName="endless", Timeout=1)["JobRunId"]
    # Its minute is 0.6 s on this clock.
    assert ended(glue, "endless", again)["JobRunState"] == "TIMEOUT"


def test_unknown_jobs_and_runs_are_refused(glue: Any, role: str) -> None:
    make_job(glue, role, "known", "broken")
    for call in (
        lambda: glue.start_job_run(JobName="unknown"),
        lambda: glue.get_job_run(JobName="known", RunId="jr_unknown"),
    ):
        with pytest.raises(ClientError) as refused:
            call()
        assert refused.value.response["Error"]["Code"] == "EntityNotFoundException"
