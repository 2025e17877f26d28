"""Recorded screens show what the code still prints: every label of a line is a text of the code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from xml.etree import ElementTree

import pytest

from tests.docs import record_demo, screen
from tests.docs.pages import ROOT, document_names, tracked

LABEL = re.compile(r"^ {0,2}([a-zA-Z][a-z-]*(?: [a-z-]+)*) {2,}\S")
"""A word or a few at the beginning of a line, with a column of spaces after it."""


@cache
def texts() -> frozenset[str]:
    """Collect the words of every text in the code, one entry for each text."""
    found = set()
    for path in tracked("bootstrap/*.py", "infra/local/*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value.strip())
    return frozenset(found)


def labels(lines: Iterator[str] | list[str]) -> set[str]:
    return {found[1] for line in lines if (found := LABEL.match(line))}


def printed(label: str) -> bool:
    return any(text == label or text.startswith(f"{label} ") for text in texts())


def transcripts(name: str) -> list[str]:
    text = (ROOT / name).read_text(encoding="utf-8")
    blocks = re.findall(r"^```\n(\$ python -m bootstrap .*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line[:1] != "$"]


@pytest.mark.parametrize("name", document_names())
def test_labels_of_recorded_screens_are_texts_of_the_code(name: str) -> None:
    unknown = {label for label in labels(transcripts(name)) if not printed(label)}
    assert not unknown, f"{name} shows labels that no code prints"


def test_the_picture_of_the_demo_shows_what_the_demo_prints() -> None:
    picture = ElementTree.fromstring(record_demo.PICTURE.read_text(encoding="utf-8"))
    first: dict[str, str] = {}
    for text in picture.iter("{http://www.w3.org/2000/svg}text"):
        first.setdefault(text.get("y", ""), (text.text or "").replace("\xa0", " "))
    bold = {text.strip() for text in first.values()}
    assert {"Data", "Bootstrap", "Verifying", "Differences"} <= bold
    assert all(printed(label) for label in labels(list(first.values())))


def test_lines_that_are_drawn_over_are_not_shown() -> None:
    written = "one\r\n\x1b[32mtwo\x1b[0m\r\n\x1b[1A\x1b[2Kthree\r\n"
    assert [screen.plain(line) for line in screen.shown(written)] == ["one", "three", ""]
