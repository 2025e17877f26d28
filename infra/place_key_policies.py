"""The policy of a key that the stack makes for a place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from infra.key_services import FUNCTIONS, function_arns, service_statements, started_by
from infra.partitions import endpoint
from infra.policies import ALIAS_ADMINISTRATION, KEY_ADMINISTRATION, Text
from infra.shared_actions import (
    ENVIRONMENT_KEY_ACTIONS,
    OBJECT_KEY_ACTIONS,
    SELECTED_KEY_ACTIONS,
)
from infra.stack_config import StackConfig
from infra.statements import Statement, allow


def made_key_policy(place: str, settings: StackConfig, *, exporter: Text) -> list[Statement]:
    """Return the policy of a key that the stack makes.

    It leaves the use by roles to their own policies, and only through the services that the key is
    for. `exporter`: ARN of the role of the other account that writes snapshots.
    """
    root = settings.owner_of(place).root_arn
    administration = (*KEY_ADMINISTRATION, *ALIAS_ADMINISTRATION)
    return [
        allow("AccountAdministers", administration, ["*"], principal=root),
        *_account_uses(place, settings, root),
        *_exporter_writes(place, settings, exporter),
        *service_statements(place, settings),
    ]


def _account_uses(place: str, settings: StackConfig, root: str) -> Iterator[Statement]:
    owner, region = settings.owner_of(place), settings.region_of(place)

    def uses(sid: str, service: str, actions: Sequence[str]) -> Statement:
        when = {
            "StringEquals": {
                "kms:ViaService": endpoint(service, region),
                "kms:CallerAccount": owner.account_id,
            }
        }
        return allow(sid, actions, ["*"], principal=root, when=when)

    if place == "target":
        yield uses("AccountUsesTables", "dynamodb", SELECTED_KEY_ACTIONS)
    if place != "source":
        yield uses("AccountUsesBuckets", "s3", OBJECT_KEY_ACTIONS)
    if place == "consumer":
        yield uses("AccountSetsFunctions", "lambda", ENVIRONMENT_KEY_ACTIONS)
        functions = [
            arn for each in FUNCTIONS for arn in function_arns(each, settings, settings.tables)
        ]
        yield allow(
            "FunctionsStart",
            ["kms:Decrypt"],
            ["*"],
            principal=root,
            when=started_by(functions),
        )


def _exporter_writes(place: str, settings: StackConfig, exporter: Text) -> Iterator[Statement]:
    if place == "target" and settings.snapshots_under_place_key:
        when = {"StringEquals": {"kms:ViaService": endpoint("s3", settings.target.region)}}
        yield allow("ExporterWrites", OBJECT_KEY_ACTIONS, ["*"], principal=exporter, when=when)
