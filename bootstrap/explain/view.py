"""The report on an item, as lines of text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from replicator.change import ORDER_ZERO


def _order(order: str) -> str:
    """Format a place in the table's stream."""
    if order == ORDER_ZERO:
        return "before every change of the stream"
    label, _, number = order.partition("#")
    return f"sequence number {int(number)} of the stream {label}"


def page(shown: Mapping[str, Any]) -> str:
    """Format the values that `--json` prints."""
    entry, target = shown["ledger"], shown["target"]
    rows = [("table", shown["table"]), ("key digest", shown["keyDigest"])]
    rows += [("key", json.dumps(shown["key"]))] if "key" in shown else []
    if entry is None:
        rows.append(("ledger", "no entry"))
    else:
        image = "the item is deleted" if entry["imageIsAbsence"] else entry["imageDigest"]
        rows += [
            ("ledger", f"change of {entry['made']} ({entry['micros']}, {entry['precision']})"),
            *((("  order", _order(entry["order"])),) if "order" in entry else ()),
            ("  image", image),
            ("  before it", entry["previousDigest"]),
            ("  expires", entry["expires"] or "never, by current settings"),
        ]
    rows.append(("target", target["digest"] if target["present"] else "no such item"))
    rows += [("item", json.dumps(shown["item"]))] if "item" in shown else []
    rows.append(("verdict", shown["verdict"]))
    rows += [
        ("quarantine", f"{hit['reason']} since {hit['since']}: {hit['key']}")
        for hit in shown["quarantine"]
    ] or [("quarantine", "no object with this key")]
    if shown["quarantineUnreadable"]:
        count = shown["quarantineUnreadable"]
        rows.append(("", f"unreadable objects, which may concern this key too: {count}"))
    return "\n".join(f"{name:13} {value}" for name, value in rows)
