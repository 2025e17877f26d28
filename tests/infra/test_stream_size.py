"""Shards that were split by hand are not put back; a change of the stack file is applied."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pulumi
import pytest

from infra.stream_size import SIZE, kept_properties
from infra.table_config import TableConfig
from tests.support.infra.recording_engine import CONFIG, record

ON_DEMAND = TableConfig("orders", "orders-replica")
FOUR = TableConfig("orders", "orders-replica", stream_mode="PROVISIONED", shards=4)
EIGHT = TableConfig("orders", "orders-replica", stream_mode="PROVISIONED", shards=8)


def outputs_of(table: TableConfig, name: str = "orders") -> dict[str, Any]:
    """The outputs as the engine returns them: numbers are floats."""
    shards = table.shards and float(table.shards)
    return {"tables": [{"sourceTable": name, "streamMode": table.stream_mode, "shards": shards}]}


@pytest.mark.parametrize(
    ("last", "now", "kept"),
    [
        (ON_DEMAND, ON_DEMAND, True),
        (FOUR, FOUR, True),
        (FOUR, EIGHT, False),
        (EIGHT, FOUR, False),
        (ON_DEMAND, FOUR, False),
        (FOUR, ON_DEMAND, False),
    ],
)
def test_the_size_of_a_stream_stays_as_it_is_until_the_stack_file_changes(
    last: TableConfig, now: TableConfig, kept: bool
) -> None:
    assert kept_properties(now, outputs_of(last)) == (SIZE if kept else [])


def test_a_table_that_is_new_in_the_stack_gets_the_size_of_the_stack_file() -> None:
    assert kept_properties(FOUR, {}) == []
    assert kept_properties(FOUR, outputs_of(FOUR, "customers")) == []


@pytest.mark.parametrize(
    "last", [{"sourceTable": "orders"}, {**outputs_of(FOUR)["tables"][0], "streamMode": None}]
)
@pytest.mark.parametrize(("table", "kept"), [(FOUR, True), (ON_DEMAND, False)])
def test_after_an_older_program_or_a_failed_up_shards_stay_with_a_warning(
    table: TableConfig, kept: bool, last: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    warned: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", warned.append)
    assert kept_properties(table, {"tables": [None, last]}) == (SIZE if kept else [])
    assert ["keeps the shards that it has" in text for text in warned] == [True] * kept


def test_the_next_run_knows_what_this_one_was_told(tmp_path: Path) -> None:
    stream = {"streamMode": "PROVISIONED", "shards": 4}
    config = {**CONFIG, "tables": [{"source": "orders", "target": "orders-replica", **stream}]}
    first = record(config, tmp_path / "archive")
    assert not set(SIZE) & set(first.one("Stream").ignore_changes)
    again = record(config, tmp_path / "archive", before=first.outputs)
    assert set(SIZE) <= set(again.one("Stream").ignore_changes)
    assert again.one("Stream").inputs["shardCount"] == 4
