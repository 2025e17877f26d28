"""The grants of the functions' roles to use keys that are there before what they encrypt.

They are policies of their own, on which all that is encrypted depends: where an `up` puts a living
stack under another key, each role may use it before anything is encrypted with it.
"""

from __future__ import annotations

from collections.abc import Sequence

import pulumi

from infra.key_services import function_arns, started_by
from infra.place_keys import PlaceKey, PlaceKeys
from infra.policies import Text, document
from infra.role_policies import declare_policy
from infra.shared_actions import OBJECT_KEY_ACTIONS, STREAM_KEY_ACTIONS, TABLE_KEY_ACTIONS
from infra.stack_config import StackConfig
from infra.statements import Statement, allow, allow_keys, through
from infra.table_config import TableConfig

DECRYPT = ("kms:Decrypt",)


def declare_function_key_grants(
    name: str,
    role: Text,
    statements: Sequence[Statement],
    opts: pulumi.ResourceOptions,
    *,
    managed: bool,
) -> list[pulumi.Resource]:
    """Declare what a role may do with keys, if it may do anything. `role`: its name."""
    if not statements:
        return []
    return [declare_policy(f"{name}-keys", role, document(*statements), opts, managed=managed)]


def of_consumer(
    table: TableConfig, settings: StackConfig, keys: PlaceKeys, stream_keys: Sequence[Text]
) -> list[Statement]:
    """Return what the consumer may do with keys. `stream_keys`: the given ones of its stream."""
    here, there = settings.source.region, settings.target.region
    of_target = _arn(keys.target)
    own = [table.target_key, *table.earlier_target_keys]
    tables = [*of_target, *(key for key in dict.fromkeys(own) if key not in (None, *of_target))]
    # The table's key encrypts its own stream too ("How DynamoDB uses AWS KMS").
    source_keys = [table.source_key] if table.reads_table_stream and table.source_key else []
    return [
        *allow_keys("DecryptStream", DECRYPT, stream_keys),
        *allow_keys("DecryptTableStream", DECRYPT, source_keys, through("dynamodb", here)),
        *allow_keys("TablesKeys", TABLE_KEY_ACTIONS, tables, through("dynamodb", there)),
        *allow_keys("QuarantineKey", OBJECT_KEY_ACTIONS, of_target, through("s3", there)),
        # Lambda puts discarded events into the on-failure bucket as this role.
        *allow_keys("FailuresKey", OBJECT_KEY_ACTIONS, _arn(keys.consumer), through("s3", here)),
        *_environment("consumer", settings, keys, table),
    ]


def of_watchdog(table: TableConfig, settings: StackConfig, keys: PlaceKeys) -> list[Statement]:
    """Return what the watchdog may do with keys. It reads no object."""
    by_dynamodb = through("dynamodb", settings.target.region)
    return [
        *allow_keys("LedgerKey", TABLE_KEY_ACTIONS, _arn(keys.target), by_dynamodb),
        *_environment("watchdog", settings, keys, table),
    ]


def of_observer(table: TableConfig) -> list[Statement]:
    """Return what the watchdog's observer may do with keys: it puts probes."""
    given = [table.stream_key] if table.stream_key else []
    return allow_keys("EncryptProbes", STREAM_KEY_ACTIONS, given)


def _environment(
    which: str, settings: StackConfig, keys: PlaceKeys, table: TableConfig
) -> list[Statement]:
    functions = function_arns(which, settings, [table])
    return [
        allow("Environment", DECRYPT, [arn], when=started_by(functions))
        for arn in _arn(keys.consumer)
    ]


def _arn(key: PlaceKey | None) -> list[Text]:
    return [key.arn] if key else []
