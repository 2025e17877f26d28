"""The statements that the owner of a key has to add to its policy, for keys of the stack file.

Roles, functions and log groups stand in them by patterns of their names, which are the same for
every table: the statements can be added before the first `pulumi up`, and hold for tables that are
added later.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from infra.account_config import AccountConfig
from infra.buffer import writes_through_kinesis
from infra.dry_run import DeclaredResource, DryRun
from infra.key_config import PLACES
from infra.key_services import service_statements
from infra.partitions import endpoint, partition
from infra.resource_names import SUFFIX
from infra.review.boundary import POLICY_TYPES, SIDES
from infra.shared_actions import ENVIRONMENT_KEY_ACTIONS, SELECT_KEY_ACTIONS
from infra.stack_config import StackConfig
from infra.statements import Statement, allow
from infra.table_config import PREFIX

ROLE = "aws:iam/role:Role"


def statements_by_key(config: Mapping[str, Any], *, stack: str) -> dict[str, list[Statement]]:
    """Return the statements that each key of the configuration needs in its policy, by its ARN.

    `config`: the plain values of a stack file.
    """
    settings = StackConfig.parse(config)
    resources = DryRun.of(config, stack=stack).resources
    made = {each.values["arn"] for each in resources if each.type == "aws:kms/key:Key"}
    roles = {each.values["name"]: each for each in resources if each.type == ROLE}
    found: dict[str, list[Statement]] = {}
    for table in settings.tables:
        if table.stream_key and table.stream_key not in found:
            found[table.stream_key] = [writes_through_kinesis(settings.source)]
    for place in PLACES:
        given = settings.keys.given(place)
        if given:
            found.setdefault(given, []).extend(_of_services(place, settings))
            found[given].extend(_of_deployer(place, settings))
    # The program declares in an order that changes from run to run; a review compares two prints.
    for policy in sorted(resources, key=lambda each: (each.side, each.name)):
        if policy.type not in POLICY_TYPES or policy.side not in SIDES:
            continue
        account, role = settings.account(policy.side), role_of(policy, resources)
        for statement in json.loads(policy.values["policy"])["Statement"]:
            for arn in statement["Resource"]:
                if ":kms:" not in arn or arn in made:
                    continue
                _add_statement(
                    found.setdefault(arn, []),
                    _of_any_table(statement, settings),
                    account,
                    _role_pattern(roles[role], account, settings),
                )
    return dict(sorted(found.items()))


def _of_services(place: str, settings: StackConfig) -> Iterator[Statement]:
    """Yield what AWS's services need of a place's key. One key may be that of two places."""
    for statement in service_statements(place, settings):
        yield _of_any_table({**statement, "Sid": f"{place.title()}{statement['Sid']}"}, settings)


def _of_deployer(place: str, settings: StackConfig) -> Iterator[Statement]:
    """Yield what the principal that runs `pulumi up` needs of a place's key."""
    uses = {
        "consumer": ("Functions", "lambda", ENVIRONMENT_KEY_ACTIONS),
        "target": ("Tables", "dynamodb", SELECT_KEY_ACTIONS),
    }
    if place not in uses:
        return
    what, service, actions = uses[place]
    owner, region = settings.owner_of(place), settings.region_of(place)
    through = {"kms:ViaService": endpoint(service, region), "kms:CallerAccount": owner.account_id}
    role = {"ArnEquals": {"aws:PrincipalArn": owner.role_arn}} if owner.role_arn else {}
    yield allow(
        f"DeployerGives{what}TheirKey",
        actions,
        ["*"],
        principal=owner.root_arn,
        when={"StringEquals": through, **role},
    )


def _of_any_table(statement: Statement, settings: StackConfig) -> Statement:
    """Return a statement whose patterns of names hold for every table.

    A key's policy has room for 32 KB, and what a role may do its own policy says.
    """
    like = statement.get("Condition", {}).get("ArnLike")
    if not like:
        return statement
    patterns = {
        key: list(dict.fromkeys(_name_of_any_table(each, settings) for each in values))
        for key, values in like.items()
    }
    return {**statement, "Condition": {**statement["Condition"], "ArnLike": patterns}}


def _name_of_any_table(name: str, settings: StackConfig) -> str:
    """Return the pattern of a name that begins with a table's prefix; other names as they are."""
    for prefix in sorted((table.prefix for table in settings.tables), key=len, reverse=True):
        if f"{prefix}-" in name:
            return name.replace(f"{prefix}-", f"{PREFIX}-*-", 1)
    return name


def _role_pattern(role: DeclaredResource, account: AccountConfig, settings: StackConfig) -> str:
    path, name = role.values.get("path") or "/", role.values["name"].removesuffix(SUFFIX)
    arn = f"arn:{partition(account.region)}:iam::{account.account_id}:role{path}"
    return f"{arn}{_name_of_any_table(name, settings)}-*"


def role_of(policy: DeclaredResource, resources: tuple[DeclaredResource, ...]) -> str:
    """Return the name of the role that has a policy: a managed one is attached to it."""
    if "role" in policy.values:
        return str(policy.values["role"])
    return next(
        str(each.values["role"])
        for each in resources
        if each.type.endswith(":RolePolicyAttachment")
        and each.values["policyArn"] == policy.values["arn"]
    )


def _add_statement(
    asked: list[Statement], statement: Statement, account: AccountConfig, pattern: str
) -> None:
    """Add a role's own statement to those of a key's policy. `pattern`: of the role's ARN.

    A policy may name no role that does not exist yet; its account, with a condition on the role,
    it may (IAM User Guide, aws:PrincipalArn: the role's ARN in each of its sessions). Roles of the
    same rights share a statement.
    """
    when = statement.get("Condition", {})
    for other in asked:
        known = {**other["Condition"]} if "AWS" in other["Principal"] else {}
        like = dict(known.pop("ArnLike", {}))
        patterns = like.pop("aws:PrincipalArn", None)
        if patterns is None:
            continue
        rest = {**known, **({"ArnLike": like} if like else {})}
        same = (account.root_arn, statement["Action"], when)
        if (other["Principal"]["AWS"], other["Action"], rest) == same:
            if pattern not in patterns:
                patterns.append(pattern)
            return
    like = {**when.get("ArnLike", {}), "aws:PrincipalArn": [pattern]}
    asked.append(
        allow(
            f"Roles{len(asked)}",
            statement["Action"],
            ["*"],
            principal=account.root_arn,
            when={**when, "ArnLike": like},
        )
    )
