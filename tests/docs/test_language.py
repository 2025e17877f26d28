"""Docstrings, comments, texts and documents read as plain English, by one list of words."""

from __future__ import annotations

from pathlib import Path

from tests.docs import language
from tests.docs.language import LanguageFinding
from tests.docs.pages import documents


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


def test_no_docstring_opens_with_a_question_and_no_text_has_a_word_to_avoid() -> None:
    found = [str(each) for each in findings()]
    assert not found, "\n".join([f"words of {language.WORDS.name}, and openings:", *found])


def test_a_word_to_avoid_is_found_in_every_kind_of_text(tmp_path: Path) -> None:
    page = tmp_path / "page.py"
    word = "".join(["some", "body"])  # put together, so that this text is not found itself
    page.write_text(f'"""{word}."""\n# {word}\nx = f"{{1}} {word}"\n{word} = 1\n')
    assert len(list(language.words_in_code(page))) == 3
    assert not list(language.openings(page))
    first, last = "comes", "to"  # over two parts of a text, over a line, and in single quotes
    page.write_text(
        f'"""It {first}\n    {last} it."""\nx = (\n    "{first} "\n    f"{last}"\n)\n'
        f"y = ('\"{first} ' '{last}')\nz = '{first}\\n{last}'\n"
    )
    assert len(list(language.words_in_code(page))) == 4
    page.write_text('"""Ask whether."""\ndef f():\n    """How it is."""\n')
    assert [each.line for each in language.openings(page)] == [2]
