"""The tables that `switch --cancel` takes back: those of an attempt, as a whole, and no others."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest

from bootstrap.app.command_options import Selection
from bootstrap.app.factory import AwsClients
from bootstrap.app.switch_tables import attempts_of
from bootstrap.core.journal_rows import Row, to_json
from bootstrap.core.stack_outputs import parse
from bootstrap.core.state import State
from bootstrap.journal.switch_records import Switching, SwitchMode
from tests.support.bootstrap.fake_aws import OUTPUTS_JSON

pytestmark = pytest.mark.promise("C9")
NAMES = ("orders", "customers", "parts")


class FixedJournal:
    """A stack's journal with these rows."""

    def __init__(self, rows: dict[str, Row]) -> None:
        self._rows = rows

    def journal(self) -> FixedJournal:
        return self

    def read(self, table: str) -> tuple[Row | None, float]:
        return self._rows.get(table), 0.0


def attempt(*tables: str, nonce: str = "n", **changes: Any) -> dict[str, str]:
    made = Switching(nonce, SwitchMode.FENCE, tables, begun=1, timeout=2, **changes)
    return {Switching.key: to_json(made)}


def taken_back(rows: dict[str, Row], *selected: str) -> list[list[str]]:
    (members,) = OUTPUTS_JSON["tables"]
    tables = [{**members, "sourceTable": name} for name in NAMES]
    outputs = parse(json.dumps({**OUTPUTS_JSON, "tables": tables}), "test")
    selection = Selection(outputs, [outputs.table(name) for name in selected], {})
    found = attempts_of(selection, cast(AwsClients, FixedJournal(rows)))
    return [[each.source_table for each in group] for group in found]


def test_the_whole_attempt_of_a_named_table_is_taken_back_and_no_other_table() -> None:
    pair = attempt("orders", "customers")
    rows = {name: Row(1, state=State.SWITCHING, records=pair) for name in ("orders", "customers")}
    rows["parts"] = Row(1, state=State.REPLICATING)
    assert taken_back(rows, "customers") == [["customers", "orders"]]
    assert taken_back(rows, *NAMES) == [["customers", "orders"]]


def test_two_attempts_are_taken_back_each_by_itself() -> None:
    rows = {
        name: Row(1, state=State.SWITCHING, records=attempt(name, nonce=name)) for name in NAMES[:2]
    }
    assert taken_back(rows, *NAMES) == [["orders"], ["customers"]]


def test_an_attempt_that_has_ended_does_not_count() -> None:
    ended = attempt("orders", "customers", cancelled_at=3.0)
    anew = attempt("orders", nonce="m")
    rows = {
        "orders": Row(1, state=State.SWITCHING, records=anew),
        "customers": Row(1, state=State.REPLICATING, records=ended),
    }
    assert taken_back(rows, "orders", "customers") == [["orders"]]
    assert taken_back(rows, "customers") == [["customers"]]
