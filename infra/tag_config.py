"""The `tags` section of the stack file, and the tags that the stack's resources get."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from infra.config_validation import ConfigReader

OWN = ("project", "stack", "managed-by")
"""Keys of the tags that every stack sets, unless the configuration has the key or drops it."""
MOST_GIVEN = 50 - len(OWN)
"""AWS takes 50 for a resource."""
TAG_KEY, TAG_VALUE = r"(?!aws:)[\w .:/=+@-]{1,128}", r"[\w .:/=+@-]{0,256}"


@dataclass(frozen=True)
class TagConfig:
    """The tags of the configuration, and the built-in ones that it drops."""

    given: Mapping[str, str] = field(default_factory=dict)
    dropped: frozenset[str] = frozenset()
    """Keys of OWN."""

    def with_own(self, project: str, stack: str) -> dict[str, str]:
        """Return all tags of a stack's resources.

        IAM takes no two keys that differ only in capital letters: `Project` stands for `project`.
        """
        own = dict(zip(OWN, (project, stack, "pulumi"), strict=True))
        out = {key.lower() for key in self.given} | self.dropped
        return {**{key: value for key, value in own.items() if key not in out}, **self.given}


def read_tags(top: ConfigReader) -> TagConfig:
    """Read and check the section."""
    section = top.section("tags", "write tags: {team: payments}", required=False)
    seen: set[str] = set()
    given: dict[str, str] = {}
    for key, value in section.values.items():
        if key.lower() in seen:
            section.mistakes.add(
                section.key(key),
                value,
                "keys that differ in more than capital letters: IAM takes no others",
                "remove one of the two",
            )
        elif value is None and key.lower() in OWN:
            pass
        elif _legal(key, value):
            given[key] = value
        else:
            section.mistakes.add(
                section.key(key),
                value,
                "a key that does not begin with aws:, and a quoted string of up to 256 letters, "
                "digits, spaces and _.:/=+@- (IAM takes no others)",
                "put the value in quotes, and choose another key if it begins with aws:"
                if value is not None
                else f"remove it: only {', '.join(OWN)} are dropped by null",
            )
        seen.add(key.lower())
    if len(given) > MOST_GIVEN:
        section.mistakes.add(
            section.path,
            f"{len(given)} tags",
            f"up to {MOST_GIVEN}: AWS takes 50 for a resource, and the stack has some of its own",
            "remove some",
        )
    dropped = frozenset(key.lower() for key, value in section.values.items() if value is None)
    return TagConfig(given, dropped & set(OWN))


def _legal(key: str, value: object) -> bool:
    return (
        re.fullmatch(TAG_KEY, key, re.IGNORECASE) is not None
        and isinstance(value, str)
        and re.fullmatch(TAG_VALUE, value) is not None
    )
