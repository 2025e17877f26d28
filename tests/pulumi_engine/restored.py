"""A recorded state, made true: what it speaks of is created on a local cloud."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from typing import Any

from infra.local.bindings import BINDINGS, Inputs, Request
from infra.local.cloud import LocalAccount, LocalCloud
from tests.pulumi_engine.values import plain

MADE_BY_AWS = ("arn", "keyId", "uuid")
"""Outputs that may hold an id of AWS's own, another one each time."""

SCHEDULE = "aws:cloudwatch/eventRule:EventRule"

State = dict[str, Any]


def restore(state: Mapping[str, Any], cloud: LocalCloud) -> State:
    """Create every resource of a recorded state; return the state with the ids as they are now.

    Names are in the recorded inputs, so that they stay. Resources are in the order of their
    creation, so that an id is known before another resource's input names it.
    """
    text = json.dumps(state)
    client = functools.cache(cloud.client)
    for n, recorded in enumerate(state["resources"]):
        if not recorded["type"].startswith("aws:"):
            continue
        # With the ids of what was created before it.
        resource = json.loads(text)["resources"][n]
        made = _create(resource, cloud, client)
        if resource["type"] == SCHEDULE:
            # On the local cloud's clock the watchdog would run every few seconds.
            client("events", cloud.target).disable_rule(Name=made.id)
        found = {"id": made.id, **{key: made.outputs.get(key) for key in MADE_BY_AWS}}
        known = {"id": resource["id"], **resource["outputs"]}
        # The longest first: an ARN contains the id.
        pairs = {(str(known[key]), str(now)) for key, now in found.items() if now is not None}
        for before, now in sorted(pairs, key=lambda pair: -len(pair[0])):
            text = text.replace(before, now)
    restored: State = json.loads(text)
    return restored


def _create(resource: State, cloud: LocalCloud, client: Callable[..., Any]) -> Any:
    account = _account(resource, cloud)
    inputs = dict(plain(resource["inputs"]))
    region = str(inputs.get("region") or account.region)
    return BINDINGS[resource["type"]](
        Request(
            name=resource["urn"].rpartition("::")[2],
            inputs=Inputs(inputs),
            stack="restored",
            account_id=account.account_id,
            region=region,
            client=lambda service: client(service, account, region),
        )
    )


def _account(resource: State, cloud: LocalCloud) -> LocalAccount:
    side = resource["provider"].split("::")[-2]
    return {"source": cloud.source, "target": cloud.target}[side]
