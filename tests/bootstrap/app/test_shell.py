"""An operator's command runs in a shell, and ends with what it has started."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from bootstrap.app.shell import run_in_shell
from replicator.runtime import SystemClock


def test_the_exit_code_and_the_variables_pass(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    code = run_in_shell(f'echo "$A" > {seen}; exit 3', {"A": "1"}, lambda: None, SystemClock())
    assert (code, seen.read_text()) == (3, "1\n")


def test_what_a_command_has_started_ends_with_it(tmp_path: Path) -> None:
    beat = tmp_path / "beat"

    def stop() -> None:
        if beat.exists():
            raise TimeoutError

    with pytest.raises(TimeoutError):
        run_in_shell(
            f"(while true; do date +%N > {beat}; sleep 0.05; done) & wait", {}, stop, SystemClock()
        )
    last = beat.read_text()
    time.sleep(0.3)
    assert beat.read_text() == last
