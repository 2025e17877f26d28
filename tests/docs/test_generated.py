"""Every generated part of the documents is current, and stands in one place."""

from __future__ import annotations

from collections import Counter

import pytest

from bootstrap.cli.main import main
from tests.docs import commands, configuration, generate
from tests.docs.pages import DOCS, ROOT, documents


@pytest.fixture(autouse=True)
def _nothing_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REPLICATION_EXTERNAL_ID", raising=False)


def test_every_generated_part_is_current() -> None:
    stale = [path.relative_to(ROOT).as_posix() for path in generate.stale()]
    assert not stale, f"not what the code says now: {stale}. Try: {generate.COMMAND}"


def test_every_part_stands_in_exactly_one_document() -> None:
    placed: Counter[str] = Counter()
    for path in documents():
        placed.update(generate.parts_of(path.read_text(encoding="utf-8")))
    assert placed == Counter(list(generate.PARTS))


def test_renewing_changes_nothing_but_the_parts() -> None:
    text = "a\n<!-- generated: bill -->\nold\n<!-- end: bill -->\nb\n"
    once = generate.renewed(text, {"bill": lambda: "new\n"})
    assert once == "a\n<!-- generated: bill -->\n\nnew\n\n<!-- end: bill -->\nb\n"
    assert generate.renewed(once, {"bill": lambda: "new\n"}) == once


def test_every_command_has_a_heading() -> None:
    shown = (DOCS / "commands.md").read_text(encoding="utf-8")
    for name in main.commands:
        assert f"## `python -m bootstrap {name}`\n" in shown


def test_options_that_commands_share_are_shown_once() -> None:
    shown = (DOCS / "commands.md").read_text(encoding="utf-8")
    assert commands.common() in shown
    assert shown.count("--source-profile P ") == 1


def test_every_configuration_key_of_the_contract_is_described() -> None:
    recorded = (ROOT / "tests/contracts/lists/configuration_keys.txt").read_text().split()
    described = {key.path: key for key in configuration.every_key()}
    assert set(described) == set(recorded)
    assert not [path for path, key in described.items() if not (key.allowed and key.meaning)]
