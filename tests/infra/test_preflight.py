"""The program's checks before it declares anything."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pulumi
import pytest

from infra.local import program
from infra.local.provider import STACK_OUTPUTS, TABLE
from infra.package import PackageError
from infra.stack_config import ConfigError
from tests.support.infra.recording_engine import CONFIG, SOURCE, TARGET, stand_in_archive


class Deployed(pulumi.runtime.Mocks):
    """An engine with the outputs of a last `up`, and these source tables."""

    def __init__(self, outputs: Mapping[str, Any], tables: set[str]) -> None:
        self.outputs, self.tables = outputs, tables
        self.created: list[str] = []

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        if args.typ.startswith("aws:"):
            self.created.append(args.name)
        known = {"arn": f"arn:{args.name}", "name": args.name, "bucket": args.name, "uuid": "u"}
        return args.name, {**known, **args.inputs}

    def call(
        self, args: pulumi.runtime.MockCallArgs
    ) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        if args.token == STACK_OUTPUTS:
            assert args.args["name"] == "organization/dynamodb-replication/prod"
            return {"outputs": dict(self.outputs)}, []
        assert args.token == TABLE
        assert "::source::" in args.provider
        if args.args["name"] not in self.tables:
            return {}, [("name", f"reading DynamoDB Table ({args.args['name']}): couldn't find it")]
        return {"name": args.args["name"]}, []


def run(engine: Deployed, config: Mapping[str, Any], folder: Path) -> None:
    archive = folder / "archive"
    stand_in_archive(archive)
    program.run(engine, {"lambdaArchive": str(archive), **config}, stack="prod")


BEFORE = {"source": SOURCE, "target": TARGET, "tables": [{"sourceTable": "orders"}]}


def test_a_source_table_that_is_not_there_stops_the_run_before_anything_is_made(
    tmp_path: Path,
) -> None:
    engine = Deployed({}, {"orders"})
    tables = [{"source": "orders"}, {"source": "ordrs"}, {"source": "custmers"}]
    with pytest.raises(pulumi.RunError) as raised:
        run(engine, {**CONFIG, "tables": tables}, tmp_path)
    text = str(raised.value)
    assert 'tables[1].source: "ordrs" in account 111111111111, eu-west-1' in text
    assert "tables[2].source" in text and "tables[0]" not in text
    assert "couldn't find it" in text
    assert "Try: aws dynamodb list-tables --region eu-west-1" in text
    assert engine.created == []


def test_a_source_table_that_has_gone_since_the_last_up_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", told.append)
    engine = Deployed(BEFORE, set())
    run(engine, CONFIG, tmp_path)
    assert engine.created
    [warning] = told
    assert "The source table orders was looked up in account 111111111111, eu-west-1" in warning


@pytest.mark.parametrize(
    ("side", "key", "value"),
    [
        ("source", "accountId", "333333333333"),
        ("source", "region", "eu-central-1"),
        ("target", "accountId", "333333333333"),
        ("target", "region", "us-east-1"),
    ],
)
def test_another_account_or_region_is_refused_for_a_stack_that_exists(
    side: str, key: str, value: str, tmp_path: Path
) -> None:
    engine = Deployed(BEFORE, {"orders"})
    changed = {**CONFIG, side: {**CONFIG[side], key: value}}
    with pytest.raises(pulumi.RunError) as raised:
        run(engine, changed, tmp_path)
    assert f'{side}.{key}: got "{value}"; the stack is in "{CONFIG[side][key]}"' in str(
        raised.value
    )
    assert "Another account is another stack" in str(raised.value)
    assert engine.created == []


def test_another_profile_is_accepted_because_operators_have_their_own(tmp_path: Path) -> None:
    engine = Deployed(BEFORE, {"orders"})
    run(engine, {**CONFIG, "target": {**TARGET, "profile": "mine"}}, tmp_path)
    assert engine.created


def test_a_mistake_of_the_configuration_is_shown_by_its_text_alone(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        run(Deployed({}, set()), {**CONFIG, "retentionHours": 12, "protected": True}, tmp_path)
    assert isinstance(raised.value, pulumi.RunError)
    assert len(raised.value.mistakes) == 2


def test_a_missing_archive_is_shown_by_its_text_alone(tmp_path: Path) -> None:
    config = {**CONFIG, "lambdaArchive": str(tmp_path / "nothing")}
    with pytest.raises(PackageError, match="There is no built Lambda archive") as raised:
        run(Deployed({}, {"orders"}), config, tmp_path)
    assert isinstance(raised.value, pulumi.RunError)
