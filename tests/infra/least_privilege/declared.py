"""Every policy that the program declares, with the ARN of what it governs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

ROLE, TRUST, RESOURCE = "role", "trust", "resource"

MANAGED, ATTACHMENT = "aws:iam/policy:Policy", "aws:iam/rolePolicyAttachment:RolePolicyAttachment"

# Where each type of resource keeps its policy, and what that policy is about.
HOLDERS = {
    "aws:iam/rolePolicy:RolePolicy": ("policy", ROLE, "role"),
    MANAGED: ("policy", ROLE, "role"),
    "aws:iam/role:Role": ("assumeRolePolicy", TRUST, "arn"),
    "aws:s3/bucketPolicy:BucketPolicy": ("policy", RESOURCE, "bucket"),
    "aws:kinesis/resourcePolicy:ResourcePolicy": ("policy", RESOURCE, "resourceArn"),
    "aws:dynamodb/resourcePolicy:ResourcePolicy": ("policy", RESOURCE, "resourceArn"),
    "aws:kms/key:Key": ("policy", RESOURCE, "arn"),
    "aws:sns/topicPolicy:TopicPolicy": ("policy", RESOURCE, "arn"),
    "aws:sns/topic:Topic": ("policy", RESOURCE, "arn"),
}
POLICIES = ("policy", "assumeRolePolicy")

Created = tuple[str, str, str, Mapping[str, Any]]
"""(type, name, side, properties) of a resource."""


@dataclass(frozen=True)
class Policy:
    """One policy document. `on` is the ARN of the role or resource that it governs."""

    name: str
    kind: str
    account: str
    on: str
    document: str

    @property
    def statements(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.document)["Statement"]
        for statement in found:
            for key in ("Action", "Resource"):
                if isinstance(statement.get(key), str):
                    statement[key] = [statement[key]]
        return found

    def rewritten(self, statements: list[dict[str, Any]]) -> Policy:
        """The same policy with other statements; one without actions goes."""
        kept = [s for s in statements if s["Action"] and s.get("Resource", ["*"])]
        document = json.dumps({"Version": "2012-10-17", "Statement": kept})
        return replace(self, document=document)


@dataclass(frozen=True, order=True)
class Grant:
    """One action of one statement of one policy: the unit that is taken away."""

    policy: str
    statement: int
    sid: str
    action: str

    def __str__(self) -> str:
        return f"{self.policy}/{self.sid or self.statement}/{self.action}"


@dataclass(frozen=True)
class Declared:
    """All policies, and who owns each bucket (S3's ARNs do not tell)."""

    policies: tuple[Policy, ...]
    buckets: Mapping[str, str]
    keys: Mapping[str, str]
    """The key of each encrypted resource, by ARN."""
    rules: tuple[tuple[str, str], ...] = ()
    """Each rule, and the function or topic that it calls; both ARNs."""
    arns: Mapping[str, str] = field(default_factory=dict)
    """Of all that has an ARN, by the name that the program gives it."""
    tables: tuple[tuple[str, str], ...] = ()
    """Source and target table of each lane, which the program does not create; ARNs."""
    bulk: frozenset[str] = frozenset()
    """Those of the target tables that bulk puts fill; ARNs."""
    adopted: frozenset[str] = frozenset()
    """Those of them that are the users' own."""
    roles: Mapping[str, str] = field(default_factory=dict)
    """The role of each function, by ARN."""
    looked_at: str | None = None
    """The one policy whose grants are looked through; None for all."""

    def grants(self) -> Iterator[Grant]:
        for policy in self.policies:
            if self.looked_at not in (None, policy.name):
                continue
            for n, statement in enumerate(policy.statements):
                for action in statement["Action"]:
                    yield Grant(policy.name, n, statement.get("Sid", ""), action)

    def policy(self, name: str) -> Policy:
        [found] = [policy for policy in self.policies if policy.name == name]
        return found

    def statement(self, grant: Grant) -> dict[str, Any]:
        return self.policy(grant.policy).statements[grant.statement]

    def without(self, grant: Grant, resource: str | None = None) -> Declared:
        """All but one action of one statement, on one of its resources or on all of them."""
        policy = self.policy(grant.policy)
        statements = policy.statements
        statement = statements[grant.statement]
        remaining = [one for one in statement["Action"] if one != grant.action]
        statements[grant.statement] = {**statement, "Action": remaining}
        if resource is not None:
            others = [one for one in statement["Resource"] if one != resource]
            statements.append({**statement, "Action": [grant.action], "Resource": others})
        return self._with(policy.rewritten(statements))

    def allowing(self, name: str, statement: int, action: str) -> Declared:
        """With one more action in a statement."""
        policy = self.policy(name)
        statements = policy.statements
        statements[statement]["Action"].append(action)
        return self._with(policy.rewritten(statements))

    def reaching(self, name: str, statement: int, resource: str) -> Declared:
        """With one more resource in a statement."""
        policy = self.policy(name)
        statements = policy.statements
        statements[statement]["Resource"].append(resource)
        return self._with(policy.rewritten(statements))

    def with_text(self, name: str, old: str, new: str) -> Declared:
        """With another text in one policy."""
        policy = self.policy(name)
        return self._with(replace(policy, document=policy.document.replace(old, new)))

    def looking_at(self, name: str) -> Declared:
        """The same policies, of which the grants of one are looked through."""
        return replace(self, looked_at=name)

    def replicating(self, tables: tuple[tuple[str, str], ...], keys: Mapping[str, str]) -> Declared:
        """With the tables beside the stack, and the key of each."""
        return replace(self, tables=tables, keys={**self.keys, **keys})

    def loading(self, bulk: frozenset[str], adopted: frozenset[str]) -> Declared:
        """With the target tables that bulk puts fill, and those of them that were there before."""
        return replace(self, bulk=bulk, adopted=adopted)

    def _with(self, policy: Policy) -> Declared:
        policies = [policy if one.name == policy.name else one for one in self.policies]
        return replace(self, policies=tuple(policies))


def from_resources(created: Iterable[Created]) -> Declared:
    """From everything that was created.

    A resource with a policy whose type is not known here is an error, not an oversight.
    """
    created = list(created)
    accounts = {
        name: json.loads(values["allowedAccountIds"])[0]
        for type_, name, _, values in created
        if type_ == "pulumi:providers:aws"
    }
    arns = {str(values.get("name", name)): str(values.get("arn")) for _, name, _, values in created}
    attached = {str(v["policyArn"]): v["role"] for type_, _, _, v in created if type_ == ATTACHMENT}
    policies, buckets, keys, rules = [], {}, {}, []
    for type_, name, side, values in created:
        if type_.startswith("aws:s3/bucket:"):
            buckets[f"arn:aws:s3:::{values['bucket']}"] = accounts[side]
        if type_.startswith("aws:kinesis/stream:"):
            keys[str(values["arn"])] = str(values["kmsKeyId"])
        if type_.startswith("aws:dynamodb/table:") and values.get("serverSideEncryption"):
            keys[str(values["arn"])] = str(values["serverSideEncryption"]["kmsKeyArn"])
        if type_.startswith("aws:lambda/function:") and values.get("kmsKeyArn"):
            keys[str(values["arn"])] = str(values["kmsKeyArn"])
        if type_.startswith("aws:cloudwatch/logGroup:") and values.get("kmsKeyId"):
            keys[str(values["arn"])] = str(values["kmsKeyId"])
        if type_.startswith("aws:sns/topic:") and values.get("kmsMasterKeyId"):
            keys[str(values["arn"])] = str(values["kmsMasterKeyId"])
        for rule in values.get("rules", ()) if "Encryption" in type_ else ():
            key = rule["applyServerSideEncryptionByDefault"].get("kmsMasterKeyId")
            if key:
                keys[f"arn:aws:s3:::{values['bucket']}"] = str(key)
        if type_.startswith("aws:cloudwatch/eventTarget:"):
            rules.append((arns[values["rule"]], str(values["arn"])))
        if type_.startswith("aws:lambda/permission:"):
            policies.append(_permission(name, accounts[side], arns[values["function"]], values))
        held = [key for key in POLICIES if key in values]
        if not held:
            continue
        assert type_ in HOLDERS, f"{name}: where does a policy of {type_} apply?"
        member, kind, on = HOLDERS[type_]
        if type_ == MANAGED:
            values = {**values, "role": attached[str(values["arn"])]}
        about = str(values[on])
        if type_.startswith("aws:s3/"):
            about = f"arn:aws:s3:::{about}"
        policies.append(Policy(name, kind, accounts[side], about, str(values[member])))
    names = [policy.name for policy in policies]
    assert len(names) == len(set(names)), "two policies of one name"
    named = {name: str(values["arn"]) for _, name, _, values in created if "arn" in values}
    roles = {
        str(values["arn"]): str(values["role"])
        for type_, _, _, values in created
        if type_.startswith("aws:lambda/function:") and "arn" in values
    }
    return Declared(tuple(policies), buckets, keys, tuple(rules), named, roles=roles)


def _permission(name: str, account: str, function: str, values: Mapping[str, Any]) -> Policy:
    """A permission as the statement that Lambda adds to the function's own policy."""
    statement = {
        "Sid": name,
        "Effect": "Allow",
        "Principal": {"Service": values["principal"]},
        "Action": [values["action"]],
        "Resource": [function],
        "Condition": {"ArnLike": {"AWS:SourceArn": values["sourceArn"]}},
    }
    return Policy(name, RESOURCE, account, function, json.dumps({"Statement": [statement]}))
