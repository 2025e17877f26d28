"""The options of a command line: what they select, and which of them a suggestion repeats."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bootstrap.app.command_options import CommandOptions, select
from bootstrap.core.errors import UsageError
from tests.support.bootstrap.fake_aws import OUTPUTS_JSON


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (table,) = OUTPUTS_JSON["tables"]
    path = tmp_path / "outputs.json"
    tables = [table, {**table, "sourceTable": "users", "targetTable": "users-replica"}]
    path.write_text(json.dumps({**OUTPUTS_JSON, "tables": tables}))
    return path


@pytest.mark.parametrize(("stack", "outputs"), [(None, None), ("prod", Path("outputs.json"))])
def test_a_command_needs_one_stack(stack: str | None, outputs: Path | None) -> None:
    with pytest.raises(UsageError) as caught:
        select(CommandOptions("bootstrap pause", stack, outputs))
    assert caught.value.fix == "bootstrap pause --stack NAME"


def test_every_table_of_a_stack_is_selected_and_each_command_names_its_own(file: Path) -> None:
    selection = select(CommandOptions("bootstrap run", outputs=file, target_profile="shop"))
    assert [table.source_table for table in selection.tables] == ["orders", "users"]
    assert selection.commands["users"].format("run") == (
        f"python -m bootstrap run --outputs {file} --target-profile shop --table users"
    )


def test_one_table_is_selected_by_its_name_in_the_source(file: Path) -> None:
    selection = select(CommandOptions("bootstrap run", outputs=file, table="users"))
    assert [table.source_table for table in selection.tables] == ["users"]


def test_an_external_id_is_repeated_only_if_it_was_typed() -> None:
    hidden = CommandOptions("bootstrap run", "prod", external_id="word")
    typed = CommandOptions("bootstrap run", "prod", external_id="word", external_id_typed=True)
    assert hidden.repeated(None) == ["--stack", "prod"]
    assert typed.repeated(None) == ["--stack", "prod", "--external-id", "word"]
