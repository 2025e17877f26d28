"""The README's command reference is the code's."""

from __future__ import annotations

from pathlib import Path

import pytest

from bootstrap.cli import main, reference

README = Path(__file__).resolve().parents[3] / "README.md"


@pytest.fixture(autouse=True)
def _nothing_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REPLICATION_EXTERNAL_ID", raising=False)


def test_the_readme_says_of_every_command_what_its_help_says() -> None:
    text = README.read_text(encoding="utf-8")
    assert text.endswith(reference.section()), "Try: python -m bootstrap.cli.reference README.md"


def test_every_command_has_its_place() -> None:
    shown = reference.section()
    for name in main.main.commands:
        assert f"### `python -m bootstrap {name}`" in shown


def test_renewing_changes_nothing_but_the_section() -> None:
    text = f"a\n\n{reference.HEAD}\nold\n"
    once = reference.renewed(text)
    assert once == reference.renewed(once)
    assert once.startswith("a\n")
    assert "\nold\n" not in once


def test_options_that_commands_share_stand_there_once() -> None:
    assert reference.section().count("--source-profile P ") == 1
