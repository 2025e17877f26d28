"""The values of a stack file, `Pulumi.STACK.yaml`, as the Pulumi CLI reads them.

PyYAML follows YAML 1.1 and the Pulumi CLI does not quite: `yes` is text to the CLI, a moment stays
text, and 012345678901 is a number. A value has to mean the same to the program and to
`plan --config`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml


class StackFileLoader(yaml.SafeLoader):  # type: ignore[misc]  # PyYAML has no types
    """Reads plain scalars by the rules of the Pulumi CLI's YAML library (go-yaml, version 3).

    A mapping's keys are text as they are written, whatever they look like.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        self.flatten_mapping(node)  # merges what `<<` names
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                key.tag = "tag:yaml.org,2002:str"
        found: dict[Any, Any] = super().construct_mapping(node, deep)
        return found


def _number(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int | float:
    text = str(loader.construct_scalar(node)).replace("_", "")
    sign, digits = (-1, text[1:]) if text[0] == "-" else (1, text.removeprefix("+"))
    if re.fullmatch(r"0[0-7]+", digits):  # C's way of writing octal numbers
        return sign * int(digits, 8)
    if re.fullmatch(r"0[xob][0-9A-Fa-f]+", digits):
        return sign * int(digits, 0)
    value = float(digits)
    return sign * (int(value) if value.is_integer() else value)


StackFileLoader.yaml_implicit_resolvers = {}
_RULES = (
    ("merge", re.compile(r"^<<$"), ["<"]),
    ("null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""]),
    ("bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")),
    (
        "float",
        re.compile(
            r"^[-+]?(?:0x[0-9A-Fa-f_]+|0o[0-7_]+|0b[01_]+|"
            r"(?:\.[0-9]+|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9]+)?)$"
        ),
        list("-+0123456789."),
    ),
)
for _kind, _pattern, _first in _RULES:
    StackFileLoader.add_implicit_resolver(f"tag:yaml.org,2002:{_kind}", _pattern, _first)
StackFileLoader.add_constructor("tag:yaml.org,2002:float", _number)


def read(path: Path, project: str) -> dict[str, Any]:
    """Return the values of a project by their keys, without the project's name.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not YAML, or has no `config` that is a mapping.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), StackFileLoader)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from None
    config = content.get("config") if isinstance(content, Mapping) else None
    if not isinstance(config, Mapping):
        raise ValueError("it has no mapping named config")
    prefix = f"{project}:"
    return {
        str(key).removeprefix(prefix): value
        for key, value in config.items()
        if str(key).startswith(prefix)
    }
