"""The file of `--settings`: a plan's member `settings`, edited, and validated strictly."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bootstrap.core.errors import UsageError
from bootstrap.core.facts import ON_DEMAND
from bootstrap.core.suggestions import Command, suggest
from bootstrap.core.table_tags import AWS_TAG_LIMIT, MOST_TAGS
from bootstrap.cutover.settings import PrimarySettings, settings_of_member, unit_names

MODES = (ON_DEMAND, "PROVISIONED")
CLASSES = ("STANDARD", "STANDARD_INFREQUENT_ACCESS")
VIEWS = ("KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES")
LONGEST_KEY, LONGEST_VALUE = 128, 256
"""AWS's limits (DynamoDB developer guide, "Tagging restrictions in DynamoDB")."""
SHOWN_MISTAKES = 10


def read_settings(path: Path, there: PrimarySettings, tables: Sequence[str]) -> PrimarySettings:
    """Read the settings of the first of `tables`; the others may be in the file as well.

    `path`: a JSON object with a member for each source table, or a whole plan of `--json`.
    `there`: those that the target has.

    Raises:
        UsageError: with every mistake, and where it is.
    """
    members = _members(path)
    table = tables[0]
    mistakes = [f"{name}: is no table of this switch" for name in members if name not in tables]
    if table not in members:
        mistakes.append(f"{table}: is missing")
    else:
        mistakes += _mistakes(members[table], there, table)
    if mistakes:
        raise _invalid(path, mistakes)
    return settings_of_member(members[table])


def _members(path: Path) -> Mapping[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise UsageError(
            f"The settings file {path} cannot be read: {why}.", fix=_written_again(path)
        ) from None
    except ValueError as error:
        raise UsageError(f"{path} is not JSON: {error}", fix=_written_again(path)) from None
    if isinstance(value, dict) and isinstance(value.get("settings"), dict):
        value = value["settings"]
    if not isinstance(value, dict):
        raise _invalid(path, ["the whole: is not an object with a member for each table"])
    return value


def _written_again(path: Path) -> Any:
    return suggest(Command("switch", f"--dry-run --json > {shlex.quote(str(path))}"))


def _invalid(path: Path, mistakes: Sequence[str]) -> UsageError:
    shown = list(mistakes[:SHOWN_MISTAKES])
    more = len(mistakes) - len(shown)
    lines = [f"  {each}" for each in [*shown, *([f"and {more} more"] if more else [])]]
    return UsageError(
        "\n".join([f"{path} holds no settings for this switch:", *lines]),
        fix=suggest(
            "edit the member `settings` of what this prints, and change nothing else: ",
            Command("switch", "--dry-run --json"),
        ),
    )


def _mistakes(value: Any, there: PrimarySettings, path: str) -> Iterator[str]:
    """Find everything that is wrong with a table's member. `path` leads to it."""
    checks: dict[str, Callable[[Any], str | None]] = {
        "tags": _tags,
        "pointInTimeRecovery": lambda given: _protection(given, there.point_in_time_recovery),
        "deletionProtection": lambda given: _protection(given, there.deletion_protection),
        "tableClass": lambda given: _one_of(given, CLASSES),
        "stream": lambda given: None if given is None else _one_of(given, VIEWS),
        "ttl": _attribute,
        "billing": lambda given: None if isinstance(given, dict) else "is not an object",
    }
    for at, why in _shape(value, checks, path):
        yield f"{at}: {why}"
    if not isinstance(value, dict):
        return
    view = value.get("stream")
    if there.stream is not None and view != there.stream:
        yield (
            f"{path}.stream: is {_shown(view)}, and the target's stream is on with "
            f"{there.stream}, which the switch does not replace"
        )
    if isinstance(value.get("billing"), dict):
        yield from _billing(value["billing"], there, f"{path}.billing")


def _shape(
    value: Any, checks: Mapping[str, Callable[[Any], str | None]], path: str
) -> Iterator[tuple[str, str]]:
    if not isinstance(value, dict):
        yield path, "is not an object"
        return
    for name in value:
        if name not in checks:
            yield f"{path}.{name}", f"is not known; known: {', '.join(checks)}"
    for name, check in checks.items():
        if name not in value:
            yield f"{path}.{name}", "is missing"
        elif why := check(value[name]):
            yield f"{path}.{name}", why


def _billing(value: Mapping[str, Any], there: PrimarySettings, path: str) -> Iterator[str]:
    mode, indexes = value.get("mode"), value.get("indexes")
    unit = _maximum if mode == ON_DEMAND else _units
    names = unit_names(str(mode))
    units = dict.fromkeys(names, unit)
    checks: dict[str, Callable[[Any], str | None]] = {
        "mode": lambda given: _one_of(given, MODES),
        **units,
        "indexes": lambda given: None if isinstance(given, dict) else "is not an object",
    }
    if mode in MODES:
        for at, why in _shape(value, checks, path):
            yield f"{at}: {why}"
    else:
        yield f"{path}.mode: {_one_of(mode, MODES)}"
    if mode not in MODES or not isinstance(indexes, dict):
        return
    known = there.capacity.indexes
    for name in sorted({*indexes, *known}):
        if name not in known:
            yield f"{path}.indexes.{name}: is no index of the target"
        elif name not in indexes:
            yield f"{path}.indexes.{name}: is missing"
        else:
            for at, why in _shape(indexes[name], units, f"{path}.indexes.{name}"):
                yield f"{at}: {why}"


def _tags(given: Any) -> str | None:
    if not isinstance(given, dict) or not all(isinstance(each, str) for each in given.values()):
        return "is not an object of strings"
    if len(given) > MOST_TAGS:
        return (
            f"has {len(given)} tags, and a target takes {MOST_TAGS}: AWS takes {AWS_TAG_LIMIT}, "
            "and this tool needs one"
        )
    for key, value in given.items():
        if not 1 <= len(key) <= LONGEST_KEY or len(value) > LONGEST_VALUE:
            return f"has a tag of a length that AWS does not take: {key[:20]!r}"
        if key.lower().startswith("aws:"):
            return f"has the tag {key!r}, and AWS keeps names with aws: for itself"
    return None


def _protection(given: Any, on: bool) -> str | None:
    if given is True or (given is False and not on):
        return None
    if given is False:
        return "is false, and it is on: a switch takes no protection away, do that afterwards"
    return f"is {_shown(given)}, expected true or false"


def _attribute(given: Any) -> str | None:
    if given is None or (isinstance(given, str) and 1 <= len(given) <= 255):
        return None
    return f"is {_shown(given)}, expected the name of an attribute or null"


def _maximum(given: Any) -> str | None:
    return None if given is None else _units(given, "a whole number above 0, or null for none")


def _units(given: Any, expected: str = "a whole number above 0") -> str | None:
    fine = isinstance(given, int) and not isinstance(given, bool) and given > 0
    return None if fine else f"is {_shown(given)}, expected {expected}"


def _one_of(given: Any, allowed: Sequence[str]) -> str | None:
    return None if given in allowed else f"is {_shown(given)}, expected {' or '.join(allowed)}"


def _shown(given: Any) -> str:
    return json.dumps(given)[:60]
