"""The parameters that a target table is made with: by an import, or for a bulk load.

On demand and without a maximum, whatever the source has: while it replicates, each change costs
double in a transaction, and the source's capacity would throttle the replica for ever. Its mode,
capacity and maximums are for the switch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bootstrap.core.facts import ON_DEMAND, Json, TableFacts
from bootstrap.plan.indexes import carried_indexes


def creation_parameters(source: TableFacts, name: str, key: str = "") -> Mapping[str, Any]:
    """Return the target's TableCreationParameters (API reference, ImportTable).

    `key` is the customer-managed key for it; without one it is encrypted with a key of AWS's, and
    never with the source's, which stays in its account. An import makes no local secondary index
    and takes no table class.
    """
    return _parameters(source, name, key, ())


def table_parameters(source: TableFacts, name: str, key: str = "") -> Mapping[str, Any]:
    """Return the parameters of CreateTable for a table that a bulk load is to fill.

    As those of an import, and with what only CreateTable takes: local secondary indexes, which a
    table can get at no other time, and the table class, which AWS lets change twice in 30 days
    (developer guide, WorkingWithTables.tableclasses).
    """
    made = dict(_parameters(source, name, key, source.local_indexes))
    if source.local_indexes:
        made["LocalSecondaryIndexes"] = [_index(index) for index in source.local_indexes]
    return {**made, "TableClass": source.table_class}


def _parameters(
    source: TableFacts, name: str, key: str, local_indexes: Sequence[Json]
) -> Mapping[str, Any]:
    indexes = carried_indexes(source)
    used = set(_key_attributes(source, (*indexes, *local_indexes)))
    made: dict[str, Any] = {
        "TableName": name,
        # Only what keys use: the API counts them.
        "AttributeDefinitions": [
            dict(each) for each in source.attributes if each["AttributeName"] in used
        ],
        "KeySchema": [dict(each) for each in source.keys],
        "BillingMode": ON_DEMAND,
    }
    if indexes:
        made["GlobalSecondaryIndexes"] = [_index(index) for index in indexes]
    encryption = _encryption(source, key)
    return {**made, "SSESpecification": encryption} if encryption else made


def _key_attributes(source: TableFacts, indexes: Sequence[Json]) -> Iterator[str]:
    """Name the attributes of all keys. The key of an index may have up to eight."""
    for schema in (source.keys, *(index["KeySchema"] for index in indexes)):
        yield from (each["AttributeName"] for each in schema)


def _index(index: Json) -> dict[str, Any]:
    """Return the definition of an index, of its description: without throughput, size and status.

    Without a maximum of its own, a global index on demand takes what its table takes.
    """
    return {name: index[name] for name in ("IndexName", "KeySchema", "Projection")}


def _encryption(source: TableFacts, key: str) -> dict[str, Any] | None:
    if key:
        return {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key}
    return {"Enabled": True, "SSEType": "KMS"} if source.encryption == "KMS" else None
