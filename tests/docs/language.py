"""The language of docstrings, comments, texts and documents, held against one list of words."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.docs.pages import ROOT, tracked

WORDS = ROOT / "tests" / "support" / "words_to_avoid.txt"
OPENING = re.compile(r"(What|How|Whether|Which|Who|Where|When)\b")
_LITERAL_OPENING = re.compile(rf"[\"']\s*{OPENING.pattern}")
_BETWEEN_PARTS = re.compile(r"([\"'])\s*[bfr]{0,2}\1(?!\1)", re.IGNORECASE)
PRODUCTION = ("bootstrap", "infra", "replicator")

_DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class LanguageFinding:
    """A place where the text is not as the list wants it."""

    path: Path
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text}"


@cache
def words_to_avoid() -> re.Pattern[str]:
    """Compile the list: one regular expression a line, comments begin with #."""
    lines = WORDS.read_text(encoding="utf-8").splitlines()
    patterns = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    return re.compile(rf"\b(?:{'|'.join(patterns)})\b", re.IGNORECASE)


def python_files(*folders: str) -> list[Path]:
    return [path for path in tracked("*.py") if path.relative_to(ROOT).parts[0] in folders]


def openings(path: Path) -> Iterator[LanguageFinding]:
    """Find docstrings that begin with a question word."""
    source = path.read_text(encoding="utf-8")
    if not _LITERAL_OPENING.search(source):
        return
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, _DOCUMENTED):
            text = ast.get_docstring(node)
            if text and OPENING.match(text):
                yield LanguageFinding(path, getattr(node, "lineno", 1), text.splitlines()[0])


def words_in_code(path: Path) -> Iterator[LanguageFinding]:
    """Find words to avoid in a module's comments, docstrings and other texts."""
    source = path.read_text(encoding="utf-8")
    # Parsing takes seconds for a thousand modules, and hardly one has such a word anywhere.
    if not words_to_avoid().search(_run_together(source)):
        return
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield from _words(path, token.start[0], token.string)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from _words(path, node.lineno, " ".join(node.value.split()))


def _run_together(source: str) -> str:
    """Return the source so that every text of it reads on: over lines, and parts in quotes."""
    return " ".join(_BETWEEN_PARTS.sub("", source.replace("\\n", " ")).split())


def words_in_prose(path: Path) -> Iterator[LanguageFinding]:
    """Find words to avoid in a document."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        yield from _words(path, number, line)


def _words(path: Path, line: int, text: str) -> Iterator[LanguageFinding]:
    for found in words_to_avoid().finditer(text):
        near = text[max(0, found.start() - 30) : found.end() + 30]
        yield LanguageFinding(path, line, f"{found[0]!r} in …{near}…")
