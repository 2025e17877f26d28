"""Tables about the states of a switch, from the values that decide there."""

from __future__ import annotations

from bootstrap.core.refusals import RULES, CommandRule


def commands_table() -> str:
    """Render one row for each command: whether it runs in each state, and why."""
    rows = [
        f"| command | {' | '.join(f'`{state}`' for state in RULES)} |",
        f"| --- |{' --- |' * len(RULES)}",
    ]
    for command in next(iter(RULES.values())):
        cells = [_cell(rules[command]) for rules in RULES.values()]
        if len(set(cells)) == 1 and RULES:
            cells = [cells[0], *["the same"] * (len(cells) - 1)]
        elif cells[1:] == [cells[1]] * (len(cells) - 1):
            cells = [*cells[:2], *["the same"] * (len(cells) - 2)]
        rows.append(f"| `{command}` | {' | '.join(cells)} |")
    return "\n".join(rows)


def _cell(rule: CommandRule) -> str:
    return f"{'runs' if rule.runs else '**refused**'}: {rule.because}"
