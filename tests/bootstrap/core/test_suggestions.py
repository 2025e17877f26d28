"""Suggestions: values with commands in them, which can be typed as they are shown."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import bootstrap
from bootstrap.cli.main import main
from bootstrap.core.errors import BlockedError, errors_about
from bootstrap.core.suggestions import GENERIC, Command, Suggestion, suggest, template
from replicator.watchdog import detectors

PROD = "python -m bootstrap {} --stack prod --table orders"


@pytest.mark.parametrize(
    ("suggestion", "shown"),
    [
        (suggest(Command("status")), PROD.format("status")),
        (
            suggest("first ", Command("run", "--take-over"), "; then"),
            f"first `{PROD.format('run')} --take-over`; then",
        ),
        (
            suggest(Command("quarantine list"), ", then show"),
            f"`{PROD.format('quarantine list')}`, then show",
        ),
        (suggest("the bootstrap does not run"), "the bootstrap does not run"),
    ],
)
def test_a_command_in_a_suggestion_gets_the_options_that_name_its_stack(
    suggestion: Suggestion, shown: str
) -> None:
    assert suggestion.text(PROD) == shown
    assert Suggestion.parse(suggestion.notation) == suggestion


@pytest.mark.parametrize(
    ("notation", "shown"),
    [
        ("`bootstrap pause`, then wait", f"`{PROD.format('pause')}`, then wait"),
        ("set `kms:Decrypt` on the key", "set `kms:Decrypt` on the key"),
        ("", ""),
        # Of an older version: a sentence that nothing was marked in stays as it is.
        ("python -m bootstrap run; then wait", "python -m bootstrap run; then wait"),
    ],
)
def test_the_notation_of_journal_and_detectors_is_read(notation: str, shown: str) -> None:
    assert Suggestion.parse(notation).text(PROD) == shown


def test_a_file_name_with_braces_and_blanks_survives() -> None:
    command = template(["--outputs", "my {stack}.json"])
    assert suggest(Command("run")).text(command) == (
        "python -m bootstrap run --outputs 'my {stack}.json'"
    )


def test_an_error_keeps_the_options_of_the_table_that_it_is_about() -> None:
    error = BlockedError("no", fix=suggest(Command("run")))
    assert str(error) == "no\nTry: python -m bootstrap run"
    with pytest.raises(BlockedError), errors_about(PROD):
        raise error
    error.about(GENERIC)
    assert error.fix == PROD.format("run")


def commands() -> Iterator[tuple[str, str]]:
    """Every command in a suggestion of the code or of a detector: name and arguments."""
    for path in sorted(Path(bootstrap.__path__[0]).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "Command":
                values = [getattr(each, "value", "") for each in node.args]
                if isinstance(values[0], str) and values[0]:
                    more = values[1] if len(values) > 1 else ""
                    yield (values[0], more if isinstance(more, str) else "")
    for detector in detectors.ALL:
        for part in Suggestion.parse(detector.first).parts:
            if isinstance(part, Command):
                yield (part.name, part.arguments)


@pytest.mark.parametrize(("name", "arguments"), sorted(set(commands())))
def test_every_suggested_command_exists_with_its_options(name: str, arguments: str) -> None:
    command: click.Command = main
    for word in name.split():
        assert isinstance(command, click.Group)
        command = command.commands[word]
    options = set(itertools.chain.from_iterable(each.opts for each in command.params))
    assert {word for word in arguments.split() if word.startswith("--")} <= options


def test_suggested_commands_are_found() -> None:
    assert ("run", "--discard-failed-load") in set(commands())
    assert ("quarantine list", "") in set(commands())
