"""How a snapshot is shown: live on a terminal, as lines in a pipe, as JSON to machines."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Protocol, TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from bootstrap.core.formatting import duration, moment, number, size
from bootstrap.core.state import REPLICAS, State
from bootstrap.core.timing import Clock, Timing
from bootstrap.plan.cost_model import AS_OF
from bootstrap.status.metrics import YOUNG
from bootstrap.status.progress_bar import bar, remaining
from bootstrap.status.snapshot import StatusSnapshot, as_json
from replicator.watchdog.detectors import BUFFER, Level, Stream


class Screen(Protocol):
    """Where the progress of a run goes."""

    def show(self, shown: Sequence[StatusSnapshot]) -> None: ...

    def finish(self, shown: Sequence[StatusSnapshot]) -> None:
        """The last view: of what the run leaves behind."""

    def close(self) -> None: ...


def sentence(shown: StatusSnapshot) -> str:
    """What is waited for, how far it is and since when; empty if nothing is waited for."""
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
    """How a run ended, in a line."""
    to = f"{shown.table} → {shown.target_table}"
    if shown.state is not State.REPLICATING or shown.caught_up is None:
        return f"{to}: {shown.state}"
    items = shown.import_.items if shown.import_ else None
    imported = f", {number(items)} items imported" if items is not None else ""
    applied = f"every change before {moment(shown.caught_up.moment)} applied"
    return f"{to}: {shown.state}{imported}, {applied}"


def measured_text(shown: StatusSnapshot) -> str:
    """Items and bytes, as far as they are known."""
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
    """A line per change, and one at an interval that says that it still goes on."""

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
    """A JSON object per change: for scripts that follow a run."""

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
    """A view that is drawn over again, a block per table."""

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
    """A table's screen: its steps, and what is waited for."""
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
    return {State.FAILED: "bold red", State.REPLICATING: "bold green"}.get(state, "bold yellow")


def screen(out: TextIO, clock: Clock, timing: Timing, *, several: bool, as_lines: bool) -> Screen:
    """A live view on a terminal, lines elsewhere, JSON where it is asked for."""
    if as_lines:
        return JsonLines(out)
    console = Console(file=out)
    if console.is_terminal and not console.is_dumb_terminal:
        return Terminal(console)
    return Lines(out, clock, timing, several)


def page(shown: StatusSnapshot, *, bars: bool = False) -> str:
    """What `status` prints for a table. `bars`: for a terminal."""
    rows: list[tuple[str, str]] = [
        ("table", f"{shown.table} → {shown.target_table}"),
        ("state", f"{shown.state}{_since(shown)}"),
    ]
    rows += [("run", shown.run_id)] if shown.run_id else []
    rows += [("worked on by", shown.holder or "nobody")]
    rows += [("waiting", sentence(shown))] if shown.waiting else []
    if bars and shown.waiting and bar(shown.measure):
        rows.append(("", bar(shown.measure)))
    if shown.export and shown.export.begun:
        rows.append(("export", _export_text(shown)))
    if shown.import_ and shown.import_.arn:
        rows.append(("import", _import_text(shown)))
    rows.append(("consumer", shown.mapping or "unknown"))
    rows += [("paused", _paused_text(shown))] if shown.paused else []
    if shown.caught_up:
        rows.append(
            (
                "caught up",
                f"to {moment(shown.caught_up.moment)}; probes took "
                f"{shown.caught_up.round_trip:.1f} s",
            )
        )
    if shown.failure:
        rows.append(("failed in", f"{shown.failure.step}: {shown.failure.what}"))
        rows.append(("Try", shown.typed(shown.failure.fix)))
    rows += [("warning", warning) for warning in shown.warnings]
    rows += _detected(shown)
    rows.append(("next", shown.next or _nothing(shown)))
    return "\n".join(f"{name:13} {value}" for name, value in rows)


def _nothing(shown: StatusSnapshot) -> str:
    """Why there is no command to type."""
    if shown.state not in REPLICAS:
        return "a decision, which no command takes for you: see Try above"
    if shown.unsafe or shown.warnings:
        return "nothing: it replicates, and what is said above needs somebody's eyes"
    return "nothing: it replicates"


def _since(shown: StatusSnapshot) -> str:
    if not shown.since:
        return ""
    return f" since {moment(shown.since)} ({duration(shown.at - shown.since)})"


def _detected(shown: StatusSnapshot) -> list[tuple[str, str]]:
    if shown.readings is None:
        return []
    rows = [("lag", _lag_text(shown)), ("buffer", _buffer_text(shown))]
    blind = [each for each in shown.findings if each.blind]
    for each in shown.findings:
        mark = "✓" if each.level is Level.FINE else str(each.level).upper()
        rows.append(("detector", f"{mark:7} {each.detector.metric}: {each.detail}"))
        # For all that could not be read the same helps: it is said once.
        if each.level is not Level.FINE and each not in blind[:-1]:
            rows.append(("", f"        Try: {shown.typed(each.first)}"))
    if shown.unsafe:
        rows.append(("switch", f"not safe, because {_together(shown.unsafe)}"))
    else:
        rows.append(("switch", "nothing known stands against it; compare the tables first"))
    return rows


def _together(reasons: Sequence[str]) -> str:
    """`name: why` of each; what is so for the same reason is named beside each other."""
    names: dict[str, list[str]] = {}
    for each in reasons:
        name, _, why = each.partition(": ")
        names.setdefault(why or each, []).append(name)
    return "; ".join(
        why if alike == [why] else f"{', '.join(alike)}: {why}" for why, alike in names.items()
    )


def _lag_text(shown: StatusSnapshot) -> str:
    lag, probes = shown.usage.lag, shown.probe_lag
    by_metric = "nothing in the last hour, by the consumer's metric"
    if lag is not None:
        by_metric = (
            f"p50 {lag.p50:.2f} s, p99 {lag.p99:.2f} s, by the consumer's metric from "
            f"{moment(lag.begin)} on"
        )
    by_probe = "no probes through yet"
    if probes is not None:
        by_probe = f"{probes:.1f} s, by the watchdog's latest probes"
    return f"{by_metric}; {by_probe}"


def _buffer_text(shown: StatusSnapshot) -> str:
    stream = shown.readings.stream if shown.readings else None
    if not isinstance(stream, Stream):
        return "could not be read"
    used, kept = shown.gauge(BUFFER.metric), shown.retention
    text = f"keeps changes for {duration(3600 * stream.retention_hours)}"
    if used is not None:
        text += f", of which the oldest unapplied one has used {100 * used:.1f} %"
    if kept is None:
        if shown.at - stream.created < YOUNG:
            return f"{text}; what that costs is told once the stream is {duration(YOUNG)} old"
        return (
            f"{text}; what that costs is unknown: CloudWatch tells no IncomingBytes of the stream"
        )
    return (
        f"{text}; {kept.gb_per_day:,.2f} GB a day cost ${kept.now:,.2f} a month to keep by now, "
        f"${kept.full:,.2f} once it is full (list prices as of {AS_OF})"
    )


def _paused_text(shown: StatusSnapshot) -> str:
    assert shown.paused is not None
    since = f"since {moment(shown.paused.at)}"
    if shown.paused.resumed:
        return f"{since}, resumed {moment(shown.paused.resumed_at)}: the ledger keeps its entries"
    if shown.covered_until is None:
        return f"{since}; how long the stream keeps what waits could not be read"
    left = shown.covered_until - shown.at
    if left <= 0:
        return f"{since}: longer than the stream keeps changes. The first ones are lost: compare"
    return (
        f"{since}; the stream keeps what waits until {moment(shown.covered_until)} "
        f"({duration(left)} more)"
    )


def _export_text(shown: StatusSnapshot) -> str:
    export = shown.export
    assert export is not None
    text = f"as of {moment(export.export_time)}"
    if export.done:
        return (
            f"{text}, {number(export.items or 0)} items, {size(export.size_bytes or 0)}: complete"
        )
    return f"{text}: {measured_text(shown) or 'running, its size is known at the end'}"


def _import_text(shown: StatusSnapshot) -> str:
    load = shown.import_
    assert load is not None
    if load.done:
        return f"{number(load.items or 0)} items: complete"
    return measured_text(shown) or "running"
