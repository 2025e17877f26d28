"""`status` calls a replica healthy on fresh evidence alone (C10), whatever the journal says."""

from __future__ import annotations

from typing import Any

import pytest

from bootstrap.core.errors import AccountError, Side
from bootstrap.core.state import State
from bootstrap.status.health import read_health, state_now
from bootstrap.status.json_members import as_json
from bootstrap.status.page import page
from bootstrap.status.render import summary
from bootstrap.status.snapshot import StatusSnapshot
from replicator.foreign_rows import ForeignRow
from replicator.stream import Destination, StreamFacts
from replicator.watchdog.aws_readings import UnreadableError
from replicator.watchdog.aws_states import TableState
from replicator.watchdog.detectors import ALL, Level
from replicator.watchdog.finding import Finding
from replicator.watchdog.lambda_states import MappingState
from replicator.watchdog.probe_rounds import ProbeRound, WatchdogState
from replicator.watchdog.readings import Identity, Probed, Unread
from tests.support.bootstrap.fake_aws import STREAM_ARN, FakeAws
from tests.support.bootstrap.killed_process import Process, replicated
from tests.support.bootstrap.status import NOW, FixedHealth, health_reader, look

pytestmark = pytest.mark.promise("C10")


@pytest.fixture(scope="module")
def replica() -> FakeAws:
    return replicated()


def seen(replica: FakeAws, **changes: Any) -> StatusSnapshot:
    return look(replica, FixedHealth(**changes))


def tries(shown: StatusSnapshot) -> str:
    return " ".join(each["try"] or "" for each in as_json(shown)["detectors"])


# -- what is wrong, or cannot be known ------------------------------------------------------------

HASH = "USER_PARTITION_KEY"
NEW = "REHYDRATING"
ANOTHER = ForeignRow("invoices", 7, int(NOW * 1e6), "shardId-000000000003", "4711")
WRONG: list[tuple[str, dict[str, Any], State]] = [
    ("ForeignRecords", {"foreign": [ANOTHER]}, State.DEGRADED),
    ("QuarantineObjects", {"quarantine": 3}, State.DEGRADED),
    ("MappingAsIntended", {"mapping": MappingState("Disabled")}, State.DEGRADED),
    ("MappingAsIntended", {"mapping": None}, State.DEGRADED),
    ("UnreplicatedAge", {"unreplicated": 7_200.0}, State.DEGRADED),
    ("MappingAsIntended", {"mapping": MappingState(NEW)}, State.UNKNOWN),
    (
        "DestinationActive",
        {"destinations": [Destination(STREAM_ARN, NEW, "MICROSECOND")]},
        State.UNKNOWN,
    ),
    ("StreamHealthy", {"stream": StreamFacts(NEW, 8760, 10_240, HASH, NOW)}, State.UNKNOWN),
    ("StreamHealthy", {"stream": StreamFacts("ACTIVE", 8760, 10_240, NEW, NOW)}, State.DEGRADED),
    ("TargetTableChanged", {"target": Identity(TableState("t", NEW), "t")}, State.DEGRADED),
    *(
        (metric, {reading: Unread("AccessDeniedException")}, State.UNKNOWN)
        for metric, reading in (
            ("MappingAsIntended", "mapping"),
            ("DestinationActive", "destinations"),
            ("StreamHealthy", "stream"),
            ("SourceTableChanged", "source"),
            ("TargetTableChanged", "target"),
            ("QuarantineObjects", "quarantine"),
            ("OnFailureObjects", "failures"),
            ("RecordsNeverReplicated", "skipped"),
            ("UnreplicatedAge", "unreplicated"),
            ("ProbeAge", "probed"),
            ("WatchdogRan", "probed"),
            ("ForeignRecords", "foreign"),
        )
    ),
]


@pytest.mark.parametrize(
    "changes", [changes for _, changes, _ in WRONG if NEW in repr(changes)], ids=repr
)
def test_a_state_that_aws_has_since_this_version_is_named_and_promised_no_remedy(
    replica: FakeAws, changes: dict[str, Any]
) -> None:
    shown = seen(replica, **changes)
    assert NEW in " ".join(as_json(shown)["notSafeBecause"])
    assert "switches it on again" not in tries(shown)
    assert "enable it again" not in tries(shown)


@pytest.mark.parametrize(("metric", "changes", "state"), WRONG)
def test_a_replica_with_a_finding_is_not_called_replicating(
    replica: FakeAws, metric: str, changes: dict[str, Any], state: State
) -> None:
    now = {"foreign": [ForeignRow("invoices", 7, int(replica.clock() * 1e6), "shardId-3", "47")]}
    shown = seen(replica, **(now if "foreign" in changes and state is State.DEGRADED else changes))
    value = as_json(shown)
    assert value["state"] == state
    assert any(each.startswith(f"{metric}: ") for each in value["stateBecause"])
    assert value["safeToSwitch"] is False
    assert tries(shown).strip()
    text = page(shown)
    assert f"state         {state}" in text
    assert "because       " in text
    assert "nothing: the table replicates" not in text


def test_another_tables_records_name_the_table_and_the_command(replica: FakeAws) -> None:
    row = ForeignRow("invoices", 7, int(replica.clock() * 1e6), "shardId-3", "47")
    shown = seen(replica, foreign=[row])
    assert any("invoices" in each for each in shown.because)
    assert "disable-kinesis-streaming-destination --table-name invoices" in tries(shown)


def test_with_every_detector_fine_it_replicates(replica: FakeAws) -> None:
    value = as_json(seen(replica))
    assert (value["state"], value["stateBecause"]) == ("REPLICATING", [])
    assert value["since"] is not None


@pytest.mark.parametrize("level", [Level.LOSS, Level.WARNING, Level.UNKNOWN])
@pytest.mark.parametrize("state", [State.PAUSED, State.FAILED, State.CATCHING_UP])
def test_only_the_state_of_a_replica_is_in_doubt(state: State, level: Level) -> None:
    assert state_now(state, [Finding(ALL[0], level, None)]) is state


def test_a_loss_is_not_hidden_by_what_cannot_be_read(replica: FakeAws) -> None:
    assert seen(replica, quarantine=2, stream=Unread("AccessDenied")).state is State.DEGRADED


def test_a_mapping_that_cannot_be_read_stops_no_other_reading() -> None:
    world = replicated()

    def denied(number: int, name: str, after: bool) -> None:
        if name == "mapping":
            raise AccountError(Side.TARGET, "may not", fix="-")

    world.on_call = denied
    shown = look(world, FixedHealth(mapping=Unread("AccessDeniedException")))
    assert shown.state is State.UNKNOWN
    assert as_json(shown)["mappingState"] is None
    assert "the consumer is unknown, not Enabled" in shown.unsafe


# -- probes that are not back ---------------------------------------------------------------------


def test_probes_that_are_not_back_are_lag_that_grows(replica: FakeAws) -> None:
    at = replica.clock()
    shown = seen(replica, probed=Probed(at - 341, at - 41, 2.5, "", at - 41))
    value = as_json(shown)
    assert value["state"] == "DEGRADED"
    assert value["lag"]["probeSeconds"] == pytest.approx(41, abs=1)
    assert value["lag"]["probeSecondsGrow"] is True
    assert value["safeToSwitch"] is False
    text = page(shown)
    assert "at least 41 s, and growing" in text
    assert "2.5 s" not in text


def test_a_round_on_its_way_is_no_lag_yet(replica: FakeAws) -> None:
    at = replica.clock()
    shown = seen(replica, probed=Probed(at - 310, at - 10, 2.5, "", at - 10))
    value = as_json(shown)
    assert value["state"] == "REPLICATING"
    assert (value["lag"]["probeSeconds"], value["lag"]["probeSecondsGrow"]) == (2.5, False)
    assert value["lag"]["probeRoundAgeSeconds"] == pytest.approx(310, abs=1)
    assert "2.5 s, by the watchdog's latest probes, put 5 min 10 s ago" in page(shown)


def test_a_window_that_makes_each_round_slow_is_normal(replica: FakeAws) -> None:
    at = replica.clock()
    slow = Probed(at - 370, at - 70, 62.0, "", at - 70)
    assert seen(replica, probed=slow).state is State.REPLICATING
    stuck = Probed(at - 700, at - 400, 3_000.0, "", at - 100)
    assert seen(replica, probed=stuck).state is State.DEGRADED


def test_while_it_is_paused_the_lag_grows_and_the_state_is_the_operators(replica: FakeAws) -> None:
    at = replica.clock()
    shown = seen(replica, probed=Probed(at - 9_000, at - 8_700, 2.5, "", at - 60))
    assert as_json(shown)["lag"]["probeSeconds"] >= 8_700


def test_status_sees_that_a_round_has_come_through_since_the_watchdog_looked() -> None:
    world = replicated()
    world.clock.advance(3_600)
    at = world.clock()
    book = WatchdogState(
        (ProbeRound("a", 2, at - 341), ProbeRound("b", 2, at - 41)), at - 641, 2.5, ran=at - 40
    )
    through = health_reader(book=book, ledger={"came_through": at - 38})
    assert look(world, through).state is State.REPLICATING
    stuck = health_reader(book=book, ledger={"came_through": None})
    shown = look(world, stuck)
    assert shown.state is State.DEGRADED
    assert shown.probe_lag == pytest.approx(341, abs=1)
    denied = health_reader(book=book, ledger={"came_through": UnreadableError("AccessDenied")})
    assert look(world, denied).state is State.UNKNOWN


def test_what_a_run_has_just_proved_counts_as_a_round() -> None:
    world = replicated()
    at = world.clock()
    before_the_run = ProbeRound("a", 2, at - 86_400)
    book = WatchdogState((before_the_run,), at - 90_000, 2.5, ran=at - 200)
    shown = look(world, health_reader(book=book))
    assert shown.state is State.REPLICATING
    assert shown.lag_grows is False


# -- the watchdog ---------------------------------------------------------------------------------


def test_a_silent_watchdog_is_called_silent_and_not_a_consumer_that_is_behind() -> None:
    world = replicated()
    world.clock.advance(10_000)
    at = world.clock()
    shown = look(world, health_reader(book=WatchdogState(through=at - 2_400, lag=2.5)))
    value = as_json(shown)
    assert value["state"] == "UNKNOWN"
    assert any("WatchdogRan: silent for 2400 s" in each for each in value["stateBecause"])
    assert value["safeToSwitch"] is False
    assert value["lag"]["probeSeconds"] is None
    text = page(shown)
    assert "unknown now: no probes have come through lately" in text
    assert "park" not in text
    assert "the consumer is behind" not in text
    assert "pulumi up --refresh switches its schedule on again" in text


def test_a_watchdog_that_fails_before_it_can_put_probes_is_silent_too() -> None:
    world = replicated()
    world.clock.advance(100_000)
    at = world.clock()
    ended = WatchdogState(through=at - 5_000, lag=2.5, ran=at - 5_000)
    assert "WatchdogRan" in " ".join(look(world, health_reader(book=ended)).because)
    never = look(world, health_reader(book=WatchdogState()))
    assert never.state is State.UNKNOWN


@pytest.mark.parametrize(
    ("why", "words"),
    [
        ("ProbesThrottled", "the stream throttled the latest probes"),
        ("ShardsChanged", "the latest probes could not be put: ShardsChanged"),
        ("AccessDeniedException", "the latest probes could not be put: AccessDeniedException"),
    ],
)
def test_a_round_that_was_not_put_proves_nothing(why: str, words: str) -> None:
    world = replicated()
    world.clock.advance(3_600)
    at = world.clock()
    book = WatchdogState(through=at - 301, lag=2.5, ran=at - 1, not_put=why)
    shown = look(world, health_reader(book=book))
    assert shown.state is State.UNKNOWN
    assert words in page(shown)
    assert "park" not in page(shown)


def test_a_watchdog_that_runs_but_has_no_round_through_lately_is_unknown() -> None:
    world = replicated()
    world.clock.advance(3_600)
    at = world.clock()
    book = WatchdogState((ProbeRound("a", 2, at - 5),), at - 1_200, 2.5, ran=at - 5)
    assert look(world, health_reader(book=book)).state is State.UNKNOWN


# -- the end of a run -----------------------------------------------------------------------------


def test_a_run_that_ends_shows_the_health_of_now_and_what_to_do() -> None:
    world = FakeAws()
    process = Process(world)
    process.go()
    (table,) = process.outputs.tables
    row = ForeignRow("invoices", 7, int(world.clock() * 1e6), "shardId-3", "47")

    def ended(**changes: Any) -> StatusSnapshot:
        process.run._read_health = lambda row, at: read_health(
            FixedHealth(**changes), table, row, at, None
        )
        return process.run.snapshot(final=True)

    assert "REPLICATING, 3 items loaded" in summary(ended())
    text = summary(ended(foreign=[row]))
    assert text.splitlines()[0] == "orders → orders-replica: DEGRADED"
    assert "because ForeignRecords: about 7 from table invoices" in text
    assert "Try: in the source account: aws dynamodb disable-kinesis-streaming-dest" in text
    silent = Probed(world.clock() - 9_000, None, 2.5)
    assert summary(ended(probed=silent)).splitlines()[0] == "orders → orders-replica: UNKNOWN"
