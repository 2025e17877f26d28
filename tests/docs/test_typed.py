"""Commands that the documents show can be typed: they exist, with the options that are given."""

from __future__ import annotations

import importlib.util
import re
import shlex
from collections.abc import Iterator

import click
import pytest

from bootstrap.cli.main import main
from tests.docs.pages import ROOT, document_names, documents

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def code(text: str) -> Iterator[str]:
    """List what stands in backticks and each line of a code block, continued lines joined."""
    for block in re.findall(r"^ *```\w*\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL):
        yield from block.replace("\\\n", " ").splitlines()
    prose = re.sub(r"^ *```.*?^ *```$", "", text, flags=re.MULTILINE | re.DOTALL)
    for quoted in re.findall(r"`([^`]+)`", prose):
        yield " ".join(quoted.split())


def typed(name: str, pattern: str) -> list[str]:
    """List what a document shows after a pattern, such as the name of a program."""
    text = (ROOT / name).read_text(encoding="utf-8")
    found = [re.search(pattern, each) for each in code(text)]
    return [each[1] for each in found if each]


@pytest.mark.parametrize("name", document_names())
def test_commands_of_the_operator_exist_with_their_options(name: str) -> None:
    for line in typed(name, r"(?:^\$ |^ *|=\$\()(?:\.venv/bin/)?python -m bootstrap ([a-z].*)$"):
        words = shlex.split(line.split("|")[0].rstrip("\\ "), comments=True)
        command: click.Command = main
        while words and isinstance(command, click.Group):
            assert words[0] in command.commands, f"{name}: {line}"
            command = command.commands[words.pop(0)]
        options = {each for param in command.params for each in param.opts} | {"--help"}
        given = {word for word in words if word.startswith("--")}
        assert given <= options, f"{name}: {line}"


@pytest.mark.parametrize("name", document_names())
def test_modules_that_are_run_exist(name: str) -> None:
    for module in typed(name, r"python -m ([a-z_.]+)"):
        assert importlib.util.find_spec(module) is not None, f"{name}: python -m {module}"


@pytest.mark.parametrize("name", document_names())
def test_targets_of_make_exist(name: str) -> None:
    for target in typed(name, r"^make ([a-z-]+)"):
        assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE), f"{name}: make {target}"


@pytest.mark.parametrize("name", document_names())
def test_files_and_folders_that_are_named_exist(name: str) -> None:
    places = r"^((?:bootstrap|infra|replicator|tests|docs)/[\w./-]*)$"
    for place in typed(name, places):
        assert (ROOT / place).exists(), f"{name}: {place}"


def test_commands_are_found_in_blocks_and_in_backticks() -> None:
    text = "`make a`\n```\nmake b \\\n  C=1\n```\n- x\n\n   ```\n   make d\n   ```\n"
    assert sorted(each.strip() for each in code(text)) == ["make a", "make b    C=1", "make d"]
    assert documents()
