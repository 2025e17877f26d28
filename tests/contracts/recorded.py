"""The recorded outward contracts: a file a contract, a line an item."""

from __future__ import annotations

from pathlib import Path

LISTS = Path(__file__).resolve().parent / "lists"


def path(name: str) -> Path:
    """Return the file of a contract."""
    return LISTS / f"{name}.txt"


def recorded(name: str) -> list[str]:
    """Return a contract as recorded; empty for one that never was."""
    file = path(name)
    return file.read_text(encoding="utf-8").splitlines() if file.exists() else []
