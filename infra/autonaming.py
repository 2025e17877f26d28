"""Names as `pulumi:autonaming` in the stack file makes them, and AWS's limits on their length."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from infra.config_validation import ConfigErrors
from infra.resource_names import RULE_NAME_LIMIT, TARGET_ID_LIMIT, fitting
from infra.table_config import TableConfig

AUTONAMING_KEY = "pulumi:autonaming"
PULUMIS_OWN = "${name}-${hex(7)}"
ROLE_TYPE, FUNCTION_TYPE, BUCKET_TYPE = (
    "aws:iam/role:Role",
    "aws:lambda/function:Function",
    "aws:s3/bucket:Bucket",
)
RULE_TYPE, RULE_TARGET_TYPE = (
    "aws:cloudwatch/eventRule:EventRule",
    "aws:cloudwatch/eventTarget:EventTarget",
)
LOG_GROUP_TYPE = "aws:cloudwatch/logGroup:LogGroup"
STREAM_TYPE, TABLE_TYPE = "aws:kinesis/stream:Stream", "aws:dynamodb/table:Table"
"""Types whose names are in the policies of the operators' roles."""
LIMITS: Mapping[str, int] = {
    ROLE_TYPE: 64,  # API reference, CreateRole
    FUNCTION_TYPE: 64,  # API reference, CreateFunction
    BUCKET_TYPE: 63,  # S3 User Guide, "General purpose bucket naming rules"
    RULE_TYPE: RULE_NAME_LIMIT,
    RULE_TARGET_TYPE: TARGET_ID_LIMIT,
}
"""Characters of a name, where the stack's own come near."""
RANDOM = re.compile(r"\$\{(?:hex|alphanum|string|num)\((\d+)\)\}")
MADE_UP = "#"
"""In the place of a random character."""


@dataclass(frozen=True)
class Autonaming:
    """The patterns of a stack's names."""

    pattern: str = PULUMIS_OWN
    by_type: Mapping[str, str] = field(default_factory=dict)
    """Patterns of single types of resources, such as aws:iam/role:Role."""

    def name(self, type_: str, name: str) -> str:
        """Return a name as long as the one that a resource gets."""
        text = self.by_type.get(type_, self.pattern)
        text = RANDOM.sub(lambda found: MADE_UP * int(found[1]), text)
        return text.replace("${uuid}", MADE_UP * 36).replace("${name}", name)

    def wildcard(self, type_: str, name: str) -> str:
        """Return the names that a resource may get, with `*` for what only the engine knows."""
        text = self.by_type.get(type_, self.pattern).replace("${name}", name)
        return re.sub(r"\$\{[^}]*\}", "*", text)


def read_autonaming(text: str | None, known: Mapping[str, str]) -> Autonaming:
    """Read the value of `pulumi:autonaming`, JSON, as the engine hands it over. None: Pulumi's own.

    `known`: the values of expressions such as `stack`. The engine has checked the value's form.
    """
    if not text:
        return Autonaming()
    given: dict[str, Any] = json.loads(text)
    of_aws = given.get("providers", {}).get("aws", {})
    whole = _pattern(of_aws, known) or _pattern(given, known) or PULUMIS_OWN
    single = {
        type_: _pattern(value, known) or whole
        for type_, value in of_aws.get("resources", {}).items()
    }
    return Autonaming(whole, single)


def _pattern(given: Mapping[str, Any], known: Mapping[str, str]) -> str | None:
    if given.get("mode") in ("verbatim", "default"):
        return {"verbatim": "${name}", "default": PULUMIS_OWN}[given["mode"]]
    text = given.get("pattern")
    for name, value in known.items():
        text = text and text.replace(f"${{{name}}}", value)
    return text


def limited_names(table: TableConfig) -> Iterator[tuple[str, str]]:
    """Yield type and name of the table's resources whose names come near AWS's limits."""
    prefix = table.prefix
    for name in ("consumer-role", "watchdog-role", "observer"):
        yield ROLE_TYPE, f"{prefix}-{name}"
    for name in ("consumer", "watchdog"):
        yield FUNCTION_TYPE, f"{prefix}-{name}"
    for name in ("quarantine", "on-failure"):
        yield BUCKET_TYPE, f"{prefix}-{name}"
    yield RULE_TYPE, fitting(f"{prefix}-watchdog-schedule", f"{prefix}-schedule", RULE_NAME_LIMIT)
    yield (
        RULE_TARGET_TYPE,
        fitting(f"{prefix}-watchdog-target", f"{prefix}-target", TARGET_ID_LIMIT),
    )


def refuse_long_names(
    naming: Autonaming, tables: tuple[TableConfig, ...], mistakes: ConfigErrors
) -> None:
    """Report the pattern where it makes names that AWS refuses; the longest of each type."""
    longest: dict[str, str] = {}
    for table in tables:
        for type_, name in limited_names(table):
            named = naming.name(type_, name)
            if len(named) > max(LIMITS[type_], len(longest.get(type_, ""))):
                longest[type_] = named
    for type_, named in longest.items():
        over = len(named) - LIMITS[type_]
        mistakes.add(
            AUTONAMING_KEY,
            naming.by_type.get(type_, naming.pattern),
            f"a pattern with which {type_} has up to {LIMITS[type_]} characters; {named} has "
            f"{len(named)} ({MADE_UP} stands for a random one)",
            f"make the pattern {over} characters shorter; or leave the table with the longest name "
            "to another stack",
        )
