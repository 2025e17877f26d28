"""The indexes of a table, as text: what a target gets of them, and where two tables differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bootstrap.core.facts import Json, TableFacts


def carried_indexes(table: TableFacts) -> list[Mapping[str, Any]]:
    """Return the global secondary indexes that a target gets: all that are not being deleted."""
    return [index for index in table.global_indexes if index.get("IndexStatus") != "DELETING"]


def index_names(indexes: Sequence[Json]) -> str:
    """Return the names of indexes as a sentence lists them."""
    return ", ".join(sorted(str(index["IndexName"]) for index in indexes))


def key_types(table: TableFacts) -> dict[str, str]:
    """Return the types of key attributes by name: S, N or B."""
    return {each["AttributeName"]: each["AttributeType"] for each in table.attributes}


def key_definition(table: TableFacts) -> str:
    """Return the attributes of a table's own key and their types, the partition key first."""
    kinds = key_types(table)
    return ", ".join(
        f"{key['AttributeName']} ({kinds.get(key['AttributeName'], '?')})" for key in table.keys
    )


def global_definitions(table: TableFacts) -> str:
    """Return each global index with all that is copied: key, types and projection."""
    return "; ".join(sorted(_definitions(table, carried_indexes(table)).values())) or "none"


def local_definitions(table: TableFacts) -> str:
    """Return the same of each local index."""
    return "; ".join(sorted(_definitions(table, table.local_indexes).values())) or "none"


def vector_names(table: TableFacts) -> str:
    """Return the names of a table's vector indexes."""
    return ", ".join(sorted(table.vector_indexes)) or "none"


def index_differences(source: TableFacts, target: TableFacts) -> Sequence[str]:
    """Describe each index that the target lacks, has beside the source's, or has otherwise."""
    return (
        *_differences(
            "global index",
            _definitions(source, carried_indexes(source)),
            _definitions(target, carried_indexes(target)),
        ),
        *_differences(
            "local index",
            _definitions(source, source.local_indexes),
            _definitions(target, target.local_indexes),
        ),
        *_differences(
            "vector index",
            {name: name for name in source.vector_indexes},
            {name: name for name in target.vector_indexes},
        ),
    )


def _differences(kind: str, here: Mapping[str, str], there: Mapping[str, str]) -> Iterator[str]:
    for name in sorted({*here, *there}):
        if name not in there:
            yield f"it lacks {kind} {here[name]}"
        elif name not in here:
            yield f"it has {kind} {there[name]}, which the source has not"
        elif here[name] != there[name]:
            yield f"its {kind} is {there[name]}, and the source's {here[name]}"


def _definitions(table: TableFacts, indexes: Sequence[Json]) -> dict[str, str]:
    kinds = key_types(table)
    return {str(index["IndexName"]): _definition(index, kinds) for index in indexes}


def _definition(index: Json, kinds: Mapping[str, str]) -> str:
    """Return an index as text. Its key may have up to eight attributes, whose order counts."""
    key = ", ".join(
        f"{each['AttributeName']} {each['KeyType']} {kinds.get(each['AttributeName'], '?')}"
        for each in index["KeySchema"]
    )
    projection = index.get("Projection", {})
    attributes = ", ".join(sorted(projection.get("NonKeyAttributes", ())))
    projected = f"{projection.get('ProjectionType', '?')} {attributes}".rstrip()
    return f"{index['IndexName']} ({key}; {projected})"


def index_throughput(table: TableFacts) -> str:
    """Return the throughput that was set for each index; nothing where it has the default."""
    found = []
    for index in sorted(table.global_indexes, key=lambda index: str(index["IndexName"])):
        given = index.get("ProvisionedThroughput", {})
        most = index.get("OnDemandThroughput", {})
        warm = index.get("WarmThroughput", {})
        parts = [
            f"{given.get(f'{kind}CapacityUnits')} {what}"
            for kind, what in (("Read", "reads"), ("Write", "writes"))
            if given.get(f"{kind}CapacityUnits")
        ]
        parts += [
            f"at most {most[f'Max{kind}RequestUnits']} {what}"
            for kind, what in (("Read", "reads"), ("Write", "writes"))
            if most.get(f"Max{kind}RequestUnits", -1) > 0
        ]
        if warm.get("WriteUnitsPerSecond"):
            parts.append(f"warm for {warm['WriteUnitsPerSecond']} writes")
        found += [f"{index['IndexName']}: {', '.join(parts)}"] if parts else []
    return "; ".join(found) or ("on demand" if table.global_indexes else "none")


def index_maximums(table: TableFacts) -> str:
    """Return the on-demand maximums of indexes, as text; empty where there are none."""
    found = [
        f"{index['IndexName']}: at most {most} writes"
        for index in sorted(table.global_indexes, key=lambda index: str(index["IndexName"]))
        if (most := index.get("OnDemandThroughput", {}).get("MaxWriteRequestUnits", -1)) > 0
    ]
    return "; ".join(found)
