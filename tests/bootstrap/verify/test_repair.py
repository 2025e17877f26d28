"""Repair goes through the consumer's guard: it repairs, and masks nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bootstrap.verify import verify
from bootstrap.verify.exports.lines import parse_image
from bootstrap.verify.judge.classify import MARGIN
from replicator.canonical import digest, key_digest
from replicator.change import Entry, Version
from replicator.consumer.ledger_entry import from_item, to_item
from tests.support.bootstrap.fake_aws import LEDGER
from tests.support.fakes.errors import Killed
from tests.support.verify.twin import Item, Twin, item

pytestmark = pytest.mark.promise("C1", "C2")


@pytest.fixture
def twin(tmp_path: Path) -> Twin:
    twin = Twin(tmp_path)
    del twin.target.items["k1"]
    twin.target.items["x"] = item("x")
    twin.source.items["k2"] = item("k2", b={"B": "AAE="}, s={"SS": ["a", "b"]})
    return twin


def entry(twin: Twin, name: str) -> Entry | None:
    with twin.world.unwatched():
        key = {"k": {"B": key_digest({"pk": {"S": name}})}}
        found = twin.world.dynamodb.get_item(TableName=LEDGER, Key=key).get("Item")
    return None if found is None else from_item(found)


def remember(twin: Twin, name: str, image: Item | None, at: float) -> None:
    made = Entry(Version(int(at * 1e6), "u"), image=digest(image), previous=digest(None))
    with twin.world.unwatched():
        key = key_digest({"pk": {"S": name}})
        twin.world.dynamodb.put_item(TableName=LEDGER, Item=to_item(key, made))


def lines(twin: Twin) -> dict[str, dict[str, Any]]:
    text = (twin.directory / "report.jsonl").read_text()
    return {each["key"]["pk"]["S"]: each for each in map(json.loads, text.splitlines())}


def test_missing_extra_and_different_items_are_mended_and_a_second_verify_is_equal(
    twin: Twin,
) -> None:
    """C1."""
    found = twin.verify(repair=True).verified
    assert (found.differences, found.repaired) == (3, 3)
    assert twin.target.items == twin.source.items
    assert {each["repair"] for each in lines(twin).values()} == {"applied"}
    assert "source" not in lines(twin)["k1"]
    again = twin.verify().verified
    assert (again.differences, again.equal) == (0, 20)


def test_what_is_mended_has_the_version_of_the_export_less_two_minutes(twin: Twin) -> None:
    """C2: a later one could mask a change that is still on its way."""
    twin.verify(repair=True)
    (wanted, _) = next(iter(twin.source.exports.values()))
    for name in ("k1", "k2", "x"):
        made = entry(twin, name)
        assert made is not None
        assert made.version.micros == (wanted.time - 120) * 1_000_000


def test_what_is_mended_leaves_the_entry_that_a_change_from_one_to_the_other_would(
    twin: Twin,
) -> None:
    before = {name: twin.target.items.get(name) for name in ("k1", "k2", "x")}
    twin.verify(repair=True)
    for name, theirs in before.items():
        made, ours = entry(twin, name), twin.source.items.get(name)
        assert made is not None
        was, became = (None if each is None else parse_image(each) for each in (theirs, ours))
        assert (made.previous, made.image) == (digest(was), digest(became))


def test_what_the_consumer_has_applied_in_the_meantime_stays(twin: Twin) -> None:
    """C2: a change that comes between the comparison and the repair is newer."""
    made = twin.repairer()

    class Late:
        """The guard, when a change of k2 is applied just before it."""

        def apply(self, attempts: Any, context: Any) -> Any:
            remember(twin, "k2", item("k2"), twin.world.clock())
            return made.guard.apply(attempts, context)

    twin.repairer = lambda: replace(made, guard=Late())  # type: ignore[arg-type, method-assign]
    found = twin.verify(repair=True).verified
    assert (found.differences, found.repaired) == (3, 2)
    assert lines(twin)["k2"]["repair"].startswith("not applied: the key changed since")
    assert twin.target.items["k2"] == item("k2")


def test_a_foreign_write_is_mended(twin: Twin) -> None:
    remember(twin, "k3", item("k3"), twin.world.clock() - 5_000)
    twin.target.items["k3"] = item("k3", v={"N": "666"})
    found = twin.verify(repair=True).verified
    assert (found.foreign, found.repaired) == (1, 4)
    assert twin.target.items["k3"] == item("k3")


def test_a_dry_run_mends_nothing(twin: Twin) -> None:
    before = dict(twin.target.items)
    found = twin.verify(repair=True, dry_run=True)
    assert found.dry_run
    assert (found.verified.differences, found.verified.repaired) == (3, 0)
    assert twin.target.items == before


def test_many_differences_are_mended_only_with_yes(
    twin: Twin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "MOST_UNCONFIRMED", 2)
    assert twin.verify(repair=True).dry_run
    found = twin.verify(repair=True, yes=True)
    assert not found.dry_run
    assert found.verified.repaired == 3


def test_a_later_verification_of_less_does_not_forget_that_all_was_mended(twin: Twin) -> None:
    def settled() -> float:
        item = twin.world.ledger_settings()
        return int(item["settled"]["N"]) / 1e6

    by_snapshot = settled()
    assert twin.verify().verified.complete_until == 0
    assert settled() == by_snapshot
    mended = twin.verify(repair=True).verified
    assert mended.complete_until == settled() == mended.source_time - MARGIN / 1e6
    sample = twin.verify(sample=0.5).verified
    del twin.target.items["k3"]
    unmended = twin.verify().verified
    assert sample.complete_until == unmended.complete_until == settled() == mended.complete_until
    whole = twin.verify(repair=True).verified
    assert whole.complete_until == settled() == whole.source_time - MARGIN / 1e6


def killed_in_the_repair(twin: Twin, *, after: int | None = None) -> None:
    """A repair whose process dies once its guard has applied the first `after` keys, or all."""
    made = twin.repairer()

    class Dying:
        def apply(self, attempts: Any, context: Any) -> Any:
            made.guard.apply(attempts[:after], context)
            raise Killed("applied, and no process knows")

    repairer = twin.repairer
    twin.repairer = lambda: replace(made, guard=Dying())  # type: ignore[arg-type, method-assign]
    with pytest.raises(Killed):
        twin.verify(repair=True)
    twin.repairer = repairer  # type: ignore[method-assign]


@pytest.mark.parametrize("repair", [True, False])
def test_what_a_killed_repair_has_mended_is_no_foreign_write(twin: Twin, repair: bool) -> None:
    killed_in_the_repair(twin)
    assert twin.target.items == twin.source.items
    found = twin.verify(pid=201, repair=repair).verified
    assert len(twin.source.exports) == 1, "it resumes with the same exports"
    assert (found.foreign, found.differences, found.repaired) == (0, 0, 0)
    assert (found.equal, found.proves_equal, found.complete) == (21, True, True)
    assert lines(twin) == {}
    again = twin.verify(pid=202).verified
    assert (again.proves_equal, again.equal) == (True, 20)


def test_a_repair_that_was_killed_in_its_middle_mends_the_rest(twin: Twin) -> None:
    killed_in_the_repair(twin, after=1)
    seen = twin.verify(pid=201, repair=True, dry_run=True).verified
    assert (seen.foreign, seen.differences) == (0, 2)
    killed_in_the_repair(twin, after=1)
    found = twin.verify(pid=202, repair=True).verified
    assert (found.foreign, found.differences, found.repaired) == (0, 1, 1)
    assert twin.target.items == twin.source.items
