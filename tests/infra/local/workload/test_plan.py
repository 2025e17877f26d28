"""The writers' plan: every kind of write occurs, and the plan knows what it has written."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from infra.local.data.compare import fingerprint, same
from infra.local.data.item_source import GeneratedItems, ItemSource, SampledItems, from_json
from infra.local.data.items import Item, KeyAttribute, KeySchema, item_size
from infra.local.workload.calls import update_expression
from infra.local.workload.plan import HOT_KEYS, KINDS, LEAVE_EXPIRED, WritePlan, WriteStep

pytestmark = pytest.mark.slow

STARTED = 1_800_000_000
WRITERS = 3


def generated() -> ItemSource:
    return GeneratedItems(1, STARTED, 600)


@pytest.fixture
def sampled(tmp_path: Path) -> ItemSource:
    path = tmp_path / "data.json"
    lines = [json.dumps({"Item": {"id": {"N": str(n)}, "t": {"S": "x" * n}}}) for n in range(300)]
    path.write_text("\n".join(lines))
    return SampledItems.load(path, KeySchema(KeyAttribute("id", "N")))


def play(
    item_source: ItemSource, writer: int = 0, count: int = 1500, seconds: float = 60
) -> list[WriteStep]:
    plan = WritePlan(item_source, writer, WRITERS, Random(f"test/{writer}"))
    return [plan.next(STARTED + n * seconds / count) for n in range(count)]


def test_every_kind_of_write_occurs() -> None:
    steps = play(generated())
    kinds = {step.kind for step in steps}
    ways = {step.way for step in steps}

    assert kinds == set(KINDS)
    assert ways == {"single", "update", "count", "transaction", "batch"}


def test_the_users_own_data_gets_every_kind_but_large_items(sampled: ItemSource) -> None:
    assert {step.kind for step in play(sampled)} == set(KINDS) - {"large"}


def test_the_plan_knows_what_the_table_holds() -> None:
    item_source = generated()
    table = {
        fingerprint(item_source.shape.keys.key_of(item_source.item(n))): item_source.item(n)
        for n in range(item_source.count)
    }
    hot: set[bytes] = set()
    for step in play(item_source):
        for write in step.writes:
            key = fingerprint(write.key)
            if step.kind == "hot update":
                hot.add(key)
                continue
            assert key not in hot
            assert same(table.get(key), write.before), step.kind
            if write.after is None:
                del table[key]
            else:
                assert same(item_source.shape.keys.key_of(write.after), write.key)
                table[key] = write.after
    assert len(hot) == HOT_KEYS


def test_the_plan_knows_what_the_table_holds_after_writes_that_were_refused() -> None:
    item_source = generated()
    plan = WritePlan(item_source, 0, WRITERS, Random("test/refused"))
    refusals = Random(5)
    table = {
        fingerprint(item_source.shape.keys.key_of(item_source.item(n))): item_source.item(n)
        for n in range(item_source.count)
    }
    refused: Counter[str] = Counter()
    for n in range(3000):
        step = plan.next(STARTED + n / 25)
        # As calls do it: a step is refused from one of its writes on.
        done = refusals.randrange(len(step.writes)) if refusals.random() < 0.4 else len(step.writes)
        for write in step.writes[:done] if step.kind != "hot update" else ():
            key = fingerprint(write.key)
            assert same(table.get(key), write.before), step.kind
            table.pop(key, None)
            if write.after is not None:
                table[key] = write.after
        plan.withdraw(step, step.writes[done:])
        refused[step.kind] += len(step.writes[done:])
    assert set(refused) == set(KINDS)


def test_a_refused_insert_is_made_again_later() -> None:
    plan = WritePlan(generated(), 0, 1, Random("test"))
    first = next(step for step in _steps(plan) if step.kind == "insert")
    plan.withdraw(first, first.writes)
    (again,) = first.writes
    for step in _steps(plan):
        if step.kind == "re-insert" and same(step.writes[0].key, again.key):
            assert step.writes[0].before is None
            return
    raise AssertionError("the key was not written again")


def _steps(plan: WritePlan) -> Iterator[WriteStep]:
    for n in range(20_000):
        yield plan.next(STARTED + n / 1000)


def test_writing_the_same_item_again_is_no_change_and_there_and_back_are_two() -> None:
    steps = play(generated())

    unchanged = [step for step in steps if step.kind == "unchanged"]
    returns = [step for step in steps if step.kind == "return"]
    assert unchanged and not any(write.is_change for step in unchanged for write in step.writes)
    for step in returns:
        there, back = step.writes
        assert there.is_change and back.is_change
        assert same(there.before, back.after)


def test_deleted_and_expired_keys_are_inserted_again() -> None:
    steps = play(generated())
    deleted: set[bytes] = set()
    expiring: set[bytes] = set()
    again: Counter[str] = Counter()
    for step in steps:
        for write in step.writes:
            key = fingerprint(write.key)
            if step.kind == "re-insert":
                again["deleted" if key in deleted else "expired"] += 1
                assert key in deleted or key in expiring
            if write.after is None:
                deleted.add(key)
            elif step.kind == "expiring":
                expiring.add(key)
    assert again["deleted"] > 5
    assert again["expired"] > 5


def test_an_expiring_item_is_left_alone_until_it_is_long_expired() -> None:
    plan = WritePlan(generated(), 0, 1, Random("test"))
    expires: dict[bytes, int] = {}
    for n in range(1500):
        now = STARTED + n / 25
        for write in plan.next(now).writes:
            key = fingerprint(write.key)
            if key in expires:
                assert now > expires.pop(key) + LEAVE_EXPIRED
            elif write.after and write.before is None and "expires_at" in write.after:
                at = write.after["expires_at"].get("N", "0")
                if STARTED < int(at) < STARTED + 86400:
                    expires[key] = int(at)


def test_two_writers_share_the_hot_keys_and_no_others() -> None:
    def keys(writer: int, hot: bool) -> set[bytes]:
        steps = (step for step in play(generated(), writer) if (step.kind == "hot update") == hot)
        return {fingerprint(write.key) for step in steps for write in step.writes}

    assert keys(0, hot=True) == keys(1, hot=True)
    assert not keys(0, hot=False) & keys(1, hot=False)
    assert not keys(0, hot=True) & keys(1, hot=False)


def test_transactions_and_batches_take_each_key_once_and_not_too_many() -> None:
    limits = {"transaction": 100, "batch": 25}
    for step in play(generated()):
        if step.way in limits:
            keys = [fingerprint(write.key) for write in step.writes]
            assert len(set(keys)) == len(keys) <= limits[step.way]


def test_an_item_source_is_the_same_in_another_process(sampled: ItemSource) -> None:
    for item_source in (generated(), sampled):
        copy = from_json(json.loads(json.dumps(item_source.as_json())))
        assert [copy.item(n) for n in range(50)] == [item_source.item(n) for n in range(50)]
        assert copy.new(900) == item_source.new(900)


def test_of_a_key_that_occurs_twice_the_writers_know_the_last_item(tmp_path: Path) -> None:
    path = tmp_path / "data.json"
    path.write_text(
        '{"Item": {"id": {"N": "1"}, "v": {"S": "first"}}}\n'
        '{"Item": {"id": {"N": "1.0"}, "v": {"S": "last"}}}\n'
    )

    item_source = SampledItems.load(path, KeySchema(KeyAttribute("id", "N")))

    assert [item["v"] for item in item_source.items] == [{"S": "last"}]


def test_no_write_makes_an_item_too_large() -> None:
    for step in play(generated(), count=1000):
        assert all(item_size(write.after) <= 409_600 for write in step.writes if write.after)


def test_an_update_expression_sets_what_changed_and_removes_what_is_gone() -> None:
    before: Item = {"pk": {"S": "a"}, "same": {"N": "1"}, "old": {"S": "x"}, "gone": {"S": "y"}}
    after: Item = {"pk": {"S": "a"}, "same": {"N": "1"}, "old": {"S": "z"}, "new": {"B": b""}}

    expression = update_expression(before, after)

    names = expression["ExpressionAttributeNames"]
    text = expression["UpdateExpression"]
    for place, name in names.items():
        text = text.replace(place, name)
    assert text == "SET old = :0, new = :1 REMOVE gone"
    assert expression["ExpressionAttributeValues"] == {":0": {"S": "z"}, ":1": {"B": b""}}
