"""The type of what runs the operator's own commands: `--check-cmd` and `--exec`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

RunCommand = Callable[[str, Mapping[str, str], Callable[[], None]], int]
"""Runs a command in a shell, with these variables; returns its exit code. The function is called
meanwhile, several times a second; its exception ends the command."""
