"""`status` where the buffer is the table's own stream: fresh evidence, hours left, the way out."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import click
import pytest

from bootstrap.cli.main import main
from bootstrap.core.facts import ConsumerActivity
from bootstrap.core.state import State
from bootstrap.journal.records import CaughtUp, Paused
from bootstrap.status.backfill_suggestion import find_gap
from bootstrap.status.health_checks import HealthReader, expected_settings
from bootstrap.status.inputs import StatusInputs
from bootstrap.status.json_members import as_json
from bootstrap.status.next_command import next_command
from bootstrap.status.page import page
from bootstrap.status.remedies import name_commands
from bootstrap.status.snapshot import StatusSnapshot, build_snapshot
from replicator.buffers import STREAMS
from replicator.watchdog.aws_readings import UnreadableError
from replicator.watchdog.aws_states import OwnStream, TableState
from replicator.watchdog.backlog import Reception
from replicator.watchdog.detectors import TABLE_STREAM, Level, of_buffer
from replicator.watchdog.finding import Finding
from replicator.watchdog.judge import judge
from replicator.watchdog.lambda_states import FunctionState, MappingState
from replicator.watchdog.primary_readings import UNNEEDED
from replicator.watchdog.probe_rounds import WatchdogState
from replicator.watchdog.readings import Backlog, Identity, Intent, Outage, Readings, Unread
from tests.support.bootstrap.fake_aws import FakeAws, table_stream_outputs
from tests.support.bootstrap.killed_process import replicated
from tests.support.bootstrap.status import NOW, FixedHealth, healthy, look
from tests.support.bootstrap.status_inputs import CAUGHT_UP, inputs
from tests.support.bootstrap.status_inputs import NOW as GAP_NOW

pytestmark = pytest.mark.promise("C7", "C10")

HOUR = 3600.0
(TABLE,) = table_stream_outputs().tables
OURS = f"{TABLE.source_table_arn}/stream/2026-01-01T00:00:00.000"
ANOTHER = f"{TABLE.source_table_arn}/stream/2026-01-02T00:00:00.000"
UUID = "11111111-2222-3333-4444-555555555555"
FINE = Backlog(NOW - 60, lag=0.4)


def source(arn: str = OURS, *, on: bool = True, table_id: str = "source-1") -> Identity:
    stream = OwnStream(arn, on, "NEW_AND_OLD_IMAGES" if on else "")
    return Identity(TableState(table_id, "ACTIVE", stream=stream), "source-1")


def streamed(**changes: Any) -> dict[str, Any]:
    unneeded = ("destinations", "stream", "skipped", "unreplicated", "foreign")
    good: dict[str, Any] = {
        **dict.fromkeys(unneeded, UNNEEDED),
        "intent": Intent(
            consuming=True, replicating=True, counted_from=NOW - 9_000, stream=OURS, mapping=UUID
        ),
        "source": source(),
        "backlog": FINE,
    }
    return {**good, **changes}


@pytest.fixture(scope="module")
def replica() -> FakeAws:
    return replicated()


def seen(replica: FakeAws, **changes: Any) -> StatusSnapshot:
    return look(replica, FixedHealth(**streamed(**changes)), chosen=table_stream_outputs())


# -- the state -------------------------------------------------------------------------------------

WRONG: list[tuple[str, dict[str, Any], State]] = [
    ("TableStreamOurs", {"source": source(on=False)}, State.DEGRADED),
    ("TableStreamOurs", {"source": source(ANOTHER)}, State.DEGRADED),
    ("TableStreamOurs", {"outage": Outage(NOW - 900, NOW - 600)}, State.DEGRADED),
    ("UnreadAge", {"backlog": Backlog(NOW - 400, since=NOW - 400)}, State.DEGRADED),
    ("UnreadAge", {"backlog": Backlog(NOW - 400, doubtful=NOW - 400)}, State.UNKNOWN),
    ("UnreadAge", {"backlog": Unread("AccessDenied")}, State.UNKNOWN),
    ("BufferUsed", {"overrun": Outage(NOW - 90_000, NOW - 3_600)}, State.DEGRADED),
    ("TableStreamOurs", {"source": Unread("AccessDenied")}, State.UNKNOWN),
    ("MappingAsIntended", {"mapping": None}, State.DEGRADED),
    ("MappingAsIntended", {"mapping": MappingState("Disabled")}, State.DEGRADED),
    (
        "FunctionHealthy",
        {"mapping": MappingState("Enabled", "PROBLEM: x"), "problem_rounds": 2},
        State.DEGRADED,
    ),
]


def test_a_table_that_is_read_in_time_is_replicating(replica: FakeAws) -> None:
    shown = seen(replica)
    assert shown.state is State.REPLICATING
    assert [each.detector for each in shown.findings[: len(of_buffer(STREAMS))]] == [
        *of_buffer(STREAMS)
    ]
    assert shown.because == ()
    assert as_json(shown)["buffer"] == "streams"


@pytest.mark.parametrize(("metric", "changes", "state"), WRONG)
def test_whatever_is_lost_late_or_unread_is_not_replicating(
    replica: FakeAws, metric: str, changes: dict[str, Any], state: State
) -> None:
    shown = seen(replica, **changes)
    assert shown.state is state
    assert any(each.startswith(metric) for each in shown.because)
    assert shown.safe_to_switch is False


@pytest.mark.parametrize("changes", [{}, *(each for _, each, _ in WRONG)])
def test_no_row_speaks_of_the_other_buffer(replica: FakeAws, changes: dict[str, Any]) -> None:
    shown = seen(replica, **changes)
    text = f"{page(shown)} {json.dumps(as_json(shown)['detectors'])}".lower()
    for word in ("kinesis", "destination", "probe", "incomingbytes", "startat"):
        assert word not in text


# -- hours -----------------------------------------------------------------------------------------


def test_the_hours_are_counted_to_when_the_first_unread_change_is_forgotten(
    replica: FakeAws,
) -> None:
    at = seen(replica).at
    shown = seen(replica, backlog=Backlog(at - 5 * HOUR, since=at - 5 * HOUR))
    assert shown.hours_left == pytest.approx(19.0)
    assert "19.0 of 24 hours are left" in page(shown)
    unread = as_json(shown)["unread"]
    assert unread["hoursLeft"] == 19.0
    assert unread["forgottenFrom"] is not None


def test_what_is_forgotten_leaves_no_hours(replica: FakeAws) -> None:
    at = seen(replica).at
    shown = seen(replica, backlog=Backlog(at - 25 * HOUR, since=at - 25 * HOUR))
    assert shown.hours_left == 0.0
    assert "it has forgotten unread changes since" in page(shown)


def test_while_nothing_waits_no_hours_are_named(replica: FakeAws) -> None:
    shown = seen(replica)
    assert shown.hours_left is None
    assert "no unread change is known" in page(shown)
    assert as_json(shown)["unread"]["secondsBehind"] == 0.4


def paused(backlog: Backlog, at: float, since: float) -> StatusSnapshot:
    readings = healthy(at, **streamed(backlog=backlog))
    given = inputs()
    records = {**given.row.records, Paused.key: json.dumps({"at": since, "off_at": since})}
    row = replace(given.row, state=State.PAUSED, records=records)
    return build_snapshot(
        replace(
            given,
            row=row,
            at=at,
            readings=readings,
            retention_hours=24,
            findings=(),
            buffer=STREAMS,
        )
    )


def test_a_pause_says_by_when_it_has_to_end() -> None:
    shown = paused(Backlog(NOW - HOUR), NOW, NOW - 2 * HOUR)
    assert shown.covered_until == NOW + 22 * HOUR
    assert "resume by" in page(shown)
    assert as_json(shown)["bufferCoversUntil"] is not None


def test_a_consumer_that_was_behind_at_the_pause_has_less_time() -> None:
    shown = paused(Backlog(NOW - 9 * HOUR, since=NOW - 9 * HOUR), NOW, NOW - 2 * HOUR)
    assert shown.covered_until == NOW + 15 * HOUR


# -- a gap and its way out -------------------------------------------------------------------------


def gap_inputs(value: float, outage: Outage) -> StatusInputs:
    given = inputs(Finding(TABLE_STREAM, Level.LOSS, value))
    readings = healthy(GAP_NOW, **streamed(outage=outage))
    return replace(given, readings=readings, buffer=STREAMS)


def test_a_stream_that_is_lost_is_begun_anew_by_a_run() -> None:
    given = gap_inputs(0.0, Outage(GAP_NOW - 900))
    made = find_gap(given)
    assert made is not None and made.open
    assert made.command == given.command.format("run")
    assert next_command(given) == made.command
    assert "`status` then names the backfill" in made.lines[1]


def test_a_gap_that_has_ended_names_its_backfill() -> None:
    given = gap_inputs(1.0, Outage(GAP_NOW - 900, GAP_NOW - 600))
    made = find_gap(given)
    assert made is not None and not made.open
    assert (made.begin, made.end) == (GAP_NOW - 960, GAP_NOW - 540)
    assert " backfill " in made.command and next_command(given) is None


def test_a_gap_that_began_before_the_window_of_exports_names_a_repair() -> None:
    given = gap_inputs(1.0, Outage(GAP_NOW - 40 * 24 * HOUR, GAP_NOW - 600))
    made = find_gap(given)
    assert made is not None
    assert made.command == given.command.format("verify") + " --repair"


def test_another_source_table_is_no_stream_to_begin_anew(replica: FakeAws) -> None:
    shown = seen(replica, source=source(ANOTHER, table_id="source-2"))
    assert shown.next is None
    text = json.dumps(as_json(shown)["detectors"])
    assert "needs a new stack" in text
    assert "adopt-source" not in text


# -- remedies --------------------------------------------------------------------------------------

IDLE = ConsumerActivity(900.0, 0.0, 0.0, 0.0, 0.0, 0.0)
BEHIND = {"backlog": Backlog(NOW - 900, since=NOW - 900)}
REMEDIES: list[tuple[str, dict[str, Any], str]] = [
    ("UnreadAge", BEHIND, f"get-event-source-mapping --uuid {UUID}"),
    ("UnreadAge", {**BEHIND, "mapping": MappingState("Disabled")}, "see MappingAsIntended"),
    ("MappingAsIntended", {"mapping": MappingState("Disabled")}, "`bootstrap run` switches it on"),
    ("MappingAsIntended", {"mapping": None}, "`bootstrap run`, which makes it again"),
    (
        "MappingAsIntended",
        {"mapping": MappingState("Enabled", retries=3)},
        f"`aws lambda update-event-source-mapping --uuid {UUID} --parallelization-factor 1",
    ),
    ("TableStreamOurs", {"source": source(on=False)}, "`bootstrap run`"),
    ("UnreadAge", {"backlog": Backlog(NOW - 900, doubtful=NOW - 900)}, "change any item"),
]


def completed(activity: Callable[[], ConsumerActivity], **changes: Any) -> dict[str, Finding]:
    judged = judge(healthy(**streamed(**changes)), expected_settings(TABLE))
    found = name_commands(judged, TABLE, activity, mapping_uuid=UUID)
    return {each.detector.metric: each for each in found}


@pytest.mark.parametrize(("metric", "changes", "words"), REMEDIES)
def test_each_remedy_fits_the_buffer_and_its_commands_are_known(
    metric: str, changes: dict[str, Any], words: str
) -> None:
    finding = completed(lambda: IDLE, **changes)[metric]
    assert words in finding.first
    for command in re.findall(r"`bootstrap ([^`]+)`", finding.first):
        name, *given = shlex.split(command)
        known = main.get_command(click.Context(main), name)
        assert known is not None, command
        options = {option for each in known.params for option in each.opts}
        assert {each for each in given if each.startswith("-")} <= options, command


def test_a_record_is_parked_by_its_number_alone() -> None:
    busy = replace(IDLE, invocations=9.0, applied=4_000.0)
    finding = completed(lambda: busy, **BEHIND)["UnreadAge"]
    assert "`bootstrap park SEQUENCE`" in finding.first
    assert "SHARD" not in finding.first


def test_an_hour_of_a_pause_names_the_command_that_ends_it() -> None:
    def never() -> ConsumerActivity:
        raise AssertionError("asked")

    intent = replace(streamed()["intent"], paused=True)
    changes = {
        "intent": intent,
        "mapping": MappingState("Disabled"),
        "backlog": Backlog(NOW - 2 * HOUR, since=NOW - 2 * HOUR),
    }
    assert "`bootstrap resume`" in completed(never, **changes)["UnreadAge"].first


# -- the reader ------------------------------------------------------------------------------------


class _Source:
    def table(self) -> TableState | None:
        return source().now


class _Target:
    def __init__(self) -> None:
        self.asked: list[str] = []

    def table(self) -> TableState:
        return TableState("target-1", "ACTIVE")

    def mapping_of(self, uuid: str) -> MappingState:
        self.asked.append(uuid)
        return MappingState("Enabled")

    def undelivered(self, since: float, at: float) -> Any:
        return healthy().undelivered


class _Ledger:
    def __init__(self, state: WatchdogState, intent: Intent) -> None:
        self._state, self._intent = state, intent

    def intent(self) -> Intent:
        return self._intent

    def watchdog_state(self) -> WatchdogState:
        return self._state

    def unended(self) -> dict[str, int]:
        return {}


class _Reception:
    def __init__(self, seen: Reception | Exception) -> None:
        self._seen = seen

    def read(self, since: float, at: float) -> Reception:
        if isinstance(self._seen, Exception):
            raise self._seen
        return self._seen


def read(
    reception: Reception | Exception,
    state: WatchdogState | None = None,
    run: CaughtUp | None = None,
) -> tuple[Readings, _Target]:
    state = (state or WatchdogState(through=NOW - 600)).recorded(NOW - 60)
    state = state.saw_function(FunctionState("Active", "Successful"), NOW)
    target = _Target()
    ends: Any = (_Source(), target, _Ledger(state, streamed()["intent"]))
    more: Any = (lambda: 0, lambda: 0, None, _Reception(reception))
    row = inputs().row
    records = {CaughtUp.key: json.dumps(vars(run))} if run else {}
    return HealthReader(*ends, *more).readings(replace(row, records=records), NOW), target


def test_status_reads_the_mapping_that_the_settings_row_names() -> None:
    found, target = read(
        Reception(NOW - 600, [(NOW - 120, 0.2)], [(NOW - 120, 3.0)], ended=[(NOW - 120, 0.2)])
    )
    assert target.asked == [UUID]
    assert isinstance(found.backlog, Backlog)
    assert (found.backlog.since, found.backlog.doubtful, found.backlog.lag) == (None, None, 0.2)
    assert found.missed == {}
    expected = expected_settings(TABLE)
    assert {each.level for each in judge(found, expected)} <= {Level.FINE}


def test_a_metric_that_cannot_be_read_is_unknown_to_status() -> None:
    found, _ = read(UnreadableError("AccessDenied"))
    assert found.backlog == Unread("AccessDenied")


def test_what_a_run_has_proved_ends_the_lag_of_before() -> None:
    behind = Reception(NOW - 600, [(NOW - 240, 9_000.0)], [(NOW - 240, 3.0)])
    found, _ = read(behind)
    assert isinstance(found.backlog, Backlog) and found.backlog.since is not None
    found, _ = read(behind, run=replace(CAUGHT_UP, moment=NOW - 90))
    assert isinstance(found.backlog, Backlog) and found.backlog.since is None
