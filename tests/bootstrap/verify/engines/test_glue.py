"""Runs of the job on Glue: intended first, found again, repeated only where it is asked for."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from bootstrap.cli.engine_options import EngineOptions
from bootstrap.cli.verify import estimates_page, priced
from bootstrap.core.errors import (
    AccountError,
    BlockedError,
    BootstrapError,
    Side,
    UnavailableError,
    UsageError,
)
from bootstrap.core.job_runs import JobRunFacts
from bootstrap.core.poller import Poller
from bootstrap.journal.verification_records import JobRunRecord, row_name
from bootstrap.plan.prices import PRICES
from bootstrap.plan.verification_estimate import estimate_verification
from bootstrap.verify.engines.glue import GlueJob, RunLimits, cancel_run
from bootstrap.verify.exports.manifest import DamagedExportError
from bootstrap.verify.spark.job_arguments import PLACE
from bootstrap.verify.spark.places import DirectoryPlace
from bootstrap.verify.verify import VerifyResult
from tests.support.fakes.errors import Killed
from tests.support.verify.fake_glue import GlueTwin
from tests.support.verify.twin import item

pytestmark = pytest.mark.promise("C6")


@pytest.fixture
def twin(tmp_path: Path) -> GlueTwin:
    return GlueTwin(tmp_path)


def verify(twin: GlueTwin, pid: int = 200, **options: object) -> VerifyResult:
    return twin.verify(pid, engine="glue", **options)


def record(twin: GlueTwin) -> JobRunRecord | None:
    row, _ = twin.context().store.read(row_name("orders"))
    return row.record(JobRunRecord) if row else None


def left(twin: GlueTwin) -> list[Path]:
    return [path for path in (twin.directory / "bucket").rglob("*") if path.is_file()]


def test_differences_that_a_run_finds_are_judged_and_reported_as_those_of_the_process(
    twin: GlueTwin,
) -> None:
    del twin.target.items["k1"]
    twin.target.items["x"] = item("x")
    twin.target.items["k2"] = item("k2", v={"S": "1"})
    found = verify(twin).verified
    assert (found.missing, found.extra, found.different, found.equal) == (1, 1, 1, 18)
    assert len(twin.runs.runs) == 1
    # Where it is recorded, nothing of it is left.
    assert left(twin) == []
    assert record(twin) is None


def test_the_screen_has_the_run_its_log_its_limit_and_the_cost_so_far(twin: GlueTwin) -> None:
    verify(twin, limits=RunLimits(hours=2))
    said = "\n".join(twin.said)
    assert "run jr_1 of job verification: 10 workers G.1X, for up to 2 h and $8.80" in said
    assert "the streams jr_1... of logs/output, Spark's of logs/error" in said
    assert "and $0.07 so far" in said


@pytest.mark.parametrize("after", [False, True])
def test_a_process_that_is_killed_at_any_call_leads_to_no_second_run(
    tmp_path: Path, after: bool
) -> None:
    calls = GlueTwin(tmp_path / "whole")
    numbers: list[int] = []
    calls.world.on_call = lambda number, name, after: (
        numbers.append(number) if name == "start_job_run" else None
    )
    verify(calls)
    for number in range(numbers[0] - 2, numbers[0] + 6):
        twin = GlueTwin(tmp_path / f"{number}-{after}")
        del twin.target.items["k1"]
        twin.kill_at(number, after)
        with pytest.raises(Killed):
            verify(twin)
        twin.live_again()
        assert verify(twin, pid=201, take_over=True).verified.missing == 1
        assert len(twin.runs.runs) == 1, f"killed at call {number}"


def test_a_start_whose_answer_is_lost_is_found_and_not_repeated(twin: GlueTwin) -> None:
    twin.runs.lose = 1
    assert verify(twin).verified.equal == 20
    assert len(twin.runs.runs) == 1


def test_as_many_runs_as_allowed_are_waited_for(twin: GlueTwin) -> None:
    twin.runs.refused = 3
    assert verify(twin).verified.equal == 20
    assert any("as many as verification or the account may have" in line for line in twin.said)
    assert len(twin.runs.runs) == 1


def test_a_run_without_a_result_is_repeated_only_where_it_is_asked_for(twin: GlueTwin) -> None:
    twin.runs.states["jr_1"] = "FAILED"
    with pytest.raises(AccountError, match=r"Run jr_1 .* no result: it is FAILED") as failed:
        verify(twin)
    assert "--new-job-run" in failed.value.fix
    with pytest.raises(AccountError, match="Run jr_1"):
        verify(twin)
    assert len(twin.runs.runs) == 1
    assert verify(twin, new_job_run=True).verified.equal == 20
    assert list(twin.runs.runs) == ["jr_1", "jr_2"]


def test_a_damaged_export_is_the_same_error_as_of_the_process_now_and_later(
    twin: GlueTwin,
) -> None:
    twin.runs.before_compare = lambda: _damage(twin)
    for _ in range(2):
        with pytest.raises(DamagedExportError, match=r"\.json\.gz"):
            verify(twin)
    assert len(twin.runs.runs) == 1


def _damage(twin: GlueTwin) -> None:
    path = next(path for path in (twin.directory / "s3").rglob("*.json.gz") if path.is_file())
    path.write_bytes(path.read_bytes()[:-9])


def test_a_run_that_took_too_long_says_which_limit_it_had(twin: GlueTwin) -> None:
    twin.runs.states["jr_1"] = "TIMEOUT"
    with pytest.raises(AccountError, match="it took longer than the 30 min that it may take"):
        verify(twin, limits=RunLimits(hours=0.5))


def test_an_interrupted_command_leaves_its_run_and_says_how_to_stop_it(twin: GlueTwin) -> None:
    context = twin.context()

    def interrupt(number: int, name: str, after: bool) -> None:
        if name == "get_job_run":
            raise KeyboardInterrupt

    twin.world.on_call = interrupt
    with pytest.raises(KeyboardInterrupt):
        verify(twin)
    assert twin.said[-1].startswith("Run jr_1 continues on Glue, and is paid for")
    assert "--cancel" in twin.said[-1]
    assert twin.runs.stopped == []
    twin.live_again()
    poller = Poller(twin.world.clock, context.timing, lambda: None, twin.said.append)
    job = context.glue
    assert job is not None
    assert "Run jr_1 is STOPPED, and has cost about $" in cancel_run(job, record(twin), poller)
    with pytest.raises(BlockedError, match="No run of job verification"):
        cancel_run(job, record(twin), poller)
    with pytest.raises(AccountError, match="no result: it was stopped"):
        verify(twin)


def test_exports_that_the_job_may_not_read_are_refused_before_a_run_is_paid_for(
    twin: GlueTwin,
) -> None:
    job = job_of(twin)
    twin.bucket = "another"
    with pytest.raises(UsageError, match="reads exports only in s3://another") as refused:
        verify(twin)
    assert job.bucket in str(refused.value)
    assert "--engine process" in refused.value.fix
    assert twin.runs.runs == {}


def test_the_run_of_another_comparison_is_stopped_before_another_begins(twin: GlueTwin) -> None:

    def kill(number: int, name: str, after: bool) -> None:
        if name == "get_job_run":
            raise Killed(name)

    twin.world.on_call = kill
    with pytest.raises(Killed):
        verify(twin)
    twin.live_again()
    verify(twin, pid=201, take_over=True, sample=0.5)
    assert twin.runs.stopped == ["jr_1"]


@pytest.mark.parametrize(
    ("limits", "minutes"),
    [
        (RunLimits(), 480),
        (RunLimits(hours=1.5), 90),
        (RunLimits(cost=2.2), 30),
        (RunLimits(hours=100), 480),
        (RunLimits(hours=1, cost=2.2), 30),
    ],
)
def test_the_least_limit_counts(twin: GlueTwin, limits: RunLimits, minutes: int) -> None:
    assert job_of(twin).minutes(limits) == minutes


def test_your_own_prices_count_in_limit_and_estimate(twin: GlueTwin, tmp_path: Path) -> None:
    file = tmp_path / "prices.yaml"
    file.write_text("glue_dpu_hour: 4.40\n")
    prices = EngineOptions(prices=file).price_list
    job = priced(twin.context(), prices).glue
    assert job is not None
    assert job.minutes(RunLimits(cost=2.2)) == 3, "a tenth of what the list price allows"
    listed, own = (
        estimate_verification(10**9, 10**12, price=each) for each in (PRICES, prices.prices)
    )
    assert own.glue_cost[0] == pytest.approx(10 * listed.glue_cost[0])
    assert str(file) in estimates_page([("orders", own)], prices.origin, as_json_text=False)


def test_a_limit_under_a_minute_is_refused_before_anything_is_started(twin: GlueTwin) -> None:
    with pytest.raises(UsageError, match=r"at least a minute, which costs \$0\.07"):
        job_of(twin).minutes(RunLimits(cost=0.05))


def job_of(twin: GlueTwin) -> GlueJob:
    job = twin.context().glue
    assert job is not None
    return job


@pytest.mark.parametrize(
    "error",
    [
        UnavailableError(Side.TARGET, "s3:GetObject failed with SlowDown", fix="run again"),
        BlockedError("The Spark job failed: an executor is lost", fix="run again"),
    ],
)
def test_a_failure_that_passes_names_the_way_to_another_run_which_works(
    twin: GlueTwin, error: BootstrapError
) -> None:
    def fail() -> None:
        if len(twin.runs.runs) == 1:
            raise error

    twin.runs.before_compare = fail
    for _ in range(2):
        with pytest.raises(AccountError, match=re.escape(error.what)) as caught:
            verify(twin)
        assert "--new-job-run" in caught.value.fix
    assert verify(twin, new_job_run=True).verified.proves_equal


def test_a_run_that_glue_does_not_know_just_after_its_start_is_waited_for(twin: GlueTwin) -> None:
    real, calls = twin.runs.describe, []

    def describe(run_id: str) -> JobRunFacts | None:
        calls.append(run_id)
        return None if len(calls) == 1 else real(run_id)

    twin.runs.describe = describe  # type: ignore[method-assign]
    assert verify(twin).verified.proves_equal
    assert len(twin.runs.runs) == 1


def _killed_after_a_start_that_glue_lists_late(twin: GlueTwin) -> None:
    def kill(number: int, name: str, after: bool) -> None:
        if name == "start_job_run" and after:
            raise Killed(name)

    twin.world.on_call = kill
    with pytest.raises(Killed):
        verify(twin)
    twin.live_again()
    real, begun = twin.runs.find, twin.world.clock()
    twin.runs.find = lambda *given: (  # type: ignore[method-assign]
        None if twin.world.clock() < begun + 30 else real(*given)
    )


def test_another_comparison_waits_for_a_run_that_may_have_begun_and_stops_it(
    twin: GlueTwin,
) -> None:
    _killed_after_a_start_that_glue_lists_late(twin)
    verify(twin, pid=201, take_over=True, sample=0.5)
    assert twin.runs.stopped == ["jr_1"]


def test_a_cancel_finds_a_run_that_glue_lists_late(twin: GlueTwin) -> None:
    _killed_after_a_start_that_glue_lists_late(twin)
    poller = Poller(twin.world.clock, twin.context().timing, lambda: None, twin.said.append)
    assert "jr_1" in cancel_run(job_of(twin), record(twin), poller)


def test_a_result_that_is_whole_counts_whatever_the_run_ended_with(twin: GlueTwin) -> None:
    def ended(run: Any) -> str:
        twin.runs._compare(DirectoryPlace(Path(run.arguments[PLACE])), run)
        return "STOPPED"

    twin.runs.states["jr_1"] = "STOPPED"
    twin.runs._ended = ended  # type: ignore[method-assign]
    assert verify(twin).verified.proves_equal


def test_another_engine_says_that_a_run_is_left_on_glue(twin: GlueTwin) -> None:
    def kill(number: int, name: str, after: bool) -> None:
        if name == "get_job_run":
            raise Killed(name)

    twin.world.on_call = kill
    with pytest.raises(Killed):
        verify(twin)
    twin.live_again()
    twin.said.clear()
    twin.verify(201, engine="process", take_over=True)
    assert [each for each in twin.said if "jr_1" in each and "--cancel" in each]
