"""The speed and memory of a comparison of exports: `python -m tests.benchmarks.verification`.

Three things on the same data in one run: the digests beside `json.loads` with a sorted
`json.dumps`; the whole comparison beside `gzip -dc | wc -l` over the same files; and how time and
memory grow with the number of items. Prints Markdown and writes build/bench/verify.json.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import gzip
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from bootstrap.verify.compare import spool as spools
from bootstrap.verify.compare.comparison import compare
from bootstrap.verify.exports.digests import Digester
from bootstrap.verify.exports.manifest import read_export
from tests.benchmarks.exported import CASES, KEY, Maker, item, line
from tests.support.verify.exports import BUCKET, Directory, description
from tests.support.verify.exports import write as write_manifests

ROOT = Path(__file__).resolve().parent.parent.parent
RESULTS = ROOT / "build" / "bench" / "verify.json"
FILES = 8  # a side
PIECE = 50_000  # items written at a time
VARIANTS = 997  # of what an item holds beside its key: gzip sees no two of them at once
GROWTH = (100_000, 300_000, 1_000_000, 3_000_000)
ROUNDS = 7


@dataclass(frozen=True)
class Rate:
    """What one core does with lines that are in memory."""

    case: str
    line_bytes: int
    items_per_second: float
    mb_per_second: float
    plain_items_per_second: float
    plain_mb_per_second: float
    ratio: float


@dataclass(frozen=True)
class Whole:
    """A whole comparison of two exports of `items` items, of 1 KB, beside the floor."""

    items: int
    workers: int
    stored_mb: float
    text_mb: float
    spool_mb: float
    seconds: float
    floor_seconds: float
    ratio: float
    cpu_seconds: float
    floor_cpu_seconds: float
    items_per_second: float
    mb_per_second: float
    peak_memory_mb: float
    different: int


def plain(text: bytes) -> bytes:
    """What one would write first: parsed, dumped with sorted keys, hashed. No key of its own."""
    form = json.dumps(json.loads(text), sort_keys=True).encode()
    return hashlib.blake2b(form, digest_size=16).digest()


def rate(case: str, size: int, kind: Callable[[int], Maker]) -> Rate:
    """Both routes over the same lines, turn by turn; the best round of each counts."""
    make = kind(size)
    count = max(50, 4_000_000 // size)
    texts = [make(key) for key in range(count)]
    digester = Digester(KEY)
    routes: dict[str, Callable[[], Any]] = {
        "ours": lambda: digester.extend([], texts),
        "plain": lambda: [plain(text) for text in texts],
    }
    routes["ours"]()
    best = dict.fromkeys(routes, 1e9)
    for _ in range(ROUNDS):
        for name, route in routes.items():
            # Seconds of this process on a core, whatever else the machine does.
            started = time.process_time()
            route()
            best[name] = min(best[name], time.process_time() - started)
    mb = sum(map(len, texts)) / 1e6
    return Rate(
        case=case,
        line_bytes=round(mb * 1e6 / count),
        items_per_second=round(count / best["ours"]),
        mb_per_second=round(mb / best["ours"], 1),
        plain_items_per_second=round(count / best["plain"]),
        plain_mb_per_second=round(mb / best["plain"], 1),
        ratio=round(best["plain"] / best["ours"], 2),
    )


def _write_file(job: tuple[str, int, int, int, bool]) -> tuple[int, str, int]:
    """Writes one data file with every FILES-th item; returns items, MD5 and bytes of text."""
    path, number, count, size, target = job
    digest, text_bytes = hashlib.md5(usedforsecurity=False), 0
    templates = [_template(variant, size, target) for variant in range(VARIANTS)]
    keys: Any = range(number, count, FILES)
    keys = keys[::-1] if target else keys
    with Path(path).open("wb") as file:
        for start in range(0, len(keys), PIECE):
            text = b"".join(
                templates[key % VARIANTS] % _placed(key, target)
                for key in keys[start : start + PIECE]
            )
            text_bytes += len(text)
            packed = gzip.compress(text, compresslevel=1)
            digest.update(packed)
            file.write(packed)
    return len(keys), base64.b64encode(digest.digest()).decode(), text_bytes


def _template(variant: int, size: int, target: bool) -> bytes:
    """A line whose key and revision are still open: millions of them are written in minutes."""
    made = item(variant, size)
    made["pk"], made["sk"] = {"S": "customer-%(key)08d"}, {"N": "%(sort)d"}
    made["revision"] = {"N": "%(revision)d"}
    if target:
        made = dict(
            reversed(made.items())
        )  # an export's order of attributes is promised by no page
    return line(made) + b"\n"


def _placed(key: int, target: bool) -> dict[bytes, int]:
    odd = target and key % 10_007 == 5
    return {b"key": key, b"sort": key % 97, b"revision": -1 if odd else key}


def write_export(objects: Directory, number: int, count: int, size: int) -> tuple[str, int]:
    """Writes an export of `count` items; the second one has every 10,007th changed."""
    summary = write_manifests(objects, number, [], parts=[])
    folder = summary.removesuffix("manifest-summary.json")
    keys = [f"{folder}data/{n:026d}.json.gz" for n in range(FILES)]
    (objects.root / BUCKET / folder / "data").mkdir(parents=True, exist_ok=True)
    jobs = [
        (str(objects.root / BUCKET / key), n, count, size, number == 2)
        for n, key in enumerate(keys)
    ]
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        made = list(pool.map(_write_file, jobs))
    entries = "".join(
        json.dumps({"itemCount": items, "md5Checksum": md5, "etag": "x-1", "dataFileS3Key": key})
        + "\n"
        for key, (items, md5, _) in zip(keys, made, strict=True)
    )
    base = objects.root / BUCKET / folder
    (base / "manifest-files.json").write_text(entries)
    written = json.loads((base / "manifest-summary.json").read_text()) | {"itemCount": count}
    (base / "manifest-summary.json").write_text(json.dumps(written))
    for name in ("manifest-files.md5", "manifest-summary.md5"):
        (base / name).unlink()
    assert written["exportArn"] == description(number)["ExportArn"]
    return summary, sum(text for _, _, text in made)


def floor(objects: Directory, summaries: list[str]) -> tuple[float, float]:
    """Seconds, and seconds on cores, to unpack and count both sides, one after the other."""
    started, cpu = time.perf_counter(), _cpu()
    for summary in summaries:
        folder = (objects.root / BUCKET / summary).parent / "data"
        subprocess.run(
            f"gzip -dc {folder}/*.json.gz | wc -l",
            shell=True,
            check=True,
            stdout=subprocess.DEVNULL,
        )
    return time.perf_counter() - started, _cpu() - cpu


def _cpu() -> float:
    """Seconds on cores of this process and of its children that have ended."""
    return sum(os.times()[:4])


class Memory:
    """The most memory that this process and its children have had at one moment, in MB."""

    def __init__(self) -> None:
        self.peak = 0.0
        self._stop = threading.Event()

    def __enter__(self) -> Memory:
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.05):
            self.peak = max(self.peak, sum(_resident(each) for each in _family()) / 1e6)


def _family() -> list[int]:
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(path.parent.name)] = int(path.read_text().rsplit(")", 1)[1].split()[1])
    family = {os.getpid()}
    while grown := {child for child, parent in parents.items() if parent in family} - family:
        family |= grown
    return list(family)


def _resident(process: int) -> int:
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf(
            "SC_PAGE_SIZE"
        )
    except (OSError, IndexError):
        return 0


def whole(root: Path, summaries: list[str], workers: int, text_bytes: int) -> Whole:
    """In this process and its workers: one comparison, from the manifests to the counts."""
    objects = Directory(root, chunk=1 << 20)
    floors = [floor(objects, summaries)]
    with Memory() as memory:
        started, cpu = time.perf_counter(), _cpu()
        source, target = (read_export(objects, BUCKET, summary) for summary in summaries)
        plan = spools.make_plan(source, target, KEY)
        spool = spools.Spool.open(root / "spool", source, target, plan)
        counts = compare(source, target, spool, objects, workers=workers).counts
        seconds, cpu = time.perf_counter() - started, _cpu() - cpu
    # The machine is not the same from minute to minute: the floor stands on both sides.
    floors.append(floor(objects, summaries))
    stored = sum(path.stat().st_size for path in (root / BUCKET).rglob("*.gz"))
    spooled = sum(path.stat().st_size for path in (root / "spool").rglob("*") if path.is_file())
    spool.remove()
    expected = len(range(5, source.items, 10_007))
    assert (counts.different, counts.differing) == (expected, expected), counts
    items = source.items + target.items
    least, least_cpu = (sum(each) / len(floors) for each in zip(*floors, strict=True))
    return Whole(
        items=source.items,
        workers=workers,
        stored_mb=round(stored / 1e6, 1),
        text_mb=round(text_bytes / 1e6, 1),
        spool_mb=round(spooled / 1e6, 1),
        seconds=round(seconds, 2),
        floor_seconds=round(least, 2),
        ratio=round(seconds / least, 2),
        cpu_seconds=round(cpu, 2),
        floor_cpu_seconds=round(least_cpu, 2),
        items_per_second=round(items / seconds),
        mb_per_second=round(text_bytes / 1e6 / seconds, 1),
        peak_memory_mb=round(memory.peak, 1),
        different=counts.different,
    )


@contextlib.contextmanager
def exports(count: int, directory: Path | None) -> Iterator[tuple[Path, list[str], int]]:
    root = Path(tempfile.mkdtemp(prefix="bench-", dir=directory))
    try:
        objects = Directory(root)
        made = [write_export(objects, number, count, 1024) for number in (1, 2)]
        os.sync()  # or the spool would wait for gigabytes that the exports still owe the disk
        yield root, [summary for summary, _ in made], sum(text for _, text in made)
    finally:
        shutil.rmtree(root)


def measured(count: int, workers: int, directory: Path | None) -> Whole:
    """`whole` in a fresh process: memory is a process's, and none inherits a warm one."""
    with exports(count, directory) as (root, summaries, text_bytes):
        command = [sys.executable, "-m", "tests.benchmarks.verification", "--row", str(root)]
        command += [*summaries, str(workers), str(text_bytes)]
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return Whole(**json.loads(done.stdout.splitlines()[-1]))


def tables(rates: list[Rate], wholes: list[Whole]) -> str:
    """Both tables for a terminal and for the README (Markdown)."""
    lines = [
        "| digesting, one core | items/s | MB/s | plain items/s | plain MB/s | against plain |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {r.case} ({r.line_bytes:,} B a line) | {r.items_per_second:,.0f} "
        f"| {r.mb_per_second:,.0f} | {r.plain_items_per_second:,.0f} "
        f"| {r.plain_mb_per_second:,.0f} | {r.ratio:.1f} × |"
        for r in rates
    ]
    lines += [
        "",
        "| items a side, 1 KB | processes | whole | floor | against the floor | on cores "
        "| floor, on cores | items/s | MB/s | spool | peak memory |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {w.items:,} | {w.workers} | {w.seconds:.1f} s | {w.floor_seconds:.1f} s "
        f"| {w.ratio:.1f} × | {w.cpu_seconds:.1f} s | {w.floor_cpu_seconds:.1f} s "
        f"| {w.items_per_second:,.0f} | {w.mb_per_second:,.0f} "
        f"| {w.spool_mb:,.0f} MB | {w.peak_memory_mb:,.0f} MB |"
        for w in wholes
    ]
    return "\n".join(lines)


def keep(rates: list[Rate], wholes: list[Whole]) -> None:
    """Writes what there is so far: the larger sizes take minutes."""
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    result = {"digesting": [asdict(r) for r in rates], "whole": [asdict(w) for w in wholes]}
    RESULTS.write_text(json.dumps(result, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.verification", description=__doc__
    )
    parser.add_argument("--quick", action="store_true", help="100,000 items only")
    parser.add_argument("--largest", type=int, default=GROWTH[-1], help="most items a side")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--dir", type=Path, help="where the exports are made; 2 KB an item")
    parser.add_argument("--row", nargs=5, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.row:
        root, one, other, workers, text_bytes = arguments.row
        row = whole(Path(root), [one, other], int(workers), int(text_bytes))
        print(json.dumps(asdict(row)))
        return
    rates = [rate(*case) for case in CASES]
    sizes = [n for n in GROWTH if n <= (GROWTH[0] if arguments.quick else arguments.largest)]
    wholes = []
    for count in sizes or [arguments.largest]:
        for workers in (
            sorted({1, arguments.workers}) if count == GROWTH[0] else [arguments.workers]
        ):
            wholes.append(measured(count, workers, arguments.dir))
            print(f"  {count:,} items, {workers} processes: {wholes[-1].seconds} s", flush=True)
            keep(rates, wholes)
    print(tables(rates, wholes))
    print(f"\nWritten to {RESULTS}")


if __name__ == "__main__":
    main()
