"""The glossary lists words that are in use, each once, in order."""

from __future__ import annotations

import re

from tests.docs import language
from tests.docs.pages import DOCS

GLOSSARY = DOCS / "glossary.md"


def words() -> list[str]:
    return re.findall(r"^\| \*\*(.+?)\*\*", GLOSSARY.read_text(encoding="utf-8"), re.MULTILINE)


def test_every_word_of_the_glossary_is_used_in_the_code() -> None:
    code = "\n".join(
        path.read_text(encoding="utf-8") for path in language.python_files(*language.PRODUCTION)
    )
    used = re.sub(r"[\s_-]+", " ", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", code)).lower()
    assert not [word for word in words() if word.replace("-", " ") not in used]


def test_the_glossary_is_sorted_and_has_each_word_once() -> None:
    assert words() == sorted(set(words()))
