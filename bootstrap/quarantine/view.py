"""Text and JSON about quarantined objects. Item content only on request."""

from __future__ import annotations

from base64 import b64encode
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from bootstrap.core.formatting import duration, instant, moment, number, size
from bootstrap.core.suggestions import GENERIC, Suggestion
from bootstrap.quarantine.redrive import RedriveOutcome
from bootstrap.quarantine.store import ObjectContent, QuarantinedObject
from replicator.change import MICROSECOND, MILLISECOND, SECOND, Change, Probe
from replicator.consumer.decode import Content, Foreign, Record
from replicator.consumer.outcome import Reason

LINES = 20
"""Objects left open that are listed; further ones are counted."""


def count_reasons(stored: Sequence[QuarantinedObject]) -> dict[str, int]:
    """Count the objects of each reason."""
    return dict(sorted(Counter(each.reason for each in stored).items()))


def as_json(table: str, stored: Sequence[QuarantinedObject], now: float) -> dict[str, Any]:
    return {
        "table": table,
        "counts": count_reasons(stored),
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
            for each in stored
        ],
    }


def listing(table: str, stored: Sequence[QuarantinedObject], now: float) -> str:
    """Format one line for each object. Its key consists of reason, shard and sequence."""
    if not stored:
        return f"{table}: the quarantine is empty"
    by_reason = ", ".join(
        f"{number(count)} {reason}" for reason, count in count_reasons(stored).items()
    )
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
        for each in stored
    ]
    widths = [max(len(row[n]) for row in rows) for n in range(5)]
    lines = [
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=False))
        + f"  {row[5]}"
        for row in rows
    ]
    notes = []
    if any(each.is_event for each in stored):
        notes.append("event: a whole event that Lambda gave up on; redrive it with --direct")
    return "\n".join(
        [f"{table}: {number(len(stored))} in quarantine ({by_reason})", *lines, *notes]
    )


# -- one object --------------------------------------------------------------------------------


def describe_object(
    table: str, stored: QuarantinedObject, content: ObjectContent, *, values: bool
) -> dict[str, Any]:
    """Describe one object; the content of items only with `values`."""
    known = content.document
    shown: dict[str, Any] = {
        "key": stored.key,
        "reason": stored.reason,
        "detail": _detail(stored, known, values),
        "table": table,
        "kept": moment(stored.since),
    }
    if stored.is_event:
        batch = known.get("KinesisBatchInfo") or known.get("DDBStreamBatchInfo", {})
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
                _describe_content(each)
                for each in ObjectContent({}, (record,), content.buffer).contents(table)
            ],
            **({"content": _text(record, content)} if values else {}),
        }
        for record in content.records
    ]
    return shown


def _detail(stored: QuarantinedObject, known: Mapping[str, Any], values: bool) -> str:
    """Return the detail. AWS's message about a rejected item may quote it; its code does not."""
    if stored.is_event:
        return str(known.get("requestContext", {}).get("condition", ""))
    detail = str(known.get("detail", ""))
    if stored.reason != Reason.REJECTED or values:
        return detail
    code = detail.partition(":")[0]
    return f"{code} (AWS's message may quote the item; --show-values shows it)"


_PRECISIONS = {MICROSECOND: "us", MILLISECOND: "ms", SECOND: "s"}


def _describe_content(content: Content) -> dict[str, Any]:
    if isinstance(content, Change):
        return {
            "change": _kind(content),
            "keyDigest": content.key.hex(),
            "made": instant(content.version.micros / 1_000_000),
            "precision": _PRECISIONS[content.version.precision],
            **({"order": content.version.order} if content.version.order else {}),
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


def _text(record: Record, content: ObjectContent) -> str | list[str]:
    parts = [record] if record.aggregated else content.decoder.user_records(record)
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
    """Format nested values as indented lines."""
    lines = []
    for name, value in shown.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            for each in value:
                lines += [f"{indent}{name}:", page(each, indent + "  ")]
        else:
            lines.append(f"{indent}{name + ':':18} {value}")
    return "\n".join(lines)


# -- results -----------------------------------------------------------------------


def summarize_redrive(
    table: str, outcome: RedriveOutcome, direct: bool, command: str = GENERIC
) -> str:
    """Describe a redrive's results and the objects left open.

    `command`: the template of command lines about the table.
    """
    parts = []
    if outcome.sent:
        parts.append(
            f"{number(outcome.sent)} back on the stream in {number(outcome.records)} records"
        )
    if outcome.ended:
        how = "through the guard" if direct else "already superseded"
        parts.append(f"{number(len(outcome.ended))} {how}")
    if outcome.gone:
        parts.append(f"{number(outcome.gone)} resolved by another process")
    if outcome.left:
        parts.append(f"{number(len(outcome.left))} left open")
    nothing = "nothing was redriven" if outcome.asked else "the quarantine is empty"
    lines = [f"{table}: {', '.join(parts) or nothing}"]
    if direct:
        lines += [f"  {stored.key}: {how}" for stored, how in outcome.ended[:LINES]]
    for left in outcome.left[:LINES]:
        fix = Suggestion.parse(left.fix).text(command)
        lines += [f"  {left.stored.key}", f"    {left.why}", f"    Try: {fix}"]
    if len(outcome.left) > LINES:
        lines.append(f"  and {number(len(outcome.left) - LINES)} more, for similar reasons")
    return "\n".join(lines)
