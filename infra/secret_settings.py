"""Secrets in a stack file, as `pulumi config set --secret` writes them: {secure: ciphertext}.

The program gets them decrypted. A reader of the file alone has no key: a secret is unknown there,
and a legal stand-in takes its place, so that the rest of the file can be checked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

NEEDED_BY_PLAN = re.compile(
    r"(source|target)(\.(?!externalId|permissionsBoundaryArn|sessionName)\w+)?"
    r"|tables(\[\d+\](\.(source|target|streamMode|shards|sourceKeyArn|targetKeyArn|streamKeyArn"
    r"|streamArn|makeDestination|buffer|load|adopt|performanceTier|maxWriteRequestUnits))?)?"
)
"""Keys without which nothing can be said of a table. All others have a default, or no plan depends
on them."""

STAND_INS: tuple[tuple[re.Pattern[str], Any], ...] = (
    (re.compile(r"operators"), {"source": ["account"], "target": ["account"]}),
    (re.compile(r"operators\.(source|target)"), ["account"]),
    (re.compile(r"(operators|switch)\.(source|target)\[\d+\]"), "account"),
    (re.compile(r"alarms\.emails\[\d+\]"), "unknown@example.com"),
    (re.compile(r"tags\..+"), "unknown"),
)
"""Legal values for keys that cannot just be left out."""
LEFT_OUT_WHOLE = re.compile(r"alarms\.topics|buckets\.accessLogs|vpc")
"""Mappings that are left out as a whole if one of their values is a secret."""


@dataclass
class Secrets:
    """The keys of a stack file whose values are secrets."""

    needed: list[str] = field(default_factory=list)
    """Without them there is no plan."""
    unknown: list[str] = field(default_factory=list)
    """Replaced by a stand-in, mostly the default."""


def without_secrets(values: Mapping[str, Any]) -> tuple[dict[str, Any], Secrets]:
    """Return the values with stand-ins for secrets, and the keys of the secrets."""
    secrets = Secrets()
    return {key: _plain(value, key, secrets) for key, value in values.items()}, secrets


def _plain(value: Any, path: str, secrets: Secrets) -> Any:
    if _is_secret(value):
        needed = NEEDED_BY_PLAN.fullmatch(path)
        (secrets.needed if needed else secrets.unknown).append(path)
        return next((what for which, what in STAND_INS if which.fullmatch(path)), None)
    if isinstance(value, Mapping):
        before = len(secrets.unknown)
        found = {key: _plain(each, f"{path}.{key}", secrets) for key, each in value.items()}
        return None if LEFT_OUT_WHOLE.fullmatch(path) and len(secrets.unknown) > before else found
    if isinstance(value, list):
        return [_plain(each, f"{path}[{n}]", secrets) for n, each in enumerate(value)]
    return value


def _is_secret(value: Any) -> bool:
    return isinstance(value, Mapping) and set(value) == {"secure"}
