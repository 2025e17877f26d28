"""The documents that the command and a job on Spark exchange."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from bootstrap.core.errors import (
    AccessDeniedError,
    BlockedError,
    BootstrapError,
    LeaseLostError,
    Side,
    UnavailableError,
)
from bootstrap.core.suggestions import Command, suggest
from bootstrap.verify.compare.comparison import ComparisonProgress
from bootstrap.verify.compare.partitions import Counts, Difference, ExportedItem, pack_difference
from bootstrap.verify.exports.manifest import DamagedExportError, DuplicateKeyError
from bootstrap.verify.spark.places import DirectoryPlace
from bootstrap.verify.spark.request import (
    ITEMS_PER_BUCKET,
    MOST_BUCKETS,
    JobRequest,
    make_request,
    read_request,
    write_request,
)
from bootstrap.verify.spark.results import (
    OtherResultsError,
    part_name,
    raise_error,
    read_progress,
    read_results,
    write_error,
    write_progress,
    write_results,
)
from tests.support.verify.exports import Directory, export, orders


@pytest.fixture
def place(tmp_path: Path) -> DirectoryPlace:
    return DirectoryPlace(tmp_path / "place")


@pytest.fixture
def request_(tmp_path: Path) -> JobRequest:
    objects = Directory(tmp_path / "s3")
    source, target = (export(objects, n, orders(3)) for n in (1, 2))
    return make_request(source, target, ("sk", "pk"), 0.25)


def differences(*keys: int) -> list[Difference]:
    item = ExportedItem(b"i" * 16, 3, 4)
    return [Difference(bytes([key]) * 16, item, None) for key in keys]


def finish(place: DirectoryPlace, request: JobRequest, *parts: list[Difference]) -> Counts:
    missing = sum(map(len, parts))
    counts = Counts(source=3, target=3 - missing, equal=3 - missing, missing=missing)
    for bucket, part in enumerate(parts):
        place.write(part_name(bucket), b"".join(map(pack_difference, part)))
    write_results(place, request, counts, tuple((n, len(part)) for n, part in enumerate(parts)))
    return counts


def test_a_request_reads_as_it_was_written(place: DirectoryPlace, request_: JobRequest) -> None:
    write_request(place, request_)

    assert read_request(place) == request_
    assert request_.key == ("pk", "sk")
    assert request_.source.summary.endswith("/manifest-summary.json")
    assert request_.source.items == 3


@pytest.mark.parametrize(
    "body, why",
    [
        (None, "it does not exist"),
        (b"{}", "a field is missing"),
        (b"no JSON", "Expecting value"),
    ],
)
def test_a_request_that_cannot_be_read_says_why(
    place: DirectoryPlace, body: bytes | None, why: str
) -> None:
    if body is not None:
        place.write("request.json", body)
    with pytest.raises(BlockedError, match=why):
        read_request(place)


def test_a_request_of_another_version_is_refused(
    place: DirectoryPlace, request_: JobRequest
) -> None:
    write_request(place, replace(request_, version=99))
    with pytest.raises(BlockedError, match="version 99"):
        read_request(place)


def test_a_request_has_buckets_for_its_items(tmp_path: Path) -> None:
    made = export(Directory(tmp_path / "s3"), 1, orders(3))

    def buckets(items: int, sample: float = 1.0) -> int:
        large = replace(made, files=(replace(made.files[0], items=items),))
        return make_request(made, large, ("pk",), sample).buckets

    assert buckets(0) == buckets(ITEMS_PER_BUCKET) == 1
    assert buckets(ITEMS_PER_BUCKET + 1) == 2
    assert buckets(ITEMS_PER_BUCKET * 10, 0.1) == 1
    assert buckets(10**15) == MOST_BUCKETS


def test_results_are_there_once_the_counts_are(place: DirectoryPlace, request_: JobRequest) -> None:
    assert read_results(place, request_) is None
    first, second = differences(1, 2), differences(7)

    counts = finish(place, request_, first, second)

    found = read_results(place, request_)
    assert found is not None
    assert found.counts == counts
    assert list(found.differences()) == [*first, *second]
    found.remove()
    assert not [path for path in place.directory.rglob("*") if path.is_file()]


def test_results_of_another_request_are_refused(
    place: DirectoryPlace, request_: JobRequest
) -> None:
    finish(place, request_, differences(1))
    with pytest.raises(OtherResultsError, match="of another request"):
        read_results(place, replace(request_, sample=0.5))


@pytest.mark.parametrize(
    ("counts", "parts", "why"),
    [
        ({"missing": 1, "equal": 2, "target": 2}, [], "0 differences are listed, and 1 counted"),
        ({"missing": 1, "equal": 2, "target": 2}, [[0, 2]], "2 differences are listed"),
        ({"equal": 2, "target": 3}, [], "the source has 3 items, and 2 were compared"),
        ({"equal": 3, "target": 2}, [], "the target has 2 items, and 3 were compared"),
        ({"source": 1, "target": 1, "equal": 1}, [], "1 of the 3 items of "),
        ({"missing": 2, "equal": 1, "target": 1}, [[1, 1], [0, 1]], "not in order"),
        ({"missing": -1, "equal": 4, "target": 4}, [], "a number is negative"),
    ],
)
def test_counts_that_contradict_parts_or_manifests_are_no_result(
    place: DirectoryPlace,
    request_: JobRequest,
    counts: dict[str, int],
    parts: list[list[int]],
    why: str,
) -> None:
    whole = replace(request_, sample=1.0)
    value = {
        "request": whole.identity,
        "counts": {**asdict(Counts(source=3, target=3, equal=3)), **counts},
        "parts": parts,
    }
    place.write("counts.json", json.dumps(value).encode())
    with pytest.raises(OtherResultsError, match=why):
        read_results(place, whole)


@pytest.mark.parametrize("spoilt", [None, b"", b"x" * 64])
def test_a_part_that_is_lost_or_truncated_is_noticed(
    place: DirectoryPlace, request_: JobRequest, spoilt: bytes | None
) -> None:
    finish(place, request_, differences(1), differences(2))
    place.remove(part_name(1))
    if spoilt is not None:
        place.write(part_name(1), spoilt)
    found = read_results(place, request_)
    assert found is not None

    with pytest.raises(OtherResultsError, match="part-00001 does not have the 1") as caught:
        list(found.differences())

    assert f"rm -r {place.directory}" in caught.value.fix


def test_parts_out_of_order_are_noticed(place: DirectoryPlace, request_: JobRequest) -> None:
    finish(place, request_, differences(3), differences(2))
    found = read_results(place, request_)
    assert found is not None
    with pytest.raises(OtherResultsError, match="part-00001 is not in the order"):
        list(found.differences())


@pytest.mark.parametrize(
    "body", [b"{", b"{}", b'{"request": "x", "counts": {"a": 1}, "parts": []}']
)
def test_counts_that_cannot_be_read_are_no_result(
    place: DirectoryPlace, request_: JobRequest, body: bytes
) -> None:
    place.write("counts.json", body)
    with pytest.raises(OtherResultsError, match=r"counts\.json is unreadable"):
        read_results(place, request_)


@pytest.mark.parametrize(
    "error",
    [
        DamagedExportError("a", fix="b"),
        DuplicateKeyError("a", fix=suggest(Command("verify", "--fresh"), " and more")),
        AccessDeniedError(Side.TARGET, "a", fix="b", code="AccessDenied"),
        UnavailableError(Side.SOURCE, "a", fix="b", resumable=False),
    ],
)
def test_an_error_is_raised_as_what_it_was(place: DirectoryPlace, error: BootstrapError) -> None:
    raise_error(place)
    write_error(place, error)

    with pytest.raises(type(error)) as caught:
        raise_error(place)

    again = caught.value
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert again.suggestion == error.suggestion
    assert again.exit_code == error.exit_code
    assert again.resumable == error.resumable


def test_an_error_of_another_kind_is_raised_as_the_nearest_known(place: DirectoryPlace) -> None:
    write_error(place, LeaseLostError("a", fix="b"))
    with pytest.raises(BlockedError, match="a") as caught:
        raise_error(place)
    assert type(caught.value) is BlockedError


def test_progress_reads_as_it_was_written(place: DirectoryPlace) -> None:
    assert read_progress(place) is None
    progress = ComparisonProgress(1, 2, 3, 4, 5, 6)
    write_progress(place, progress)
    assert read_progress(place) == progress
