"""The refusal of another key for what a stack has encrypted; an adopted stream's earlier keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from infra.held_resources import (
    BUCKET_ENCRYPTION,
    KMS_KEY,
    LOG_GROUP,
    STREAM,
    TABLE,
    HeldResources,
    last_table,
)
from infra.key_config import CREATE
from infra.refused_changes import listed
from infra.stack_config import StackConfig
from infra.table_config import TableConfig

MADE = "replication-{place}-key"
"""The name, in the program, of the key that the stack makes for a place."""
SNAPSHOT_KEY = "replication-snapshot-key"
KEEPERS = {
    "consumer": ((BUCKET_ENCRYPTION, "-on-failure-encryption"), (LOG_GROUP, "-logs")),
    "target": (
        (TABLE, "-ledger"),
        (TABLE, "replication-journal"),
        (BUCKET_ENCRYPTION, "-quarantine-encryption"),
    ),
}
"""What keeps data under the key of a place: its type, and the end of its name in the program."""


def find_other_keys(
    config: StackConfig, before: Mapping[str, Any], held: HeldResources
) -> Iterator[str]:
    """Yield a refusal of another key than the one that encrypts what a stream, or a place, keeps.

    The engine would change it in place, or delete one that the stack made, and what the stream, the
    quarantine or a snapshot holds could not be read any more: no role would have a grant of the key
    that encrypted it. An adopted stream's key is its owner's to change, and the earlier ones stay
    granted. A topic keeps nothing, so the source's key may change for it.
    """
    streams = list(_of_streams(config, before, held))
    places = [*_of_places(config, before, held), *_of_snapshots(config, before, held)]
    ways = []
    if streams:
        ways.append(
            "put the stream's key back; or take the table out of the stack and replicate it anew: "
            "docs/operate.md, Take a table out of a stack"
        )
    if places:
        # It is the stack's, whatever its tables.
        names = " and ".join(line.partition(":")[0] for line in places)
        ways.append(
            f"put {names} back; or replicate with another key in another stack: "
            "pulumi stack init NAME"
        )
    return listed(
        "A key that encrypts what is kept stays",
        (*streams, *places),
        "What the stack holds was encrypted with that key, and cannot be read without it. Try: "
        f"{'; '.join(ways)}",
    )


def earlier_keys(table: TableConfig, before: Mapping[str, Any]) -> list[str]:
    """Return the other keys that an adopted stream has had since the stack adopted it.

    Records that they encrypted may be in the stream until their retention is over.
    """
    last = last_table(table, before)
    known = [*(last.get("earlierStreamKeyArns") or ()), last.get("streamKeyArn")]
    return [key for key in dict.fromkeys(known) if key and key != table.stream_key]


def with_earlier_target_keys(config: StackConfig, before: Mapping[str, Any]) -> StackConfig:
    """Return the configuration with the keys that each target may still be encrypted with.

    The load makes a table with its key, and another key in the stack file does not change it.
    """
    return replace(
        config,
        tables=tuple(
            replace(table, earlier_target_keys=_earlier_target_keys(table, config, before))
            for table in config.tables
        ),
    )


def _earlier_target_keys(
    table: TableConfig, config: StackConfig, before: Mapping[str, Any]
) -> tuple[str, ...]:
    last = last_table(table, before)
    known = [*(last.get("earlierTargetKeyArns") or ()), last.get("targetKeyArn")]
    of_place = last_place_keys(before).get("target")
    under_made_key = table.target_key is None and not table.load.adopt
    current = of_place if under_made_key and config.keys.makes("target") else table.target_key
    return tuple(key for key in dict.fromkeys(known) if key and key != current)


def last_place_keys(before: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the keys of the places in the outputs of the last `up`."""
    older = {"target": before["keptKeyArn"]} if before.get("keptKeyArn") else {}
    return {**older, **(before.get("keys") or {})}


def _of_places(
    config: StackConfig, before: Mapping[str, Any], held: HeldResources
) -> Iterator[str]:
    last = last_place_keys(before)
    for place in ("consumer", "target"):
        # An `up` that failed may have left no outputs, or those of the one before it.
        known, name = last.get(place) or _encrypting_key(place, held), MADE.format(place=place)
        made = held.has(KMS_KEY, name)
        if known is None and not made:
            continue
        if made and known in (None, held.value(KMS_KEY, name, "arn")):
            if not config.keys.makes(place):
                got = _named(config.keys.given(place))
                yield f"keys.{place}: got {got}; the stack has one that it made ({CREATE})."
        elif config.keys.given(place) != known:
            got = CREATE if config.keys.makes(place) else _named(config.keys.given(place))
            yield f'keys.{place}: got {got}; the stack has "{known}".'


def _encrypting_key(place: str, held: HeldResources) -> str | None:
    """Return the key, in the state, of what keeps data under the key of a place."""
    for type_, end in KEEPERS[place]:
        for name, outputs in held.of_type(type_):
            key = _key_of(outputs) if name.endswith(end) else None
            if key:
                return key
    return None


def _key_of(outputs: Mapping[str, Any]) -> str | None:
    """Return the key in the outputs of a table, a log group or a bucket's encryption."""
    rules = [each.get("applyServerSideEncryptionByDefault") for each in outputs.get("rules") or ()]
    found = [
        outputs.get("kmsKeyId"),
        (outputs.get("serverSideEncryption") or {}).get("kmsKeyArn"),
        *((rule or {}).get("kmsMasterKeyId") for rule in rules),
    ]
    return next((key for key in found if key and isinstance(key, str)), None)


def _of_snapshots(
    config: StackConfig, before: Mapping[str, Any], held: HeldResources
) -> Iterator[str]:
    """Tell of the key that the stack made for the snapshot bucket alone."""
    known = before.get("snapshotKeyArn") or held.value(KMS_KEY, SNAPSHOT_KEY, "arn")
    if known and known != last_place_keys(before).get("target") and not config.snapshot_key:
        got = "nothing" if config.snapshot_key is None else "false"
        yield f"snapshotKey: got {got}; the stack has made one, {known}."


def _of_streams(
    config: StackConfig, before: Mapping[str, Any], held: HeldResources
) -> Iterator[str]:
    for n, table in enumerate(config.tables):
        if table.stream is not None:
            continue
        last = last_table(table, before)
        # A first `up` that failed has left the stream, and no outputs.
        known = last.get("streamKeyArn")
        if known is None and not last.get("streamArn"):
            known = _held_key(table, held)
        if known not in (None, table.stream_key):
            yield (
                f"tables[{n}].streamKeyArn (or keys.source): got {_named(table.stream_key)}; the "
                f'stream has "{known}".'
            )


def _held_key(table: TableConfig, held: HeldResources) -> str | None:
    """Return the key that encrypts the stream in the state; None for the one that the stack made.

    That one stays in the program beside a given one.
    """
    key = held.value(STREAM, f"{table.prefix}-buffer-stream", "kmsKeyId")
    made = held.value(KMS_KEY, f"{table.prefix}-buffer-key", "arn")
    return key if isinstance(key, str) and key != made else None


def _named(key: str | None) -> str:
    return f'"{key}"' if key else "nothing"
