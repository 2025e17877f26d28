"""The user's data file: accepted lines, and refused ones with their number and a way out."""

from __future__ import annotations

import base64
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from infra.local.data import datafile
from infra.local.data.datafile import DataFileError, KeyOption

GOOD = {"pk": {"S": "a"}, "sk": {"N": "1"}}


def write(path: Path, *lines: str | dict[str, Any]) -> Path:
    texts = [
        line if isinstance(line, str) else json.dumps({"Item": line}, ensure_ascii=False)
        for line in lines
    ]
    path.write_text("".join(text + "\n" for text in texts), encoding="utf-8")
    return path


def refusal(path: Path, key: str | None = None) -> str:
    with pytest.raises(DataFileError) as caught:
        datafile.check(path, KeyOption.parse(key) if key else None)
    message = str(caught.value)
    assert message.splitlines()[-1].startswith("Try: ")
    return message


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data.json"


def test_a_byte_order_mark_is_no_part_of_the_first_line(path: Path) -> None:
    path.write_text(json.dumps({"Item": GOOD}) + "\n", encoding="utf-8-sig")
    assert datafile.check(path, None).items == 1


def test_every_type_is_read_with_binary_as_bytes(path: Path) -> None:
    blob = base64.b64encode(b"\x00\xff").decode()
    item = {
        "pk": {"B": blob},
        "s": {"S": ""},
        "n": {"N": "-1.5E+3"},
        "flag": {"BOOL": False},
        "none": {"NULL": True},
        "list": {"L": [{"B": blob}, {"M": {"deep": {"B": ""}}}]},
        "ss": {"SS": ["b", ""]},
        "ns": {"NS": ["1", "2"]},
        "bs": {"BS": [blob]},
    }

    write(path, item)
    checked = datafile.check(path, KeyOption.parse("pk"))
    (read,) = datafile.read(path)

    assert str(checked.keys) == "pk:B"
    assert read["pk"] == {"B": b"\x00\xff"}
    assert read["list"] == {"L": [{"B": b"\x00\xff"}, {"M": {"deep": {"B": b""}}}]}
    assert read["bs"] == {"BS": [b"\x00\xff"]}
    assert read["n"] == {"N": "-1.5E+3"}


def test_a_gzipped_file_is_known_by_its_content(tmp_path: Path) -> None:
    path = tmp_path / "named-like-plain.json"
    path.write_bytes(gzip.compress(json.dumps({"Item": GOOD}).encode()))

    assert datafile.check(path, None).items == 1


def test_blank_lines_and_line_separators_inside_strings_are_no_lines(path: Path) -> None:
    write(path, {**GOOD, "t": {"S": "a\u2028b\x85c"}}, "", "  ")

    assert datafile.check(path, None).lines == 1


def test_the_default_key_is_pk_and_sk_where_the_first_item_has_one(tmp_path: Path) -> None:
    with_sort = write(tmp_path / "one", GOOD)
    without = write(tmp_path / "two", {"pk": {"N": "1"}})

    assert str(datafile.check(with_sort, None).keys) == "pk:S,sk:N"
    assert str(datafile.check(without, None).keys) == "pk:N"


def test_types_left_out_are_those_of_the_first_item(path: Path) -> None:
    write(path, {"id": {"N": "1"}, "at": {"S": "x"}})

    assert str(datafile.check(path, KeyOption.parse("id,at")).keys) == "id:N,at:S"


def test_lines_with_the_same_key_are_counted_and_the_last_one_stands(path: Path) -> None:
    write(path, {"pk": {"N": "1"}}, {"pk": {"N": "2"}}, {"pk": {"N": "1.0"}, "last": {"S": "x"}})

    checked = datafile.check(path, None)

    assert (checked.lines, checked.items, checked.duplicates) == (3, 2, 1)


MALFORMED: list[tuple[str | dict[str, Any], str]] = [
    ("{not json", "not JSON"),
    ("[1]", "not an object"),
    ('{"item": {}}', 'no "Item"'),
    ('{"Item": 3}', "not an object of attributes"),
    ('{"Item": {}, "more": 1}', "more than"),
    ('{"Keys": {}, "NewImage": {}}', "incremental export"),
    ("$ion_1_0 {Item:{}}", "ION"),
    ('{"Item": {"pk": {"S": "a"}, "pk": {"S": "b"}}}', "twice"),
    ('{"Item": {"pk": {"N": NaN}}}', "NaN"),
    ({"pk": "plain"}, "pk is a string"),
    ({**GOOD, "x": {}}, "x is an empty object"),
    ({**GOOD, "x": {"S": "a", "N": "1"}}, "x is an object of 2 keys"),
    ({**GOOD, "x": {"Z": "a"}}, "type 'Z'"),
    ({**GOOD, "x": {"S": 1}}, "x (S) is a number"),
    ({**GOOD, "x": {"N": 1}}, "numbers as strings"),
    ({**GOOD, "x": {"N": "one"}}, "not a number"),
    ({**GOOD, "x": {"N": "Infinity"}}, "not a number"),
    ({**GOOD, "x": {"N": "1_000"}}, "not a number"),
    ({**GOOD, "x": {"N": "1" * 38 + ".5"}}, "38 significant digits"),
    ({**GOOD, "x": {"N": "1E126"}}, "outside"),
    ({**GOOD, "x": {"N": "1E-131"}}, "outside"),
    ({**GOOD, "x": {"B": "a"}}, "base64"),
    ({**GOOD, "x": {"B": "YQ=\n="}}, "base64"),
    ({**GOOD, "x": {"BOOL": "true"}}, "not true or false"),
    ({**GOOD, "x": {"NULL": False}}, "only true"),
    ({**GOOD, "x": {"SS": []}}, "empty set"),
    ({**GOOD, "x": {"SS": ["a", "a"]}}, "same member twice"),
    ({**GOOD, "x": {"NS": ["1", "1.0"]}}, "same member twice"),
    ({**GOOD, "x": {"SS": "a"}}, "not an array"),
    ({**GOOD, "x": {"L": {}}}, "not an array"),
    ({**GOOD, "x": {"M": []}}, "not an object"),
    ({**GOOD, "x": {"L": [{"M": {"y": {"S": None}}}]}}, "x[0].y (S) is null"),
    ({**GOOD, "": {"S": "a"}}, "empty name"),
    ({**GOOD, "x": {"S": "a" * 409_600}}, "409,6"),
    ('{"Item": {"pk": {"S": "\\ud800"}}}', "surrogate"),
    ({"pk": {"S": ""}, "sk": {"N": "1"}}, "'pk' is empty"),
    ({"pk": {"S": "a" * 2049}, "sk": {"N": "1"}}, "2,049 bytes"),
    ({"pk": {"N": "1"}, "sk": {"N": "1"}}, "'pk' is N in line 3"),
    ({"pk": {"S": "1"}}, "no attribute 'sk'"),
]


@pytest.mark.parametrize(("line", "reason"), MALFORMED)
def test_a_malformed_line_is_told_with_its_number_and_the_reason(
    path: Path, line: str | dict[str, Any], reason: str
) -> None:
    write(path, GOOD, "", line, GOOD)

    message = refusal(path)

    assert reason in message
    assert "line 3" in message


def test_nesting_deeper_than_32_levels_is_refused(path: Path) -> None:
    def nested(levels: int) -> dict[str, Any]:
        value: dict[str, Any] = {"S": "a"}
        for _ in range(levels):
            value = {"L": [value]}
        return {**GOOD, "x": value}

    assert datafile.check(write(path, nested(32)), None).items == 1
    assert "32 levels" in refusal(write(path, nested(33)))


def test_a_line_that_breaks_off_is_told_with_the_column_where_it_does(path: Path) -> None:
    write(path, GOOD, '{"Item": {"pk": {"S": "a"}')

    assert "line 2: it is not JSON: Expecting ',' delimiter (column 27)" in refusal(path)


def test_a_line_that_is_not_utf_8_is_told_with_its_number(path: Path) -> None:
    path.write_bytes(json.dumps({"Item": GOOD}).encode() + b'\n{"Item": {"pk": {"S": "\xff"}}}\n')

    assert "line 2: it is not UTF-8" in refusal(path)


def test_a_gzip_file_that_breaks_off_is_told(path: Path) -> None:
    lines = "".join(json.dumps({"Item": {"pk": {"S": str(n)}}}) + "\n" for n in range(5000))
    path.write_bytes(gzip.compress(lines.encode())[:-200])

    assert "not a whole gzip file" in refusal(path)


def test_a_file_without_items_or_that_is_not_there_is_told(path: Path) -> None:
    assert "cannot be read" in refusal(path)
    assert "no items" in refusal(write(path, ""))


def test_a_missing_key_lists_what_could_be_the_key(path: Path) -> None:
    write(
        path,
        {"order": {"S": "a"}, "day": {"N": "1"}, "extra": {"S": "x"}, "set": {"SS": ["a"]}},
        {"order": {"S": "b"}, "day": {"N": "1"}, "set": {"SS": ["a"]}},
    )

    message = refusal(path)

    assert "no attribute 'pk'" in message
    assert "order (S, 2 different values in 2 items)" in message
    assert "day (N, 1 different values" in message
    assert "extra" not in message
    assert "set" not in message
    assert "Try: --key order:S" in message


def test_two_attributes_are_proposed_where_none_alone_tells_all_items_apart(path: Path) -> None:
    write(
        path,
        *(
            {"shop": {"S": shop}, "order": {"S": order}}
            for shop in "ab"
            for order in ("1", "2", "3")
        ),
    )

    assert "Try: --key shop:S,order:S" in refusal(path)


def test_the_key_that_is_proposed_can_be_typed_though_nothing_tells_the_items_apart(
    path: Path,
) -> None:
    write(path, {"id": {"S": "a"}}, {"id": {"S": "a"}, "v": {"S": "b"}})

    proposed = refusal(path).splitlines()[-1].split()[2]

    assert datafile.check(path, KeyOption.parse(proposed)).items == 1


def test_a_key_of_another_type_than_was_said_is_told(path: Path) -> None:
    assert "'sk' is N in line 1, not S" in refusal(write(path, GOOD), "pk:S,sk:S")


@pytest.mark.parametrize("text", ["", ",", "pk:X", "a,b,c", "a,a", "pk:S,", ":S"])
def test_a_key_option_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(DataFileError, match="Try: "):
        KeyOption.parse(text)


def test_the_content_of_a_bad_value_is_not_repeated(path: Path) -> None:
    write(path, {**GOOD, "x": {"N": "secret-number"}})

    assert "secret-number" not in refusal(path)
