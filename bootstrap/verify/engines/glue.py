"""The engine that is a job on AWS Glue, in the target account: beyond the cores of one machine.

Glue takes no client token, so the intention is in the journal before the run is started, and names
a token that the run carries as an argument: after a crash the run is found by it, and no second one
is paid for. What a run leaves in its place is read by the same code as what Spark leaves here.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bootstrap.core.errors import (
    AccountError,
    BlockedError,
    BootstrapError,
    Side,
    UnavailableError,
    UsageError,
)
from bootstrap.core.formatting import duration, number
from bootstrap.core.job_runs import STOPPED, TIMEOUT, JobRunFacts, JobRuns
from bootstrap.core.outcome import Acted, Done, Outcome, Pending
from bootstrap.core.poller import Poller
from bootstrap.core.suggestions import Command, suggest
from bootstrap.core.verification_outputs import VerificationJobOutputs
from bootstrap.journal.journal import Journal
from bootstrap.journal.verification_records import JobRunRecord
from bootstrap.verify.compare.comparison import Comparison, ComparisonProgress
from bootstrap.verify.compare.partitions import Difference
from bootstrap.verify.engines.engine import ComparisonTask, OnProgress
from bootstrap.verify.exports.manifest import DamagedExportError
from bootstrap.verify.spark.job_arguments import PLACE, TOKEN
from bootstrap.verify.spark.places import JobPlace
from bootstrap.verify.spark.request import JobRequest, make_request, write_request
from bootstrap.verify.spark.results import JobResults, read_error, read_progress, read_results
from bootstrap.verify.spark.worker_memory import WORKER_MEMORY_MB
from infra.verification_names import EXPORTS, RESULTS

POLL_SECONDS = 20.0
LEAST_SECONDS = 60
"""Glue counts a run as a minute at least (AWS Glue pricing, Spark jobs of Glue 2.0 and later)."""
CLOCKS_APART = 300.0
"""Seconds by which moments of two services may differ at most."""
SETTLING_SECONDS = 60.0
"""The time after which a run that GetJobRuns does not list was never begun. AWS states none."""


@dataclass(frozen=True)
class RunLimits:
    """The most that a run may take. None: what the stack allows."""

    hours: float | None = None
    cost: float | None = None
    """US dollars."""


@dataclass(frozen=True)
class GlueJob:
    """The job of a stack, and what its runs cost."""

    runs: JobRuns
    outputs: VerificationJobOutputs
    bucket: str
    """The snapshot bucket: the job may read exports there and nowhere else."""
    place: Callable[[str], JobPlace]
    """Makes the place under a prefix of the snapshot bucket."""
    dpu_hour: float
    """US dollars for a data processing unit and hour."""

    def cost(self, seconds: float) -> float:
        """Return US dollars for a run of so many seconds."""
        return self.outputs.dpus * max(seconds, LEAST_SECONDS) / 3600 * self.dpu_hour

    def minutes(self, limits: RunLimits) -> int:
        """Return the minutes after which Glue stops a run.

        Raises:
            UsageError: the limits allow less than the minute that each run costs.
        """
        allowed = [self.outputs.max_hours * 60.0]
        if limits.hours is not None:
            allowed.append(limits.hours * 60)
        if limits.cost is not None:
            allowed.append(limits.cost / (self.outputs.dpus * self.dpu_hour) * 60)
        minutes = math.floor(min(allowed))
        if minutes < 1:
            raise UsageError(
                f"A run of {self.outputs.workers} workers {self.outputs.worker_type} takes at "
                f"least a minute, which costs {money(self.cost(LEAST_SECONDS))}, and the limits "
                "allow less.",
                fix="a higher --max-cost or --max-hours, or --engine process",
            )
        return minutes


@dataclass(frozen=True)
class GlueResults:
    """The results of a run, which its record leads to."""

    results: JobResults
    journal: Journal

    def differences(self) -> Iterator[Difference]:
        return self.results.differences()

    def remove(self) -> None:
        self.results.remove()
        self.journal.forget(JobRunRecord, "the results of the run on Glue are deleted")


class GlueEngine:
    """Compares by runs of the stack's job. `prefix`: the table's part of names in the bucket."""

    def __init__(
        self,
        job: GlueJob,
        journal: Journal,
        poller: Poller,
        prefix: str,
        limits: RunLimits,
        *,
        new_run: bool = False,
    ) -> None:
        """`new_run`: start another run in place of one that ended without a result."""
        self._job, self._journal, self._poller = job, journal, poller
        self._prefix, self._limits, self._new_run = prefix, limits, new_run
        self._intended = ""
        """The token of an intention of this process, whose run has not been asked for yet."""
        self._results: JobResults | None = None

    def compare(self, task: ComparisonTask, on_progress: OnProgress) -> Comparison:
        """The wait loop reports the progress, with the cost so far, and keeps the lease."""
        task.directory.mkdir(parents=True, exist_ok=True)
        request = make_request(task.source, task.target, task.key, task.sample)
        self._job.minutes(self._limits)  # before anything is recorded
        self._refuse_exports_elsewhere(task)
        with self._left_running():
            while not isinstance(
                outcome := self._poller.attempt(lambda: self._advance(request)), Done
            ):
                if isinstance(outcome, Pending):
                    self._poller.say(outcome.what, same="glue")
                    self._poller.sleep(outcome.poll)
                else:
                    self._poller.keep_alive()
        assert self._results is not None
        return Comparison(
            task.source,
            task.target,
            request.key,
            self._results.counts,
            GlueResults(self._results, self._journal),
            task.directory,
        )

    # -- a run -----------------------------------------------------------------------------------

    def _advance(self, request: JobRequest) -> Outcome:
        record = self._journal.get(JobRunRecord)
        if record is not None and record.request != request.identity:
            if not record.ended and not self._stop_other(record):
                return Pending("Glue to list a run that may have begun", self._poll(5))
            record = None
        if record is None or (record.ended and self._new_run):
            return self._intend(request, 1 if record is None else record.attempt + 1)
        place = self._job.place(record.place)
        # Whatever the run ended with: what it wrote last is whole, and paid for.
        self._results = read_results(place, request)
        if self._results is not None:
            return Done()
        if record.ended:
            raise self._failed(record, place, record.ended)
        if not record.run_id:
            return self._begin(record, request, place)
        return self._follow(record, request, place)

    def _intend(self, request: JobRequest, attempt: int) -> Outcome:
        journal, self._new_run = self._journal, False
        token = f"{request.identity}-{attempt}-{round(journal.now())}"
        record = JobRunRecord(
            request=request.identity,
            attempt=attempt,
            token=token,
            place=f"{RESULTS}/{self._prefix}/{token}",
            intended_at=journal.now(),
            asked_at=journal.now(),
        )
        journal.put(record, f"starting a run of {self._job.outputs.name} on Glue")
        self._intended = token
        return Acted()

    def _begin(self, record: JobRunRecord, request: JobRequest, place: JobPlace) -> Outcome:
        if self._intended != record.token:
            # Another process, or a call whose answer was lost, may have started it.
            found = find_run(self._job.runs, record)
            if found is not None:
                return self._began(record, found.run_id)
            if not self._is_settled(record):
                return Pending("Glue to list a run that may have begun", self._poll(5))
        if self._journal.now() >= record.asked_at + self._settling / 2:
            # A process that resumes this must know how long to look for it.
            self._ask(record)
            return Acted()
        write_request(place, request)
        minutes = self._job.minutes(self._limits)
        self._intended = ""
        try:
            run_id = self._job.runs.start({PLACE: place.uri, TOKEN: record.token}, minutes)
        except UnavailableError:
            self._ask(record, intended="")  # whether it has begun shows once it is listed
            raise
        if run_id is None:
            self._intended = record.token  # refused: there is no such run
            return Pending(
                f"a run on Glue to end: as many as {self._job.outputs.name} or the account may "
                "have at once are running",
                self._poll(POLL_SECONDS),
            )
        outputs = self._job.outputs
        self._poller.tell(
            f"Comparing on AWS Glue by run {run_id} of job {outputs.name}: {outputs.workers} "
            f"workers {outputs.worker_type}, for up to {duration(minutes * 60)} and "
            f"{money(self._job.cost(minutes * 60))}. Each core's Python worker has "
            f"{WORKER_MEMORY_MB} MB at most. {_logs(run_id, outputs)}"
        )
        return self._began(record, run_id)

    def _ask(self, record: JobRunRecord, intended: str | None = None) -> None:
        asked = dataclasses.replace(record, asked_at=self._journal.now())
        self._journal.put(asked, f"asking Glue for a run of {self._job.outputs.name}")
        self._intended = record.token if intended is None else intended

    def _began(self, record: JobRunRecord, run_id: str) -> Outcome:
        self._journal.put(dataclasses.replace(record, run_id=run_id), f"run {run_id} on Glue")
        return Acted()

    def _follow(self, record: JobRunRecord, request: JobRequest, place: JobPlace) -> Outcome:
        facts = self._job.runs.describe(record.run_id)
        if facts is not None and not facts.ended:
            self._enforce(facts)
            what = self._text(facts, read_progress(place))
            return Pending(what, self._poll(POLL_SECONDS), outlasts=True)
        if facts is None and not self._is_settled(record):
            return Pending("Glue to know the run that has begun", self._poll(5))
        if read_results(place, request) is not None:
            return Acted()  # it was written between the two looks
        succeeded = facts is not None and facts.succeeded
        why = "it succeeded and left no result" if succeeded else self._why(facts)
        self._journal.put(dataclasses.replace(record, ended=why), f"run {record.run_id}: {why}")
        raise self._failed(record, place, why)

    def _enforce(self, facts: JobRunFacts) -> None:
        """Stop a run that takes more than this command allows: it may have begun with other limits.

        Glue itself stops a run by the limits that it began with.
        """
        allowed = self._job.minutes(self._limits) * 60
        if facts.seconds > allowed + LEAST_SECONDS and facts.timeout * 60 > allowed:
            self._job.runs.stop(facts.run_id)

    def _refuse_exports_elsewhere(self, task: ComparisonTask) -> None:
        """Refuse exports that the job may not read, before a run is paid for.

        Raises:
            UsageError: one lies in another bucket, or under another prefix.
        """
        readable = (f"{EXPORTS}/", f"{self._prefix}/")
        for export in (task.source, task.target):
            if export.bucket == self._job.bucket and export.summary.startswith(readable):
                continue
            raise UsageError(
                f"The export {export.arn} is s3://{export.bucket}/{export.summary}, and the "
                f"stack's job reads exports only in s3://{self._job.bucket}, under "
                f"{' or '.join(readable)}.",
                fix="--engine process, which reads it with the operators' role; or leave out "
                "--source-export and --target-export",
            )

    # -- texts and errors ------------------------------------------------------------------------

    def _text(self, facts: JobRunFacts, progress: ComparisonProgress | None) -> str:
        so_far = f"{duration(facts.seconds)} and {money(self._job.cost(facts.seconds))} so far"
        if progress is None:
            return f"run {facts.run_id} on Glue is {facts.state}, {so_far}"
        return (
            f"on Glue: digested {number(progress.items)} of {number(progress.of_items)} items, "
            f"compared {progress.partitions} of {progress.of_partitions} parts, {so_far}"
        )

    def _why(self, facts: JobRunFacts | None) -> str:
        if facts is None:
            return "Glue no longer knows it"
        reasons = {
            STOPPED: "it was stopped",
            TIMEOUT: f"it took longer than the {duration(facts.timeout * 60)} that it may take",
        }
        return reasons.get(facts.state) or f"it is {facts.state}: {facts.error or 'no reason'}"

    def _failed(self, record: JobRunRecord, place: JobPlace, why: str) -> BootstrapError:
        """Make the error of a run without a result. Another run is started only on request."""
        left = read_error(place)
        if isinstance(left, DamagedExportError):
            return left  # another run would meet it again
        outputs = self._job.outputs
        what = f"{left.what} " if left is not None else ""
        return AccountError(
            Side.TARGET,
            f"{what}Run {record.run_id} of job {outputs.name} on Glue has no result: {why}. "
            f"{_logs(record.run_id, outputs)}",
            fix="look for the reason there; then the same command with --new-job-run, which starts "
            "another run; or with --engine process",
        )

    def _stop_other(self, record: JobRunRecord) -> bool:
        """Stop the run of another comparison, whose results are of no use any more.

        Return False while a run may have begun that Glue does not list yet.
        """
        facts = find_run(self._job.runs, record)
        if facts is None:
            return self._is_settled(record)
        if not facts.ended:
            self._poller.tell(f"Stopping run {facts.run_id} on Glue, which compares other exports.")
            self._job.runs.stop(facts.run_id)
        return True

    def _is_settled(self, record: JobRunRecord) -> bool:
        """Tell whether Glue would know a run of this record by now, if there is one."""
        return self._journal.now() >= record.asked_at + self._settling

    @contextlib.contextmanager
    def _left_running(self) -> Iterator[None]:
        """Say that a run continues on Glue when this process ends before it."""
        try:
            yield
        except BaseException:
            record = self._journal.get(JobRunRecord)
            refused = record is not None and self._intended == record.token
            if record is not None and not (record.ended or self._results or refused):
                if record.run_id:
                    which = f"Run {record.run_id} continues"
                else:  # the answer to StartJobRun may be on its way
                    which = f"A run of job {self._job.outputs.name} may continue"
                self._poller.tell(
                    f"{which} on Glue, and is paid for: the same command waits for it again, and "
                    "with --cancel stops it."
                )
            raise

    @property
    def _settling(self) -> float:
        return SETTLING_SECONDS * self._poller.timing.scale

    def _poll(self, seconds: float) -> float:
        return self._poller.timing.poll(seconds)


class NoRunError(BlockedError):
    """No run is under way."""


def cancel_run(job: GlueJob, record: JobRunRecord | None, poller: Poller) -> str:
    """Stop the run that a record leads to, and wait until it has ended; return what was done.

    Raises:
        NoRunError: there is none.
    """
    facts = None if record is None else _awaited_run(job.runs, record, poller)
    if facts is None or facts.ended:
        raise NoRunError(
            f"No run of job {job.outputs.name} on Glue is under way for this table.",
            fix=suggest(Command("verify"), ", which starts one"),
        )
    run_id = facts.run_id
    job.runs.stop(run_id)

    def stopped() -> Outcome:
        found = job.runs.describe(run_id)
        if found is None or found.ended:
            return Done()
        return Pending(f"run {run_id} to stop: it is {found.state}", poller.timing.poll(5))

    poller.wait(stopped)
    facts = job.runs.describe(run_id) or facts
    return f"Run {run_id} is {facts.state}, and has cost about {money(job.cost(facts.seconds))}."


def _awaited_run(runs: JobRuns, record: JobRunRecord, poller: Poller) -> JobRunFacts | None:
    """Find the run that a record leads to, once Glue has had the time to list it."""
    end = record.asked_at + SETTLING_SECONDS * poller.timing.scale

    def listed() -> Outcome:
        if (
            record.ended
            or find_run(runs, record) is not None
            or poller.clock.now_micros() / 1e6 >= end
        ):
            return Done()
        return Pending("Glue to list a run that may have begun", poller.timing.poll(5))

    poller.wait(listed)
    return find_run(runs, record)


def find_run(runs: JobRuns, record: JobRunRecord) -> JobRunFacts | None:
    """Find the run that a record leads to, by its id or by its token."""
    if record.run_id:
        return runs.describe(record.run_id)
    return runs.find(TOKEN, record.token, record.intended_at - CLOCKS_APART)


def _logs(run_id: str, outputs: VerificationJobOutputs) -> str:
    """Say where the log is. Glue 5 adds to the name of a run -driver or the executor's number
    (AWS Glue Developer Guide, monitor-continuous-logging).
    """
    return (
        f"Its log: the streams {run_id}... of {outputs.log_group}, Spark's of "
        f"{outputs.error_log_group}."
    )


def money(dollars: float) -> str:
    """Format US dollars, never as nothing."""
    return f"${max(dollars, 0.01):,.2f}"
