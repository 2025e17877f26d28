"""A reader of settings that collects every mistake, not only the first."""

from __future__ import annotations

import difflib
import json
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

T = TypeVar("T")
NOT_GIVEN: Final = object()


@dataclass(frozen=True)
class Mistake:
    """One value that can never deploy: its key, what it is, what it may be, and the fix."""

    key: str
    got: str
    allowed: str
    fix: str

    def __str__(self) -> str:
        return f"{self.key}: got {self.got}; allowed: {self.allowed}.\n    Try: {self.fix}"


class ConfigError(ValueError):
    """The stack configuration cannot deploy. `mistakes` holds every reason, not only the first."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        count = "1 mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
        lines = "\n".join(f"  - {mistake}" for mistake in mistakes)
        super().__init__(f"The stack configuration has {count}:\n{lines}")


@dataclass
class ConfigErrors:
    """The mistakes found so far."""

    found: list[Mistake] = field(default_factory=list)

    def add(self, key: str, got: object, allowed: str, fix: str) -> None:
        shown = "nothing" if got is NOT_GIVEN else json.dumps(got, default=str)
        self.found.append(Mistake(key, shown, allowed, fix))

    def raise_if_any(self) -> None:
        if self.found:
            raise ConfigError(self.found)


@dataclass
class ConfigReader:
    """One mapping of the configuration. Each read checks a value and marks its key as known.

    A read that finds a mistake records it and returns a placeholder of the right type, so that
    reading continues. The placeholder is never used: the mistakes are raised before anything is
    built.
    """

    path: str
    values: Mapping[str, Any]
    mistakes: ConfigErrors
    known: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    """Keys that have been reported already, with a reason of their own."""

    def key(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name

    def raw(self, name: str) -> Any:
        self.known.add(name)
        value = self.values.get(name)
        return NOT_GIVEN if value is None else value

    def text(
        self, name: str, pattern: str, allowed: str, fix: str, *, default: str | None = None
    ) -> str:
        """Read a string that matches `pattern` whole. Without a default it is required."""
        value = self.raw(name)
        if value is NOT_GIVEN and default is not None:
            return default
        if not (isinstance(value, str) and re.fullmatch(pattern, value)):
            if self.path and isinstance(value, bool | int | float):
                # `pulumi config set --path` writes true and 12345 without quotes.
                fix = (
                    f"put the value in quotes in the stack file: YAML reads no text there; or {fix}"
                )
            self.mistakes.add(self.key(name), value, allowed, fix)
            return default or ""
        return value

    def optional_text(self, name: str, pattern: str, allowed: str, fix: str) -> str | None:
        return self.text(name, pattern, allowed, fix, default="") or None

    def whole_number(self, name: str, low: int, high: int, unit: str, *, default: int) -> int:
        value = self.raw(name)
        if value is NOT_GIVEN:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            self.mistakes.add(
                self.key(name),
                value,
                f"a whole number of {unit} from {low} to {high}",
                f"set {name} to a number in that range, or leave it out for the default, {default}",
            )
            return default
        return value

    def optional_number(self, name: str, low: int, high: int, unit: str) -> int | None:
        if self.raw(name) is NOT_GIVEN:
            return None
        return self.whole_number(name, low, high, unit, default=low)

    def number_among(self, name: str, among: Sequence[int], unit: str, *, default: int) -> int:
        """Read a whole number, of which AWS takes only these. They are in rising order."""
        value = self.raw(name)
        if value is NOT_GIVEN:
            return default
        if isinstance(value, bool) or value not in among:
            number = value if isinstance(value, int) and not isinstance(value, bool) else default
            # The next longer one: a rule that asks for so many days is not met by fewer. Elsewhere
            # 0 and less stand for ever.
            meant = next((each for each in among if each >= number > 0), among[-1])
            self.mistakes.add(
                self.key(name),
                value,
                f"{', '.join(map(str, among[:-1]))} or {among[-1]} {unit}",
                f"set {name} to {meant}, or leave it out for the default, {default}",
            )
            return default
        return int(value)

    def choice(self, name: str, among: Sequence[str], *, default: str) -> str:
        value = self.raw(name)
        if value is NOT_GIVEN:
            return default
        if value not in among:
            self.mistakes.add(
                self.key(name),
                value,
                " or ".join(among),
                f"set {name} to {nearest(str(value), among) or default}",
            )
            return default
        return str(value)

    def flag(self, name: str, *, default: bool) -> bool:
        value = self.raw(name)
        if value is NOT_GIVEN:
            return default
        if not isinstance(value, bool):
            self.mistakes.add(
                self.key(name), value, "true or false", f"set {name} to true or false, unquoted"
            )
            return default
        return value

    def optional_flag(self, name: str) -> bool | None:
        return None if self.raw(name) is NOT_GIVEN else self.flag(name, default=False)

    def section(self, name: str, fix: str, *, required: bool = True) -> ConfigReader:
        """Read a nested mapping; empty where it is optional and absent, or a mistake."""
        value = self.raw(name)
        if value is NOT_GIVEN and not required:
            value = {}
        return self.as_section(self.key(name), value, fix)

    def as_section(self, path: str, value: object, fix: str) -> ConfigReader:
        if isinstance(value, Mapping):
            return ConfigReader(path, value, self.mistakes)
        self.mistakes.add(path, value, "a mapping of settings", fix)
        return UnreadableSection(path, {}, self.mistakes)

    def sequence(self, name: str, fix: str, *, required: bool = False) -> list[Any]:
        value = self.raw(name)
        if value is NOT_GIVEN and not required:
            return []
        if not isinstance(value, list) or (required and not value):
            allowed = "a list of at least one entry" if required else "a list"
            self.mistakes.add(self.key(name), value, allowed, fix)
            return []
        return value

    def refuse_key(self, name: str, allowed: str, fix: str) -> None:
        """Report a key that may not be given, with a better reason than that it is unknown."""
        if name in set(self.values) and self.values[name] is not None:
            self.refused.add(name)
            self.mistakes.add(self.key(name), self.values[name], allowed, fix)

    def refuse_unknown_keys(self) -> None:
        """Report keys that no read has asked for. Call it last."""
        for name in self.values.keys() - self.known - self.refused:
            self.mistakes.add(
                self.key(name),
                self.values[name],
                "one of " + ", ".join(sorted(self.known)),
                self._fix_for_unknown(name),
            )

    def _fix_for_unknown(self, name: str) -> str:
        begin = re.split(r"[.\[]", name)[0]
        if not self.path and name != begin and begin in self.known:
            quoted = shlex.quote(name)
            return f"pulumi config rm {quoted}; then: pulumi config set --path {quoted} VALUE"
        guess = nearest(name, self.known)
        return f"rename it to {guess}" if guess else "remove it"


class UnreadableSection(ConfigReader):
    """Replaces a value that is no mapping, so that its missing keys are not reported too."""

    def text(
        self, name: str, pattern: str, allowed: str, fix: str, *, default: str | None = None
    ) -> str:
        return default or ""

    def sequence(self, name: str, fix: str, *, required: bool = False) -> list[Any]:
        return []


UNITS = ("days", "hours", "minutes", "seconds", "percent", "kib", "mib")
"""The last words of keys whose value is a quantity."""


def nearest(name: str, among: Iterable[str]) -> str | None:
    """Return the known name that `name` was probably meant to be.

    A name with a unit never becomes one with another: 365 days are not 365 hours.
    """
    own = unit_of(name)
    by_lower = {known.lower(): known for known in among if not own or unit_of(known) in ("", own)}
    close = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[close[0]] if close else None


def unit_of(name: str) -> str:
    """Return the unit that a key's name ends with; empty for none."""
    return next((unit for unit in UNITS if name.lower().endswith(unit)), "")
