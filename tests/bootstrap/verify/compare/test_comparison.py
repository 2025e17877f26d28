"""Two exports compared: what differs is found, what is equal is not, and a stop costs no work."""

from __future__ import annotations

import base64
import gzip
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from bootstrap.core.objects import ObjectReader
from bootstrap.verify.compare import comparison, external_sort, partitions
from bootstrap.verify.compare import spool as spools
from bootstrap.verify.compare.comparison import (
    Comparison,
    ComparisonProgress,
    SpoolResults,
    compare,
)
from bootstrap.verify.compare.partitions import Counts, Difference, DifferenceKind
from bootstrap.verify.compare.spool import OtherSpoolError, Spool, SpoolSpaceError
from bootstrap.verify.exports.lines import parse_image
from bootstrap.verify.exports.manifest import DamagedExportError, DuplicateKeyError, Export
from bootstrap.verify.judge.attributes import DifferenceDetail, explain_differences
from bootstrap.verify.judge.classify import Judgement
from replicator.canonical import digest, key_digest
from tests.support.verify.exports import BUCKET, KEY, Directory, Item, export, orders

pytestmark = pytest.mark.promise("C1")

ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture
def objects(tmp_path: Path) -> Directory:
    return Directory(tmp_path / "s3")


def opened(tmp_path: Path, source: Export, target: Export, sample: float = 1.0) -> Spool:
    plan = spools.make_plan(source, target, KEY, sample)
    return Spool.open(tmp_path / "spool", source, target, plan)


def compared(
    tmp_path: Path, objects: Directory, ours: list[Item], theirs: list[Item]
) -> Comparison:
    source, target = export(objects, 1, ours), export(objects, 2, theirs)
    return compare(source, target, opened(tmp_path, source, target), objects, workers=1)


def spool_of(made: Comparison) -> Spool:
    assert isinstance(made.results, SpoolResults)
    return made.results.spool


def explained(
    objects: ObjectReader, made: Comparison, differences: Iterable[Difference], **more: Any
) -> Iterator[DifferenceDetail]:
    judged = ((each, Judgement.DIFFERENCE) for each in differences)
    return (each for each, _ in explain_differences(objects, made, judged, **more))


def b64(value: bytes) -> str:
    return base64.b64encode(value).decode()


NIL = {"NULL": True}
BLOB = bytes(range(256)) * 3
PAIRS: list[tuple[str, Any, Any, bool]] = [
    ("one bit of binary", {"B": b64(BLOB)}, {"B": b64(BLOB[:-1] + b"\xfe")}, False),
    ("one bit in a set", {"BS": [b64(b"a"), b64(b"b")]}, {"BS": [b64(b"a"), b64(b"c")]}, False),
    ("number scale", {"N": "1"}, {"N": "1.0"}, True),
    ("number exponent", {"N": "1E2"}, {"N": "100"}, True),
    ("last digit of 38", {"N": "1" * 38}, {"N": "1" * 37 + "2"}, False),
    ("set order", {"SS": ["a", "é", "b"]}, {"SS": ["b", "a", "é"]}, True),
    ("number set order and scale", {"NS": ["1", "2"]}, {"NS": ["2.0", "1"]}, True),
    ("binary set", {"BS": [b64(b"\xfb"), b64(b"a")]}, {"BS": [b64(b"a"), b64(b"\xfb")]}, True),
    ("list order", {"L": [{"S": "a"}, {"S": "b"}]}, {"L": [{"S": "b"}, {"S": "a"}]}, False),
    ("nested type", {"M": {"a": {"L": [{"N": "1"}]}}}, {"M": {"a": {"L": [{"S": "1"}]}}}, False),
    ("map", {"M": {"a": {"N": "1"}, "b": NIL}}, {"M": {"b": NIL, "a": {"N": "1"}}}, True),
    ("empty text against missing", {"S": ""}, None, False),
    ("null against missing", {"NULL": True}, None, False),
    ("empty map against empty list", {"M": {}}, {"L": []}, False),
    ("text and its base64", {"S": b64(b"x")}, {"B": b64(b"x")}, False),
    ("true and false", {"BOOL": True}, {"BOOL": False}, False),
    ("end of 300 KB", {"S": "x" * 300_000}, {"S": "x" * 299_999 + "y"}, False),
    ("line separator", {"S": "a\u2028b"}, {"S": "a\nb"}, False),
    ("composed and decomposed letter", {"S": "é"}, {"S": "e\u0301"}, False),
]  # fmt: skip


def test_every_kind_of_difference_is_found_and_nothing_else(
    tmp_path: Path, objects: Directory
) -> None:
    ours, theirs = orders(300), orders(300)
    expected: dict[bytes, tuple[DifferenceKind, tuple[str, ...]]] = {}
    for n, (name, left, right, equal) in enumerate(PAIRS):
        ours[n]["x"] = left
        if right is not None:
            theirs[n]["x"] = right
        if not equal:
            expected[key_digest({"pk": ours[n]["pk"]})] = (DifferenceKind.DIFFERENT, ("x",))
        assert name
    gone, extra = theirs.pop(200), {"pk": {"S": "extra"}, "y": {"N": "1"}}
    theirs.append(extra)
    expected[key_digest({"pk": gone["pk"]})] = (
        DifferenceKind.MISSING,
        ("note", "pk", "tags", "total"),
    )
    expected[key_digest({"pk": extra["pk"]})] = (DifferenceKind.EXTRA, ("pk", "y"))
    random.Random(3).shuffle(theirs)
    theirs = [dict(reversed(each.items())) for each in theirs]
    made = compared(tmp_path, objects, ours, theirs)
    found = {
        e.difference.key: (e.difference.kind, e.attributes)
        for e in explained(objects, made, made.differences(), batch_bytes=3_000)
    }
    assert found == expected
    assert made.counts == Counts(300, 300, 300 - len(expected) + 1, 1, 1, len(expected) - 2)


def test_a_difference_names_its_digests_and_on_request_its_items(
    tmp_path: Path, objects: Directory
) -> None:
    ours, theirs = orders(30), orders(30)
    ours[4]["x"] = {"B": b64(b"\xff\x00")}
    made = compared(tmp_path, objects, ours, theirs)
    (difference,) = made.differences()
    assert difference.key == key_digest({"pk": ours[4]["pk"]})
    assert difference.source_image == digest(parse_image(ours[4]))
    assert difference.target_image == digest(parse_image(theirs[4]))
    (bare,) = explained(objects, made, [difference])
    assert (bare.key, bare.target) == ({"pk": ours[4]["pk"]}, None)
    (full,) = explained(objects, made, [difference], values=True)
    assert (full.source, full.target) == (parse_image(ours[4]), parse_image(theirs[4]))


def test_equal_tables_are_equal_and_empty_ones_too(tmp_path: Path, objects: Directory) -> None:
    made = compared(tmp_path, objects, [], [])
    assert made.counts == Counts() and list(made.differences()) == []
    spool_of(made).remove()
    assert not spool_of(made).directory.exists()
    made = compared(tmp_path, objects, orders(100), orders(100))
    assert made.counts == Counts(100, 100, 100)


@pytest.mark.parametrize("per_partition", [1, 7, 90, 350])
def test_many_partitions_and_several_passes_come_to_the_same(
    tmp_path: Path, objects: Directory, monkeypatch: pytest.MonkeyPatch, per_partition: int
) -> None:
    ours, theirs = orders(1000), orders(1000)
    del theirs[10:13], ours[500:504]
    theirs[700]["total"] = {"N": "-5"}
    monkeypatch.setattr(spools, "ITEMS_PER_PARTITION", per_partition)
    monkeypatch.setattr(spools, "MOST_PARTITIONS", 64)
    monkeypatch.setattr(partitions, "MOST_AT_ONCE", per_partition)
    monkeypatch.setattr(comparison, "BUFFER_BYTES", 2000)  # many blocks in a run
    made = compared(tmp_path, objects, ours, theirs)
    assert made.counts == Counts(996, 997, 992, 3, 4, 1)
    differing = [each.key for each in made.differences()]
    assert len(differing) == 8 and differing == sorted(differing)
    assert spool_of(made).plan.partitions > 1


@pytest.mark.parametrize("at_once", [1, 30, 1000])
def test_where_nothing_is_alike_the_places_come_some_at_a_time(
    tmp_path: Path, objects: Directory, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(partitions, "DIFFERENCES_AT_ONCE", at_once)
    ours, theirs = orders(60), orders(90)[30:]
    for each in theirs:
        each["x"] = {"N": "1"}
    made = compared(tmp_path, objects, ours, theirs)
    assert made.counts == Counts(60, 60, 0, 30, 30, 30)
    kinds = {key_digest({"pk": each["pk"]}): DifferenceKind.MISSING for each in ours[:30]}
    kinds |= {key_digest({"pk": each["pk"]}): DifferenceKind.DIFFERENT for each in ours[30:]}
    kinds |= {key_digest({"pk": each["pk"]}): DifferenceKind.EXTRA for each in theirs[30:]}
    found = list(explained(objects, made, made.differences(), values=True))
    assert {each.difference.key: each.difference.kind for each in found} == kinds
    assert all(key_digest(each.key) == each.difference.key for each in found)


def test_results_that_are_not_in_order_are_refused(tmp_path: Path, objects: Directory) -> None:
    made = compared(tmp_path, objects, orders(2), [])
    result = spool_of(made).result(0)
    whole, size = result.read_bytes(), partitions.DIFFERENCE_BYTES
    result.write_bytes(whole[size : 2 * size] + whole[:size] + whole[2 * size :])
    with pytest.raises(OtherSpoolError, match="not in the order") as caught:
        list(made.differences())
    assert caught.value.fix.startswith("delete it")


def test_a_key_that_an_export_holds_twice_is_an_error_that_names_both_places(
    tmp_path: Path, objects: Directory
) -> None:
    ours = orders(50)
    with pytest.raises(DuplicateKeyError, match=r"line \d+ of .*line \d+ of "):
        compared(tmp_path, objects, ours, [*ours, ours[7] | {"total": {"N": "0"}}])


def test_a_line_that_is_no_item_is_an_error_that_names_file_and_line(
    tmp_path: Path, objects: Directory
) -> None:
    ours = orders(50)
    with pytest.raises(DamagedExportError, match=r"data/\w+\.json\.gz: line \d+ is unreadable"):
        compared(tmp_path, objects, ours, [*ours, {"pk": {"X": "no such type"}}])


def test_a_sample_takes_the_same_keys_of_both_sides(tmp_path: Path, objects: Directory) -> None:
    ours = orders(2000)
    source = export(objects, 1, ours)
    target = export(objects, 2, [dict(reversed(each.items())) for each in reversed(ours[:-1])])
    spool = opened(tmp_path, source, target, sample=0.2)
    counts = compare(source, target, spool, objects, workers=1).counts
    assert 300 < counts.source < 500
    assert counts.equal == counts.target and counts.extra == counts.different == 0
    assert counts.missing <= 1


def test_the_size_of_the_spool_is_known_before_it_is_written(
    tmp_path: Path, objects: Directory
) -> None:
    made = compared(tmp_path, objects, orders(3000), orders(3000))
    reported = spools.spool_size(made.source, made.target)
    runs = spool_of(made).directory.glob("*/*.run")
    assert reported <= sum(path.stat().st_size for path in runs) < reported * 1.01
    assert spools.spool_size(made.source, made.target, 0.1) == reported // 10


def test_a_spool_that_does_not_fit_is_refused_before_anything_is_read(
    tmp_path: Path, objects: Directory
) -> None:
    source = export(objects, 1, orders(10))
    huge = replace(source, files=(replace(source.files[0], items=10**15), *source.files[1:]))
    with pytest.raises(SpoolSpaceError, match="--spool DIR on a larger disk"):
        opened(tmp_path, huge, huge)


def test_the_spool_of_other_exports_is_refused(tmp_path: Path, objects: Directory) -> None:
    first, second, third = (export(objects, n, orders(10)) for n in (1, 2, 3))
    opened(tmp_path, first, second)
    opened(tmp_path, first, second)
    with pytest.raises(OtherSpoolError, match="01693685827463-2d8752fd"):
        opened(tmp_path, first, third)
    with pytest.raises(OtherSpoolError, match="another sample"):
        opened(tmp_path, first, second, sample=0.5)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_text("mine")
    with pytest.raises(OtherSpoolError, match="other files"):
        Spool.open(tmp_path / "other", first, second, spools.make_plan(first, second, KEY))


@dataclass
class Watched:
    """Objects that note what is read, and break off at a chosen place."""

    inner: Directory
    streamed: list[str]
    most: int = 10**9

    def __call__(self) -> ObjectReader:
        return self

    def read(self, bucket: str, key: str) -> bytes:
        return self.inner.read(bucket, key)

    def stream(self, bucket: str, key: str) -> Iterator[bytes]:
        if len(self.streamed) >= self.most:
            raise KeyboardInterrupt
        self.streamed.append(key)
        return self.inner.stream(bucket, key)


def test_finished_files_and_partitions_are_not_worked_on_again(
    tmp_path: Path, objects: Directory
) -> None:
    source, target = export(objects, 1, orders(200)), export(objects, 2, orders(201))
    read: list[str] = []
    for most in (0, 1, 3, 8):
        if most < 8:
            with pytest.raises(KeyboardInterrupt):
                spool = opened(tmp_path, source, target)
                compare(source, target, spool, Watched(objects, read, most), workers=1)
            assert len(read) == most
    reported: list[ComparisonProgress] = []
    spool = opened(tmp_path, source, target)
    watched = Watched(objects, read)
    done = compare(source, target, spool, watched, workers=1, on_progress=reported.append)
    assert sorted(read) == sorted(file.key for each in (source, target) for file in each.files)
    assert done.counts == Counts(200, 201, 200, extra=1)
    assert (reported[0].files, reported[-1].files, reported[-1].items) == (3, 8, 401)
    assert not list(spool.directory.rglob("*.part"))
    again = compare(source, target, opened(tmp_path, source, target), watched, workers=1)
    assert again.counts == done.counts and len(read) == 8


def test_a_run_that_lost_its_end_is_made_again(tmp_path: Path, objects: Directory) -> None:
    source, target = export(objects, 1, orders(200)), export(objects, 2, orders(200))
    spool = opened(tmp_path, source, target)
    compare(source, target, spool, objects, workers=1)
    run = spool.run("source", 2)
    whole = run.read_bytes()
    run.write_bytes(whole[:-10])
    spool.result(0).unlink()
    compare(source, target, opened(tmp_path, source, target), objects, workers=1)
    assert run.read_bytes() == whole


def test_a_file_that_is_damaged_at_its_end_leaves_nothing_in_the_spool(
    tmp_path: Path, objects: Directory
) -> None:
    source, target = export(objects, 1, orders(200)), export(objects, 2, orders(200))
    path = objects.root / BUCKET / target.files[0].key
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()), 9))
    spool = opened(tmp_path, source, target)
    with pytest.raises(DamagedExportError, match="MD5"):
        compare(source, target, spool, objects, workers=1)
    assert not spool.run("target", 0).exists()
    assert not list(spool.directory.rglob("*.part"))


def test_a_file_that_changed_between_the_passes_is_noticed(
    tmp_path: Path, objects: Directory
) -> None:
    theirs = orders(20)
    theirs[3]["total"] = {"N": "-1"}
    made = compared(tmp_path, objects, orders(20), theirs)
    (difference,) = made.differences()
    assert difference.target is not None
    other = replace(difference, target=replace(difference.target, image=bytes(16)))
    with pytest.raises(DamagedExportError, match="not the item that was compared"):
        list(explained(objects, made, [other]))


@pytest.mark.parametrize(("batch_bytes", "times"), [(10**9, 1), (30_000, 3)])
def test_however_many_keys_differ_each_file_is_read_once_or_a_few_times(
    tmp_path: Path, objects: Directory, batch_bytes: int, times: int
) -> None:
    ours, theirs = orders(400), orders(500)[100:]
    for each in theirs:
        each["x"] = {"N": "1"}
    random.Random(3).shuffle(theirs)
    made = compared(tmp_path, objects, ours, theirs)
    read: list[str] = []
    checked: list[None] = []
    found = explained(
        Watched(objects, read),
        made,
        made.differences(),
        batch_bytes=batch_bytes,
        check=lambda: checked.append(None),
    )
    assert len(list(found)) == 500
    counts = {
        side: [read.count(file.key) for file in side.files] for side in (made.source, made.target)
    }
    assert set(counts[made.target]) == {1}
    assert 1 <= max(counts[made.source]) <= times
    assert len(checked) >= len(read)


def test_nothing_that_differs_is_written_where_it_can_be_found(
    tmp_path: Path, objects: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(external_sort, "AT_ONCE", 1)
    made = compared(tmp_path, objects, orders(50), orders(40))
    before = set(spool_of(made).directory.rglob("*"))
    for _ in explained(objects, made, made.differences()):
        assert set(spool_of(made).directory.rglob("*")) == before


def test_a_line_that_is_gone_is_noticed(tmp_path: Path, objects: Directory) -> None:
    made = compared(tmp_path, objects, orders(5), [])
    each = next(made.differences())
    assert each.source is not None
    far = replace(each, source=replace(each.source, line=10**6))
    with pytest.raises(DamagedExportError, match="line 1000001, which was compared, is missing"):
        list(explained(objects, made, [far]))


@pytest.mark.slow
def test_processes_come_to_what_one_comes_to_and_bring_errors_home(
    tmp_path: Path, objects: Directory
) -> None:
    ours, theirs = orders(3000), orders(3001)
    theirs[5]["total"] = {"N": "-1"}
    source, target = export(objects, 1, ours), export(objects, 2, theirs)
    alone = compare(source, target, opened(tmp_path, source, target), objects, workers=1)
    runs = {p: p.read_bytes() for p in spool_of(alone).directory.rglob("*.run")}
    differences = list(alone.differences())
    spool_of(alone).remove()
    several = compare(source, target, opened(tmp_path, source, target), objects, workers=2)
    assert several.counts == alone.counts == Counts(3000, 3001, 2999, extra=1, different=1)
    assert {p: p.read_bytes() for p in spool_of(several).directory.rglob("*.run")} == runs
    assert list(several.differences()) == differences
    spool_of(several).remove()
    path = objects.root / BUCKET / target.files[2].key
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(DamagedExportError) as caught:
        compare(source, target, opened(tmp_path, source, target), objects, workers=2)
    assert target.files[2].key in caught.value.what and caught.value.fix


PROGRAM = """
import sys
from pathlib import Path
from bootstrap.verify.compare import spool as spools
from bootstrap.verify.compare.comparison import compare
from bootstrap.verify.exports.manifest import read_export
from tests.support.verify.exports import BUCKET, KEY, Directory, summary_key, ARN

if __name__ == "__main__":
    objects = Directory(Path(sys.argv[1]) / "s3")
    source, target = (
        read_export(objects, BUCKET, summary_key(ARN.format(n), "orders")) for n in (1, 2)
    )
    spools.ITEMS_PER_PARTITION = 500
    plan = spools.make_plan(source, target, KEY)
    spool = spools.Spool.open(Path(sys.argv[1]) / "spool", source, target, plan)
    print(compare(source, target, spool, objects, workers=2).counts)
"""


@pytest.mark.slow
def test_killed_at_any_moment_it_goes_on_and_leaves_no_process_behind(
    tmp_path: Path, objects: Directory
) -> None:
    theirs = orders(30_000)
    theirs[5]["total"] = {"N": "-1"}
    export(objects, 1, orders(30_000))
    export(objects, 2, theirs)
    (tmp_path / "program.py").write_text(PROGRAM)
    command = [sys.executable, str(tmp_path / "program.py"), str(tmp_path)]
    surroundings = {**os.environ, "PYTHONPATH": str(ROOT)}
    chance = random.Random(1)
    for _ in range(6):
        process = subprocess.Popen(
            command, env=surroundings, stdout=subprocess.DEVNULL, start_new_session=True
        )
        try:
            process.wait(chance.uniform(0.5, 3))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
    ended = time.monotonic() + 10
    while _alive(tmp_path) and time.monotonic() < ended:
        time.sleep(0.1)
    assert not _alive(tmp_path)
    done = subprocess.run(
        command, env=surroundings, stdout=subprocess.PIPE, text=True, check=True, timeout=120
    )
    assert done.stdout.strip() == str(Counts(30_000, 30_000, 29_999, different=1))


def _alive(tmp_path: Path) -> list[str]:
    """Processes that have this test's spool open, or were started by its program."""
    found = []
    for each in Path("/proc").glob("[0-9]*"):
        try:
            held = [str(link.readlink()) for link in (each / "fd").iterdir()]
        except OSError:
            continue
        found += [path for path in held if path.startswith(str(tmp_path))]
    return found
