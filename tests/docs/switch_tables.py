"""Tables about the states of a switch, from the values that decide there."""

from __future__ import annotations

from bootstrap.core.refusals import RULES, CommandRule
from replicator.watchdog import detectors
from replicator.watchdog import phases as phases_of


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


def detectors_table() -> str:
    """Render one row for each detector: judged or off in each phase, and why."""
    phases = [phase for phase in phases_of.SwitchPhase if phase is not phases_of.SwitchPhase.CLOSED]
    named = [
        "armed, closed" if each is phases_of.SwitchPhase.ARMED else str(each) for each in phases
    ]
    rows = [f"| detector | {' | '.join(named)} |", f"| --- |{' --- |' * len(phases)}"]
    for each in detectors.ALL:
        cells = [_phase_cell(phases_of.RULES[phase][each]) for phase in phases]
        rows.append(f"| `{each.metric}` | {' | '.join(cells)} |")
    return "\n".join(rows)


def _phase_cell(rule: phases_of.PhaseRule) -> str:
    return rule.because if rule.judged else f"**off**: {rule.because}"


def _cell(rule: CommandRule) -> str:
    return f"{'runs' if rule.runs else '**refused**'}: {rule.because}"
