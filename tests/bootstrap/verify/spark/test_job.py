"""The job on Spark finds, and fails on, exactly what the one-process engine does."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bootstrap.core.errors import AccessDeniedError, BootstrapError
from bootstrap.verify.compare import spool as spools
from bootstrap.verify.compare.comparison import Comparison, compare
from bootstrap.verify.compare.external_sort import KeySpool
from bootstrap.verify.compare.partitions import Counts, pack_difference
from bootstrap.verify.compare.spool import Spool
from bootstrap.verify.exports.manifest import DamagedExportError, Export
from bootstrap.verify.judge.classify import Moments
from bootstrap.verify.judge.report import Judgements, Report, open_report, report_differences
from bootstrap.verify.spark import request as requests
from bootstrap.verify.spark.places import DirectoryPlace
from bootstrap.verify.spark.request import make_request, write_request
from bootstrap.verify.spark.results import part_name, raise_error, read_results
from tests.support.verify.engine_cases import CASES, EngineCase, large_counts
from tests.support.verify.exports import BUCKET, TIME, Directory, export, orders

pytestmark = [pytest.mark.slow, pytest.mark.promise("C1")]


@pytest.fixture
def objects(tmp_path: Path) -> Directory:
    return Directory(tmp_path / "s3")


def by_process(
    directory: Path, objects: Directory, exports: tuple[Export, Export], case: EngineCase
) -> Comparison:
    plan = spools.make_plan(*exports, case.key, case.sample)
    spool = Spool.open(directory / "spool", *exports, plan)
    return compare(*exports, spool, objects, workers=1)


def by_spark(
    session: Any,
    directory: Path,
    objects: Directory,
    exports: tuple[Export, Export],
    case: EngineCase,
) -> Comparison:
    from bootstrap.verify.spark.job import run_job

    source, target = exports
    place = DirectoryPlace(directory / "place")
    request = make_request(source, target, case.key, case.sample)
    write_request(place, request)
    run_job(session, place, objects, progress_seconds=0.05)
    found = read_results(place, request)
    assert found is not None
    return Comparison(source, target, request.key, found.counts, found, place.directory)


def packed(made: Comparison) -> bytes:
    return b"".join(map(pack_difference, made.differences()))


class FrozenLedger:
    """A ledger that never changes: no key was written since."""

    def entries(self, keys: Sequence[bytes]) -> dict[bytes, dict[str, Any]]:
        return {}


def report_lines(path: Path, objects: Directory, made: Comparison) -> list[str]:
    moment = TIME * 1_000_000
    moments = Moments(moment, moment + 10**9, moment + 10**9, moment + 10**9)
    spool = KeySpool(made.directory)
    with open_report(path) as file:
        report = Report(file, values=True)
        judgements = Judgements(KeySpool(made.directory))
        for each, judgement in report_differences(
            objects, made, FrozenLedger(), moments, judgements, spool, values=True
        ):
            report.add(each, judgement)
    return path.read_text().split("\n")[:-1]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_one_process_finds_spark_finds(
    session: Any, tmp_path: Path, objects: Directory, case: EngineCase
) -> None:
    exports = case.make(objects)
    if case.error:
        with pytest.raises(DamagedExportError, match=case.error) as expected:
            by_process(tmp_path, objects, exports, case)
        with pytest.raises(DamagedExportError) as caught:
            by_spark(session, tmp_path, objects, exports, case)
        assert (type(caught.value), str(caught.value)) == (
            type(expected.value),
            str(expected.value),
        )
        with pytest.raises(type(expected.value)) as stored:
            raise_error(DirectoryPlace(tmp_path / "place"))
        assert str(stored.value) == str(expected.value)
        return
    alone = by_process(tmp_path, objects, exports, case)
    several = by_spark(session, tmp_path, objects, exports, case)
    assert several.counts == alone.counts
    assert packed(several) == packed(alone)
    assert several.key == alone.key
    reports = [
        report_lines(tmp_path / f"{n}.jsonl", objects, each)
        for n, each in enumerate((alone, several))
    ]
    assert reports[0] == reports[1]
    assert len(reports[0]) == alone.counts.differing
    several.results.remove()
    assert not [path for path in several.directory.rglob("*") if path.is_file()]


@pytest.mark.parametrize("per_bucket", [7, 90])
def test_many_buckets_come_to_the_same(
    session: Any,
    tmp_path: Path,
    objects: Directory,
    monkeypatch: pytest.MonkeyPatch,
    per_bucket: int,
) -> None:
    monkeypatch.setattr(requests, "ITEMS_PER_BUCKET", per_bucket)
    case = next(each for each in CASES if each.name == "a wrong table")
    exports = case.make(objects)

    several = by_spark(session, tmp_path, objects, exports, case)

    alone = by_process(tmp_path, objects, exports, case)
    assert several.counts == alone.counts == Counts(400, 600, 0, 300, 500, 100)
    assert packed(several) == packed(alone)
    assert len(list((several.directory / "differences").iterdir())) > 3


def test_a_finished_comparison_is_not_run_again(
    session: Any, tmp_path: Path, objects: Directory
) -> None:
    case = EngineCase("", lambda objects: (export(objects, 1, orders(9)), export(objects, 2, [])))
    exports = case.make(objects)
    by_spark(session, tmp_path, objects, exports, case)
    part = tmp_path / "place" / part_name(0)
    written = part.stat().st_mtime_ns
    for file in exports[0].files:
        (objects.root / BUCKET / file.key).unlink()

    again = by_spark(session, tmp_path, objects, exports, case)

    assert again.counts == Counts(source=9, missing=9)
    assert part.stat().st_mtime_ns == written


def test_a_refusal_of_s3_is_the_same_error(
    session: Any, tmp_path: Path, objects: Directory
) -> None:
    case = CASES[1]
    exports = case.make(objects)
    denied = replace(objects, denied=frozenset({BUCKET}))
    with pytest.raises(AccessDeniedError) as expected:
        by_process(tmp_path, denied, exports, case)

    with pytest.raises(AccessDeniedError) as caught:
        by_spark(session, tmp_path, denied, exports, case)

    assert str(caught.value).partition(" on ")[0] == str(expected.value).partition(" on ")[0]
    assert (caught.value.exit_code, caught.value.code) == (4, "AccessDenied")


def test_a_manifest_that_changed_since_the_request_is_refused(
    session: Any, tmp_path: Path, objects: Directory
) -> None:
    case = CASES[1]
    source, target = case.make(objects)
    export(objects, 2, orders(299))

    with pytest.raises(DamagedExportError, match="has changed since the comparison began"):
        by_spark(session, tmp_path, objects, (source, target), case)


def test_an_error_of_sparks_own_is_reported_with_its_first_line(
    session: Any, tmp_path: Path, objects: Directory
) -> None:
    (tmp_path / "place").mkdir()
    (tmp_path / "place" / "differences").write_text("no folder")  # so that no task can write
    case = next(each for each in CASES if each.name == "an empty target")

    with pytest.raises(BootstrapError, match="The Spark job failed: FileExistsError") as caught:
        by_spark(session, tmp_path, objects, case.make(objects), case)

    assert "look for the reason" in caught.value.fix


def test_no_log_line_holds_an_items_content(
    session: Any, tmp_path: Path, objects: Directory
) -> None:
    theirs = [*orders(5), {"pk": {"S": "secret-key"}, "x": {"X": "secret-value"}}]
    exports = (export(objects, 1, orders(5)), export(objects, 2, theirs))
    with pytest.raises(DamagedExportError) as caught:
        by_spark(session, tmp_path, objects, exports, CASES[0])
    assert "secret" not in str(caught.value.__cause__) + json.dumps(str(caught.value))


def test_thousands_of_tiny_files_share_tasks(
    session: Any, tmp_path: Path, objects: Directory
) -> None:
    from bootstrap.verify.spark.job import plan_tasks

    exports = large_counts(objects, 1_500)
    tasks = plan_tasks(*exports)
    assert 2 <= len(tasks) < 50
    assert sorted((each.side, each.file.number) for task in tasks for each in task) == [
        (side, file.number) for side, made in enumerate(exports) for file in made.files
    ]
    found = by_spark(session, tmp_path, objects, exports, EngineCase("", large_counts))  # type: ignore[arg-type]
    assert found.counts == Counts(1_500, 1_499, 1_499, missing=1)
    assert [each.source.file for each in found.differences() if each.source] == [0]


def test_a_task_takes_one_large_file_and_the_largest_come_first(
    tmp_path: Path, objects: Directory
) -> None:
    from bootstrap.verify.spark.job import plan_tasks

    source, target = export(objects, 1, orders(10)), export(objects, 2, orders(10))
    sizes = [5_000, 0, 90_000, 3_000]
    source = replace(
        source,
        files=tuple(
            replace(file, items=size) for file, size in zip(source.files, sizes, strict=True)
        ),
    )
    planned = [[each.file.items for each in task] for task in plan_tasks(source, target)]
    assert planned[:3] == [[90_000], [5_000], [3_000]]
    assert len(planned) == 4


def test_fifty_thousand_files_make_thousands_of_tasks_of_one_size(objects: Directory) -> None:
    from bootstrap.verify.spark.job import MOST_TASKS, plan_tasks

    made = export(objects, 1, orders(10))
    files = tuple(replace(made.files[0], number=n, items=200_000) for n in range(50_000))
    tasks = plan_tasks(replace(made, files=files), replace(made, files=()))
    assert MOST_TASKS <= len(tasks) < 1.2 * MOST_TASKS
    assert max(map(len, tasks)) <= 13


def test_a_key_twice_names_the_first_two_places() -> None:
    from bootstrap.verify.spark.buckets import RepeatedKeyError, compare_bucket

    def record(key: int, file: int, line: int) -> bytes:
        return bytes([key]) * 16 + bytes(16) + file.to_bytes(4, "big") + line.to_bytes(4, "big")

    target = [record(9, 3, 1), record(1, 2, 7), record(9, 0, 4), record(1, 0, 9), record(9, 1, 0)]
    with pytest.raises(RepeatedKeyError) as caught:
        compare_bucket([record(1, 0, 0)], target)
    assert caught.value.of_target
    assert (caught.value.first, caught.value.second) == (target[2], target[4])
