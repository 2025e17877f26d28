"""Keys that were changed since are judged by single reads: only when asked, and never wrongly."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from bootstrap.core.facts import ItemRead
from bootstrap.verify.judge.classify import FUZZ, Judgement
from bootstrap.verify.judge.point_reads import PendingKey, PointReads, TargetRead, judge_read
from replicator.canonical import digest, key_digest
from replicator.change import Entry, Version
from replicator.consumer.ledger_entry import to_item
from tests.support.bootstrap.fake_aws import LEDGER
from tests.support.fakes.errors import Killed
from tests.support.verify.twin import Twin, item

pytestmark = pytest.mark.promise("C1", "C2", "C5")

AT = 1_790_000_000_000_000
SECOND = 1_000_000
OURS, THEIRS = item("k", v={"N": "2"}), item("k", v={"N": "3"})
Item = dict[str, Any]


def entry(micros: int, image: Item | None) -> Entry:
    return Entry(Version(micros, "u"), image=digest(image), previous=digest(None))


LONG_BEFORE, LATELY = entry(AT - 2 * FUZZ, THEIRS), entry(AT - FUZZ, THEIRS)


@pytest.mark.parametrize(
    ("theirs", "before", "after", "again", "expected"),
    [
        (OURS, LONG_BEFORE, LATELY, THEIRS, None),  # it held what was read
        (THEIRS, LATELY, LATELY, THEIRS, None),  # it holds what was read afterwards
        (THEIRS, LONG_BEFORE, LONG_BEFORE, OURS, Judgement.DIFFERENCE),
        (THEIRS, None, None, OURS, Judgement.DIFFERENCE),
        (None, entry(AT - 2 * FUZZ, OURS), entry(AT - 2 * FUZZ, OURS), OURS, Judgement.FOREIGN),
        (THEIRS, LONG_BEFORE, LONG_BEFORE, None, Judgement.CHANGED_SINCE),  # the source moved
        (THEIRS, None, LONG_BEFORE, OURS, Judgement.CHANGED_SINCE),  # the target moved
        (THEIRS, LATELY, LATELY, OURS, Judgement.CHANGED_SINCE),  # a change of after the read
    ],
)
def test_a_key_differs_only_where_nothing_moved_since_its_first_read(
    theirs: Item | None,
    before: Entry | None,
    after: Entry | None,
    again: Item | None,
    expected: Judgement | None,
) -> None:
    first = PendingKey({"pk": {"S": "k"}}, digest(OURS), AT)
    seen = TargetRead(before, ItemRead(theirs, AT), after)
    assert judge_read(first, seen, ItemRead(again, AT), FUZZ) is expected


class Live:
    """Two tables of whom one follows the other, while every read lets time pass.

    Some keys lose a change for good, some are overwritten in the target, two never rest.
    """

    KEYS, HOT = 60, 2

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.now = AT
        self.source = {n: item(str(n), v={"N": "0"}) for n in range(self.KEYS)}
        self.target: dict[int, Item | None] = dict(self.source)
        self.rows: dict[bytes, Item] = {}
        self.waiting: list[tuple[int, int, int, Item | None]] = []
        self.lost = {n for n in range(self.HOT, self.KEYS) if n % 9 == 0}
        self.foreign = {n for n in range(self.HOT, self.KEYS) if n % 11 == 0} - self.lost
        self.reads = 0
        for n in range(self.KEYS):
            self.write(n)
        self.late = self.now + 8 * FUZZ

    def write(self, n: int) -> None:
        chance = self.random
        new = None if chance.random() < 0.2 else item(str(n), v={"N": str(self.now)})
        if n in self.lost:
            new = item(str(n), v={"N": "lost"})
        self.source[n] = new  # type: ignore[assignment]
        due = self.now + chance.choice([SECOND // 5, 3 * SECOND, 40 * SECOND])
        if n not in self.lost:
            self.waiting.append((due, self.now, n, new))
        self.now += SECOND // 10

    def step(self) -> None:
        self.now += SECOND // 3
        busy = [n for n in range(self.KEYS) if n not in self.lost | self.foreign]
        if self.now < self.late and self.random.random() < 0.1:
            self.write(self.random.choice(busy))
        self.write(self.random.randrange(self.HOT))
        self.deliver(self.now)

    def deliver(self, until: int) -> None:
        for each in sorted(each for each in self.waiting if each[0] <= until):
            self.waiting.remove(each)
            _, made, n, new = each
            key = key_digest(self.key(n))
            known = self.rows.get(key)
            if known is None or int(known["t"]["N"]) < made:
                self.rows[key] = to_item(key, entry(made, new))
                self.target[n] = item(str(n), v={"N": "foreign"}) if n in self.foreign else new

    @staticmethod
    def key(n: int) -> Item:
        return {"pk": {"S": str(n)}}

    def of(self, side: str) -> Any:
        live = self

        class Side:
            def read(self, key: Mapping[str, Any]) -> ItemRead:
                live.step()
                found = getattr(live, side)[int(key["pk"]["S"])]
                at = live.now // SECOND * SECOND
                live.step()
                return ItemRead(found, at)

        return Side()

    def entries(self, keys: Sequence[bytes]) -> dict[bytes, Item]:
        self.step()
        return {key: self.rows[key] for key in keys if key in self.rows}

    def prove(self, moment: float) -> None:
        while self.now < moment * 1e6 or any(made <= moment * 1e6 for _, made, *_ in self.waiting):
            self.step()


@pytest.mark.parametrize("seed", range(20))
def test_under_live_writes_all_that_differs_is_found_and_nothing_else(seed: int) -> None:
    """C1, C7."""
    live = Live(seed)
    reading = PointReads(live.of("source"), live.of("target"), live, live.prove, FUZZ)
    unjudged: set[bytes] = set()
    reading.unjudged = unjudged
    keys = [live.key(n) for n in range(live.KEYS)]
    found = {int(each.key["pk"]["S"]): how for each, how, _ in reading.differences(keys)}
    assert {n for n, how in found.items() if how is Judgement.FOREIGN} == live.foreign
    assert {n for n, how in found.items() if how is Judgement.DIFFERENCE} == live.lost
    hot = {key_digest(live.key(n)) for n in range(live.HOT)}
    assert unjudged <= hot


# -- as a part of verify -------------------------------------------------------------------------


@pytest.fixture
def twin(tmp_path: Path) -> Twin:
    return changed_since(tmp_path)


def changed_since(directory: Path, applied: str = "target") -> Twin:
    """`k1` and `k2` changed after the source's export, and what they became is not there yet.

    `applied`: whose items the ledger knows of; the source's: they were there, and were overwritten.
    """
    twin = Twin(directory)
    twin.source.items["k1"] = OURS | {"pk": {"S": "k1"}}
    twin.source.items["k2"] = OURS | {"pk": {"S": "k2"}}
    now = int(twin.world.clock() * 1e6) + 5 * SECOND
    for name in ("k1", "k2"):
        with twin.world.unwatched():
            key = key_digest({"pk": {"S": name}})
            row = to_item(key, entry(now, getattr(twin, applied).items[name]))
            twin.world.dynamodb.put_item(TableName=LEDGER, Item=row)
    return twin


def test_nothing_is_read_from_the_source_unless_it_is_asked_for(twin: Twin) -> None:
    """C5."""
    found = twin.verify().verified
    assert (found.differences, found.changed_since) == (0, 2)
    assert (twin.source.reads, twin.target.reads) == ([], [])


def test_keys_changed_since_are_judged_by_single_reads_and_no_others_are_read(twin: Twin) -> None:
    on_its_way = twin.source.items["k2"]

    def arrives(number: int, name: str, after: bool) -> None:
        if name == "target_read":
            twin.target.items["k2"] = on_its_way

    twin.world.on_call = arrives
    found = twin.verify(read_source=True)
    assert (found.verified.different, found.verified.changed_since) == (1, 0)
    assert found.verified.judged == 1
    assert found.read == 2
    assert 2 < len(twin.source.reads) <= 6
    assert '"attributes": ["v"]' in found.report.read_text()


def test_what_a_read_found_is_not_counted_again_by_a_later_round(twin: Twin) -> None:
    def never_rests(number: int, name: str, after: bool) -> None:
        if name == "source_read" and len(twin.target.exports) == 1:
            twin.source.items["k2"] = item("k2", v={"N": str(number)})
            twin.target.items["k2"] = item("k2", v={"N": "0"})
        elif name == "source_start" and twin.target.exports:
            twin.target.items["k2"] = twin.source.items["k2"]

    twin.world.on_call = never_rests
    found = twin.verify(read_source=True, until_judged=1.0)
    assert found.rounds == 2
    assert (found.verified.different, found.verified.differences) == (1, 1)
    assert len(found.report.read_text().splitlines()) == 1


def test_what_a_read_found_is_mended_with_the_time_of_the_read_less_a_minute(twin: Twin) -> None:
    """C2."""
    found = twin.verify(read_source=True, repair=True).verified
    assert (found.different, found.repaired) == (2, 2)
    assert twin.target.items["k1"] == twin.source.items["k1"]
    with twin.world.unwatched():
        key = {"k": {"B": key_digest({"pk": {"S": "k1"}})}}
        row = twin.world.dynamodb.get_item(TableName=LEDGER, Key=key)["Item"]
    first_look = twin.source.reads[-4:-2]  # of the last round: both keys, twice
    assert int(row["t"]["N"]) in {at - FUZZ for at in first_look}


@pytest.mark.parametrize("read_source", [False, True])
def test_a_foreign_write_to_a_key_changed_since_is_named_and_mended_where_reads_are_allowed(
    tmp_path: Path, read_source: bool
) -> None:
    """The exports are certain of it, and too old to repair it."""
    twin = changed_since(tmp_path, applied="source")
    found = twin.verify(repair=True, read_source=read_source).verified
    assert (found.foreign, found.differences) == (2, 2)
    assert found.repaired == (2 if read_source else 0)
    assert (twin.target.items == twin.source.items) is read_source


@pytest.mark.slow
def test_killed_while_it_reads_the_next_one_judges_the_same_keys(tmp_path: Path) -> None:
    """C6."""
    counted = changed_since(tmp_path / "counted")
    reading: list[Any] = []

    def count(number: int, name: str, after: bool) -> None:
        if name == "source_read" or reading:
            reading.append(number)

    counted.world.on_call = count
    counted.verify(read_source=True)
    for number in range(reading[0], reading[-1], 5):
        twin = changed_since(tmp_path / str(number))
        twin.kill_at(number, after_the_work=bool(number % 2))
        with pytest.raises(Killed):
            twin.verify(read_source=True)
        twin.live_again()
        found = twin.verify(pid=201, read_source=True).verified
        assert (found.different, found.changed_since) == (2, 0), f"killed at call {number}"
