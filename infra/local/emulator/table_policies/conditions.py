"""The conditions that the local cloud evaluates in a table's policy; others are refused.

A condition that is not understood would match never, and a Deny with it would deny nothing.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from typing import Any

ORDERED = ("equals", "notequals", "lessthan", "lessthanequals", "greaterthan", "greaterthanequals")
OPERATORS = frozenset(
    kind + test
    for kind, tests in {
        "string": (
            *("equals", "notequals", "like", "notlike"),
            *("equalsignorecase", "notequalsignorecase"),
        ),
        "arn": ("equals", "notequals", "like", "notlike"),
        "date": ORDERED,
        "numeric": ORDERED,
        "bool": ("",),
        "null": ("",),
        "ipaddress": ("",),
        "notipaddress": ("",),
    }.items()
    for test in tests
)

KEYS = frozenset(
    (
        "aws:currenttime",
        "aws:epochtime",
        "aws:multifactorauthpresent",
        "aws:principalaccount",
        "aws:principalarn",
        "aws:principalisawsservice",
        "aws:principaltype",
        "aws:requestedregion",
        "aws:resourceaccount",
        "aws:securetransport",
        "aws:sourceip",
        "aws:tokenissuetime",
        "aws:userid",
        "aws:username",
        "aws:viaawsservice",
        "dynamodb:attributes",
        "dynamodb:enclosingoperation",
        "dynamodb:select",
    )
)
KEY_PREFIXES = ("aws:principaltag/",)

# Of the keys that make an Allow to everyone narrow, those that are evaluated here
# (developer guide, rbac-bpa-rbp.html).
NARROWING = frozenset(("aws:principalaccount", "aws:principalarn", "aws:userid"))

# A bare operator (no IfExists, no ForAnyValue) that names what it lets in.
NAMING = frozenset(("stringequals", "stringlike", "arnequals", "arnlike"))


class NotEvaluatedError(ValueError):
    """A condition that AWS may well accept and that the local cloud cannot judge."""


class InvalidConditionError(ValueError):
    """A condition that AWS refuses."""


def check(conditions: Any) -> None:
    """Check a Condition element. Raises `InvalidConditionError` or `NotEvaluatedError`."""
    if not isinstance(conditions, Mapping) or not conditions:
        raise InvalidConditionError("Syntax error in Condition")
    for operator, block in conditions.items():
        if not isinstance(block, Mapping) or not block:
            raise InvalidConditionError(f"Syntax error in Condition {operator}")
        base = bare(operator)
        if base not in OPERATORS:
            raise NotEvaluatedError(f"the condition operator {operator}")
        for key, values in block.items():
            if key.lower() not in KEYS and not key.lower().startswith(KEY_PREFIXES):
                raise NotEvaluatedError(f"the condition key {key}")
            for value in as_list(values):
                _check_value(operator, base, value)


def narrows(conditions: Mapping[str, Any]) -> bool:
    """Return whether an Allow to everyone is confined to named principals by its conditions."""
    return any(
        operator.lower() in NAMING
        and key.lower() in NARROWING
        and not any("*" in str(value) or "?" in str(value) for value in as_list(values))
        for operator, block in conditions.items()
        for key, values in block.items()
    )


def bare(operator: str) -> str:
    """Return the operator in lower case, without IfExists and without its set qualifier."""
    lowered = operator.lower().removesuffix("ifexists")
    return lowered.removeprefix("forallvalues:").removeprefix("foranyvalue:")


def as_list(values: Any) -> list[Any]:
    """Return a list of the values, of which a policy may give one without a list."""
    return list(values) if isinstance(values, list) else [values]


def _check_value(operator: str, base: str, value: Any) -> None:
    if not isinstance(value, str | bool | int | float):
        raise InvalidConditionError(f"Syntax error in Condition {operator}")
    if "${" in str(value):
        raise NotEvaluatedError(f"policy variables ({value})")
    valid = next((test for kind, test in VALUES.items() if base.startswith(kind)), None)
    if valid is not None and not valid(str(value)):
        raise InvalidConditionError(f"Invalid value of {operator}: {value}")
    if base.startswith("arn") and str(value) != "*" and str(value).count(":") < 5:
        # AWS compares the six parts of an ARN one by one, the local cloud as one text.
        raise NotEvaluatedError(f"an ARN without all of its six parts ({value})")


def _is_one_of(*texts: str) -> Callable[[str], bool]:
    return lambda value: value.lower() in texts


def _is_number(value: str) -> bool:
    return _parses(float, value)


def _is_date(value: str) -> bool:
    iso = value.replace("Z", "+00:00")
    return _is_number(value) or _parses(datetime.datetime.fromisoformat, iso)


def _parses(read: Callable[[str], Any], value: str) -> bool:
    try:
        read(value)
    except ValueError:
        return False
    return True


VALUES: Mapping[str, Callable[[str], bool]] = {
    "bool": _is_one_of("true", "false"),
    "null": _is_one_of("true", "false"),
    "numeric": _is_number,
    "date": _is_date,
}
