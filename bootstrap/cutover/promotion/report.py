"""The report of a promotion: JSON members, and a page in Markdown for the ticket."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bootstrap.core.errors import BootstrapError
from bootstrap.core.formatting import duration, instant
from bootstrap.core.state import State
from bootstrap.cutover.promotion.context import PromoteContext
from bootstrap.cutover.promotion.drain import Drain
from bootstrap.cutover.promotion.items import ITEMS, PromotionItem
from bootstrap.cutover.promotion.loss_window import LossWindow, as_json
from bootstrap.journal.switch_records import Promoted
from replicator.buffers import STREAMS

MOST_LANES = 300
"""The lanes in the journal's copy, those with the oldest records: a row takes 400 KB."""
STILL_ALIVE = (
    "The source may still be taking writes: nothing here reached it. Whatever it took after the "
    "moments below, and whatever it takes from now on, is not in the target."
)
BY_HAND = (
    "Keep every writer off the source table before that account comes back: what is written there "
    "is not in the target any more.",
    "Look at what is in quarantine (`python -m bootstrap quarantine list`): its changes are not in "
    "the target, and no command applies them to a primary.",
    "The target's capacity is as it was for replicating. Compare its mode, maximums, autoscaling, "
    "alarms and backups with what the source had.",
    "Going back is a new stack with the sides swapped: the old source is not brought up to date, "
    "and its table has to make room for an import of this one.",
)


def begun_report(
    context: PromoteContext,
    nonce: str,
    now: float,
    before: State,
    drain: Drain,
    window: LossWindow,
) -> dict[str, Any]:
    """Return the members that are known before the gate is closed. The journal keeps them."""
    facts = as_json(window)
    lanes = facts["lanes"]
    return {
        "stack": context.outputs.stack,
        "table": context.name,
        "targetTable": context.table.target_table,
        "targetAccount": context.outputs.target.account_id,
        "targetRegion": context.outputs.target.region,
        "nonce": nonce,
        "promotedAt": instant(now),
        "stateBefore": str(before),
        "drain": drain.as_json(),
        "lossWindow": {**facts, "lanes": lanes[:MOST_LANES]},
        "lanesLeftOut": max(0, len(lanes) - MOST_LANES),
        "unfinishedSwitch": window.source_closing and window.source_closing.text,
    }


def finished_report(
    context: PromoteContext,
    promoted: Promoted,
    left: Sequence[tuple[PromotionItem, BootstrapError]],
    held_back: tuple[int, int],
    takes_writes: bool,
) -> dict[str, Any]:
    """Return the whole report: what the journal kept, and what has been done since."""
    begun: dict[str, Any] = json.loads(promoted.report)
    open_names = {item.name for item, _ in left}
    return {
        **begun,
        "gateClosedAt": instant(promoted.closed_at),
        "heldBackSince": {"changes": held_back[0], "deletions": held_back[1]},
        "takesWrites": takes_writes,
        "takesWritesSince": instant(promoted.open_at) if promoted.open_at else None,
        "done": [each.name for each in ITEMS if each.name not in open_names],
        "open": [
            {"name": item.name, "what": item.what, "reason": error.what, "fix": error.fix}
            for item, error in left
        ],
        "sourceMayBeAlive": STILL_ALIVE,
        "byHand": list(BY_HAND),
    }


def page(report: Mapping[str, Any]) -> str:
    """Return the report as a page in Markdown."""
    return "\n".join(_page(report)) + "\n"


def facts_text(window: LossWindow) -> list[str]:
    """Return the loss window's facts as sentences."""
    return list(_facts(as_json(window)))


def _page(report: Mapping[str, Any]) -> Iterator[str]:
    yield f"# Promotion of {report['table']}"
    yield ""
    yield (
        f"The target table {report['targetTable']} (account {report['targetAccount']}, "
        f"{report['targetRegion']}) was made the primary at {report['promotedAt']}, without the "
        f"source. It was {report['stateBefore']} before. Stack: {report['stack']}."
    )
    yield ""
    since = report["takesWritesSince"]
    if since:
        yield f"It takes writes since {since}; some callers may be refused for some minutes more."
    elif report["takesWrites"]:
        yield "It takes writes: this stack has put no Deny on its writers."
    else:
        yield "**It still refuses its writers.** See what is open, below."
    yield ""
    yield f"**{report['sourceMayBeAlive']}**"
    yield ""
    yield "## What is in the target"
    yield ""
    for fact in _facts(report["lossWindow"]):
        yield f"- {fact}"
    drain = report["drain"]
    waited = f" ({duration(drain['seconds'])})" if drain["seconds"] else ""
    yield f"- The wait for changes on their way{waited}: {drain['text']}."
    if report["unfinishedSwitch"]:
        yield f"- {report['unfinishedSwitch']}"
    held = report["heldBackSince"]
    if held["changes"] or held["deletions"]:
        yield (
            f"- After the gate was closed at {report['gateClosedAt']} about {held['changes']} "
            f"changes and {held['deletions']} deletions by time to live still came, and were not "
            "applied; the changes are in quarantine as `late-write`."
        )
    yield ""
    yield from _lanes(report)
    yield "## Open"
    yield ""
    if not report["open"]:
        yield "Nothing."
    for item in report["open"]:
        yield f"- {item['what']}: {item['reason']} Try: {item['fix']}"
    yield ""
    yield "## Left to you"
    yield ""
    for text in report["byHand"]:
        yield f"- {text}"


def _facts(window: Mapping[str, Any]) -> Iterator[str]:
    yield f"Every change made in the source before {window['completeUntil']} (by {_proof(window)})."
    yield from _position(window)
    if window["consumerNeverOn"]:
        yield "The consumer has never been on: no change from after the snapshot is in the target."
    if window["pausedSince"]:
        yield (
            f"The consumer has been paused since {window['pausedSince']}: what it was given after "
            "that waits in the source's stream, and is not in the target."
        )
    yield from _counts(window)
    yield from window["knownLosses"]
    for gap in window["notRead"]:
        yield f"Not known, because it could not be read: {gap.rstrip('.')}."


def _position(window: Mapping[str, Any]) -> Iterator[str]:
    """Say how far the consumer has come since."""
    newest = window["newestVersion"]
    if _reads_table_stream(window):
        if newest is None:
            yield "No change is known to have come through the consumer."
            return
        yield (
            f"The newest change that has come through the consumer is of {newest}. A table's own "
            "stream has no watermark: changes made before that one may be missing, too."
        )
        return
    found = window["newestFullRound"]
    if found is not None:
        through = f", and was through at {found['throughAt']}" if found["throughAt"] else ""
        yield (
            "Whatever was in the stream when the newest round of probes was put, at "
            f"{found['putAt']}{through}."
        )
    else:
        yield "No round of probes is known to have come through."
    if newest is not None:
        yield f"The newest change that any lane has ended is of {newest}; not all before it are in."


def _reads_table_stream(window: Mapping[str, Any]) -> bool:
    # A journal that an older program wrote names no buffer.
    return bool(window.get("buffer") == STREAMS)


def _proof(window: Mapping[str, Any]) -> str:
    if window["caughtUpTo"]:
        return "the last run that caught up, but for the known losses"
    return f"the snapshot as of {window['snapshotTime']}"


def _counts(window: Mapping[str, Any]) -> Iterator[str]:
    if window["openQuarantineObjects"]:
        yield (
            f"{window['openQuarantineObjects']} objects are open in quarantine: changes that are "
            "not in the target."
        )
    elif window["openQuarantineObjects"] == 0:
        yield "Quarantine is empty."
    if window["onFailureObjects"]:
        yield (
            f"{window['onFailureObjects']} events are in the on-failure bucket: their changes are "
            "not in the target."
        )
    elif window["onFailureObjects"] == 0:
        yield "The on-failure bucket is empty."
    verified = window["lastVerification"]
    if verified is None:
        yield "The table was never verified."
    else:
        yield (
            f"The last verification, at {verified['at']}: {verified['verdict']}; it could not "
            f"judge {verified['unjudgedKeys']} keys."
        )
    if window["heldBackChanges"] or window["leftOutDeletions"]:
        yield (
            f"An unfinished switch noted about {window['heldBackChanges']} late changes and left "
            f"about {window['leftOutDeletions']} deletions by time to live out."
        )


def _lanes(report: Mapping[str, Any]) -> Iterator[str]:
    window = report["lossWindow"]
    own = _reads_table_stream(window)
    if not window["lanes"]:
        yield (
            "The consumer has not written its position."
            if own
            else "No lane has written its position."
        )
        yield ""
        return
    if own:
        yield (
            "An event of a table's own stream does not name its shard. So the consumer has one "
            "position, that of the foremost shard: records before it may not have ended."
        )
        yield ""
    elif not window["lanesAreWatermarks"]:
        yield (
            "A shard of this stream has several lanes, and its row is that of the foremost: "
            "records before it may not have ended."
        )
        yield ""
    of = "stream" if own else "shard"
    yield f"| {of} | last record arrived | newest change | row written | |"
    yield "| --- | --- | --- | --- | --- |"
    for lane in window["lanes"]:
        still = "closed shard, or a lane that is stuck" if lane["closedShardOrStuckLane"] else ""
        cells = (lane["shard"], lane["arrival"], lane["newestVersion"] or "none")
        yield f"| {' | '.join(cells)} | {lane['rowWrittenAt']} | {still} |"
    if report["lanesLeftOut"]:
        yield ""
        yield f"{report['lanesLeftOut']} more lanes, with newer records, are left out."
    yield ""
