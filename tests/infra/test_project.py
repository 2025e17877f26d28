"""Pulumi.yaml and the example stack file: what an operator starts from."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.alarm_config import Thresholds, key_of
from infra.config_validation import ConfigReader
from infra.local import program
from infra.stack_config import PROJECT_ROOT, StackConfig
from tests.support.infra.recording_engine import CONFIG, record

PREFIX = f"{program.PROJECT}:"
EXAMPLE = PROJECT_ROOT / "infra" / "Pulumi.example.yaml"
KEYS = {
    *("source", "target", "tables", "operators", "retentionHours", "protect", "lambdaArchive"),
    *("architecture", "snapshotKey", "keys", "switch", "alarms", "tags"),
    *("logRetentionDays", "buckets", "vpc", "iam", "verification"),
}


def project() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((PROJECT_ROOT / "Pulumi.yaml").read_text())
    return loaded


def example(text: str) -> dict[str, Any]:
    config = yaml.safe_load(text)["config"]
    return {
        key.removeprefix(PREFIX): value for key, value in config.items() if key.startswith(PREFIX)
    }


def test_the_project_is_the_one_that_the_program_and_the_local_cloud_speak_of() -> None:
    assert project()["name"] == program.PROJECT
    assert (PROJECT_ROOT / project()["main"]).resolve() == program.PROGRAM
    assert project()["runtime"]["options"]["virtualenv"] == ".venv"


def test_the_defaults_that_pulumi_shows_are_those_that_the_program_uses() -> None:
    shown = {key: value["default"] for key, value in project()["config"].items()}
    settings = StackConfig.parse(CONFIG)
    assert shown == {
        "protect": settings.protect,
        "retentionHours": settings.retention_hours,
    }


def keys_read(monkeypatch: pytest.MonkeyPatch) -> dict[str, set[str]]:
    """The keys that the program asks for, by their section. "" is the top."""
    found: dict[str, set[str]] = {}
    read = ConfigReader.raw

    def recorded(self: ConfigReader, name: str) -> Any:
        found.setdefault(re.sub(r"\[\d+\]", "", self.path), set()).add(name)
        return read(self, name)

    monkeypatch.setattr(ConfigReader, "raw", recorded)
    vpc = {"subnetIds": ["subnet-01234567"], "securityGroupIds": ["sg-01234567"]}
    StackConfig.parse({**CONFIG, "switch": {"target": ["account"]}, "vpc": vpc})
    return found


def test_the_comment_of_pulumi_yaml_names_every_key_that_the_program_reads_and_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows: dict[str, str] = {}
    head = ""
    for line in re.findall(r"(?m)^#   ( *\S.*)$", (PROJECT_ROOT / "Pulumi.yaml").read_text()):
        head = re.sub(r" \(required\)|\?", "", line[:30].strip()) or head
        rows[head] = rows.get(head, "") + line[30:] + "\n"
    keys = keys_read(monkeypatch)
    top = {name for names in rows for name in names.split(", ")}
    assert top | set(project()["config"]) == keys[""] == KEYS
    for names, text in rows.items():
        # The example stack file has the thresholds.
        known = keys.get(names.split(", ")[0], set())
        assert known <= set(re.findall(r"\w+", text)), names
        assert set(re.findall(r"\w+(?=\?)|[a-z]+[A-Z]\w+", text)) <= known, names


def test_pulumi_installs_what_the_project_pins() -> None:
    """`pulumi install` reads the requirements of the program's folder, not the project's."""
    assert (program.PROGRAM / "requirements.txt").read_text().strip() == "-r ../requirements.txt"


def test_the_example_deploys_as_it_stands(tmp_path: Path) -> None:
    deployed = record(example(EXAMPLE.read_text()), tmp_path / "archive")
    assert [table["sourceTable"] for table in deployed.outputs["tables"]] == ["orders"]


def test_the_example_shows_every_key_and_each_works_when_it_is_uncommented(tmp_path: Path) -> None:
    text = EXAMPLE.read_text()
    head, _, body = text.partition("config:\n")
    assert head.startswith("#")
    settings = re.sub(r"(?m)^( *)# (?=\s*[\w.:-]+:( |$))", r"\1", body)
    settings = settings.replace("# or PROVISIONED, with shards: 4", "")
    values = example(f"config:\n{settings}")
    assert set(values) == KEYS
    assert len(values["tables"][0]) == 23
    assert {*values["source"]} == {
        "accountId",
        "externalId",
        "permissionsBoundaryArn",
        "profile",
        "region",
        "roleArn",
        "rolePath",
        "sessionName",
        "stsRegion",
    }
    assert values["alarms"]["thresholds"] == {
        key_of(name): value for name, value in vars(Thresholds()).items()
    }
    deployed = record({**values, "lambdaArchive": str(tmp_path / "archive")}, tmp_path / "archive")
    assert deployed.outputs["tables"]


def test_the_example_forbids_resources_without_an_account() -> None:
    config = yaml.safe_load(EXAMPLE.read_text())["config"]
    assert config["pulumi:disable-default-providers"] == ["aws"]


def test_the_program_is_short_enough_to_be_read_beside_the_drawing() -> None:
    program = (PROJECT_ROOT / "infra" / "__main__.py").read_text()
    assert len(program.splitlines()) < 70
