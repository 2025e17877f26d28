"""An export is read whole or refused by name: nothing damaged is ever taken for equal."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bootstrap.verify.exports.files import read_blocks
from bootstrap.verify.exports.lines import parse_change, parse_item
from bootstrap.verify.exports.manifest import DamagedExportError, Export, read_export, summary_key
from infra.local.emulator.export_files import S3Object
from tests.support.verify.exports import ARN, BUCKET, TIME, Directory, export, orders, write

pytestmark = pytest.mark.promise("C1")


@pytest.fixture
def objects(tmp_path: Path) -> Directory:
    return Directory(tmp_path, chunk=100)


def lines(objects: Directory, export: Export) -> list[bytes]:
    return [
        line
        for file in export.files
        for block in read_blocks(objects, export.bucket, file)
        for line in block
    ]


def test_every_line_of_every_file_is_read_and_empty_files_are_no_damage(
    objects: Directory,
) -> None:
    items = orders(50)
    parts: Any = [[], [{"Item": each} for each in items], []]
    made = read_export(objects, BUCKET, write(objects, 1, [], parts=parts))
    assert [json.loads(line)["Item"] for line in lines(objects, made)] == items
    assert (made.items, made.time, made.arn) == (50, TIME * 1_000_000, ARN.format(1))


@pytest.mark.parametrize("prefix", [None, "orders", "a/b", "AWSDynamoDB"])
@pytest.mark.parametrize("bare", [False, True])
def test_keys_in_manifests_are_understood_with_and_without_the_prefix(
    objects: Directory, prefix: str | None, bare: bool
) -> None:
    summary = write(objects, 1, orders(20), prefix=prefix, bare=bare)
    assert summary == summary_key(ARN.format(1), prefix)
    assert len(lines(objects, read_export(objects, BUCKET, summary))) == 20


def test_lines_end_at_line_feeds_alone(objects: Directory) -> None:
    item = {"pk": {"S": "a\u2028b\u2029c\u0085d\x1ce"}}
    made = export(objects, 1, [item])
    assert [parse_item(line) for line in lines(objects, made)] == [item]


def test_a_file_of_several_gzip_members_and_without_a_last_line_end_is_whole(
    objects: Directory,
) -> None:
    made = export(objects, 1, orders(30))
    file = max(made.files, key=lambda each: each.items)
    path = objects.root / BUCKET / file.key
    text = gzip.decompress(path.read_bytes()).rstrip(b"\n")
    body = gzip.compress(text[:70]) + gzip.compress(b"") + gzip.compress(text[70:])
    path.write_bytes(body)
    retold(objects, 1, file.key, body)
    again = read_export(objects, BUCKET, summary_key(ARN.format(1), "orders"))
    assert len(lines(objects, again)) == 30


def retold(objects: Directory, number: int, key: str, body: bytes) -> None:
    """Lets the manifest say what the file is now, and takes the manifest's own MD5 away."""
    import base64
    import hashlib

    folder = objects.root / BUCKET / f"orders/AWSDynamoDB/{ARN.format(number).rsplit('/', 1)[1]}"
    listed = [
        json.loads(each) for each in (folder / "manifest-files.json").read_text().split("\n")[:-1]
    ]
    for each in listed:
        if each["dataFileS3Key"] == key:
            digest = hashlib.md5(body, usedforsecurity=False).digest()
            each["md5Checksum"] = base64.b64encode(digest).decode()
    (folder / "manifest-files.json").write_text("".join(json.dumps(e) + "\n" for e in listed))
    (folder / "manifest-files.md5").unlink()


Damage = Callable[[bytes], bytes | None]


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda body: None, "does not exist"),
        (lambda body: body[:-1], "in the middle of its gzip stream"),
        (lambda body: body[: len(body) // 2], "in the middle of its gzip stream"),
        (lambda body: b"", "MD5|items"),
        (lambda body: body + b"x", "not valid gzip|MD5|middle"),
        (lambda body: body + gzip.compress(b""), "MD5"),
        (lambda body: gzip.compress(gzip.decompress(body).replace(b"plain", b"plane")), "MD5"),
        (lambda body: gzip.compress(gzip.decompress(body) + b'{"Item":{}}\n'), "more items than"),
        (lambda body: body[:40] + bytes([body[40] ^ 1]) + body[41:], "not valid gzip|MD5|items"),
    ],
)
def test_a_damaged_data_file_is_an_error_that_names_it(
    objects: Directory, damage: Damage, why: str
) -> None:
    made = export(objects, 1, orders(200))
    file = made.files[1]
    path = objects.root / BUCKET / file.key
    body = damage(path.read_bytes())
    path.unlink() if body is None else path.write_bytes(body)
    with pytest.raises(DamagedExportError, match=why) as caught:
        lines(objects, made)
    assert file.key in str(caught.value)
    assert "\nTry: " in str(caught.value)


def test_a_file_with_fewer_lines_than_its_manifest_says_is_refused_even_if_its_md5_fits(
    objects: Directory,
) -> None:
    made = export(objects, 1, orders(40))
    file = made.files[0]
    path = objects.root / BUCKET / file.key
    kept = gzip.decompress(path.read_bytes()).split(b"\n")[1:]
    body = gzip.compress(b"\n".join(kept))
    path.write_bytes(body)
    retold(objects, 1, file.key, body)
    again = read_export(objects, BUCKET, summary_key(ARN.format(1), "orders"))
    with pytest.raises(DamagedExportError, match=f"{file.items - 1} items"):
        lines(objects, again)


Change = Callable[[dict[str, Any]], Any]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda summary: summary.update(itemCount=41), "add up to 40"),
        (lambda summary: summary.update(outputFormat="ION"), "ION"),
        (lambda summary: summary.pop("exportTime"), "neither"),
        (lambda summary: summary.pop("exportArn"), "missing"),
        (lambda summary: summary.update(exportTime="yesterday"), "unreadable"),
        (lambda summary: summary.update(manifestFilesS3Key="AWSDynamoDB/else"), "does not exist"),
    ],
)
def test_a_summary_that_is_not_true_is_refused(
    objects: Directory, change: Change, why: str
) -> None:
    summary = write(objects, 1, orders(40))
    path = objects.root / BUCKET / summary
    parsed = json.loads(path.read_text())
    change(parsed)
    path.write_text(json.dumps(parsed))
    path.with_suffix(".md5").unlink()
    with pytest.raises(DamagedExportError, match=why):
        read_export(objects, BUCKET, summary)


@pytest.mark.parametrize("name", ["manifest-summary", "manifest-files"])
def test_a_manifest_that_is_not_what_its_md5_says_is_refused(objects: Directory, name: str) -> None:
    summary = write(objects, 1, orders(10))
    path = (objects.root / BUCKET / summary).with_name(f"{name}.json")
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(DamagedExportError, match="MD5"):
        read_export(objects, BUCKET, summary)
    path.unlink()
    with pytest.raises(DamagedExportError, match="does not exist"):
        read_export(objects, BUCKET, summary)


def test_a_manifest_that_lost_a_line_or_has_one_twice_is_refused(objects: Directory) -> None:
    summary = write(objects, 1, orders(40))
    path = (objects.root / BUCKET / summary).with_name("manifest-files.json")
    path.with_suffix(".md5").unlink()
    listed = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(listed[1:]))
    with pytest.raises(DamagedExportError, match="add up"):
        read_export(objects, BUCKET, summary)
    path.write_bytes(b"".join([*listed, listed[0]]))
    with pytest.raises(DamagedExportError, match="twice"):
        read_export(objects, BUCKET, summary)
    path.write_bytes(b"".join(listed)[:-30])
    with pytest.raises(DamagedExportError, match="not JSON"):
        read_export(objects, BUCKET, summary)


@pytest.mark.parametrize("stamp", ["1680109764000001", 1680109764000001, {"N": "1680109764000001"}])
def test_a_line_of_an_incremental_export_is_read_with_any_form_of_its_timestamp(stamp: Any) -> None:
    line = {
        "Metadata": {"WriteTimestampMicros": stamp},
        "Keys": {"pk": {"B": "AP8="}},
        "NewImage": {"pk": {"B": "AP8="}, "n": {"N": "1"}},
    }
    change = parse_change(json.dumps(line).encode())
    assert change.micros == 1680109764000001
    assert change.keys == {"pk": {"B": b"\x00\xff"}}
    assert change.new == {"pk": {"B": b"\x00\xff"}, "n": {"N": "1"}}
    assert change.old is None


def test_a_delete_in_an_incremental_export_has_no_new_image() -> None:
    line = {
        "Metadata": {"WriteTimestampMicros": "1680109764000001"},
        "Keys": {"pk": {"S": "a"}},
        "OldImage": {"pk": {"S": "a"}},
    }
    change = parse_change(json.dumps(line).encode())
    assert (change.new, change.old) == (None, {"pk": {"S": "a"}})


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"7",
        b'{"Item":{"pk":{"S":"a"}}}',
        b'{"Metadata":{},"Keys":{}}',
        b'{"Metadata":{"WriteTimestampMicros":"now"},"Keys":{}}',
        b'{"Metadata":{"WriteTimestampMicros":1e999},"Keys":{"pk":{"S":"a"}}}',
        b'{"Metadata":{"WriteTimestampMicros":NaN},"Keys":{"pk":{"S":"a"}}}',
        b'{"Metadata":{"WriteTimestampMicros":true},"Keys":{"pk":{"S":"a"}}}',
        b"[" * 100_000,
        b'{"Metadata":{"WriteTimestampMicros":"1680109764000001"},"Keys":{"pk":{"B":"?"}}}',
        b'{"Metadata":{"WriteTimestampMicros":"1680109764000001"},"Keys":{}}',
    ],
)
def test_what_is_no_line_of_an_incremental_export_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError):
        parse_change(line)


@pytest.mark.parametrize(
    "stamp", ["1680109764", 1680109764000, {"N": "1680109764000000001"}, "0", "-1680109764000001"]
)
def test_write_timestamp_in_another_unit_than_microseconds_is_refused(stamp: Any) -> None:
    line = {
        "Metadata": {"WriteTimestampMicros": stamp},
        "Keys": {"pk": {"S": "a"}},
        "NewImage": {"pk": {"S": "a"}},
    }
    with pytest.raises(ValueError, match="not in microseconds"):
        parse_change(json.dumps(line).encode())


@pytest.mark.parametrize("image", ["NewImage", "OldImage"])
@pytest.mark.parametrize("other", [{"pk": {"S": "b"}, "sk": {"N": "100"}}, {"pk": {"S": "a"}}])
def test_image_of_another_key_than_the_line_s_is_refused(image: str, other: dict[str, Any]) -> None:
    line = {
        "Metadata": {"WriteTimestampMicros": "1680109764000001"},
        "Keys": {"pk": {"S": "a"}, "sk": {"N": "100"}},
        image: {**other, "v": {"S": "x"}},
    }
    with pytest.raises(ValueError, match=f"the {image} has another key"):
        parse_change(json.dumps(line).encode())


def test_key_of_an_image_is_compared_by_value() -> None:
    line = {
        "Metadata": {"WriteTimestampMicros": "1680109764000001"},
        "Keys": {"pk": {"S": "a"}, "sk": {"N": "1E+2"}},
        "NewImage": {"pk": {"S": "a"}, "sk": {"N": "100"}},
    }
    assert parse_change(json.dumps(line).encode()).new is not None


def test_a_window_is_read_from_an_incremental_summary(objects: Directory) -> None:
    summary = write(objects, 1, orders(3))
    path = objects.root / BUCKET / summary
    parsed = json.loads(path.read_text())
    del parsed["exportTime"]
    parsed |= {
        "exportFromTime": "2026-01-01T00:00:00.000Z",
        "exportToTime": "2026-01-01T00:15:00Z",
    }
    body = json.dumps(parsed).encode()
    path.with_suffix(".md5").unlink()
    objects.put(S3Object(summary, body))
    made = read_export(objects, BUCKET, summary)
    assert made.time is None
    assert made.window is not None and made.window[1] - made.window[0] == 900 * 1_000_000
