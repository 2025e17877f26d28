"""Runs of a verification's job: started once a call, found by an argument, stopped, refused."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from bootstrap.aws.calls import Calls
from bootstrap.aws.glue import ONE_ATTEMPT, AwsJobRuns
from bootstrap.core.errors import Side, UnavailableError
from bootstrap.core.job_runs import STOPPED, JobRunFacts
from infra.local.cloud import TARGET, LocalCloud
from tests.support.infra.clouds import make_bucket, make_role, policy, until

pytestmark = pytest.mark.slow

BUCKET, JOB = "programs", "verification"


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    with LocalCloud(tmp_path_factory.mktemp("cloud")) as running:
        s3 = make_bucket(running, TARGET, BUCKET)
        s3.put_object(Bucket=BUCKET, Key="job.py", Body=b"import time\ntime.sleep(600)\n")
        allowed = policy((["s3:GetObject"], [f"arn:aws:s3:::{BUCKET}/*"]))
        role = make_role(running, TARGET, "job", allowed, service="glue.amazonaws.com")
        running.client("glue", TARGET).create_job(
            Name=JOB,
            Role=role,
            Command={"Name": "glueetl", "ScriptLocation": f"s3://{BUCKET}/job.py"},
            WorkerType="G.1X",
            NumberOfWorkers=2,
            ExecutionProperty={"MaxConcurrentRuns": 1},
        )
        yield running


@pytest.fixture
def runs(cloud: LocalCloud) -> AwsJobRuns:
    client = cloud.client("glue", TARGET)
    return AwsJobRuns(Calls(Side.TARGET, "Role importer"), client, client, JOB)


def stopped(runs: AwsJobRuns, run: str) -> JobRunFacts:
    def look() -> JobRunFacts | None:
        facts = runs.describe(run)
        return facts if facts is not None and facts.ended else None

    return until(look, f"the end of {run}")


def test_a_run_is_found_by_its_argument_and_stopped_and_only_one_may_run(runs: AwsJobRuns) -> None:
    before = time.time()
    run = runs.start({"--verification": "round-1"}, 90)
    assert run is not None
    found = runs.find("--verification", "round-1", before)
    assert found is not None
    assert (found.run_id, found.timeout, found.ended) == (run, 90, False)
    assert runs.find("--verification", "round-2", before) is None
    # What began before a moment is another round's.
    assert runs.find("--verification", "round-1", time.time() + 60) is None
    assert runs.start({}, 90) is None, "the job takes one run at a time"
    runs.stop(run)
    facts = stopped(runs, run)
    assert (facts.state, facts.succeeded) == (STOPPED, False)
    runs.stop(run)  # one that has ended is no error


def test_a_run_that_glue_does_not_know_is_none(runs: AwsJobRuns) -> None:
    assert runs.describe("jr_unknown") is None


def test_a_start_whose_answer_is_lost_is_not_repeated(cloud: LocalCloud) -> None:
    """Glue takes no client token: the SDK's own repetition would start a second run."""
    client = cloud.client("glue", TARGET)
    starter = _with_config(cloud)
    calls: list[str] = []

    def lose(**_: Any) -> Any:
        calls.append("sent")
        raise ReadTimeoutError(endpoint_url="glue")

    starter.meta.events.register("before-send.glue.StartJobRun", lose)
    runs = AwsJobRuns(Calls(Side.TARGET, "Role importer"), client, starter, JOB)
    with pytest.raises(UnavailableError):
        runs.start({}, 10)
    assert calls == ["sent"]


def _with_config(cloud: LocalCloud) -> Any:
    import boto3

    return boto3.client(
        "glue",
        endpoint_url=cloud.endpoint,
        region_name=TARGET.region,
        aws_access_key_id=TARGET.account_id,
        aws_secret_access_key="local",
        config=ONE_ATTEMPT,
    )
