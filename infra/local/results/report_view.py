"""A report on the terminal."""

from __future__ import annotations

from rich.columns import Columns
from rich.console import Console
from rich.table import Table
from rich.text import Text

from infra.local.results.consumer_logs import LagPercentiles
from infra.local.results.report import SHOWN_DIFFERENCES, DemoReport, IndexCheck
from infra.local.results.switch_report import SwitchReport
from replicator.names import CHANGES_APPLIED, CHANGES_QUARANTINED, CHANGES_SUPERSEDED

# Every kind of step in the order of the table, with its label.
WORDS = {
    "insert": "inserted",
    "update": "updated",
    "hot update": "updated (hot keys)",
    "delete": "deleted",
    "re-insert": "reinserted",
    "unchanged": "rewritten unchanged",
    "return": "changed and changed back",
    "transaction": "in transactions",
    "batch": "in batches",
    "expiring": "inserted to expire",
    "large": "updated (300 KB items)",
}


def show(report: DemoReport, console: Console) -> None:
    """Print the whole report."""
    console.print()
    console.print(Columns([_phases(report), _kinds(report)], padding=(0, 4)))
    console.print()
    console.print(_figures(report))
    _show_differences(report, console)
    console.print()
    if report.switch is not None:
        show_switch(report.switch, console)
        console.print()
    for remark in report.remarks():
        console.print(Text(f"Note: {remark}", style="yellow"))
    problems = report.problems()
    for problem in problems:
        console.print(Text(problem, style="bold red"))
    if not problems:
        words = f"The target equals the source, item by item ({report.seconds:,.0f} s in total)."
        if report.switch is not None:
            words = (
                "The target equalled the source, and the switch lost no acknowledged write: never "
                f"did both tables take writes ({report.seconds:,.0f} s in total)."
            )
        console.print(Text(words, style="bold green"))


def _phases(report: DemoReport) -> Table:
    table = _table("phase", "seconds", "changes made")
    for name, figures in report.as_json()["phases"].items():
        table.add_row(name, f"{figures['seconds']:,.1f}", f"{figures['changes_made']:,}")
    return table


def _kinds(report: DemoReport) -> Table:
    table = _table("kind of write", "writes", "changes")
    writes, changes = report.changes.writes_by_kind, report.changes.by_kind
    for kind, words in WORDS.items():
        if kind in writes:
            table.add_row(words, f"{writes[kind]:,}", f"{changes[kind]:,}")
    table.add_row("deleted by time to live", "", f"{report.stream_counts.by_expiry:,}")
    return table


def _table(first: str, *numbers: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(first)
    for name in numbers:
        table.add_column(name, justify="right")
    return table


def _figures(report: DemoReport) -> Table:
    counts = report.consumer_counts.counts
    stream_counts = report.stream_counts
    table = Table.grid(padding=(0, 3))
    table.add_column(style="bold")
    table.add_column()
    table.add_row(
        "Items",
        f"{report.items_seeded:,} seeded; {report.comparison.source_items:,} in the source and "
        f"{report.comparison.target_items:,} in the target at the end",
    )
    table.add_row(
        "Changes",
        f"{report.changes.total:,} made; {stream_counts.total:,} on the stream since it became "
        f"active, {stream_counts.by_expiry:,} of them deletes by time to live",
    )
    table.add_row(
        "Consumer",
        f"{report.received:,} received: {counts[CHANGES_APPLIED]:,} applied, "
        f"{counts[CHANGES_SUPERSEDED]:,} superseded, {counts[CHANGES_QUARANTINED]:,} quarantined",
    )
    if report.load is not None:
        table.add_row(
            "Load",
            f"a bulk put wrote {report.load.puts:,} items in {report.load.seconds:,.1f} s, "
            f"{report.load.late_puts or 'none'} of them after the consumer's first write",
        )
    since = report.replicating_since
    steady = report.consumer_counts.lag(since) if since is not None else None
    table.add_row("Lag", f"{_lag(steady)} while REPLICATING")
    table.add_row(
        "", f"{_lag(report.consumer_counts.lag())} over the whole run, including the export"
    )
    for n, index in enumerate(report.indexes):
        table.add_row("" if n else "Indexes", _index(index))
    table.add_row("Differences", f"{len(report.comparison.differences):,}")
    return table


def _index(index: IndexCheck) -> str:
    kind = "local" if index.local else "global"
    equal = index.queries - index.wrong_answers
    return (
        f"{index.name} ({kind}) holds {index.items:,} items; {equal:,} of {index.queries:,} "
        "queries answered as by the source"
    )


def show_switch(switch: SwitchReport, console: Console) -> None:
    """Print the times of a switch: refused up to the commit, and let in after it."""
    verdict = switch.verdict
    table = Table.grid(padding=(0, 3))
    table.add_column(style="bold")
    table.add_column()
    told = ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(verdict.outcomes.items()))
    there = verdict.acknowledged
    before = ""
    if switch.prepared is not None:
        before = f"had stopped {_seconds(switch.prepared)} before the switch was prepared; "
    table.add_row(
        "Switch",
        f"the application's writes: {told}; acknowledged: {there['source']:,} in the source, then "
        f"{there['target']:,} in the target",
    )
    table.add_row(
        "Writers",
        f"{before}refused for {_seconds(switch.refused)} up to the commit: "
        f"{_seconds(switch.fixed)} of fixed waits ({_seconds(switch.fixed_on_aws)} on AWS), "
        f"{_seconds(switch.own)} of our own",
    )
    table.add_row(
        "",
        f"let into the target {_seconds(switch.first_let_in)} after the commit, all of them after "
        f"{_seconds(switch.all_let_in)}; no writer waited longer than "
        f"{_seconds(verdict.longest_seconds)}",
    )
    console.print(table)


def _seconds(value: float | None) -> str:
    return "an unknown time" if value is None else f"{value:,.1f} s"


def _lag(lags: LagPercentiles | None) -> str:
    if lags is None:
        return "none measured"
    parts = (("p50", lags.p50), ("p99", lags.p99), ("max", lags.max))
    return ", ".join(f"{name} {_duration(value)}" for name, value in parts)


def _duration(milliseconds: float) -> str:
    if milliseconds < 1000:
        return f"{milliseconds:.0f} ms"
    return f"{milliseconds / 1000:.1f} s"


def _show_differences(report: DemoReport, console: Console) -> None:
    differences = report.comparison.differences
    for difference in differences[:SHOWN_DIFFERENCES]:
        console.print(Text(f"  {difference}", style="red"))
    if len(differences) > SHOWN_DIFFERENCES:
        console.print(Text(f"  and {len(differences) - SHOWN_DIFFERENCES:,} more", style="red"))
