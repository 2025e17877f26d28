"""The layout of the tests: helpers live in tests/support, never in a test module."""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_no_module_imports_from_a_test_module() -> None:
    tracked = subprocess.check_output(["git", "ls-files", "tests/*.py"], cwd=ROOT, text=True)
    found = [
        f"{name}:{node.lineno}"
        for name in tracked.splitlines()
        for node in ast.walk(ast.parse((ROOT / name).read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and _is_test_module(node)
    ]
    assert not found, f"move what these import to tests/support: {found}"


def _is_test_module(node: ast.ImportFrom) -> bool:
    parts = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
    folder = ROOT / "/".join((node.module or "").split("."))
    return parts[0] == "tests" and (
        (node.module or "").rpartition(".")[2].startswith("test_")
        or any(
            (folder / f"{alias.name}.py").exists() and alias.name.startswith("test_")
            for alias in node.names
        )
    )
