"""The plan of a switch as a page of text."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping

from bootstrap.core.formatting import duration, moment
from bootstrap.core.suggestions import GENERIC
from bootstrap.cutover.checks.check import Check
from bootstrap.cutover.checks.conditions import later
from bootstrap.cutover.plan.dry_run import SwitchPlan, TablePlan
from bootstrap.cutover.plan.refused_time import RefusedTime
from bootstrap.cutover.plan.table_readers import TableReader
from bootstrap.cutover.settings import settings_member
from bootstrap.journal.switch_records import SwitchMode

WIDTH = 100
_MARKS = {True: "ok", False: "OPEN", None: "?"}
_STOPPED = (
    "With --writes-stopped, you are the fence: the switch cannot see a writer that you have not "
    "stopped, and what it writes to the source after the commit is lost to the target."
)


def page(plan: SwitchPlan, commands: Mapping[str, str]) -> str:
    """Render a plan. `commands`: by table, the template of command lines about it."""
    names = ", ".join(f"{each.table} → {each.target_table}" for each in plan.tables)
    lines = [f"{names}: the plan of a switch with --{plan.options.mode}. Nothing was changed.", ""]
    open_ones = sum(check.fulfilled is not True for each in plan.tables for check in each.checks)
    lines.append(
        f"As of {moment(plan.at)}, nothing is known that would stop it."
        if plan.ready
        else f"As of {moment(plan.at)}, it would not begin: {open_ones} conditions are open."
    )
    if plan.options.mode is SwitchMode.WRITES_STOPPED:
        lines += ["", *_wrapped(_STOPPED, "")]
    lines += ["", *_refused(plan.refused)]
    for each in plan.tables:
        lines += ["", *_table(each, commands.get(each.table, GENERIC), plan)]
    return "\n".join(lines)


def _refused(refused: RefusedTime) -> Iterator[str]:
    total = refused.seconds
    yield (
        f"Writers are refused for about {duration(total)}, up to the commit:"
        if total is not None
        else f"Writers are refused for more than {duration(refused.at_least)}, up to the commit:"
    )
    for part in refused.parts:
        time = "unknown" if part.seconds is None else duration(part.seconds)
        kind = "measured" if part.measured else "fixed"
        yield f"  {time:>11}  {kind:8}  {part.what}"
    yield (
        f"  and our own calls, some seconds for each table. After the commit, a caller may be "
        f"refused for up to {duration(refused.spread)} more."
    )


def _table(plan: TablePlan, command: str, whole: SwitchPlan) -> Iterator[str]:
    yield f"== {plan.table} → {plan.target_table}"
    yield from ("", "What must be true days before:")
    for n, each in enumerate(plan.preparations, 1):
        mark = {True: "done", False: "OPEN", None: "you"}[each.done]
        yield from _wrapped(f"{n}. {mark:5} {each.what}", "  ", 12)
    fulfilled = sum(check.fulfilled is True for check in plan.checks)
    yield from ("", f"Conditions ({fulfilled} of {len(plan.checks)} are fulfilled):")
    for check in plan.checks:
        yield from _check(check, command)
    yield from ("", "Checked when the switch begins, before anything is closed:")
    for name, what in later(plan.buffer):
        yield from _wrapped(f"{name}: {what}", "  ")
    yield from ("", "What it does, in order:")
    yield from _actions(plan)
    yield from ("", *_settings(plan, whole))
    yield from ("", "Triggers and readers of either table:")
    for reader in plan.readers:
        yield from _reader(reader)
    yield from ("", "What the application needs in the target account:")
    yield from _needs(plan)


def _check(check: Check, command: str) -> Iterator[str]:
    text = f"{check.name}: {check.evidence} ({moment(check.at)})"
    yield from _wrapped(f"{_MARKS[check.fulfilled]:5} {text}", "  ", 8)
    if check.remedy is not None:
        yield f"        Try: {check.remedy.text(command)}"


def _actions(plan: TablePlan) -> Iterator[str]:
    for n, action in enumerate(plan.actions, 1):
        yield from _wrapped(f"{n:2}. {action.part:8} {action.what}", "  ", 15)
        if action.call:
            yield f"               {action.call} on {action.resource}"
            yield f"               with {action.role or 'a role that the stack does not have'}"
        back = action.back or "none: nothing leads back from here"
        yield from _wrapped(f"back: {back}", "               ", 21)


def _settings(plan: TablePlan, whole: SwitchPlan) -> Iterator[str]:
    yield f"Settings of the target with --settings {whole.options.settings}:"
    if plan.settings is None:
        yield "  the target table does not exist yet, or could not be read"
        return
    changed = {change.setting: change for change in plan.changes}
    for name, value in settings_member(plan.settings).items():
        change = changed.get(name)
        if change is None:
            yield f"  {name:19} stays {json.dumps(value)}"
        else:
            when = "after the commit" if change.after_commit else "before anything is closed"
            yield from _wrapped(f"{name:19} {change.now} → {change.wanted}, {when}", "  ", 22)
    yield "  (--json has them as the member `settings`: edited, it is what --settings FILE takes)"


def _reader(reader: TableReader) -> Iterator[str]:
    side = reader.side.name.lower()
    yield from _wrapped(f"{side} {reader.table}, {reader.kind}: {reader.detail}", "  ", 4)
    if reader.look:
        yield f"    look in the {side} account: {reader.look}"


def _needs(plan: TablePlan) -> Iterator[str]:
    for need in plan.needs:
        yield from _wrapped(f"{need.what}: {need.source} → {need.target}", "  ", 4)
        for command in need.commands:
            yield f"    {command}"
        for statement in need.statements:
            yield f"    {json.dumps(statement)}"


def _wrapped(text: str, indent: str, further: int | None = None) -> list[str]:
    """Break a sentence into lines, and nothing within a word: names and ARNs stay whole."""
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=indent,
        subsequent_indent=" " * (len(indent) if further is None else further),
        break_long_words=False,
        break_on_hyphens=False,
    )
