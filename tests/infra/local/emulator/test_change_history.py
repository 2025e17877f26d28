"""A table's history: its state at a moment, and the lines that an export writes of it."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json

from infra.local.emulator.change_history import ChangeHistory, as_of
from infra.local.emulator.export_files import data_files, full_lines, incremental_lines, partitioned
from infra.local.emulator.item_images import Image
from infra.local.emulator.replication_metrics import TableOf

TABLE = TableOf("1", "eu-west-1", "t")
NAMES = ("pk",)


def item(key: str, value: int) -> Image:
    return {"pk": {"S": key}, "v": {"N": str(value)}}


def key(text: str) -> Image:
    return {"pk": {"S": text}}


def history(*changes: tuple[int, str, Image | None, Image | None]) -> ChangeHistory:
    kept = ChangeHistory()
    kept.begin(TABLE, 0)
    for at, name, old, new in changes:
        kept.note(TABLE, at, key(name), old, new)
    return kept


def test_the_state_at_a_moment_undoes_every_later_change() -> None:
    kept = history(
        (10, "a", None, item("a", 1)),
        (20, "a", item("a", 1), item("a", 2)),
        (30, "b", None, item("b", 1)),
        (40, "a", item("a", 2), None),
        (50, "a", None, item("a", 3)),
    )
    now = [item("a", 3), item("b", 1)]
    states = {at: as_of(now, kept.after(TABLE, at), NAMES) for at in (5, 10, 25, 30, 45, 50)}
    assert states[5] == []
    assert states[10] == [item("a", 1)]
    assert states[25] == [item("a", 2)]
    assert sorted(json.dumps(i) for i in states[30]) == sorted(
        json.dumps(i) for i in (item("a", 2), item("b", 1))
    )
    assert states[45] == [item("b", 1)]
    assert len(states[50]) == 2


def test_a_change_at_the_very_moment_belongs_to_the_state() -> None:
    kept = history((10, "a", None, item("a", 1)))
    assert as_of([item("a", 1)], kept.after(TABLE, 10), NAMES) == [item("a", 1)]


def test_nothing_is_kept_while_recovery_is_off() -> None:
    kept = ChangeHistory()
    kept.note(TABLE, 10, key("a"), None, item("a", 1))
    assert kept.after(TABLE, 0) == []
    assert kept.since(TABLE) is None


def test_switching_recovery_off_and_on_forgets_the_past() -> None:
    kept = history((10, "a", None, item("a", 1)))
    kept.end(TABLE)
    kept.begin(TABLE, 20)
    assert kept.since(TABLE) == 20
    assert kept.after(TABLE, 0) == []


def test_an_incremental_export_has_one_line_a_key_with_the_states_around_the_window() -> None:
    kept = history(
        (10, "a", item("a", 1), item("a", 2)),
        (20, "a", item("a", 2), item("a", 3)),
        (30, "b", None, item("b", 1)),
        (40, "b", item("b", 1), None),
        (50, "c", item("c", 1), None),
    )
    lines = incremental_lines(kept.after(TABLE, 0), NAMES, "NEW_AND_OLD_IMAGES")
    assert lines == [
        {
            "Metadata": {"WriteTimestampMicros": "20"},
            "Keys": key("a"),
            "NewImage": item("a", 3),
            "OldImage": item("a", 1),
        },
        {"Metadata": {"WriteTimestampMicros": "50"}, "Keys": key("c"), "OldImage": item("c", 1)},
    ]


def test_data_files_hold_every_item_once_and_their_checksums_are_true() -> None:
    items = [item(f"k{n}", n) for n in range(100)]
    objects, entries = data_files(partitioned(full_lines(items), "pk"), "p/AWSDynamoDB/x/")
    assert len(objects) > 1
    found = []
    for each, entry in zip(objects, entries, strict=True):
        assert each.key == entry["dataFileS3Key"]
        digest = hashlib.md5(each.body, usedforsecurity=False).digest()
        assert base64.b64decode(entry["md5Checksum"]) == digest
        lines = gzip.decompress(each.body).decode().splitlines()
        assert len(lines) == entry["itemCount"]
        found += [json.loads(line)["Item"] for line in lines]
    assert sorted(json.dumps(i) for i in found) == sorted(json.dumps(i) for i in items)


def test_a_partition_without_items_makes_an_empty_file() -> None:
    objects, entries = data_files(partitioned(full_lines([item("only", 1)]), "pk"), "x/")
    empty = [o for o, entry in zip(objects, entries, strict=True) if entry["itemCount"] == 0]
    assert empty
    assert gzip.decompress(empty[0].body) == b""
