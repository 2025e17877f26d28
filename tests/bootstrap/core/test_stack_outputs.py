"""The stack's outputs are validated as a whole before they are used."""

from __future__ import annotations

import copy
import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from bootstrap.core.errors import UsageError
from bootstrap.core.stack_outputs import LoadSettings, MappingSettings, from_file, from_stack, parse
from replicator import names
from tests.support.bootstrap.fake_aws import OUTPUTS_JSON, table_stream_outputs


def changed(path: str, value: Any) -> str:
    """Return the outputs as JSON with the member at a path (`tables.0.streamArn`) replaced."""
    whole = copy.deepcopy(OUTPUTS_JSON)
    place: Any = whole
    *parents, last = path.split(".")
    for part in parents:
        place = place[int(part)] if part.isdigit() else place[part]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return json.dumps(whole)


def test_outputs_are_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "outputs.json"
    file.write_text(json.dumps(OUTPUTS_JSON))
    assert from_file(file).table("orders").mapping_uuid == "mapping-uuid"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_file_as_powershell_writes_it_is_read(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "outputs.json"
    path.write_bytes(json.dumps(OUTPUTS_JSON).encode(encoding))
    assert from_file(path).stack == "local"


def test_members_that_a_newer_program_adds_are_ignored() -> None:
    parse(changed("somethingNew", {"a": 1}), "test")


def test_the_metrics_of_a_stack_are_those_that_its_outputs_name_or_an_older_programs() -> None:
    named = names.dimensions("prod", "orders", "111111111111", "orders-consumer")
    newer = parse(changed("tables.0.metricDimensions", named), "test")
    assert newer.metric_dimensions(newer.tables[0]) == named
    older = copy.deepcopy(OUTPUTS_JSON)
    older["tables"][0].pop("metricDimensions", None)
    found = parse(json.dumps(older), "test")
    assert found.metric_dimensions(found.tables[0]) == {"Stack": "local", "Table": "orders"}


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("tables.0.streamArn", None, "tables[0].streamArn is missing"),
        ("tables.0.streamArn", "stream", "tables[0].streamArn is 'stream', expected the ARN"),
        ("tables.0.parallelizationFactor", "1", "expected a whole number"),
        ("source.exporterRoleArn", None, "source.exporterRoleArn is missing"),
        ("target.accountId", 222222222222, "target.accountId is 222222222222, expected 12 digits"),
        (
            "target.importerRoleArn",
            "arn:aws:iam::333333333333:role/importer",
            "a role of another account than 222222222222",
        ),
        ("tables", [], "tables is no list with a table in it"),
        ("journalTable", "", "journalTable is '', expected a text"),
        ("source", None, "source is missing"),
        ("tables.0.load", "copy", "tables[0].load is 'copy', expected import or bulk"),
        ("tables.0.performanceTier", "FAST", "expected STANDARD or ACCELERATED"),
    ],
)
def test_a_wrong_member_is_named(path: str, value: Any, said: str) -> None:
    with pytest.raises(UsageError) as failure:
        parse(changed(path, value), "outputs.json")
    assert said in str(failure.value)
    assert "outputs.json" in str(failure.value)
    assert "\nTry: pulumi" in str(failure.value)


def test_a_table_is_imported_unless_its_outputs_say_bulk() -> None:
    older = copy.deepcopy(OUTPUTS_JSON)
    older["tables"][0].pop("load", None)
    assert parse(json.dumps(older), "test").tables[0].load == LoadSettings("import")
    members = {"load": "bulk", "adopt": True, "performanceTier": "ACCELERATED"}
    older["tables"][0] |= {**members, "maxWriteRequestUnits": 2048}
    found = parse(json.dumps(older), "test").tables[0].load
    assert found == LoadSettings("bulk", True, "ACCELERATED", 2048)


def test_the_buffer_is_a_kinesis_stream_unless_the_outputs_say_otherwise() -> None:
    table = parse(json.dumps(OUTPUTS_JSON), "test").tables[0]
    assert (table.buffer, table.reads_table_stream) == ("kinesis", False)
    assert table.function_arn.endswith(":function:orders-consumer")
    older = changed("tables.0.functionArn", None)
    assert parse(older, "test").tables[0].function_arn == ""


def test_a_table_whose_own_stream_is_the_buffer_names_no_stream_and_no_mapping() -> None:
    members = {"batchSize": 100, "batchWindowSeconds": 2}
    table = table_stream_outputs(mappingSettings=members).tables[0]
    assert (table.buffer, table.reads_table_stream) == ("streams", True)
    assert (table.stream_name, table.stream_arn, table.mapping_uuid) == ("", "", "")
    assert table.mapping_settings == MappingSettings(100, 2)
    assert table.retention_hours == 24


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"buffer": "sqs"}, "tables[0].buffer is 'sqs', expected kinesis or streams"),
        ({"mappingSettings": {}}, "tables[0].mappingSettings.batchSize is missing"),
        ({"functionArn": None}, "tables[0].functionArn is missing"),
    ],
)
def test_what_makes_a_mapping_has_to_be_in_the_outputs(changes: Any, said: str) -> None:
    with pytest.raises(UsageError) as failure:
        table_stream_outputs(**changes)
    assert said in str(failure.value)


def test_every_mistake_is_named_at_once() -> None:
    whole = copy.deepcopy(OUTPUTS_JSON)
    del whole["journalTable"], whole["tables"][0]["ledgerTable"]
    with pytest.raises(UsageError) as failure:
        parse(json.dumps(whole), "test")
    assert "journalTable" in failure.value.what
    assert "ledgerTable" in failure.value.what


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"text"'])
def test_another_file_is_refused_without_a_traceback(text: str) -> None:
    with pytest.raises(UsageError):
        parse(text, "test")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        from_file(tmp_path / "missing.json")


def test_an_unknown_table_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="orders"):
        parse(json.dumps(OUTPUTS_JSON), "test").table("order")


def test_outputs_of_a_stack_are_read_with_the_pulumi_cli() -> None:
    commands: list[Sequence[str]] = []

    def pulumi(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        return subprocess.CompletedProcess(command, 0, json.dumps(OUTPUTS_JSON), "")

    assert from_stack("prod", pulumi).stack == "local"
    assert commands == [["pulumi", "stack", "output", "--json", "--stack", "prod"]]


def test_secret_outputs_of_a_stack_are_read_in_clear() -> None:
    commands: list[Sequence[str]] = []

    def pulumi(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        hidden = {**OUTPUTS_JSON, "tables": "[secret]"}
        shown = OUTPUTS_JSON if "--show-secrets" in command else hidden
        return subprocess.CompletedProcess(command, 0, json.dumps(shown), "")

    assert from_stack("prod", pulumi).tables
    assert len(commands) == 2


def test_a_file_that_hides_secret_outputs_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "outputs.json"
    file.write_text(json.dumps({**OUTPUTS_JSON, "tables": "[secret]"}))
    with pytest.raises(UsageError, match="hides secret outputs") as failure:
        from_file(file)
    assert "pulumi stack output --json --show-secrets > FILE" in failure.value.fix


def test_a_missing_pulumi_cli_is_explained() -> None:
    def absent(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        raise FileNotFoundError(command[0])

    with pytest.raises(UsageError, match="no `pulumi` on the path") as failure:
        from_stack("prod", absent)
    assert "--outputs FILE" in failure.value.fix


def test_pulumis_own_error_is_shown() -> None:
    def refuses(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 255, "", "error: no stack named 'prod' found\n")

    with pytest.raises(UsageError, match="no stack named 'prod' found"):
        from_stack("prod", refuses)
