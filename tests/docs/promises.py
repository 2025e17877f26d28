"""The table of promises and the test modules that defend each."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.docs.pages import ROOT, tracked

PROMISES = tuple(f"C{n}" for n in range(1, 11))


def modules() -> Mapping[str, list[str]]:
    """List the test modules with a `promise` mark, by promise."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in tracked("tests/*.py"):
        for promise in sorted(set(_marks(path))):
            found[promise].append(path.relative_to(ROOT).as_posix())
    return found


def _marks(path: Path) -> Iterator[str]:
    text = path.read_text(encoding="utf-8")
    if ".promise(" not in text:
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("mark.promise"):
            yield from (str(each.value) for each in node.args if isinstance(each, ast.Constant))


def _short(name: str) -> str:
    return name.removeprefix("tests/").removesuffix(".py")


def table() -> str:
    """Render one row for each promise."""
    marked = modules()
    rows = ["| promise | test modules |", "| --- | --- |"]
    for promise in PROMISES:
        if promise in marked:
            names = ", ".join(f"[{_short(name)}](../{name})" for name in marked[promise])
            rows.append(f"| {promise} | {names} |")
    return "\n".join(rows)
