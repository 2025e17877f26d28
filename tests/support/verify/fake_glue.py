"""A job on Glue whose runs compare by the one-process engine, on the clock of the fake world."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bootstrap.core.errors import BootstrapError, Side, UnavailableError
from bootstrap.core.job_runs import JobRunFacts
from bootstrap.core.verification_outputs import VerificationJobOutputs
from bootstrap.verify.compare.comparison import compare
from bootstrap.verify.compare.partitions import pack_difference
from bootstrap.verify.compare.spool import Spool, make_plan
from bootstrap.verify.context import VerifyContext
from bootstrap.verify.engines.glue import GlueJob
from bootstrap.verify.exports.manifest import read_export
from bootstrap.verify.spark.job_arguments import PLACE, TOKEN
from bootstrap.verify.spark.places import DirectoryPlace
from bootstrap.verify.spark.request import read_request
from bootstrap.verify.spark.results import part_name, write_error, write_results
from tests.support.verify.twin import Twin

RUN_SECONDS = 600.0
OUTPUTS = VerificationJobOutputs("verification", 10, "G.1X", 8, "logs/output", "logs/error")


@dataclass
class FakeRuns:
    """`JobRuns`. `lose`: calls of StartJobRun whose answer is lost, though the run begins."""

    twin: Twin
    directory: Path
    runs: dict[str, JobRunFacts] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)
    """States in which runs end, by id; SUCCEEDED otherwise."""
    lose: int = 0
    refused: int = 0
    """Calls of StartJobRun that are refused, as too many runs are there."""
    stopped: list[str] = field(default_factory=list)
    before_compare: Callable[[], None] = lambda: None

    def start(self, arguments: Mapping[str, str], timeout: int) -> str | None:
        with self.twin.world.around("start_job_run"):
            if self.refused:
                self.refused -= 1
                return None
            run_id = f"jr_{len(self.runs) + 1}"
            now = self.twin.world.clock()
            self.runs[run_id] = JobRunFacts(
                run_id, "RUNNING", now, timeout=timeout, arguments=dict(arguments)
            )
        if self.lose:
            self.lose -= 1
            raise UnavailableError(Side.TARGET, "Glue does not answer.", fix="run again")
        return run_id

    def describe(self, run_id: str) -> JobRunFacts | None:
        with self.twin.world.around("get_job_run"):
            run = self.runs.get(run_id)
            if run is None or run.ended:
                return run
            seconds = self.twin.world.clock() - run.started
            ends = run_id in self.stopped or seconds >= RUN_SECONDS
            state = self._ended(run) if ends else "RUNNING"
            self.runs[run_id] = dataclasses.replace(run, state=state, seconds=seconds)
            return self.runs[run_id]

    def find(self, argument: str, value: str, since: float) -> JobRunFacts | None:
        with self.twin.world.around("get_job_runs"):
            for run in reversed(self.runs.values()):
                if run.arguments.get(argument) == value and run.started >= since:
                    return run
            return None

    def stop(self, run_id: str) -> None:
        self.stopped.append(run_id)

    def _ended(self, run: JobRunFacts) -> str:
        state = "STOPPED" if run.run_id in self.stopped else self.states.get(run.run_id, "")
        if state and state != "FAILED":
            return state
        place = DirectoryPlace(Path(run.arguments[PLACE]))
        try:
            self._compare(place, run)
        except BootstrapError as error:
            write_error(place, error)
            return "FAILED"
        return state or "SUCCEEDED"

    def _compare(self, place: DirectoryPlace, run: JobRunFacts) -> None:
        if self.states.get(run.run_id) == "FAILED":
            return
        self.before_compare()
        request = read_request(place)
        objects = self.twin.objects()
        source, target = (
            read_export(objects, each.bucket, each.summary)
            for each in (request.source, request.target)
        )
        plan = make_plan(source, target, request.key, request.sample)
        folder = self.directory / f"spool-{run.arguments[TOKEN]}"
        spool = Spool.open(folder, source, target, plan)
        found = compare(source, target, spool, self.twin.objects, workers=1)
        packed = [pack_difference(each) for each in found.differences()]
        if packed:
            place.write(part_name(0), b"".join(packed))
        parts = ((0, len(packed)),) if packed else ()
        write_results(place, request, found.counts, parts)


@dataclass
class GlueTwin(Twin):
    """A `Twin` whose stack has a job on Glue."""

    bucket: str = "snapshots"
    """The bucket of which the job may read exports."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.runs = FakeRuns(self, self.directory / "glue")

    def context(self, pid: int = 200) -> VerifyContext:
        job = GlueJob(
            runs=self.runs,
            outputs=OUTPUTS,
            bucket=self.bucket,
            place=lambda prefix: DirectoryPlace(self.directory / "bucket" / prefix),
            dpu_hour=0.44,
        )
        return dataclasses.replace(super().context(pid), glue=job)
