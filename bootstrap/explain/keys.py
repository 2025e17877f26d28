"""The key of an item as given on the command line: DynamoDB JSON, or `pk=a,sk=7`."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Mapping
from typing import Any

from bootstrap.core.errors import UsageError
from bootstrap.core.facts import TableFacts
from bootstrap.core.suggestions import Command, suggest

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


def key_types(facts: TableFacts) -> dict[str, str]:
    """Return the type (S, N or B) of each key attribute, the partition key first."""
    types = {each["AttributeName"]: each["AttributeType"] for each in facts.attributes}
    keys = sorted(facts.keys, key=lambda each: each["KeyType"] != "HASH")
    return {key["AttributeName"]: types[key["AttributeName"]] for key in keys}


def parse_key(text: str, types: Mapping[str, str]) -> dict[str, Any]:
    """Return the key as DynamoDB JSON, with binary as bytes.

    Raises:
        UsageError: the text does not fit the key schema. The message names the schema, never the
            text.
    """
    given = _of_json(text, types) if text.lstrip().startswith("{") else _of_pairs(text, types)
    if given.keys() != types.keys():
        raise _key_error("has other attributes than the key", types)
    return {name: {types[name]: _value(given[name], types[name], types)} for name in types}


def _of_json(text: str, types: Mapping[str, str]) -> dict[str, str]:
    try:
        value = json.loads(text)
    except ValueError:
        raise _key_error("is not JSON", types) from None
    given: dict[str, str] = {}
    for name, typed in value.items():
        if not isinstance(typed, dict) or len(typed) != 1:
            raise _key_error("is not DynamoDB JSON", types)
        ((tag, content),) = typed.items()
        if tag != types.get(name) or not isinstance(content, str):
            raise _key_error("has an attribute that is not the key's, or of another type", types)
        given[name] = content
    return given


def _of_pairs(text: str, types: Mapping[str, str]) -> dict[str, str]:
    given: dict[str, str] = {}
    for pair in text.split(","):
        name, equals, content = pair.partition("=")
        if not equals or name.strip() in given:
            raise _key_error("is not of the form name=value,name=value", types)
        given[name.strip()] = content
    return given


def _value(content: str, tag: str, types: Mapping[str, str]) -> str | bytes:
    if not content:
        raise _key_error("has an empty value", types)
    if tag == "N" and not _NUMBER.fullmatch(content):
        raise _key_error("has a value that is not a number where the key has one", types)
    if tag != "B":
        return content
    try:
        return b64decode(content, validate=True)
    except (NotBase64, ValueError):
        raise _key_error("has a binary value that is not base64", types) from None


def _key_error(why: str, types: Mapping[str, str]) -> UsageError:
    attributes = ", ".join(f"{name} ({tag})" for name, tag in types.items())
    pairs = ",".join(f"{name}=…" for name in types)
    whole = json.dumps({name: {tag: "…"} for name, tag in types.items()}, ensure_ascii=False)
    return UsageError(
        f"The KEY {why}. The table's key is {attributes}.",
        fix=suggest(
            Command("explain", f"'{pairs}'"),
            "; or, where a value holds a comma, ",
            Command("explain", f"'{whole}'"),
            " (binary values in base64)",
        ),
    )
