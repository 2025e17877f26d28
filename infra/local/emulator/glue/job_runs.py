"""StartJobRun and the calls about runs, as the Glue API reference has them.

ministack knows jobs, and runs none of Spark's without Docker: it would say SUCCEEDED at once.
"""

from __future__ import annotations

import contextvars
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from infra.local.emulator.glue.program import JobProgram, ProgramFailedError
from infra.local.emulator.patching import Json, Ministack, Response
from infra.local.emulator.refusals import RefusedError, answering
from infra.local.emulator.settings import EmulatorSettings

STARTING, RUNNING, STOPPING = "STARTING", "RUNNING", "STOPPING"
ACTIVE = (STARTING, RUNNING, STOPPING)
DEFAULT_TIMEOUT_MINUTES = 480
"""Of Glue 5.0 (API reference, Job, Timeout)."""
PAGE = 200
"""Most runs in an answer of GetJobRuns."""
POLL_SECONDS = 0.05


@dataclass
class JobRun:
    """One run. `arguments` are those of its StartJobRun alone, as GetJobRun shows them."""

    id: str
    job: Mapping[str, Any]
    arguments: Mapping[str, str]
    timeout: int
    """Minutes."""
    workers: int
    worker_type: str
    state: str = STARTING
    error: str = ""
    started: float = field(default_factory=time.time)
    running_since: float = 0
    completed: float = 0

    def described(self) -> Json:
        """Return the JobRun of an answer."""
        over = self.completed or time.time()
        busy = over - self.running_since if self.running_since else 0
        body: Json = {
            "Id": self.id,
            "Attempt": 0,
            "JobName": self.job["Name"],
            "StartedOn": self.started,
            "LastModifiedOn": over,
            "JobRunState": self.state,
            "Arguments": dict(self.arguments),
            "ExecutionTime": round(busy),
            "Timeout": self.timeout,
            "WorkerType": self.worker_type,
            "NumberOfWorkers": self.workers,
            "GlueVersion": self.job["GlueVersion"],
            "LogGroupName": "/aws-glue/jobs",
        }
        if self.completed:
            body["CompletedOn"] = self.completed
        if self.error:
            body["ErrorMessage"] = self.error
        return body


class EmulatedJobRuns:
    """Runs of all jobs of the local cloud, by account, Region and job."""

    def __init__(self, ministack: Ministack, settings: EmulatorSettings) -> None:
        self._ministack = ministack
        self._settings = settings
        self._runs: dict[tuple[str, str, str], list[JobRun]] = {}
        self._lock = threading.Lock()
        self._create: Callable[[Json], Response]
        self._update: Callable[[Json], Response]

    def install(self) -> None:
        """Replace ministack's functions."""
        replace = self._ministack.replace
        self._create = replace("glue", "_create_job", self.create)
        self._update = replace("glue", "_update_job", self.update)
        for name, operation in (
            ("_start_job_run", self.start),
            ("_get_job_run", self.get),
            ("_get_job_runs", self.listed),
            ("_batch_stop_job_run", self.stop),
        ):
            replace("glue", name, answering(self._ministack, self._answered(operation)))

    def _answered(self, operation: Callable[[Json], Json]) -> Callable[[Json], Response]:
        return lambda data: self._ministack.ok(operation(data))

    # -- jobs ------------------------------------------------------------------------------------

    def create(self, data: Json) -> Response:
        """Answer CreateJob, and keep how many runs the job may have at once."""
        answer = self._create(data)
        self._keep(data.get("Name"), data)
        return answer

    def update(self, data: Json) -> Response:
        """Answer UpdateJob likewise."""
        answer = self._update(data)
        self._keep(data.get("JobName"), data.get("JobUpdate") or {})
        return answer

    def _keep(self, name: str | None, settings: Json) -> None:
        job = self._ministack.glue._jobs.get(name)
        if job is not None and "ExecutionProperty" in settings:
            job["ExecutionProperty"] = settings["ExecutionProperty"]

    # -- runs ------------------------------------------------------------------------------------

    def start(self, data: Json) -> Json:
        """Answer StartJobRun. It has no client token: each call is another run."""
        job = self._job(data)
        allowed = (job.get("ExecutionProperty") or {}).get("MaxConcurrentRuns") or 1
        with self._lock:
            runs = self._of(job)
            if sum(each.state in ACTIVE for each in runs) >= allowed:
                raise RefusedError(
                    "ConcurrentRunsExceededException",
                    f"Concurrent runs exceeded for {job['Name']}",
                )
            run = JobRun(
                id=f"jr_{uuid.uuid4().hex}{uuid.uuid4().hex}",
                job=dict(job),
                arguments=data.get("Arguments") or {},
                timeout=data.get("Timeout") or job.get("Timeout") or DEFAULT_TIMEOUT_MINUTES,
                workers=data.get("NumberOfWorkers") or job["NumberOfWorkers"],
                worker_type=data.get("WorkerType") or job["WorkerType"],
            )
            runs.append(run)
        context = contextvars.copy_context()  # the account and the Region of the request
        threading.Thread(target=context.run, args=(self._run, run), daemon=True).start()
        return {"JobRunId": run.id}

    def get(self, data: Json) -> Json:
        """Answer GetJobRun."""
        return {"JobRun": self._found(data, str(data.get("RunId"))).described()}

    def listed(self, data: Json) -> Json:
        """Answer GetJobRuns, newest first, a page at a time."""
        runs = self._of(self._job(data))[::-1]
        first, size = int(data.get("NextToken") or 0), data.get("MaxResults") or PAGE
        body: Json = {"JobRuns": [each.described() for each in runs[first : first + size]]}
        if first + size < len(runs):
            body["NextToken"] = str(first + size)
        return body

    def stop(self, data: Json) -> Json:
        """Answer BatchStopJobRun: a run is STOPPING, and STOPPED some time later."""
        done, errors = [], []
        for id_ in data.get("JobRunIds") or ():
            named = {"JobName": data.get("JobName"), "JobRunId": id_}
            try:
                run = self._found(data, id_)
                if run.state not in ACTIVE:
                    raise RefusedError(
                        "InvalidInputException", f"Job run is in state {run.state}: {id_}"
                    )
            except RefusedError as refused:
                detail = {"ErrorCode": refused.code, "ErrorMessage": refused.message}
                errors.append({**named, "ErrorDetail": detail})
                continue
            self._move(run, run.state, STOPPING)
            done.append(named)
        return {"SuccessfulSubmissions": done, "Errors": errors}

    # -- a run -----------------------------------------------------------------------------------

    def _run(self, run: JobRun) -> None:
        time.sleep(self._settings.job_start_seconds)
        try:
            state, error = self._outcome(run)
        except ProgramFailedError as failed:
            state, error = "FAILED", str(failed)
        # After its log has been kept: at the end of a run it can be read.
        run.error, run.completed = error, time.time()
        run.state = state

    def _outcome(self, run: JobRun) -> tuple[str, str]:
        """Run the program to its end, and return the last state and why."""
        deadline = time.monotonic() + self._settings.scaled(run.timeout * 60)
        with JobProgram(self._ministack, run.job, run.arguments, run.id) as program:
            self._move(run, STARTING, RUNNING)
            while run.state == RUNNING and program.is_running:
                if time.monotonic() > deadline:
                    return "TIMEOUT", "Job run exceeded its timeout"
                time.sleep(POLL_SECONDS)
            if run.state == STOPPING:
                return "STOPPED", ""
            failure = program.failure()
            return ("FAILED", failure) if failure else ("SUCCEEDED", "")

    def _move(self, run: JobRun, from_: str, to: str) -> None:
        """Change a run's state, unless another call has done so meanwhile."""
        with self._lock:
            if run.state == from_:
                run.state = to
                run.running_since = run.running_since or time.time()

    # -- helpers ---------------------------------------------------------------------------------

    def _job(self, data: Json) -> Json:
        name = data.get("JobName")
        job: Json | None = self._ministack.glue._jobs.get(name)
        if job is None:
            raise RefusedError("EntityNotFoundException", f"Job with name: {name} not found.")
        return job

    def _of(self, job: Mapping[str, Any]) -> list[JobRun]:
        answers = self._ministack.responses
        key = (answers.get_account_id(), answers.get_region(), job["Name"])
        return self._runs.setdefault(key, [])

    def _found(self, data: Json, id_: str) -> JobRun:
        for run in self._of(self._job(data)):
            if run.id == id_:
                return run
        raise RefusedError("EntityNotFoundException", f"Job run with id {id_} not found.")
