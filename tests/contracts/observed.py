"""Outward contracts as the code has them now, each a list of lines."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tests.contracts import names, output, program, rows

OBSERVERS: Mapping[str, Callable[[], list[str]]] = {
    each.__name__: each
    for each in (
        program.alarms,
        names.command_line,
        program.configuration_keys,
        names.environment,
        names.exit_codes,
        output.explain_json,
        program.functions,
        rows.journal_records,
        rows.journal_rows,
        rows.ledger_rows,
        names.metrics,
        rows.object_keys,
        program.outputs_made,
        program.outputs_read,
        output.parity_json,
        output.plan_json,
        rows.probe_records,
        output.quarantine_json,
        program.resources_example,
        program.resources_rich,
        output.run_json,
        output.status_json,
        output.switch_plan_json,
        program.table_stream,
        names.values,
        output.verify_json,
    )
}


def observed(name: str) -> list[str]:
    """Return a contract as sorted lines without repetition."""
    lines = sorted(set(OBSERVERS[name]()))
    assert lines, f"Nothing was observed of {name}."
    return lines
