"""The refusal of another key for what a stack has encrypted; an adopted stream's earlier keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from infra.held_resources import KEY, STREAM, HeldResources, last_table
from infra.refused_changes import listed
from infra.stack_config import StackConfig
from infra.table_config import TableConfig


def find_other_keys(
    config: StackConfig, before: Mapping[str, Any], held: HeldResources
) -> Iterator[str]:
    """Yield a refusal of another key than the stack file has given a stream, or the stack.

    The engine would change it in place, and what the stream or the quarantine holds could not be
    read any more: no role would have a grant of the key that encrypted it. An adopted stream's key
    is its owner's to change, and the earlier ones stay granted.
    """
    streams = list(_of_streams(config, before, held))
    kept = before.get("keptKeyArn")
    found, ways = streams, []
    if streams:
        ways.append(
            "put the stream's key back; or take the table out of the stack and replicate it anew: "
            "docs/operate.md, Take a table out of a stack"
        )
    if kept not in (None, config.keys.target):
        found = [
            *streams,
            f'keys.target: got {_named(config.keys.target)}; the stack has "{kept}".',
        ]
        # It is the stack's, whatever its tables.
        ways.append(
            "put keys.target back; or replicate with another key in another stack: "
            "pulumi stack init NAME"
        )
    return listed(
        "A key that was given stays",
        found,
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
                f"tables[{n}].streamKeyArn: got {_named(table.stream_key)}; the stream has "
                f'"{known}".'
            )


def _held_key(table: TableConfig, held: HeldResources) -> str | None:
    """Return the key that encrypts the stream in the state; None for the one that the stack made.

    That one stays in the program beside a given one.
    """
    key = held.value(STREAM, f"{table.prefix}-buffer-stream", "kmsKeyId")
    made = held.value(KEY, f"{table.prefix}-buffer-key", "arn")
    return key if isinstance(key, str) and key != made else None


def _named(key: str | None) -> str:
    return f'"{key}"' if key else "nothing"
