"""How what is kept is shown: as text, and as values for JSON. No content unless asked for."""

from __future__ import annotations

from base64 import b64encode
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from bootstrap.core.formatting import duration, instant, moment, number, size
from bootstrap.quarantine.redrive import RedriveOutcome
from bootstrap.quarantine.store import ObjectContent, QuarantinedObject
from replicator.change import MICROSECOND, Change, Probe
from replicator.consumer import decode
from replicator.consumer.decode import Content, Foreign, Record
from replicator.consumer.outcome import Reason

LINES = 20
"""How many objects that stay open are explained; the others are counted."""


def count_reasons(kept: Sequence[QuarantinedObject]) -> dict[str, int]:
    """How many there are of each reason."""
    return dict(sorted(Counter(each.reason for each in kept).items()))


def as_json(table: str, kept: Sequence[QuarantinedObject], now: float) -> dict[str, Any]:
    return {
        "table": table,
        "counts": count_reasons(kept),
        "objects": [
            {
                "key": each.key,
                "reason": each.reason,
                "kind": "event" if each.is_event else "record",
                "shardId": each.shard,
                "sequence": each.sequence,
                "size": each.size,
                "since": moment(each.since),
                "ageSeconds": round(now - each.since),
            }
            for each in kept
        ],
    }


def listing(table: str, kept: Sequence[QuarantinedObject], now: float) -> str:
    """One line for each object. Reason, shard and sequence are what its key is made of."""
    if not kept:
        return f"{table}: nothing is in quarantine"
    told = ", ".join(f"{number(count)} {reason}" for reason, count in count_reasons(kept).items())
    rows = [("REASON", "WHEN", "AGE", "SIZE", "TABLE", "KEY")]
    rows += [
        (
            "event" if each.is_event else each.reason,
            moment(each.since),
            duration(now - each.since),
            size(each.size),
            table,
            each.key,
        )
        for each in kept
    ]
    widths = [max(len(row[n]) for row in rows) for n in range(5)]
    lines = [
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=False))
        + f"  {row[5]}"
        for row in rows
    ]
    notes = []
    if any(each.is_event for each in kept):
        notes.append("event: whole events that Lambda gave up on; redrive them with --direct")
    return "\n".join([f"{table}: {number(len(kept))} in quarantine ({told})", *lines, *notes])


# -- one object --------------------------------------------------------------------------------


def describe_object(
    table: str, kept: QuarantinedObject, holding: ObjectContent, *, values: bool
) -> dict[str, Any]:
    """Everything about one object; the content of items only with `values`."""
    known = holding.document
    shown: dict[str, Any] = {
        "key": kept.key,
        "reason": kept.reason,
        "detail": _detail(kept, known, values),
        "table": table,
        "kept": moment(kept.since),
    }
    if kept.is_event:
        batch = known.get("KinesisBatchInfo", {})
        shown |= {name: batch.get(name) for name in ("shardId", "startSequenceNumber", "batchSize")}
    shown["records"] = [
        {
            "shardId": record.shard_id,
            "sequenceNumber": record.sequence_number,
            "subSequence": record.sub_sequence,
            "arrived": instant(record.arrival),
            "size": len(record.data),
            "partOfAggregate": record.aggregated,
            "says": [
                _describe_content(each) for each in ObjectContent({}, (record,)).contents(table)
            ],
            **({"content": _text(record)} if values else {}),
        }
        for record in holding.records
    ]
    return shown


def _detail(kept: QuarantinedObject, known: Mapping[str, Any], values: bool) -> str:
    """AWS's words about a rejected item may quote it; its code does not."""
    if kept.is_event:
        return str(known.get("requestContext", {}).get("condition", ""))
    detail = str(known.get("detail", ""))
    if kept.reason != Reason.REJECTED or values:
        return detail
    code = detail.partition(":")[0]
    return f"{code} (AWS's message may quote the item: --show-values shows it)"


def _describe_content(content: Content) -> dict[str, Any]:
    if isinstance(content, Change):
        return {
            "change": _kind(content),
            "keyDigest": content.key.hex(),
            "made": instant(content.version.micros / 1_000_000),
            "precision": "us" if content.version.precision == MICROSECOND else "ms",
        }
    if isinstance(content, Foreign):
        return {"changeOfTable": content.table}
    if isinstance(content, Probe):
        return {"probe": content.probe}
    return {"unusable": str(content.reason), "detail": content.detail}


def _kind(change: Change) -> str:
    if change.new is None:
        return "REMOVE"
    return "INSERT" if change.old is None else "MODIFY"


def _text(record: Record) -> str | list[str]:
    parts = [record] if record.aggregated else decode.user_records(record)
    if not isinstance(parts, list):
        return b64encode(record.data).decode("ascii")
    texts = []
    for part in parts:
        try:
            texts.append(part.data.decode())
        except UnicodeDecodeError:
            texts.append(f"base64:{b64encode(part.data).decode('ascii')}")
    return texts[0] if len(texts) == 1 else texts


def page(shown: Mapping[str, Any], indent: str = "") -> str:
    """Nested values as indented lines."""
    lines = []
    for name, value in shown.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            for each in value:
                lines += [f"{indent}{name}:", page(each, indent + "  ")]
        else:
            lines.append(f"{indent}{name + ':':18} {value}")
    return "\n".join(lines)


# -- what became of them -----------------------------------------------------------------------


def summarize_redrive(table: str, outcome: RedriveOutcome, direct: bool) -> str:
    """What a redrive has done, and what it left open."""
    parts = []
    if outcome.sent:
        parts.append(
            f"{number(outcome.sent)} back on the stream in {number(outcome.records)} records"
        )
    if outcome.ended:
        how = "through the guard" if direct else "superseded already"
        parts.append(f"{number(len(outcome.ended))} {how}")
    if outcome.gone:
        parts.append(f"{number(outcome.gone)} resolved by somebody else")
    if outcome.left:
        parts.append(f"{number(len(outcome.left))} left open")
    nothing = "nothing was redriven" if outcome.asked else "nothing is in quarantine"
    lines = [f"{table}: {', '.join(parts) or nothing}"]
    if direct:
        lines += [f"  {kept.key}: {how}" for kept, how in outcome.ended[:LINES]]
    for left in outcome.left[:LINES]:
        lines += [f"  {left.kept.key}", f"    {left.why}", f"    Try: {left.fix}"]
    if len(outcome.left) > LINES:
        lines.append(f"  and {number(len(outcome.left) - LINES)} more, for such reasons")
    return "\n".join(lines)
