"""A plan, or its settings alone, as text and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bootstrap.core.formatting import duration, number, size
from bootstrap.plan.estimate import Span
from bootstrap.plan.plan import Plan
from bootstrap.plan.prices import AS_OF
from bootstrap.plan.setting import Setting


def page(plan: Plan) -> str:
    """Render a plan as text."""
    lines = [f"{plan.table} → {plan.target_table}: the plan", ""]
    if plan.blockers:
        lines.append(f"What blocks it ({len(plan.blockers)}):")
        for n, blocker in enumerate(plan.blockers, 1):
            lines += [f"  {n}. {blocker.what}", f"     Try: {blocker.fix}"]
    else:
        lines.append("Nothing blocks it.")
    lines += ["", "What `run` does:"]
    lines += plan.action_lines
    if plan.settings:
        lines += ["", "Settings:", *table(plan.settings)]
    lines += ["", "Estimate:", *_estimate(plan)]
    lines += ["", *(f"note: {note}" for note in plan.notes)] if plan.notes else []
    return "\n".join(lines)


def table(settings: Sequence[Setting]) -> list[str]:
    """Render settings as rows under a head, with their drift."""
    rows = [("", "source", "target", "when")]
    rows += [(each.name, each.source, _target(each), _when(each)) for each in settings]
    widths = [min(40, max(len(row[n]) for row in rows)) for n in range(3)]
    return [
        "  "
        + "  ".join(
            [*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]]
        )
        for row in rows
    ]


def _when(setting: Setting) -> str:
    return f"{setting.when}: {setting.why}" if setting.why else str(setting.when)


def _target(setting: Setting) -> str:
    if setting.drifted:
        return f"{setting.actual}, DRIFTED from {setting.target}"
    return setting.target


def _estimate(plan: Plan) -> list[str]:
    expected = plan.estimate
    catch_up = _span(expected.catch_up) if expected.catch_up else "never: it changes too fast"
    costs = ", ".join(f"${cost:,.2f} at {days} days" for days, cost in expected.monthly)
    return [
        f"  size       {number(expected.items)} items, {size(expected.size_bytes)} "
        "(as DynamoDB counted last, every six hours or so)",
        f"  changes    {expected.changes_per_second:,.1f} a second over the last day",
        f"  export     {_span(expected.export)}",
        f"  {plan.load_step:10} {_span(expected.load)}",
        *([f"             ({expected.load_evidence})"] if plan.load_step == "load" else []),
        f"  catch-up   {catch_up}",
        *([f"  verify     {expected.verification.text}"] if expected.verification else []),
        f"  cost once  ${expected.once:,.2f}",
        f"  a month    {costs} of retention",
        *_bill(plan),
        f"             ({plan.priced_by})",
        *(f"             {each}" for each in expected.unpriced),
    ]


def _bill(plan: Plan) -> list[str]:
    """Render the lines of a month's bill that amount to anything."""
    lines = [line for line in plan.estimate.bill if round(line.monthly or 0.0, 2)]
    width = max((len(line.resource) for line in lines), default=0)
    amounts = [f"{line.monthly:,.2f}" for line in lines]
    digits = max(map(len, amounts), default=0)
    return [
        f"             {line.resource:{width}}  ${amount:>{digits}}"
        for line, amount in zip(lines, amounts, strict=True)
    ]


def _span(span: Span) -> str:
    return f"{duration(span.least)} to {duration(span.most)}"


def as_json(plan: Plan) -> dict[str, Any]:
    """Render a plan as a JSON object."""
    expected = plan.estimate
    return {
        "table": plan.table,
        "targetTable": plan.target_table,
        "blockers": [{"what": each.what, "try": each.fix} for each in plan.blockers],
        "actions": [{"step": each.step, "what": each.what} for each in plan.actions],
        "notes": list(plan.notes),
        "settings": settings_json(plan.settings),
        "estimate": {
            "items": expected.items,
            "bytes": expected.size_bytes,
            "changesPerSecond": round(expected.changes_per_second, 3),
            "exportSeconds": _pair(expected.export),
            "importSeconds": _pair(expected.load),
            "loadSeconds": _pair(expected.load),
            "loadEvidence": expected.load_evidence,
            "catchUpSeconds": _pair(expected.catch_up),
            "verification": expected.verification.json if expected.verification else None,
            "onceUsd": round(expected.once, 2),
            "monthlyUsd": {str(days): round(cost, 2) for days, cost in expected.monthly},
            "bill": [
                {
                    "resource": line.resource,
                    "monthlyUsd": None if line.monthly is None else round(line.monthly, 2),
                    "onceUsd": round(line.once, 2),
                }
                for line in expected.bill
            ],
            "pricesAsOf": AS_OF,
            "prices": plan.priced_by,
            "unpriced": list(expected.unpriced),
        },
    }


def settings_json(settings: Sequence[Setting]) -> list[dict[str, Any]]:
    """Render settings as JSON objects."""
    return [
        {
            "setting": each.name,
            "source": each.source,
            "target": each.target,
            "when": each.when,
            "why": each.why or None,
            "actual": each.actual,
            "drifted": each.drifted,
        }
        for each in settings
    ]


def _pair(span: Span | None) -> list[float] | None:
    return None if span is None else [round(span.least), round(span.most)]
