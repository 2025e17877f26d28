"""Docstrings, comments, texts and documents read as plain English, by one list of words."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tests.docs import language
from tests.docs.language import LanguageFinding
from tests.docs.pages import ROOT, documents

ALLOWANCE = Path(__file__).with_name("language_allowance.txt")
"""Findings that each file may still have. It only ever shrinks."""


def findings() -> list[LanguageFinding]:
    production = language.python_files(*language.PRODUCTION)
    return [
        *(each for path in production for each in language.openings(path)),
        *(
            each
            for path in [*production, *language.python_files("tests")]
            for each in language.words_in_code(path)
        ),
        *(each for path in documents() for each in language.words_in_prose(path)),
    ]


def allowance() -> Counter[str]:
    allowed: Counter[str] = Counter()
    if ALLOWANCE.exists():
        for line in ALLOWANCE.read_text(encoding="utf-8").splitlines():
            count, path = line.split()
            allowed[path] = int(count)
    return allowed


def test_no_docstring_opens_with_a_question_and_no_text_has_a_word_to_avoid() -> None:
    allowed = allowance()
    left = []
    for each in findings():
        path = each.path.relative_to(ROOT).as_posix()
        allowed[path] -= 1
        if allowed[path] < 0:
            left.append(str(each))
    assert not left, "\n".join([f"words of {language.WORDS.name}, and openings:", *left])


def test_a_word_to_avoid_is_found_in_every_kind_of_text(tmp_path: Path) -> None:
    page = tmp_path / "page.py"
    word = "".join(["some", "body"])  # put together, so that this text is not found itself
    page.write_text(f'"""{word}."""\n# {word}\nx = f"{{1}} {word}"\n{word} = 1\n')
    assert len(list(language.words_in_code(page))) == 3
    assert not list(language.openings(page))
    page.write_text('"""Ask whether."""\ndef f():\n    """How it is."""\n')
    assert [each.line for each in language.openings(page)] == [2]
