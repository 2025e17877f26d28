"""What has to be allowed: the recorded calls, and what stands behind them or beside them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from infra.key_config import PLACES
from tests.infra.least_privilege import justifications
from tests.infra.least_privilege.declared import RESOURCE, TRUST, Declared, Policy

LAMBDA = "lambda.amazonaws.com"
EVENTS = "events.amazonaws.com"
SCAN, SELECT = "dynamodb:Scan", "dynamodb:Select"
CLOUDWATCH = "cloudwatch.amazonaws.com"


@dataclass(frozen=True, order=True)
class Need:
    """A call that has to be allowed, or (`refused`) one that must not be."""

    caller: str
    action: str
    resource: str
    keys: tuple[tuple[str, str], ...] = ()
    """Condition keys of the request."""
    plain: bool = False
    """Over HTTP instead of TLS."""
    refused: bool = False
    why: str = "called"

    def __str__(self) -> str:
        word = "must be refused" if self.refused else "is not allowed"
        return f"{self.action} on {self.resource} {word} for {self.caller} ({self.why})"


def of_recording(file: Path) -> tuple[Need, ...]:
    """The distinct calls of roles. Accounts' roots stand for the deployer and the test itself."""
    needs = set()
    for line in file.read_text().splitlines():
        call = json.loads(line)
        if ":assumed-role/" in call["caller"]:
            needs.add(Need(call["caller"], call["action"], call["resource"]))
    return tuple(sorted(needs))


def all_needs(recorded: Iterable[Need], declared: Declared, external_id: str) -> tuple[Need, ...]:
    """The recorded calls, completed."""
    needs = {_counting(_as_an_operator(need, external_id), declared) for need in recorded}
    if any(SELECT in policy.document for policy in declared.policies):
        needs |= set(_of_items(needs))
    needs |= set(_of_a_switch(declared))
    needs |= set(_of_bulk_puts(declared))
    needs |= set(_of_a_network(declared))
    needs |= set(_behind(needs, declared.keys))
    needs |= set(_standing(declared))
    needs |= set(_of_key_uses(declared))
    needs |= set(_trusted(needs, declared))
    needs |= set(_by_rules(declared))
    needs |= set(_by_alarms(declared))
    needs |= set(_refused(declared))
    return tuple(sorted(needs))


def _as_an_operator(need: Need, external_id: str) -> Need:
    if need.action == "sts:AssumeRole" and ":assumed-role/dba/" in need.caller:
        return Need(need.caller, need.action, need.resource, (("sts:ExternalId", external_id),))
    return need


def _counting(need: Need, declared: Declared) -> Need:
    """A scan of an adopted table asks whether it is empty; a recording does not have its Select."""
    if need.action == SCAN and need.resource in declared.adopted:
        return replace(need, keys=(*need.keys, (SELECT, "COUNT")))
    return need


def _of_items(needs: Iterable[Need]) -> Iterator[Need]:
    """The same scan must not show items, unless the operators may read them."""
    for need in needs:
        if need.action == SCAN and (SELECT, "COUNT") in need.keys:
            for select in ("ALL_ATTRIBUTES", "SPECIFIC_ATTRIBUTES"):
                why = "operators read no items"
                yield replace(need, keys=((SELECT, select),), refused=True, why=why)


def _behind(needs: Iterable[Need], keys: Mapping[str, str]) -> Iterator[Need]:
    for need in needs:
        for behind in justifications.BEHIND:
            if need.refused or need.action != behind.call:
                continue
            through: tuple[tuple[str, str], ...] = ()
            resource = need.resource
            if behind.on == justifications.IMPORT:
                resource = f"{need.resource}/import/any"
            elif behind.on == justifications.KEY:
                resource = keys.get(_whole(need.resource), "")
                service = need.resource.split(":")[2]
                through = _through(service, resource, need.caller) if resource else ()
            for action in behind.needs if resource else ():
                yield Need(need.caller, action, resource, through, why=f"behind {behind.call}")


def _whole(arn: str) -> str:
    """The bucket of an object, the table of an import: what has a key."""
    return (
        "/".join(arn.split("/")[:2])
        if ":dynamodb:" in arn
        else arn.partition("/")[0]
        if (":s3:" in arn)
        else arn
    )


def _through(service: str, key: str, caller: str) -> tuple[tuple[str, str], ...]:
    """What KMS sees of a call that a service makes on behalf of a caller."""
    return (
        ("kms:ViaService", f"{service}.{key.split(':')[3]}.amazonaws.com"),
        ("kms:CallerAccount", caller.split(":")[4]),
    )


def _of_key_uses(declared: Declared) -> Iterator[Need]:
    """What is done with the keys of functions, log groups, topics, tables and buckets.

    No call of the stack shows it: Lambda starts a function, a service encrypts what it keeps, and
    the deployer gives each of these its key.
    """
    made = {policy.on: policy.account for policy in declared.policies if ":kms:" in policy.on}
    ruled = {target for _, target in declared.rules}
    for arn, key in declared.keys.items():
        service, account = arn.split(":")[2], made.get(key)
        for reason in justifications.KEY_USES.get(service, ()):
            if reason.who == justifications.RULES and arn not in ruled:
                continue
            caller, keys = (
                reason.who,
                tuple(
                    (name, value.format(arn=arn, account=account)) for name, value in reason.keys
                ),
            )
            if caller == justifications.OWN_ROLE:
                role = declared.roles[arn]
                caller = f"arn:aws:sts::{role.split(':')[4]}:assumed-role/{role.split('/')[-1]}/f"
            elif account is None:  # a key that others own, and whose policy is theirs
                continue
            elif caller == justifications.DEPLOYER:
                caller = f"arn:aws:iam::{account}:root"
                keys = _through(service, key, caller)
            caller = caller.format(region=key.split(":")[3])
            for action in reason.needs:
                yield Need(caller, action, key, keys, why=reason.page)


ALIASED = {f"replication-{place}-key" for place in PLACES}


def _standing(declared: Declared) -> Iterator[Need]:
    stream_keys = {key for arn, key in declared.keys.items() if ":kinesis:" in arn}
    every = [policy for policy in declared.policies if ":kms:" in policy.on]
    for reason in justifications.STANDING:
        sets_of_keys = (
            justifications.ALL_KEYS,
            justifications.ALIASED_KEYS,
            justifications.STREAM_KEYS,
        )
        if reason.on not in sets_of_keys:
            yield from _of_a_role(reason, declared)
            continue
        for policy in every:
            if reason.on == justifications.ALIASED_KEYS and policy.name not in ALIASED:
                continue
            if reason.on == justifications.STREAM_KEYS and policy.on not in stream_keys:
                continue
            account = policy.account
            linked = "AWSServiceRoleForDynamoDBKinesisDataStreamsReplication"
            caller = f"arn:aws:iam::{account}:root"
            through: tuple[tuple[str, str], ...] = ()
            if reason.who == justifications.REPLICATION_OF_DYNAMODB:
                caller = f"arn:aws:sts::{account}:assumed-role/{linked}/dynamodb"
                through = _through("kinesis", policy.on, caller)
            for action in reason.needs:
                yield Need(caller, action, policy.on, through, why=reason.who)


def _of_a_switch(declared: Declared) -> Iterator[Need]:
    """What the roles of a switch need, where there are any, beyond what a switch shows."""
    for reason in justifications.SWITCH:
        if reason.who in declared.arns:
            yield from _of_a_role(reason, declared)


def _of_bulk_puts(declared: Declared) -> Iterator[Need]:
    """What the roles need where tables are loaded by bulk puts."""
    for reason in justifications.BULK if declared.bulk else ():
        yield from _of_a_role(reason, declared)


def _of_a_network(declared: Declared) -> Iterator[Need]:
    """What Lambda needs of the role of a function in a VPC, and the function's code must not do."""
    for policy in declared.policies:
        if not policy.name.endswith("-network"):
            continue
        caller = f"arn:aws:sts::{policy.account}:assumed-role/{policy.on}/lambda"
        function = declared.arns[policy.name.removesuffix("-network")]
        region = function.split(":")[3]
        for action, resource in justifications.NETWORK.items():
            on = resource.format(region=region, account=policy.account)
            yield Need(caller, action, on, why=justifications.GUIDE)
            keys = (("lambda:SourceFunctionArn", function),)
            yield Need(caller, action, on, keys, refused=True, why=justifications.GUIDE)


def _of_a_role(reason: justifications.Standing, declared: Declared) -> Iterator[Need]:
    """What one of the operators' roles needs beyond what a run shows."""
    ledgers = [arn for name, arn in declared.arns.items() if name.endswith("-ledger")]
    made = {policy.on for policy in declared.policies}
    given = {arn: key for arn, key in declared.keys.items() if key not in made}
    streams = {key for arn, key in given.items() if ":kinesis:" in arn}
    targets = {target for _, target in declared.tables}
    resources = {
        justifications.OWN_TARGETS: sorted(targets - declared.adopted),
        justifications.BULK_OPERATIONS: [f"{arn}/bulk-operation/any" for arn in declared.bulk],
        justifications.GIVEN_STREAM_KEYS: sorted(streams),
        justifications.PLACE_KEYS: sorted(
            {
                key
                for arn, key in declared.keys.items()
                if ":lambda:" in arn or ":sns:" in arn or arn in ledgers
                if key.split(":")[4] == declared.policy(f"{reason.who}-grants").account
            }
        ),
        justifications.NO_ARN: ["*"],
        justifications.SOURCE_EXPORTS: [f"{source}/export/any" for source, _ in declared.tables],
        justifications.SOURCES: [source for source, _ in declared.tables],
        justifications.TARGETS: [target for _, target in declared.tables],
        justifications.TARGET_IMPORTS: [f"{target}/import/any" for _, target in declared.tables],
        justifications.LEDGERS: ledgers,
    }[reason.on]
    named = (justifications.GIVEN_STREAM_KEYS, justifications.PLACE_KEYS)
    assert resources or reason.on in named, f"there are none of {reason.on}"
    role = declared.policy(f"{reason.who}-grants")
    caller = f"arn:aws:sts::{role.account}:assumed-role/{role.on}/session"
    for action in reason.needs:
        for resource in resources:
            yield Need(caller, action, resource, why=reason.page)


def _trusted(needs: Iterable[Need], declared: Declared) -> Iterator[Need]:
    """A function's role is assumed by Lambda before it can call anything."""
    called = {
        (found[1], found[2])
        for need in needs
        if (found := re.fullmatch(r"arn:aws:sts::(\d+):assumed-role/([^/]+)/.+", need.caller))
    }
    for policy in declared.policies:
        if policy.kind != TRUST or (policy.account, policy.on.rpartition("/")[2]) not in called:
            continue
        if any("Service" in statement["Principal"] for statement in policy.statements):
            yield Need(LAMBDA, "sts:AssumeRole", policy.on)


def _by_rules(declared: Declared) -> Iterator[Need]:
    """A rule wakes its function, and no other rule does; or it publishes."""
    for rule, target in declared.rules:
        if ":sns:" in target:
            if target in _topics(declared):
                yield Need(EVENTS, "sns:Publish", target)
            continue
        for arn, refused in ((rule, False), (f"{rule}-of-another", True)):
            keys = (("aws:SourceArn", arn),)
            yield Need(EVENTS, "lambda:InvokeFunction", target, keys, refused=refused)


def _by_alarms(declared: Declared) -> Iterator[Need]:
    """Alarms publish to a topic whose policy is the stack's, and no other account's do."""
    for topic, account in _topics(declared).items():
        for caller, refused in ((account, False), ("999999999999", True)):
            keys = (("aws:SourceAccount", caller),)
            yield Need(CLOUDWATCH, "sns:Publish", topic, keys, refused=refused)


def _topics(declared: Declared) -> Mapping[str, str]:
    """The account of each topic whose policy is the stack's. SNS's own lets an account publish."""
    return {policy.on: policy.account for policy in declared.policies if ":sns:" in policy.on}


def _refused(declared: Declared) -> Iterator[Need]:
    """What must not be possible, by its own account's root even: plain HTTP into a bucket."""
    for policy in declared.policies:
        if policy.kind == RESOURCE and policy.on.startswith("arn:aws:s3:::"):
            yield from _over_http(policy)


def _over_http(policy: Policy) -> Iterator[Need]:
    root = f"arn:aws:iam::{policy.account}:root"
    for action, resource in (
        ("s3:ListBucket", policy.on),
        ("s3:GetObject", f"{policy.on}/any"),
        ("s3:PutObject", f"{policy.on}/any"),
    ):
        yield Need(root, action, resource, plain=True, refused=True, why="TLS only")
