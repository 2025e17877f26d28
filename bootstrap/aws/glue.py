"""Runs of a verification's job on AWS Glue."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from botocore.config import Config

from bootstrap.aws.calls import Calls
from bootstrap.aws.paging import pages, search_twice
from bootstrap.aws.tables import timestamp
from bootstrap.core.errors import AccountError, UnavailableError
from bootstrap.core.job_runs import JobRunFacts

ONE_ATTEMPT = Config(
    connect_timeout=5,
    read_timeout=60,
    retries={"mode": "standard", "total_max_attempts": 1},
    tcp_keepalive=True,
)
"""Of the client that starts runs: the SDK would repeat a call whose answer was lost, and Glue would
start a second run."""
AS_MANY_AS_ALLOWED = frozenset(
    {"ConcurrentRunsExceededException", "ResourceNumberLimitExceededException"}
)
"""Refusals of StartJobRun that pass once other runs have ended (Glue API reference)."""
UNKNOWN = "EntityNotFoundException"


class AwsJobRuns:
    """`JobRuns` through the importer role. `starter` is the client that makes one attempt."""

    def __init__(self, calls: Calls, glue: Any, starter: Any, job: str) -> None:
        self._calls = calls
        self._glue = glue
        self._starter = starter
        self._job = job

    def start(self, arguments: Mapping[str, str], timeout: int) -> str | None:
        try:
            answer = self._calls(
                "glue",
                self._starter.start_job_run,
                self._job,
                JobName=self._job,
                Arguments=dict(arguments),
                Timeout=timeout,
            )
        except AccountError as error:
            if error.code in AS_MANY_AS_ALLOWED:
                return None
            raise
        return str(answer["JobRunId"])

    def describe(self, run_id: str) -> JobRunFacts | None:
        try:
            answer = self._calls(
                "glue", self._glue.get_job_run, run_id, JobName=self._job, RunId=run_id
            )
        except AccountError as error:
            if error.code == UNKNOWN:
                return None
            raise
        return _facts(answer["JobRun"])

    def find(self, argument: str, value: str, since: float) -> JobRunFacts | None:
        def search() -> JobRunFacts | None:
            for run in self._runs():
                facts = _facts(run)
                # Moments of answers may be whole seconds.
                if facts.started < math.floor(since):
                    return None  # the newest comes first
                if facts.arguments.get(argument) == value:
                    return facts
            return None

        return search_twice(search)

    def stop(self, run_id: str) -> None:
        answer = self._calls(
            "glue",
            self._glue.batch_stop_job_run,
            run_id,
            JobName=self._job,
            JobRunIds=[run_id],
        )
        for error in answer.get("Errors", ()):
            facts = self.describe(run_id)
            if facts is None or facts.ended:
                continue
            detail = error.get("ErrorDetail", {})
            raise UnavailableError(
                self._calls.side,
                f"glue:BatchStopJobRun of {run_id} failed with "
                f"{detail.get('ErrorCode', 'Unknown')}: {detail.get('ErrorMessage', '')}",
                fix="run the same command again in a minute",
                code=str(detail.get("ErrorCode", "")),
            )

    def _runs(self) -> Iterator[dict[str, Any]]:
        found = pages(self._calls, "glue", self._glue.get_job_runs, self._job, JobName=self._job)
        for page in found:
            yield from page["JobRuns"]


def _facts(run: Mapping[str, Any]) -> JobRunFacts:
    return JobRunFacts(
        run_id=str(run["Id"]),
        state=str(run["JobRunState"]),
        started=timestamp(run["StartedOn"]) or 0.0,
        seconds=float(run.get("ExecutionTime") or 0),
        timeout=int(run.get("Timeout") or 0),
        error=str(run.get("ErrorMessage") or ""),
        arguments=dict(run.get("Arguments") or {}),
    )
