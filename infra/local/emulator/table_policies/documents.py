"""The resource policy of a table or a stream as a document: its validation, and AWS's own form.

Pure functions. The documented limits and rules: developer guide, rbac-considerations.html and
rbac-bpa-rbp.html. The words of the refusals are those of AWS, as far as they were observed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from infra.local.emulator.table_policies import conditions
from infra.local.emulator.table_policies.actions import TABLE, PolicyKind
from infra.local.emulator.table_policies.conditions import as_list

MOST_BYTES = 20_480
VERSIONS = ("2012-10-17", "2008-10-17")
DEFAULT_VERSION = "2008-10-17"
"""The version that a document without one is shown with."""

ELEMENTS = ("Sid", "Effect", "Principal", "Action", "NotAction", "Resource", "NotResource")
SERVICES = ("redshift.amazonaws.com", "replication.dynamodb.amazonaws.com")
"""The service principals that DynamoDB accepts. None of them calls in the local cloud."""

INVALID = "One or more parameter values were invalid: "
SYNTAX = f"{INVALID}Invalid policy document: "
BAD_JSON = f"{SYNTAX}This policy contains invalid Json"
UNBOUNDED = (
    "Resource-based policy grants unbounded access in one or more elements. Please revise the "
    "policy to ensure least-privilege form of access"
)

ACCOUNT = re.compile(r"\d{12}")
ACCOUNT_ROOT = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:root")
TABLE_ARN = re.compile(r"arn:aws[a-z-]*:dynamodb:[^:]*:[^:]*:(?P<relative>.+)")


class InvalidPolicyError(ValueError):
    """A document that cannot be a table's policy. Its text is the message of AWS."""


@dataclass(frozen=True)
class PolicyDocument:
    """A valid policy in AWS's own form: keys in a fixed order, single values without a list.

    `identity` is equal for documents that AWS takes for the same; `shown` is what
    GetResourcePolicy returns, which adds a missing Version.
    """

    kept: Mapping[str, Any]

    @property
    def identity(self) -> str:
        return _minified(self.kept)

    @property
    def shown(self) -> dict[str, Any]:
        return {"Version": self.kept.get("Version", DEFAULT_VERSION)} | dict(self.kept)

    @property
    def text(self) -> str:
        return _minified(self.shown)


def parse(text: str, exists: Callable[[str], bool], kind: PolicyKind = TABLE) -> PolicyDocument:
    """Return the document of a policy's text. `exists` says whether an IAM principal is there.

    Raises `InvalidPolicyError`.
    """
    if len(text.encode()) > MOST_BYTES:
        raise InvalidPolicyError(f"{INVALID}Maximum policy size of {MOST_BYTES} bytes exceeded")
    try:
        whole = json.loads(text, object_pairs_hook=_without_repetition)
    except json.JSONDecodeError:
        raise InvalidPolicyError(BAD_JSON) from None
    if not isinstance(whole, dict):
        raise InvalidPolicyError(BAD_JSON)
    if not whole.get("Statement"):
        _refuse("Could not parse the policy: Statement is empty!")
    if not whole.keys() <= {"Version", "Id", "Statement"}:
        _refuse(f"Syntax error: {', '.join(whole.keys() - {'Version', 'Id', 'Statement'})}")
    if whole.get("Version", VERSIONS[0]) not in VERSIONS:
        _refuse(f"Syntax error in Version {whole['Version']}")
    statements = [_statement(each, exists, kind) for each in as_list(whole["Statement"])]
    sids = [each["Sid"] for each in statements if "Sid" in each]
    if len(set(sids)) < len(sids):
        _refuse("The Statement Ids in the policy are not unique")
    kept = {name: whole[name] for name in ("Version", "Id") if name in whole}
    return PolicyDocument({**kept, "Statement": statements})


def _statement(given: Any, exists: Callable[[str], bool], kind: PolicyKind) -> dict[str, Any]:
    if not isinstance(given, dict):
        _refuse("Syntax error: a statement is no object")
    if "NotPrincipal" in given:
        _not_evaluated("NotPrincipal")
    if not given.keys() <= {*ELEMENTS, "Condition"}:
        _refuse(f"Syntax error: {', '.join(given.keys() - {*ELEMENTS, 'Condition'})}")
    for either in (("Effect",), ("Principal",), ("Action", "NotAction"), RESOURCES):
        if sum(name in given for name in either) != 1:
            _refuse(f"Missing required field {either[0]}")
    kept: dict[str, Any] = {}
    for name in (each for each in ELEMENTS if each in given):
        kept[name] = ELEMENT_READERS[name](given[name], kind)
    kept["Principal"] = _principal(given["Principal"], exists)
    if "Condition" in given:
        kept["Condition"] = _condition(given["Condition"])
    wide = kept["Effect"] == "Allow" and _is_everyone(kept["Principal"])
    if wide and not conditions.narrows(kept.get("Condition", {})):
        raise InvalidPolicyError(UNBOUNDED)
    return kept


def _sid(value: Any, _kind: PolicyKind) -> str:
    # "The Sid element supports ASCII uppercase letters (A-Z), lowercase letters (a-z), and
    # numbers (0-9)": IAM user guide, reference_policies_elements_sid.html.
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9]*", value):
        _refuse(f"Syntax error in Sid {value}")
    return value


def _effect(value: Any, _kind: PolicyKind) -> str:
    effect = str(value).title()
    if effect not in ("Allow", "Deny"):
        _refuse(f"Syntax error in Effect {value}")
    return effect


def _actions(value: Any, kind: PolicyKind) -> Any:
    names = _texts(value, "Action")
    wrong = [f'"{name}"' for name in names if not kind.knows(name)]
    if wrong:
        _refuse(f"The following action names are invalid: {', '.join(wrong)}")
    return _unwrapped(names)


def _resources(value: Any, kind: PolicyKind) -> Any:
    names = _texts(value, "Resource")
    for name in names:
        if "${" in name:
            _not_evaluated(f"policy variables ({name})")
        arn = TABLE_ARN.fullmatch(name)
        if name != "*" and arn is None:
            _refuse(f'Resource "{name}" must be an ARN of DynamoDB or "*"')
        relative = arn["relative"] if arn else "*"
        if not re.fullmatch(kind.relative, relative):
            _refuse(f'The relative-id "{relative}" is invalid for ARN "{name}"')
    return _unwrapped(names)


def _principal(value: Any, exists: Callable[[str], bool]) -> Any:
    if value == "*":
        return value
    if not isinstance(value, dict) or not value:
        _refuse("Syntax error in Principal")
    for kind in value.keys() - {"AWS", "Service"}:
        _not_evaluated(f"a Principal of the kind {kind}")
    kept: dict[str, Any] = {}
    for kind in value:
        names = _texts(value[kind], "Principal")
        if kind == "Service" and not set(names) <= set(SERVICES):
            _refuse("Policy contains invalid service principal")
        if kind == "AWS":
            names = [_account_root(name) for name in names]
            if not all(_is_principal(name, exists) for name in names):
                raise InvalidPolicyError(f"{INVALID}Invalid principal in policy document.")
        kept[kind] = _unwrapped(list(dict.fromkeys(names)))
    return kept


def _account_root(name: str) -> str:
    return f"arn:aws:iam::{name}:root" if ACCOUNT.fullmatch(name) else name


def _is_principal(name: str, exists: Callable[[str], bool]) -> bool:
    return name == "*" or bool(ACCOUNT_ROOT.fullmatch(name)) or exists(name)


def _is_everyone(principal: Any) -> bool:
    return principal == "*" or "*" in as_list(principal.get("AWS", []))


def _condition(value: Any) -> dict[str, Any]:
    try:
        conditions.check(value)
    except conditions.NotEvaluatedError as unknown:
        _not_evaluated(str(unknown))
    except conditions.InvalidConditionError as wrong:
        _refuse(str(wrong))
    return {
        operator: {key: _unwrapped(as_list(values)) for key, values in block.items()}
        for operator, block in value.items()
    }


RESOURCES = ("Resource", "NotResource")
ELEMENT_READERS: Mapping[str, Callable[[Any, PolicyKind], Any]] = {
    "Sid": _sid,
    "Effect": _effect,
    "Principal": lambda value, _kind: value,
    "Action": _actions,
    "NotAction": _actions,
    "Resource": _resources,
    "NotResource": _resources,
}


def _texts(value: Any, element: str) -> list[str]:
    values = as_list(value)
    if not values or not all(isinstance(each, str) for each in values):
        _refuse(f"Syntax error in {element}")
    return values


def _unwrapped(values: list[Any]) -> Any:
    return values[0] if len(values) == 1 else values


def _minified(document: Mapping[str, Any]) -> str:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False)


def _without_repetition(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    members = list(pairs)
    found = dict(members)
    if len(found) < len(members):
        _refuse("Syntax error: a name is repeated")
    return found


def _refuse(what: str) -> NoReturn:
    raise InvalidPolicyError(f"{SYNTAX}{what}")


def _not_evaluated(what: str) -> NoReturn:
    raise InvalidPolicyError(
        f"{SYNTAX}The local cloud does not evaluate {what}, which AWS may accept. "
        "Try: a policy without it, or a table on AWS"
    )
