"""The real consumer of a promoted table: whatever wakes it up, and whenever, it finds the gate."""

from __future__ import annotations

import pytest

from bootstrap.aws.calls import Calls
from bootstrap.aws.ledger import AwsLedger
from bootstrap.core.errors import Side
from replicator.late_write_rows import late_writes_key
from tests.support.replicator.consumer_harness import (
    DAY,
    LEDGER,
    SHARD,
    START,
    TARGET,
    ConsumerHarness,
    Watch,
    document,
    item,
    probe,
    spread,
)

pytestmark = pytest.mark.promise("C3", "C9")

NONCE = "promotion1"


@pytest.fixture
def world() -> ConsumerHarness:
    """A replica that has applied changes, and is then promoted."""
    found = ConsumerHarness()
    assert found.handle(document(None, item("a"))) is None
    ledger = AwsLedger(Calls(Side.TARGET, "Role importer"), found.dynamodb, LEDGER)
    ledger.arm("attempt1")  # a switch had begun
    ledger.take_gate(NONCE)
    assert ledger.set_primary(NONCE, START)
    found.clock.advance(150)
    return found


@pytest.mark.parametrize("days", [0, 21, 300])
@pytest.mark.parametrize("fresh", [False, True], ids=["the same container", "a fresh one"])
def test_a_consumer_that_wakes_up_writes_no_item(
    world: ConsumerHarness, days: int, fresh: bool
) -> None:
    world.dynamodb.put_item(TableName=TARGET, Item=item("a", 77))  # as the application does
    world.clock.advance(days * DAY)
    if fresh:
        world.consumer = world.container()
    watch = Watch(world.dynamodb)
    late = document(item("a"), item("a", 2), START + 9)
    assert world.handle(late, document(None, item("b"), START + 10), first=2000) is None
    assert not {"TransactWriteItems", "DeleteItem"} & set(watch.operations)
    assert (world.value("a"), world.value("b")) == ("77", None)
    assert world.reasons() == ["late-write", "late-write"]


def test_what_it_holds_back_is_noted_under_the_promotion(world: ConsumerHarness) -> None:
    world.handle(document(None, item("b"), START + 10), first=2000)
    assert late_writes_key(NONCE, SHARD) in world.rows()


def test_writers_that_stay_on_the_source_leave_their_changes_in_the_stream(
    world: ConsumerHarness,
) -> None:
    """For weeks: quarantine takes a few, and the lane stops."""
    assert world.handle(*spread(range(50)), first=2000) == "2000"
    assert world.quarantine() == {}


def test_an_unfinished_switch_cannot_open_the_gate_again(world: ConsumerHarness) -> None:
    ledger = AwsLedger(Calls(Side.TARGET, "Role importer"), world.dynamodb, LEDGER)
    assert not ledger.open("attempt1")
    assert not ledger.close("attempt1")
    assert not ledger.arm("attempt1")
    assert not ledger.open(NONCE), "not even the promotion's own nonce does"
    world.handle(probe(), first=2000)
    row = world.dynamodb.get_item(TableName=LEDGER, Key={"k": {"B": b"probe:probe-1:0"}})["Item"]
    assert row["closed"] == {"S": NONCE}
