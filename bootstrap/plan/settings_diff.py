"""The settings of source and target side by side: what the target gets, and what has drifted."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from bootstrap.core.facts import KeyFacts, Surroundings, TableFacts
from bootstrap.core.run_options import TtlPolicy
from bootstrap.core.stack_outputs import LoadSettings
from bootstrap.core.table_tags import tags_of_target
from bootstrap.journal.records import Wanted
from bootstrap.plan.indexes import (
    global_definitions,
    index_maximums,
    index_throughput,
    key_definition,
    local_definitions,
    vector_names,
)
from bootstrap.plan.inspection import Inspection
from bootstrap.plan.replication import Replication
from bootstrap.plan.setting import Setting, When
from bootstrap.plan.warm_throughput import index_units, table_units, warm_settings

DYNAMODB_OWNED_KEY = "key of DynamoDB"
NO_INDEX_LIMIT = "as the table: on demand, no maximum"
BY_IMPORT = LoadSettings()
ADOPTED = "as your own code sets it"


def wanted(inspection: Inspection, replication: Replication) -> Wanted:
    """Return what CONFIGURING will do. The source must exist.

    An adopted table keeps its class and its tags.
    """
    source = inspection.source
    assert source.table is not None
    owned = inspection.target.table if replication.load.adopt else None
    tags = {} if replication.load.adopt else tags_of_target(source.tags, replication.stack_tags)
    return Wanted(
        table_class=(owned or source.table).table_class,
        tags=json.dumps(tags, sort_keys=True),
        ttl_attribute=source.ttl.attribute or "" if source.ttl.enabled else "",
        warm_writes=table_units(inspection),
        warm_indexes=json.dumps(index_units(inspection), sort_keys=True),
        load=replication.load.text,
    )


def settings(
    inspection: Inspection,
    wants: Wanted,
    policy: TtlPolicy = TtlPolicy.AT_SWITCH,
    load: LoadSettings = BY_IMPORT,
) -> tuple[Setting, ...]:
    """List every setting of the source table. The source must exist.

    `policy`: when the operator wants the target to expire items by itself. `load`: how the target
    gets its items. An adopted table's class, tags, key and capacity are its owner's: no drift.
    """
    source, target = inspection.source.table, inspection.target.table
    assert source is not None
    return (
        *_made_by_load(source, target, inspection.keys.target, load),
        *(
            _adopted_settings(source, inspection)
            if load.adopt
            else _configured(source, inspection, wants, load)
        ),
        *warm_settings(source, target, wants, _created_when(load)),
        _expiry(inspection, policy),
        *(() if load.adopt else _capacity(source, target)),
        _autoscaling(inspection.source.surroundings),
        *_not_carried(source, target, inspection.source.surroundings),
    )


def _created_when(load: LoadSettings) -> When:
    """Return when the target gets what a table has from its creation on."""
    if load.adopt:
        return When.ADOPTED
    return When.LOAD if load.is_bulk else When.IMPORT


def _made_by_load(
    source: TableFacts, target: TableFacts | None, key: KeyFacts | None, load: LoadSettings
) -> Iterator[Setting]:
    def seen(text: str) -> str | None:
        return text if target is not None else None

    created = _created_when(load)
    keys = key_definition(source)
    yield Setting("keys", keys, keys, created, actual=seen(key_definition(target or source)))
    names = global_definitions(source)
    yield Setting(
        "global secondary indexes",
        names,
        names,
        created,
        actual=seen(global_definitions(target or source)),
    )
    names = local_definitions(source)
    yield Setting(
        "local secondary indexes",
        names,
        names,
        created,
        "no table that exists can get one" if source.local_indexes else "",
        seen(local_definitions(target or source)),
    )
    if not load.adopt:
        yield Setting(
            "billing mode",
            _billing(source),
            "PAY_PER_REQUEST",
            created,
            "copied capacity would throttle the replica: its changes cost double; the source's "
            "mode waits for the switch",
            seen(_billing(target or source)),
        )
    if key is not None or not load.adopt:
        yield Setting(
            "encryption",
            source.encryption or DYNAMODB_OWNED_KEY,
            f"KMS, {key.arn}" if key else source.encryption or DYNAMODB_OWNED_KEY,
            created,
            "a key stays in its account" if source.encryption else "",
            seen(_encryption(target or source, named=key is not None)),
        )


def _adopted_settings(source: TableFacts, inspection: Inspection) -> Iterator[Setting]:
    """List what an adopted table has of its own, beside the source's."""
    target = inspection.target.table
    backups, recovery = inspection.source.backups, inspection.target.backups
    unknown = "not read"
    pairs = {
        "billing mode": (_billing(source), target and _billing(target)),
        "table class": (source.table_class, target and target.table_class),
        "tags": (_pairs(inspection.source.tags), target and _pairs(inspection.target.tags)),
        "capacity": (_units(source), target and _units(target)),
        "index throughput": (index_throughput(source), target and index_throughput(target)),
        "on-demand maximums": (_maximums(source), target and _maximums(target)),
        "deletion protection": (
            _on(source.deletion_protection),
            target and _on(target.deletion_protection),
        ),
        "point-in-time recovery": (
            _on(backups is not None and backups.enabled),
            target and recovery and _on(recovery.enabled),
        ),
    }
    if inspection.keys.target is None:
        pairs["encryption"] = (
            source.encryption or DYNAMODB_OWNED_KEY,
            target and _encryption(target, named=True),
        )
    for name, (here, there) in pairs.items():
        yield Setting(name, here, there or unknown, When.ADOPTED, ADOPTED)


def _configured(
    source: TableFacts, inspection: Inspection, wants: Wanted, load: LoadSettings
) -> Iterator[Setting]:
    target = inspection.target.table
    yield Setting(
        "table class",
        source.table_class,
        wants.table_class,
        When.LOAD if load.is_bulk else When.SETTINGS,
        actual=target.table_class if target else None,
    )
    tags: dict[str, str] = json.loads(wants.tags)
    there = {key: inspection.target.tags.get(key, "") for key in tags}
    source_tags = dict(inspection.source.tags)
    yield Setting(
        "tags",
        _pairs(source_tags),
        _pairs(tags),
        When.SETTINGS,
        "the stack's, and the source's others" if tags != source_tags else "",
        _pairs(there) if target else None,
    )
    yield Setting(
        "deletion protection",
        _on(source.deletion_protection),
        "on",
        When.SETTINGS,
        "always on in the target",
        _on(target.deletion_protection) if target else None,
    )
    backups, recovery = inspection.source.backups, inspection.target.backups
    yield Setting(
        "point-in-time recovery",
        _on(backups is not None and backups.enabled),
        "on",
        When.SETTINGS,
        "always on in the target; in the source the export needs it",
        _on(recovery.enabled) if target and recovery else None,
    )


def _expiry(inspection: Inspection, policy: TtlPolicy) -> Setting:
    expiry, target = inspection.source.ttl, inspection.target.table
    expires = policy is TtlPolicy.NOW and expiry.enabled
    off = "off" if policy is TtlPolicy.NEVER else "off until the switch"
    wants = expiry.attribute or "on" if expires else off
    there = inspection.target.ttl
    has = there.attribute or "on" if there.enabled else ("off" if expires else off)
    return Setting(
        "time to live",
        expiry.attribute or "on" if expiry.enabled else "off",
        wants,
        When.SETTINGS if expires else When.SWITCH,
        "unless run --ttl says otherwise; while both sides expire items they race, and the "
        "source's expiries arrive as deletes anyway",
        has if target else None,
    )


def _capacity(source: TableFacts, target: TableFacts | None) -> Iterator[Setting]:
    yield Setting("capacity", _units(source), "on demand", When.SWITCH)
    yield Setting(
        "index throughput",
        index_throughput(source),
        NO_INDEX_LIMIT,
        When.SWITCH,
        "an index that takes less than its table throttles the writes to it",
        (index_maximums(target) or NO_INDEX_LIMIT) if target else None,
    )
    yield Setting(
        "on-demand maximums",
        _maximums(source),
        "none",
        When.SWITCH,
        actual=_maximums(target) if target else None,
    )


def _autoscaling(seen: Surroundings) -> Setting:
    scaled = seen.autoscaling
    text = "could not be read" if scaled is None else ", ".join(scaled) or "none"
    return Setting("autoscaling", text, "none", When.SWITCH)


def _not_carried(
    source: TableFacts, target: TableFacts | None, seen: Surroundings
) -> Iterator[Setting]:
    yield Setting(
        "vector indexes",
        vector_names(source),
        "none" if target is None else vector_names(target),
        When.NEVER,
        "the vectors are carried, as all data; make the indexes in the target yourself",
    )
    yield Setting(
        "DynamoDB stream",
        source.stream_view or "off",
        "off",
        When.NEVER,
        "its readers are bound to the source's stream: create them again at the switch",
    )
    yield Setting(
        "global table replicas",
        ", ".join(source.replicas) or "none",
        "none",
        When.NEVER,
        "the target gets replicas only if you add them",
    )
    yield Setting(
        "contributor insights",
        "could not be read" if seen.insights is None else _on(seen.insights),
        "off",
        When.NEVER,
        "costs by itself: switch it on where it is wanted",
    )
    yield Setting(
        "resource policy",
        "could not be read" if seen.policy is None else ("yes" if seen.policy else "none"),
        "none",
        When.NEVER,
        "it names principals of the source's account",
    )


def _units(table: TableFacts) -> str:
    if not table.read_capacity and not table.write_capacity:
        return "on demand"
    return f"{table.read_capacity} reads, {table.write_capacity} writes a second"


def _maximums(table: TableFacts) -> str:
    most = ((table.max_reads, "reads"), (table.max_writes, "writes"))
    return ", ".join(f"{n} {what}" for n, what in most if n) or "none"


def _encryption(table: TableFacts, *, named: bool) -> str:
    """Return the kind of a table's encryption; `named`: with the key."""
    kind = table.encryption or DYNAMODB_OWNED_KEY
    return f"{kind}, {table.key_arn}" if named and table.key_arn else kind


def _billing(table: TableFacts) -> str:
    return table.billing_mode


def _pairs(tags: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in sorted(tags.items())) or "none"


def _on(value: bool) -> str:
    return "on" if value else "off"
