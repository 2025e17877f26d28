"""Where a stream's numbers order changes, repair and backfill are pinned to the entry as judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from bootstrap.aws.calls import Calls
from bootstrap.aws.ledger import AwsLedger
from bootstrap.core.errors import Side
from bootstrap.core.ledger_settings import LedgerSettings
from bootstrap.verify.compare.partitions import Difference, ExportedItem
from bootstrap.verify.judge.classify import FUZZ, Judgement, Moments, judge
from bootstrap.verify.repair import APPLIED, CHANGED, Repairer
from replicator.change import ORDER_ZERO, Change, Entry, Version
from replicator.consumer.ledger_entry import from_item, to_item
from replicator.consumer.writer import Attempt
from tests.support.replicator.consumer_harness import LEDGER, ConsumerHarness, change, item
from tests.support.replicator.stream_events import FIRST, SECOND, order

pytestmark = pytest.mark.promise("C1", "C2")

MICROS = 1_000_000
TS = 1_790_000_000_000_000
NOW = Moments(TS, TS + 10 * FUZZ, applied_by_target=TS + 8 * FUZZ, applied_by_now=TS + 20 * FUZZ)
DIFFERENT = Difference(b"k" * 16, ExportedItem(b"s" * 16, 0, 0), ExportedItem(b"t" * 16, 0, 0))


class World(ConsumerHarness):
    def __init__(self) -> None:
        super().__init__()
        self.guard = self.consumer.parts.writer

    def repairer(self, guard: Any = None) -> Repairer:
        ledger = AwsLedger(Calls(Side.TARGET, "Role importer"), self.dynamodb, LEDGER)
        return Repairer(guard or self.guard, self.runtime, lambda: LedgerSettings(), ledger)

    def receive(self, number: int, second: int, value: int) -> None:
        made = change(None, item("a", value))
        made.version = Version(second * MICROS, "s", order(number))
        self.guard.apply([Attempt(made)], self.context())

    def entry(self) -> Entry:
        found = self.ledger(change(None, item("a")))
        assert found is not None
        return from_item(found)


def wanted(second: float, value: int = 9) -> Change:
    made = change(item("a", 1), item("a", value))
    made.version = Version(int(second * MICROS), "u")
    return made


@pytest.fixture
def world() -> World:
    return World()


def test_a_key_without_an_entry_is_restored_before_every_number(world: World) -> None:
    assert world.repairer().apply([wanted(SECOND + 0.5)]) == [APPLIED]
    assert world.entry().version == Version(int((SECOND + 0.5) * MICROS), "u", ORDER_ZERO)
    assert world.value("a") == "9"


def test_the_order_of_the_entry_is_kept(world: World) -> None:
    world.receive(FIRST, SECOND, 1)
    assert world.repairer().apply([wanted(SECOND + 5)]) == [APPLIED]
    assert world.entry().version == Version((SECOND + 5) * MICROS, "u", order(FIRST))
    # A change that waited since before is contained; one that came later is not.
    world.receive(FIRST + 1, SECOND + 4, 2)
    assert world.value("a") == "9"
    world.receive(FIRST + 2, SECOND + 6, 3)
    assert world.value("a") == "3"


@pytest.mark.parametrize("second", [SECOND - 1.0, SECOND + 0.5])
def test_an_entry_that_may_be_later_stays(world: World, second: float) -> None:
    world.receive(FIRST, SECOND, 1)
    assert world.repairer().apply([wanted(second)]) == [CHANGED]
    assert world.value("a") == "1"


def test_a_change_between_judging_and_writing_has_the_key_judged_anew(world: World) -> None:
    world.receive(FIRST, SECOND, 1)
    made = world.guard

    class Late:
        """The guard, when changes are applied just before it."""

        def __init__(self) -> None:
            self.changes = [(FIRST + 1, SECOND + 2, 2), (FIRST + 2, SECOND + 9, 3)]

        def apply(self, attempts: Sequence[Attempt], context: Any) -> Any:
            if self.changes:
                world.receive(*self.changes.pop(0))
            return made.apply(attempts, context)

    # The first is older than what is restored, and contained in it; the second is newer.
    assert world.repairer(Late()).apply([wanted(SECOND + 5)]) == [CHANGED]
    assert world.value("a") == "3"
    assert world.entry().version.order == order(FIRST + 2)


def test_a_repetition_changes_nothing(world: World) -> None:
    world.receive(FIRST, SECOND, 1)
    for _ in range(2):
        assert world.repairer().apply([wanted(SECOND + 5)]) == [APPLIED]
    assert world.entry().version == Version((SECOND + 5) * MICROS, "u", order(FIRST))


def test_a_change_in_the_second_of_the_judgement_may_be_later() -> None:
    limit = NOW.source - NOW.margin
    assert limit % MICROS == 0
    before = Version(limit - MICROS, "s", order(1))
    within = Version(limit, "s", order(1))
    target = DIFFERENT.target_image
    assert judge(DIFFERENT, Entry(before, target, b""), NOW) is Judgement.DIFFERENCE
    assert judge(DIFFERENT, Entry(within, target, b""), NOW) is Judgement.CHANGED_SINCE


def test_what_a_repair_wrote_is_known_whatever_order_it_kept() -> None:
    repairing = replace(NOW, repairing=True)
    made = Version(NOW.repair_version, "u", order(7))
    found = Entry(made, DIFFERENT.source_image, b"")
    assert judge(DIFFERENT, found, repairing) is Judgement.REPAIRED
    assert from_item(to_item(b"k", found)) == found


def test_an_entry_that_cannot_be_read_is_reported_for_its_key_alone(world: World) -> None:
    world.receive(FIRST, SECOND, 1)
    made = wanted(SECOND + 5)
    world.dynamodb.put_item(TableName=LEDGER, Item={"k": {"B": made.key}, "t": {"S": "?"}})
    (result,) = world.repairer().apply([made])
    assert "LedgerEntryUnreadable" in result
    assert world.value("a") == "1"
