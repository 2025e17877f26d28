"""The rows of the status page, and the members of its JSON, about a switch or a promotion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bootstrap.core.formatting import duration, instant, moment
from bootstrap.core.state import PRIMARIES, State
from bootstrap.core.table_stream_facts import KEPT_HOURS
from bootstrap.status.switch_view import SwitchView
from bootstrap.status.writer_access import WriterAccess
from replicator.buffers import STREAMS

Rows = Sequence[tuple[str, str]]


def switch_rows(view: SwitchView | None) -> Rows:
    """Render every row that applies."""
    if view is None:
        return []
    rows = [
        ("attempt", _attempt(view)),
        ("writers", _writers(view)),
        ("source", _access(view.read.source)),
        ("target", _access(view.read.target)),
        ("gate", _gate(view)),
        ("promoted", _promoted(view)),
        *(("lost", each) for each in _loss_window(view)),
        *(("open", each) for each in view.open_items),
        ("finish", _finish(view)),
    ]
    return [(name, text) for name, text in rows if text]


def nothing_next(view: SwitchView) -> str:
    """Say why no command is next, in a state without a decision."""
    due = view.finish_from
    if due is not None:
        return f"nothing until {instant(due)}; then `switch --finish`"
    return "nothing: the target is the primary"


def _attempt(view: SwitchView) -> str:
    attempt = view.attempt
    if attempt is None or view.state is State.PROMOTED:
        return ""
    text = f"{attempt.nonce} ({attempt.mode}) of {', '.join(attempt.tables)}"
    if attempt.cancelled:
        return f"{text}, cancelled at {moment(attempt.cancelled_at)}: {attempt.reason}"
    if attempt.committed_at:
        return f"{text}, committed at {moment(attempt.committed_at)}"
    text += f", begun at {moment(attempt.begun)}"
    if attempt.mark:
        text += f"; changes are expected up to {moment(attempt.mark)} only"
    return text


def _writers(view: SwitchView) -> str:
    attempt, seconds = view.attempt, view.refused_seconds
    if attempt is None or view.state not in (State.SWITCHING, State.SWITCHED):
        return ""
    if seconds is None:
        if not attempt.closes:
            return "not refused"
        return f"refused in {duration(attempt.closes - view.at)}: at {moment(attempt.closes)}"
    since = f"{seconds:.0f} s, from {moment(attempt.closes)}"
    if view.state is State.SWITCHED and view.after is not None and view.after.opened_at:
        return f"were refused for {since}; the target took a write at " + moment(
            view.after.opened_at
        )
    kept = "refused for" if view.fenced else "kept off by you for"
    opens = f"; the source opens by itself at {moment(view.reopens)}" if view.reopens else ""
    return f"{kept} {since}{opens}"


def _access(access: WriterAccess | None) -> str:
    if access is None:
        return ""
    words = {True: "open to writers", False: "closed to writers", None: "unknown"}
    return f"{words[access.open]}: {access.because}"


def _gate(view: SwitchView) -> str:
    settings = view.read.settings
    if settings is None:
        return ""
    if settings.closed is None:
        return "open: the consumer applies changes"
    text = f"closed by {settings.closed}: the consumer applies nothing"
    if settings.buffer == STREAMS and view.state is State.SWITCHING:
        text += (
            f", and its mapping is off, or about to be, until the switch ends or is cancelled; the "
            f"table's stream keeps what waits for {KEPT_HOURS} hours"
        )
    return text


def _promoted(view: SwitchView) -> str:
    promoted = view.promoted
    if promoted is None:
        return ""
    text = f"at {moment(promoted.at)}"
    if promoted.open_at:
        text += f"; the target took a write at {moment(promoted.open_at)}"
    return f"{text}. The source may still take writes; this target lacks them"


def _loss_window(view: SwitchView) -> Sequence[str]:
    window = view.loss_window
    if view.state is not State.PROMOTED:
        return []
    if window is None:
        return ["the journal has no readable loss window of the promotion: see its report file"]
    complete, found = window.get("completeUntil"), window.get("newestFullRound")
    put = found.get("putAt") if isinstance(found, dict) else None
    left = window.get("openQuarantineObjects")
    rows = [f"complete up to {complete}"] if complete else []
    rows += [f"what was in the stream at {put} is in, by probes"] if put else []
    rows += [f"{left} objects were open in quarantine"] if left else []
    return [*rows, "the rest is in the promotion's report"]


def _finish(view: SwitchView) -> str:
    if view.finished and view.after is not None:
        return f"done at {moment(view.after.finished_at)}: the old source is no longer watched"
    due = view.finish_from
    if due is None:
        return ""
    left = f" ({duration(due - view.at)} more)" if due > view.at else ""
    return f"from {moment(due)}{left}: until then the old source is watched for writers"


def switch_json(view: SwitchView | None) -> dict[str, Any] | None:
    """Return the members about the last attempt of a switch; None where there was none."""
    if view is None or view.attempt is None:
        return None
    attempt, after = view.attempt, view.after
    seconds = view.refused_seconds
    settings = view.read.settings
    return {
        "nonce": attempt.nonce,
        "mode": attempt.mode,
        "tables": list(attempt.tables),
        "step": view.step or None,
        "begun": _instant(attempt.begun),
        "closes": _instant(attempt.closes),
        "mark": _instant(attempt.mark),
        "reopens": _instant(view.reopens),
        "sealedAt": _instant(attempt.sealed_at),
        "gateClosedAt": _instant(attempt.gate_at),
        "committedAt": _instant(attempt.committed_at),
        "cancelledAt": _instant(attempt.cancelled_at),
        "cancelledBecause": attempt.reason or None,
        "writersRefusedSeconds": None if seconds is None else round(seconds, 1),
        "source": _access_json(view.read.source),
        "target": _access_json(view.read.target),
        "gateClosed": None if settings is None else settings.closed is not None,
        "targetTookWriteAt": _instant(after.opened_at if after else 0),
        "open": list(view.open_items) if view.state is State.SWITCHED else [],
        "finishFrom": _instant(view.finish_from),
        "finishedAt": _instant(after.finished_at if after else 0),
    }


def promotion_json(view: SwitchView | None) -> dict[str, Any] | None:
    """Return the members about a promotion; None where there was none."""
    if view is None or view.promoted is None:
        return None
    promoted = view.promoted
    return {
        "nonce": promoted.nonce,
        "at": _instant(promoted.at),
        "gateClosedAt": _instant(promoted.closed_at),
        "targetTookWriteAt": _instant(promoted.open_at),
        "open": list(view.open_items) if view.state in PRIMARIES else [],
        "lossWindow": view.loss_window,
    }


def _access_json(access: WriterAccess | None) -> dict[str, Any] | None:
    return None if access is None else {"open": access.open, "because": access.because}


def _instant(at: float | None) -> str | None:
    return instant(at) if at else None
