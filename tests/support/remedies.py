"""Commands in remedies, and whether they can be typed as they are written.

Commands of this tool go through its own parser; those of Pulumi are held against the CLI's flags
(release 3.250 and later), those of AWS against botocore's models, from which the AWS CLI makes its
commands.
"""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from botocore import xform_name
from botocore.exceptions import UnknownServiceError

from bootstrap.aws.sdk import sdk_session
from bootstrap.cli.main import main
from replicator.aws_commands import table_option

ROOT = Path(__file__).resolve().parents[2]
PLACEHOLDER = "X"
"""What stands for a value that a program fills in."""

EVERYWHERE = {"--stack": True, "--cwd": True, "--non-interactive": False}
UP = {"--refresh": False, "--yes": False, "--config-file": True, "--target": True}
PULUMI: dict[str, tuple[int, int, dict[str, bool]]] = {
    "up": (0, 0, UP),
    "preview": (0, 0, UP),
    "destroy": (0, 0, UP),
    "refresh": (0, 0, {"--yes": False, "--clear-pending-creates": False}),
    "stack export": (0, 0, {"--file": True}),
    "stack output": (0, 1, {"--json": False, "--show-secrets": False}),
    "stack ls": (0, 0, {}),
    "stack init": (1, 1, {}),
    "state unprotect": (1, 1, {"--yes": False, "--all": False}),
    "config set": (
        2,
        2,
        {"--path": False, "--plaintext": False, "--secret": False, "--config-file": True},
    ),
    "config rm": (1, 1, {"--path": False, "--config-file": True}),
}
"""Commands with the least and the most arguments, and their flags: whether each takes a value."""
OF_THE_AWS_CLI = {
    ("sso", "login"): {"profile"},
    ("logs", "tail"): {"since", "region", "profile", "format"},
    ("configure", "list-profiles"): set[str](),
    ("s3", "ls"): {"recursive", "summarize", "region", "profile"},
    ("s3", "rm"): {"recursive", "region", "profile"},
}
"""Commands that the AWS CLI has beside the services' operations, with their options."""
GLOBAL = {"region", "profile", "output", "query"}

_COMMAND = re.compile(
    r"(?<![\w/.-])(?:python -m bootstrap (?=[a-z])|(?:pulumi|aws) (?=[a-z])"
    rf"|bootstrap (?=(?:{'|'.join(main.commands)})\b))"
)
_END = re.compile(r"[,;:.)`]+$|\.$")
_STOP = {"&&", "|", "||", ">", "and", "or", "in", "with", "to", "of"}

Json = dict[str, Any]


def texts(path: Path) -> Iterator[str]:
    """Yield the texts of a module without its docstrings, values that are filled in as X."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            skipped |= {id(part) for part in node.values}
            yield "".join(map(_filled_in, node.values))
        elif isinstance(node, ast.Constant) and id(node) not in skipped:
            yield str(node.value)


def _filled_in(part: ast.expr) -> str:
    if isinstance(part, ast.Constant):
        return str(part.value)
    made = part.value if isinstance(part, ast.FormattedValue) else None
    if isinstance(made, ast.Call) and getattr(made.func, "id", "") == table_option.__name__:
        return table_option(PLACEHOLDER)
    return PLACEHOLDER


def suggested(path: Path) -> Iterator[str]:
    """Yield the commands of this tool that a module makes as `Command(name, arguments)`."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
            continue
        if node.func.id == "Command" and isinstance(node.args[0], ast.Constant):
            yield "python -m bootstrap " + " ".join(_text(each) for each in node.args)


def _text(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(map(_text, node.values))
    return PLACEHOLDER


def commands_in(text: str) -> Iterator[list[str]]:
    """Yield the words of each command in a text, up to the end of its clause."""
    for found in _COMMAND.finditer(text):
        rest = text[found.start() :]
        yield list(_words(rest.split("`")[0]))


def _words(text: str) -> Iterator[str]:
    lexer = shlex.shlex(text, posix=True, punctuation_chars=False)
    lexer.whitespace_split, lexer.commenters = True, ""
    try:
        for word in lexer:
            bare = _END.sub("", word)
            if bare in _STOP or not bare:
                return
            yield bare
            if bare != word and not re.fullmatch(r"arn:.*|urn:.*", word):
                return
    except ValueError:  # an apostrophe in the rest of the sentence
        return


def problem(words: list[str]) -> str:
    """Return why a command cannot be typed as it is written; an empty text if it can."""
    if words[0] == "pulumi":
        return _pulumi(words[1:])
    if words[0] == "aws":
        return _aws(words[1:])
    return _bootstrap(words[3:] if words[0] == "python" else words[1:])


def _pulumi(words: list[str]) -> str:
    for length in (2, 1):
        name = " ".join(words[:length])
        if name in PULUMI:
            break
    else:
        return f"pulumi has no command {name}"
    least, most, flags = PULUMI[name]
    given, rest = 0, words[length:]
    while rest:
        word = rest.pop(0)
        flag, _, value = word.partition("=")
        if word.startswith("-"):
            takes = {**EVERYWHERE, **flags}.get(flag)
            if takes is None:
                return f"pulumi {name} has no flag {flag}"
            if takes and not value and (not rest or rest.pop(0).startswith("-")):
                return f"pulumi {name} {flag} without a value"
        elif given == most:
            break  # the rest of the sentence
        else:
            given += 1
    return "" if given >= least else f"pulumi {name} with {given} of {least} arguments"


def _aws(words: list[str]) -> str:
    service, operation = [*words, "", ""][:2]
    # An option that is filled in, or nothing.
    operation = operation.removesuffix(PLACEHOLDER)
    own = OF_THE_AWS_CLI.get((service, operation))
    if own is not None:
        return _unknown_options(words, own | GLOBAL)
    try:
        model = sdk_session().get_service_model(service)
    except UnknownServiceError:
        return f"aws has no command {service}"
    names = {xform_name(each, "-"): each for each in model.operation_names}
    if operation not in names:
        return f"aws {service} has no command {operation}"
    shape = model.operation_model(names[operation]).input_shape
    members = dict(shape.members) if shape else {}
    options = {xform_name(each, "-") for each in members}
    options |= {
        f"no-{xform_name(each, '-')}"
        for each, member in members.items()
        if member.type_name == "boolean"
    }
    unknown = _unknown_options(words, options | GLOBAL)
    given = {word[2:] for word in words if word.startswith("--")}
    required = {xform_name(each, "-") for each in (shape.required_members if shape else ())}
    missing = required - given - {each.removeprefix("no-") for each in given}
    if unknown or not missing:
        return unknown
    return f"aws {service} {operation} without {', '.join(sorted(missing))}"


def _unknown_options(words: list[str], options: set[str]) -> str:
    unknown = [word for word in words if word.startswith("--") and word[2:] not in options]
    return f"aws {' '.join(words[:2])} has no option {', '.join(unknown)}" if unknown else ""


def _bootstrap(words: list[str]) -> str:
    command: click.Command = main
    while words and isinstance(command, click.Group):
        if words[0] not in command.commands:
            return f"there is no command {words[0]}"
        command = command.commands[words[0]]
        words = words[1:]
    # click keeps the help option that it makes for the first context: as the program's own.
    top = click.Context(main, **main.context_settings)
    context = click.Context(command, parent=top, **command.context_settings)
    arguments = [each for each in command.params if isinstance(each, click.Argument)]
    try:
        values, extra, _ = command.make_parser(context).parse_args(list(words))
    except click.UsageError as error:
        return f"{command.name}: {error.message}"
    given = {name for name, value in values.items() if isinstance(value, str | tuple) and value}
    missing = [str(each.name) for each in arguments if each.required and each.name not in given]
    if missing:
        return f"{command.name} without {', '.join(missing)}"
    return "" if not [each for each in extra if each.startswith("-")] else f"{extra}"
