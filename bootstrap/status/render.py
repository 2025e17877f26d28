"""A run's progress: live on a terminal, as lines in a pipe, as JSON for scripts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Protocol, TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from bootstrap.core.durations import Timing
from bootstrap.core.formatting import duration, moment, number, size
from bootstrap.core.state import State
from bootstrap.status.json_members import as_json
from bootstrap.status.progress_bar import bar, remaining
from bootstrap.status.snapshot import StatusSnapshot
from replicator.runtime import Clock
from replicator.watchdog.detectors import Level


class Screen(Protocol):
    """A display for the progress of a run."""

    def show(self, shown: Sequence[StatusSnapshot]) -> None: ...

    def finish(self, shown: Sequence[StatusSnapshot]) -> None:
        """Show the last view, and how the run ended."""

    def close(self) -> None: ...


def sentence(shown: StatusSnapshot) -> str:
    """Describe the current wait, its progress and its duration; empty if there is none."""
    if shown.waiting is None:
        return ""
    parts = [f"waiting for {shown.waiting.what}"]
    measured = measured_text(shown)
    if measured:
        parts.append(measured)
    parts.append(f"for {duration(shown.at - shown.waiting.since)}")
    left = remaining(shown.measure, shown.at)
    if left is not None:
        parts.append(f"about {duration(left)} more at this pace")
    return ", ".join(parts)


def summary(shown: StatusSnapshot) -> str:
    """Describe the end of a run in a line."""
    to = f"{shown.table} → {shown.target_table}"
    if shown.state is not State.REPLICATING or shown.caught_up is None:
        return "\n".join([f"{to}: {shown.state}", *_troubles(shown)])
    items = shown.import_.items if shown.import_ else None
    loaded = f", {number(items)} items loaded" if items is not None else ""
    applied = f"every change before {moment(shown.caught_up.moment)} applied"
    return f"{to}: {shown.state}{loaded}, {applied}"


def _troubles(shown: StatusSnapshot) -> list[str]:
    """Return what is wrong with a replica, or cannot be known, with what to do."""
    lines = []
    for each in shown.findings if shown.because else ():
        if each.level is not Level.FINE:
            lines.append(f"  because {each.detector.metric}: {each.detail}")
            lines.append(f"    Try: {shown.typed(each.first)}")
    return lines


def measured_text(shown: StatusSnapshot) -> str:
    """Format items and bytes, as far as they are known."""
    measure = shown.measure
    if measure is None:
        return ""
    parts = []
    if measure.items is not None:
        of = f" of {number(measure.of_items)}" if measure.of_items is not None else ""
        parts.append(f"{number(measure.items)}{of} {measure.unit}")
    if measure.size_bytes:
        of = f" of {size(measure.of_bytes)}" if measure.of_bytes else ""
        parts.append(f"{size(measure.size_bytes)}{of}")
    return ", ".join(parts)


class Lines:
    """One line for each change, and one at an interval while a wait lasts."""

    def __init__(self, out: TextIO, clock: Clock, timing: Timing, several: bool) -> None:
        self._out = out
        self._clock = clock
        self._interval = timing.line_interval
        self._several = several
        self._last: dict[str, tuple[State, str, int]] = {}
        self._at: dict[str, float] = {}

    def show(self, shown: Sequence[StatusSnapshot]) -> None:
        for each in shown:
            self._show(each)

    def _show(self, shown: StatusSnapshot) -> None:
        waiting = shown.waiting.what if shown.waiting else ""
        done = sum(done for _, done in shown.steps)
        before = self._last.get(shown.table)
        if before is None or before[0] is not shown.state:
            self._line(shown, shown.state)
        if waiting and (before is None or before[1] != waiting):
            self._line(shown, f"  waiting for {waiting}")
        elif waiting and self._clock.monotonic() - self._at[shown.table] >= self._interval:
            self._line(shown, f"  {sentence(shown)}")
        self._last[shown.table] = (shown.state, waiting or (before[1] if before else ""), done)

    def _line(self, shown: StatusSnapshot, text: str) -> None:
        self._at[shown.table] = self._clock.monotonic()
        name = f"{shown.table}  " if self._several else ""
        print(f"{moment(shown.at)}  {name}{text}", file=self._out, flush=True)

    def finish(self, shown: Sequence[StatusSnapshot]) -> None:
        self.show(shown)
        for each in shown:
            print(summary(each), file=self._out, flush=True)

    def close(self) -> None:
        pass


class JsonLines:
    """One JSON object for each change, for scripts that follow a run."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._last: dict[str, tuple[State, str]] = {}

    def show(self, shown: Sequence[StatusSnapshot]) -> None:
        for each in shown:
            key = (each.state, each.waiting.what if each.waiting else "")
            if self._last.get(each.table) != key:
                self._last[each.table] = key
                self._print(each)

    def _print(self, shown: StatusSnapshot) -> None:
        print(json.dumps(as_json(shown)), file=self._out, flush=True)

    def finish(self, shown: Sequence[StatusSnapshot]) -> None:
        for each in shown:
            self._print(each)

    def close(self) -> None:
        pass


class Terminal:
    """A view that is redrawn in place, with a block for each table."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, auto_refresh=False, transient=False)
        self._live.start()

    def show(self, shown: Sequence[StatusSnapshot]) -> None:
        self._live.update(Group(*(block(each) for each in shown)), refresh=True)

    def finish(self, shown: Sequence[StatusSnapshot]) -> None:
        self.show(shown)
        self._live.stop()
        for each in shown:
            self._live.console.print(summary(each), highlight=False)

    def close(self) -> None:
        self._live.stop()


MARKS = {True: ("✓", "green"), False: ("·", "dim")}


def block(shown: StatusSnapshot) -> RenderableType:
    """Render a table's steps and the current wait."""
    text = Text()
    text.append(f"{shown.table}", style="bold")
    text.append(f" → {shown.target_table}   ")
    text.append(f"{shown.state}", style=_style(shown.state))
    if shown.since:
        text.append(f" for {duration(shown.at - shown.since)}", style="dim")
    current = next((name for name, done in shown.steps if not done), "")
    for name, done in shown.steps:
        mark, style = MARKS[done]
        text.append(f"\n  {mark} {name:10}", style=style)
        if name == current and shown.holder:
            text.append(sentence(shown))
            if bar(shown.measure):
                text.append(f"\n    {bar(shown.measure)}", style="green")
    if not current and shown.waiting and shown.holder:
        text.append(f"\n    {sentence(shown)}")
    return text


def _style(state: State) -> str:
    return {
        State.FAILED: "bold red",
        State.REPLICATING: "bold green",
        State.UNKNOWN: "bold red",
    }.get(state, "bold yellow")


def screen(out: TextIO, clock: Clock, timing: Timing, *, several: bool, as_lines: bool) -> Screen:
    """Choose a live view on a terminal, lines elsewhere, or JSON where requested."""
    if as_lines:
        return JsonLines(out)
    console = Console(file=out)
    if console.is_terminal and not console.is_dumb_terminal:
        return Terminal(console)
    return Lines(out, clock, timing, several)
