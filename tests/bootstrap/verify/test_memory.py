"""Memory is bounded by no count of a table: here by that of the keys that differ."""

from __future__ import annotations

import gc
import json
import os
import random
import subprocess
import sys
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from bootstrap.verify.compare import external_sort
from bootstrap.verify.compare.comparison import compare
from bootstrap.verify.compare.partitions import Counts, DifferenceKind, compare_partition
from bootstrap.verify.compare.spool import (
    SIDES,
    RunWriter,
    Spool,
    SpoolPlan,
    atomic_file,
    make_plan,
)
from bootstrap.verify.exports.manifest import Export, ExportedFile
from bootstrap.verify.judge.attributes import explain_differences
from bootstrap.verify.judge.classify import Judgement
from tests.support.verify.exports import KEY, Directory, export, orders

ROOT = Path(__file__).resolve().parents[3]

PROGRAM = """
import dataclasses, json, resource, sys
from pathlib import Path
from bootstrap.verify import verify as verification
from bootstrap.verify.compare.comparison import SpoolResults
from bootstrap.verify.compare.partitions import Counts
from bootstrap.verify.export_rounds import ExportRounds as Rounds
from bootstrap.verify.compare.spool import Spool
from tests.support.verify.twin import Twin

KEYS, PARTITIONS = int(sys.argv[2]), 32
TAIL = bytes([1]) + bytes(48)  # what a result has of a missing item beside its key
COUNTS = Counts(source=KEYS, missing=KEYS)


class Nothing:
    def entries(self, keys):
        return {}


def synthetic(self, taken=Rounds.next):
    real = taken(self)
    old = real.comparison.results.spool
    spool = Spool(old.directory, dataclasses.replace(old.plan, partitions=PARTITIONS))
    step = (1 << 128) // KEYS
    tail = json.dumps(dataclasses.asdict(COUNTS)).encode()
    for part in range(PARTITIONS):
        some = range(KEYS * part // PARTITIONS, KEYS * (part + 1) // PARTITIONS)
        with spool.result(part).open("wb") as file:
            for n in some:
                file.write((n * step + 1).to_bytes(16, "big") + TAIL)
            file.write(tail + len(tail).to_bytes(4, "big"))
    comparison = dataclasses.replace(
        real.comparison, counts=COUNTS, results=SpoolResults(spool), directory=spool.directory
    )
    # Not caught up: nothing can be judged.
    moments = dataclasses.replace(real.moments, applied_by_now=0)
    return dataclasses.replace(real, comparison=comparison, moments=moments)


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


Rounds.next = synthetic
verification.MOST_ROUNDS = 2
twin = Twin(Path(sys.argv[1]))
context = dataclasses.replace(twin.context(), ledger=Nothing())
before = peak()
found = verification.Verification(context, twin.options(until_judged=1.0)).run()
print(json.dumps([peak() - before, found.verified.changed_since, found.rounds]))
"""


@pytest.fixture(autouse=True)
def pythons_own_collector() -> Iterator[None]:
    """What is measured here is what a user's process takes."""
    before = gc.get_threshold()
    gc.set_threshold(700, 10, 10)
    yield
    gc.set_threshold(*before)


@pytest.mark.slow
def test_keys_that_no_round_can_judge_take_disk_and_no_memory(tmp_path: Path) -> None:
    count = 1_200_000
    (tmp_path / "program.py").write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, str(tmp_path / "program.py"), str(tmp_path), str(count)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        check=True,
        timeout=300,
    )
    grown, unjudged, rounds = json.loads(done.stdout)
    assert (unjudged, rounds) == (count, 2)
    # A set of them in memory takes more than 100 bytes a key.
    assert grown < 50e6


@pytest.mark.slow
@pytest.mark.parametrize("values", [False, True])
def test_many_differences_are_explained_in_the_memory_of_few(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, values: bool
) -> None:
    monkeypatch.setattr(external_sort, "AT_ONCE", 1_000)
    objects = Directory(tmp_path / "s3", chunk=1 << 14)
    ours, theirs = orders(16_000), orders(20_000)[4_000:]
    for each in theirs[:-4_000]:
        each["note"] = {"S": "another" * 20}
    source, target = export(objects, 1, ours), export(objects, 2, theirs)
    del ours, theirs
    spool = Spool.open(tmp_path / "spool", source, target, make_plan(source, target, KEY))
    made = compare(source, target, spool, objects, workers=1)
    judged = ((each, Judgement.DIFFERENCE) for each in made.differences())
    tracemalloc.start()
    try:
        found = explain_differences(objects, made, judged, values=values, batch_bytes=1 << 18)
        kinds = Counter(each.difference.kind for each, _ in found)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kinds == {
        DifferenceKind.MISSING: 4_000,
        DifferenceKind.DIFFERENT: 12_000,
        DifferenceKind.EXTRA: 4_000,
    }
    # A quarter of a megabyte of them, and two streams with a megabyte of lines each.
    assert peak < 4.4e6


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["different", "missing and extra"])
def test_a_partition_all_of_whose_keys_differ_takes_little_more_than_its_digests(
    tmp_path: Path, kind: str
) -> None:
    count = 100_000
    source, target = (
        Export(side, "t", "i", "b", (ExportedFile(0, "k", count, "m"),), 1) for side in SIDES
    )
    spool = Spool.open(tmp_path, source, target, SpoolPlan("source", "target", ("pk",), 1.0, 1))
    for side in SIDES:
        chance = random.Random(1 if kind == "different" else side)
        image = side[0].encode() * 16
        with atomic_file(spool.run(side, 0)) as file:
            run = RunWriter(file, 1, 1 << 20)
            run.add([chance.randbytes(16) + image for _ in range(count)], 0, 0)
            run.finish()
    tracemalloc.start()
    try:
        counts = compare_partition(spool, 0, source, target)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    expected = (
        Counts(count, count, different=count)
        if kind == "different"
        else Counts(count, count, missing=count, extra=count)
    )
    assert counts == expected
    # Four workers stay within 400 MB together, Python and its libraries included.
    assert peak < 55e6
