"""Evaluates calls against declared policies, with the local cloud's evaluator of IAM.

Identity policy, resource policy, key policy and trust policy, and the rules for calls across
accounts: both sides have to allow. Everything stays in this process; nothing is looked up.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator
from typing import Any

from ministack.core import iam_evaluator as iam

from tests.infra.least_privilege import justifications
from tests.infra.least_privilege.declared import RESOURCE, ROLE, TRUST, Declared, Policy
from tests.infra.least_privilege.needs import Need

SESSION = re.compile(r"arn:aws:sts::(\d{12}):assumed-role/([^/]+)/.+")
# What AWS attaches to DynamoDB's service-linked role, as far as it matters here.
SERVICE_LINKED = "AWSServiceRoleForDynamoDBKinesisDataStreamsReplication"
OF_AWS = (
    '{"Statement": [{"Effect": "Allow", "Action": ["kms:GenerateDataKey"], "Resource": ["*"]}]}'
)
OF_OPERATORS = (
    '{"Statement": [{"Effect": "Allow", "Action": ["sts:AssumeRole"], "Resource": ["*"]}]}'
)


@functools.lru_cache(maxsize=4096)
def parsed(document: str) -> list[Any]:
    return iam.parse_policy_document(document)


class Judge:
    """Says what the declared policies allow."""

    def __init__(self, declared: Declared, *, lenient: bool = False) -> None:
        """`lenient` takes every caller's own policies to allow everything."""
        self.declared = declared
        self._lenient = lenient
        self._roles: dict[tuple[str, str], list[Policy]] = {}
        self._trusts: dict[str, Policy] = {}
        self._resources: dict[str, Policy] = {}
        for policy in declared.policies:
            if policy.kind == ROLE:
                self._roles.setdefault((policy.account, policy.on), []).append(policy)
            elif policy.kind == TRUST:
                self._trusts[policy.on] = policy
            elif policy.kind == RESOURCE:
                self._resources[policy.on] = policy

    def keeps(self, need: Need) -> bool:
        """Whether what has to be allowed is, and what has to be refused is."""
        return self.allows(need) is not need.refused

    def allows(self, need: Need) -> bool:
        if need.action == "sts:AssumeRole" and need.caller.endswith(".amazonaws.com"):
            return self._trusts_service(need)
        context = _context(need)
        if need.caller.endswith(".amazonaws.com"):
            mine = self._resource_policy(need.resource)
            document = mine.document if mine else None
            by_service = iam.evaluate_resource_policy(document, context, service=need.caller)
            return bool(by_service.decision == "Allow")
        identity = self._identity(need, context)
        if need.action == "sts:AssumeRole":
            trust = self._trusts[need.resource]
            by_trust = iam.evaluate_trust_policy(trust.document, need.caller, context)
            return bool(by_trust and identity.decision == "Allow")
        policy = self._resource_policy(need.resource)
        if need.action == "dynamodb:ListStreams":
            # No stream's policy can allow it: Lambda asks the function's role alone.
            return bool(identity.decision == "Allow")
        if policy is None and ":kms:" in need.resource:
            # A key that the operators bring. Its policy is theirs; AWS's default leaves it to IAM.
            return bool(identity.decision == "Allow")
        owner = policy.account if policy else self._owner(need.resource, context)
        result = iam.combine_resource_policy(
            identity,
            context,
            policy.document if policy else None,
            owner,
            # Where there is no key, an IAM policy alone decides (kms:ListAliases).
            required=need.action.startswith("kms:") and need.resource != "*",
        )
        return bool(result.decision == "Allow")

    def _trusts_service(self, need: Need) -> bool:
        for statement in self._trusts[need.resource].statements:
            service = statement["Principal"].get("Service") == need.caller
            if service and need.action in statement["Action"]:
                return True
        return False

    def _identity(self, need: Need, context: Any) -> Any:
        session = SESSION.fullmatch(need.caller)
        if session is None or self._lenient:  # an account's root: its own policies allow everything
            return iam.EvalResult("Allow", need.caller)
        account, role = session.groups()
        documents = [policy.document for policy in self._roles.get((account, role), ())]
        if role == SERVICE_LINKED:
            documents = [OF_AWS]
        elif not documents:  # a role that the stack did not make: the operators'
            documents = [OF_OPERATORS]
        return iam.evaluate(context, [parsed(document) for document in documents])

    def _resource_policy(self, arn: str) -> Policy | None:
        if arn.startswith("arn:aws:s3:::"):
            return self._resources.get(arn.partition("/")[0])
        if ":dynamodb:" in arn and arn not in self._resources:
            return self._resources.get("/".join(arn.split("/")[:2]))
        return self._resources.get(arn)

    def _owner(self, arn: str, context: Any) -> str:
        if arn == "*":
            return str(context.principal_account)
        return self.declared.buckets.get(arn.partition("/")[0]) or arn.split(":")[4]


def _context(need: Need) -> Any:
    session = SESSION.fullmatch(need.caller)
    account = session.group(1) if session else (need.caller.split(":") + 5 * [""])[4]
    # A session is its role to every policy: IAM User Guide, aws:PrincipalArn.
    role = session and f"arn:aws:iam::{session.group(1)}:role/{session.group(2)}"
    return iam.EvalContext(
        principal_arn=role or need.caller,
        principal_type="AssumedRole" if session else "Root",
        principal_account=account,
        action=need.action,
        resource_arn=need.resource,
        region="eu-west-1",
        secure_transport=not need.plain,
        service_context={name.lower(): value for name, value in need.keys},
    )


# -- findings ------------------------------------------------------------------------------------


def broken(declared: Declared, needs: Iterable[Need]) -> list[Need]:
    """(a) What is not as it has to be."""
    judge = Judge(declared)
    return [need for need in needs if not judge.keeps(need)]


def touched(needs: Iterable[Need], statement: dict[str, Any], action: str) -> list[Need]:
    """The needs that a change of this action, in this statement, can change at all."""
    if statement["Effect"] == "Deny":
        return [need for need in needs if iam.fnmatch_iam(need.action, action)]
    return [need for need in needs if need.action == action]


def superfluous(declared: Declared, needs: Iterable[Need]) -> Iterator[str]:
    """(b) What is allowed, on some resource, although nothing needs it."""
    needs = list(needs)
    for grant in declared.grants():
        statement = declared.statement(grant)
        concerned = touched(needs, statement, grant.action)
        resources: list[str | None] = list(statement.get("Resource", [])) or [None]
        for resource in resources:
            if not broken(declared.without(grant, resource), concerned):
                yield f"{grant} on {resource or 'the role'}"


def wide(declared: Declared) -> Iterator[str]:
    """(c) What is allowed by a wildcard where AWS knows a name."""
    for policy in declared.policies:
        for statement in policy.statements:
            if statement["Effect"] == "Deny":
                continue
            where = f"{policy.name}/{statement.get('Sid', '')}"
            for element in ("NotAction", "NotResource", "NotPrincipal"):
                if element in statement:
                    yield f"{where}: {element}"
            for action in statement["Action"]:
                if "*" in action or "?" in action:
                    yield f"{where}: action {action}"
            for resource in statement.get("Resource", []):
                if not _named(policy, statement["Action"], resource):
                    yield f"{where}: resource {resource}"
            if "*" in str(statement.get("Principal", "")):
                yield f"{where}: principal {statement['Principal']}"


def _named(policy: Policy, actions: Iterable[str], resource: str) -> bool:
    if resource == "*":
        # In a key's policy it means that key: KMS Developer Guide, key-policy-elements.
        is_key = ":kms:" in policy.on
        return is_key or all(action in justifications.WITHOUT_AN_ARN for action in actions)
    ends = sorted(justifications.NAMES_NOT_KNOWN_BEFORE, key=len, reverse=True)
    end = next((end for end in ends if resource.endswith(end)), "")
    named = resource.removesuffix(end)
    return "*" not in named and "?" not in named
