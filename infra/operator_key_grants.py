"""The grants of the operators' roles to use the keys of the places."""

from __future__ import annotations

from collections.abc import Sequence

from infra.shared_actions import (
    KEY_LOOK_ACTIONS,
    OBJECT_KEY_ACTIONS,
    SELECTED_KEY_ACTIONS,
    STREAM_KEY_ACTIONS,
    TABLE_KEY_ACTIONS,
)
from infra.stack_arns import OperatorScope, PlaceArns
from infra.statements import Statement, allow_keys, through
from infra.table_config import TableConfig


def exporter(
    scope: OperatorScope, places: PlaceArns, tables: Sequence[TableConfig]
) -> list[Statement]:
    """Return what the exporter may do with the keys of the places."""
    given = places.source if scope.keys.given("source") else ()
    streams = [arn for arn in given if any(table.stream_key == arn for table in tables)]
    snapshots = places.target if scope.snapshots_under_place_key else ()
    return [
        # A probe is encrypted like every other record.
        *allow_keys("StreamsKey", STREAM_KEY_ACTIONS, streams),
        # DynamoDB writes the export with its caller's permissions, into the other account.
        *allow_keys(
            "SnapshotsKey", OBJECT_KEY_ACTIONS, snapshots, through("s3", scope.target.region)
        ),
        *allow_keys("SeePlaceKeys", KEY_LOOK_ACTIONS, places.source),
    ]


def importer(
    scope: OperatorScope, places: PlaceArns, tables: Sequence[TableConfig]
) -> list[Statement]:
    """Return what the importer may do with the keys of the places."""
    here, there = scope.source.region, scope.target.region
    makes_tables = any(scope.target_under_place_key(table) for table in tables)
    actions = SELECTED_KEY_ACTIONS if makes_tables else TABLE_KEY_ACTIONS
    return [
        *allow_keys("TablesKey", actions, places.target, through("dynamodb", there)),
        *allow_keys("ObjectsKey", OBJECT_KEY_ACTIONS, places.target, through("s3", there)),
        # `quarantine` reads what Lambda put into the on-failure bucket.
        *allow_keys("FailuresKey", ["kms:Decrypt"], places.consumer, through("s3", here)),
        *allow_keys("SeePlaceKeys", KEY_LOOK_ACTIONS, (*places.target, *places.consumer)),
    ]


def reader(
    scope: OperatorScope, places: PlaceArns, tables: Sequence[TableConfig]
) -> list[Statement]:
    """Return what the reader of the target account may do with the keys of the places."""
    by_dynamodb = through("dynamodb", scope.target.region)
    return allow_keys("TablesKey", TABLE_KEY_ACTIONS, places.target, by_dynamodb)


def none(scope: OperatorScope, places: PlaceArns, tables: Sequence[TableConfig]) -> list[Statement]:
    """Return nothing: the role uses no such key."""
    return []
