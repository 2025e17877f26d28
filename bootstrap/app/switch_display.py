"""The screen of a switch: its headline is for how long writers have been refused."""

from __future__ import annotations

import json
from typing import TextIO

from bootstrap.core.formatting import duration, instant
from bootstrap.cutover.switch.progress import SwitchProgress

CLEAR_LINE = "\r\x1b[K"


class SwitchDisplay:
    """Shows progress on one line of a terminal, or as one line for each change.

    `as_lines`: a JSON object for each change, for scripts.
    """

    def __init__(self, out: TextIO, *, as_lines: bool) -> None:
        self._out = out
        self._as_lines = as_lines
        self._live = out.isatty() and not as_lines
        self._said = ("", "")

    def show(self, progress: SwitchProgress) -> None:
        """Show a moment: on a terminal each one, else each change of what is waited for."""
        said = (progress.step, progress.waiting)
        if self._live:
            self._out.write(f"{CLEAR_LINE}{headline(progress)}")
            self._out.flush()
        elif said != self._said:
            text = json.dumps(as_json(progress)) if self._as_lines else headline(progress)
            print(text, file=self._out, flush=True)
        self._said = said

    def close(self) -> None:
        """End the live line, so that what follows begins on its own."""
        if self._live:
            self._out.write("\n")
            self._out.flush()
            self._live = False


def headline(progress: SwitchProgress) -> str:
    """Return the line: the seconds first, then the step."""
    refused, closes = progress.refused_seconds, progress.closes_in
    if progress.cancelling:
        first = "cancelling"
    elif refused is not None:
        kept = "refused" if progress.fenced else "stopped"
        first = f"writers {kept} for {refused:.0f} s"
    elif closes is not None and progress.fenced:
        first = f"the source closes in {duration(closes)}"
    else:
        first = "nothing is closed"
    waiting = f": waiting for {progress.waiting}" if progress.waiting else ""
    return f"{first} | {progress.step}{waiting}"


def as_json(progress: SwitchProgress) -> dict[str, object]:
    """Return the members of a line for scripts. Members may be added; none changes its meaning."""
    refused = progress.refused_seconds
    return {
        "at": instant(progress.at),
        "step": progress.step,
        "waitingFor": progress.waiting or None,
        "tables": list(progress.tables),
        "closesAt": instant(progress.closes) if progress.closes else None,
        "refusedSeconds": None if refused is None else round(refused, 1),
        "openedAt": instant(progress.opened_at) if progress.opened_at else None,
        "cancelling": progress.cancelling,
    }
