"""What became of keys is kept on disk, in order: however many they are, memory is not."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from bootstrap.verify.compare import external_sort
from bootstrap.verify.compare.external_sort import ExternalSort, KeySpool


def keys(count: int, seed: int = 1) -> list[bytes]:
    chance = random.Random(seed)
    return [chance.randbytes(16) for _ in range(count)]


@pytest.mark.parametrize("at_once", [1, 7, 1000])
@pytest.mark.parametrize("ahead", [1, 100, 1 << 20])
def test_records_come_back_in_order_though_more_are_added_in_between(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int, ahead: int
) -> None:
    monkeypatch.setattr(external_sort, "AT_ONCE", at_once)
    monkeypatch.setattr(external_sort, "MERGE_BYTES", ahead)
    added: list[bytes] = []
    held = ExternalSort(tmp_path, 16)
    assert list(held) == []
    for some in (keys(100), keys(3, seed=2), [keys(1)[0]]):
        for each in some:
            held.add(each)
        added += some
        assert (list(held), len(held)) == (sorted(added), len(added))
        assert list(held) == sorted(added)
    held.close()
    assert (list(held), len(held)) == ([], 0)


def test_what_comes_in_order_is_written_as_one_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(external_sort, "AT_ONCE", 10)
    held = KeySpool(tmp_path)
    for each in sorted(keys(105)):
        held.add(each)
    assert len(held._ends) == 1
    assert list(held) == sorted(keys(105))
    held.close()


def test_nothing_is_left_for_another_process_to_find(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(external_sort, "AT_ONCE", 1)
    held = KeySpool(tmp_path)
    held.add(bytes(16))
    assert list(tmp_path.iterdir()) == []
    held.close()


@pytest.mark.parametrize("at_once", [3, 1000])
def test_keys_are_told_from_others_as_a_set_would(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(external_sort, "AT_ONCE", at_once)
    all_ = keys(200)
    one, other, both = (KeySpool(tmp_path) for _ in range(3))
    for each in all_[:120]:
        one.add(each)
    for each in all_[80:]:
        other.add(each)
    found = dict(one.among(sorted(all_), bytes))
    assert found == {each: each in all_[:120] for each in all_}
    both.add_common(one, other)
    assert list(both) == sorted(all_[80:120])
    assert not any(known for _, known in KeySpool(tmp_path).among(all_, bytes))
    for each_ in (one, other, both):
        each_.close()
