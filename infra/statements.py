"""Statements of policies as plain values. Every grant of the stack goes through `allow`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from infra.partitions import endpoint

Statement = dict[str, Any]
Condition = Mapping[str, Mapping[str, object]]


def allow(
    sid: str,
    actions: Sequence[str],
    resources: Sequence[object],
    *,
    principal: object | None = None,
    when: Condition | None = None,
) -> Statement:
    """Return an Allow statement, with `principal` (ARNs) for a resource's policy.

    Resources and principals are texts, or Pulumi's outputs of texts.
    """
    statement: Statement = {"Sid": sid, "Effect": "Allow"}
    if principal is not None:
        statement["Principal"] = {"AWS": principal}
    statement |= {"Action": list(actions), "Resource": list(resources)}
    if when:
        statement["Condition"] = dict(when)
    return statement


def deny(
    sid: str, actions: Sequence[str], resources: Sequence[object], *, when: Condition
) -> Statement:
    """Return a Deny statement for a role's own policy."""
    return {**allow(sid, actions, resources, when=when), "Effect": "Deny"}


def trust(principals: Sequence[str], external_id: str | None, *, mfa: bool) -> Statement:
    """Return the statement of a trust policy for people and pipelines.

    They have to present the external id, if there is one, and with `mfa` have to have signed in
    with a second factor: `Bool` does not hold where the key is missing ("IAM JSON policy elements:
    Condition operators", IAM User Guide).
    """
    condition: dict[str, Mapping[str, object]] = {}
    if external_id:
        condition["StringEquals"] = {"sts:ExternalId": external_id}
    if mfa:
        condition["Bool"] = {"aws:MultiFactorAuthPresent": "true"}
    statement: Statement = {
        "Effect": "Allow",
        "Action": ["sts:AssumeRole"],
        "Principal": {"AWS": list(principals)},
    }
    return statement | ({"Condition": condition} if condition else {})


def through(service: str, region: str) -> Condition:
    """Return the Condition that a service uses the key on the caller's behalf, never the caller."""
    return {"StringEquals": {"kms:ViaService": endpoint(service, region)}}


def allow_keys(
    sid: str, actions: Sequence[str], keys: Sequence[object], when: Condition | None = None
) -> list[Statement]:
    """Return the statement that allows the use of customer-managed keys; none without keys."""
    return [allow(sid, actions, keys, when=when)] if keys else []


def only(wanted: bool, *statements: Statement) -> tuple[Statement, ...]:
    """Return the statements if they are wanted, otherwise none."""
    return statements if wanted else ()


def policy_of(statements: Sequence[Statement]) -> dict[str, Any]:
    """Return a policy of these statements."""
    return {"Version": "2012-10-17", "Statement": list(statements)}
