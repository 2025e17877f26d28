"""The stack file: the values that the Pulumi CLI writes mean the same to every reader."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pulumi
import pytest

from infra import engine_config, stack_file
from infra.config_validation import ConfigError
from infra.stack_config import PROJECT, StackConfig

FILE = """
config:
  aws:region: eu-west-1
  dynamodb-replication:source: {accountId: "111111111111", region: eu-west-1}
  dynamodb-replication:target: {accountId: "222222222222", region: eu-central-1}
  dynamodb-replication:operators: {source: [account], target: [account]}
  dynamodb-replication:tables: [{source: orders}]
"""


def file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "Pulumi.prod.yaml"
    path.write_text(text)
    return path


def from_the_engine(values: dict[str, Any]) -> StackConfig:
    """The configuration as the program gets it: the engine passes every value on as text."""
    pulumi.runtime.set_all_config(
        {
            f"{PROJECT}:{key}": value if isinstance(value, str) else json.dumps(value)
            for key, value in values.items()
        }
    )
    return engine_config.load(pulumi.Config(PROJECT))


def verdict(load: Any, given: Any) -> Any:
    try:
        return load(given)
    except ConfigError as error:
        return [mistake.key for mistake in error.mistakes]


def value(line: str) -> str:
    return FILE + f"  dynamodb-replication:{line}\n"


def account(text: str) -> str:
    return FILE.replace('"111111111111"', text)


def table(settings: str) -> str:
    return FILE.replace("{source: orders}", f"{{{settings}}}")


WRITTEN: list[tuple[str, Any]] = [
    # `pulumi config set protect false` writes text, with `--path` a boolean.
    (value('protect: "false"'), True),
    (value("protect: false"), True),
    (value("protect: no"), ["protect"]),
    (value('retentionHours: "48"'), True),
    (value("retentionHours: 48"), True),
    (value("retentionHours: 4_8"), True),
    (value("retentionHours: 060"), True),  # octal, to the CLI and so to the program
    (value("retentionHours: much"), ["retentionHours"]),
    (value('tags: \'{"team": "payments"}\''), True),
    (account("111111111111"), ["source.accountId"]),
    (account("012345678901"), ["source.accountId"]),
    (account('"012345678901"'), True),
    (table('source: orders, batchSize: "100"'), ["tables[0].batchSize"]),
    (table("source: orders, batchSize: 100"), True),
    (table("source: 0123"), ["tables[0].source"]),
    (table("source: orders, startAt: 2026-11-23T10:00:00Z"), True),
    (table("source: orders, denyOtherWriters: on"), ["tables[0].denyOtherWriters"]),
    (value("colour: red"), ["colour"]),
]


@pytest.mark.parametrize(("text", "expected"), WRITTEN)
def test_a_written_value_means_the_same_to_the_program_and_to_the_plan(
    text: str, expected: Any, tmp_path: Path
) -> None:
    path = file(tmp_path, text)
    planned = verdict(StackConfig.read, path)
    assert planned == verdict(from_the_engine, stack_file.read(path, PROJECT))
    assert isinstance(planned, StackConfig) if expected is True else planned == expected


def test_numbers_are_read_as_the_pulumi_cli_reads_them(tmp_path: Path) -> None:
    numbers = "[0x10, 0o17, 0b11, 017, 1_000, 1e3, -2.5, .5, 012345678901, 12:30]"
    read = stack_file.read(file(tmp_path, value(f"tags: {numbers}")), PROJECT)["tags"]
    assert read == [16, 15, 3, 15, 1000, 1000, -2.5, 0.5, 12345678901, "12:30"]


@pytest.mark.parametrize("text", ["[", "", "config: 5", "- config", "other: {}"])
def test_a_file_that_is_no_stack_file_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"config|expected"):
        StackConfig.read(file(tmp_path, text))


def test_a_file_without_a_value_of_the_project_lacks_every_required_key(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        StackConfig.read(file(tmp_path, "config: {}"))
    assert {mistake.key for mistake in raised.value.mistakes} == {
        *("source", "target", "tables", "operators.source", "operators.target"),
    }


def test_what_a_merge_key_names_is_merged_as_the_pulumi_cli_does(tmp_path: Path) -> None:
    tables = "\n    - &big {source: orders, batchSize: 100}\n    - {<<: *big, source: items}"
    path = file(tmp_path, FILE.replace(" [{source: orders}]", tables))
    found = [(table.source, table.batch_size) for table in StackConfig.read(path).tables]
    assert found == [("orders", 100), ("items", 100)]


@pytest.mark.parametrize("key", ["5", "true", "1.5", "2024-01-01", "~"])
def test_a_key_is_text_whatever_it_looks_like(tmp_path: Path, key: str) -> None:
    path = file(tmp_path, f"{FILE}  dynamodb-replication:tags: {{{key}: payments}}\n")
    if key == "~":
        with pytest.raises(ConfigError, match=r"tags\.~"):
            StackConfig.read(path)
    else:
        assert StackConfig.read(path).tags.given == {key: "payments"}
    path = file(tmp_path, FILE.replace("[{source: orders}]", f"[{{source: orders, {key}: x}}]"))
    with pytest.raises(ConfigError, match=rf"tables\[0\]\.{key}"):
        StackConfig.read(path)


@pytest.mark.parametrize("value", ["12345", "true", "1.5"])
def test_a_name_that_yaml_reads_as_no_text_is_refused_with_the_quotes_that_it_needs(
    tmp_path: Path, value: str
) -> None:
    bare = file(tmp_path, FILE.replace("source: orders", f"source: {value}"))
    with pytest.raises(ConfigError, match=r"tables\[0\]\.source: (.|\n)*in quotes"):
        StackConfig.read(bare)
    quoted = file(tmp_path, FILE.replace("source: orders", f'source: "{value}"'))
    assert StackConfig.read(quoted).tables[0].source == value


@pytest.mark.parametrize("key", ["source.region", "tables[0].source"])
def test_a_key_that_was_set_without_path_is_refused_with_the_commands_that_set_it(
    tmp_path: Path, key: str
) -> None:
    path = file(tmp_path, f"{FILE}  dynamodb-replication:{key}: eu-west-1\n")
    with pytest.raises(ConfigError) as refused:
        StackConfig.read(path)
    (mistake,) = refused.value.mistakes
    assert mistake.key == key
    assert mistake.fix.startswith("pulumi config rm ")
    assert "pulumi config set --path " in mistake.fix
