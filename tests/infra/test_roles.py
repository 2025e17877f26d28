"""What the accounts demand of every role: a permissions boundary, a path."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from infra import package
from infra.dry_run import stand_in_archive
from infra.moved_roles import find_moved_roles, path_of
from infra.package import BUILDS, PackageError
from infra.preflight import require_archive
from infra.refused_changes import RefusedChangeError, refuse
from infra.run_rows import RunRow
from infra.stack_config import StackConfig
from tests.support.infra.recording_engine import CONFIG, SOURCE, TARGET, Deployment, record

pytestmark = pytest.mark.promise("C8")

DEMANDS: dict[str, dict[str, Any]] = {
    "source": {
        "permissionsBoundaryArn": "arn:aws:iam::111111111111:policy/platform/ceiling",
        "rolePath": "/platform/source/",
    },
    "target": {
        "permissionsBoundaryArn": "arn:aws:iam::aws:policy/PowerUserAccess",
        "rolePath": f"/{'t' * 510}/",
    },
}


def deployed(folder: Path, **values: Any) -> Deployment:
    return record({**CONFIG, "switch": True, **values}, folder / "archive")


def test_every_role_has_the_boundary_and_the_path_of_its_account(tmp_path: Path) -> None:
    stack = deployed(
        tmp_path,
        source={**SOURCE, **DEMANDS["source"]},
        target={**TARGET, **DEMANDS["target"]},
    )
    roles = stack.of("Role")
    assert {role.side for role in roles} == {"source", "target"}
    for role in roles:
        demands = DEMANDS[role.side]
        assert role.inputs["permissionsBoundary"] == demands["permissionsBoundaryArn"], role.name
        assert role.inputs["path"] == demands["rolePath"], role.name


def test_one_accounts_demands_are_not_the_others(tmp_path: Path) -> None:
    stack = deployed(tmp_path, source={**SOURCE, **DEMANDS["source"]})
    for role in stack.of("Role"):
        assert ("path" in role.inputs) == (role.side == "source"), role.name
        assert ("permissionsBoundary" in role.inputs) == (role.side == "source"), role.name


PREVIOUS = {
    "target": {"importerRoleArn": "arn:aws:iam::222222222222:role/old/replication-importer"}
}


def move(path: str | None, state: str) -> None:
    target = {**TARGET, **({"rolePath": path} if path else {})}
    config = StackConfig.parse({**CONFIG, "target": target})
    refuse(find_moved_roles(config, PREVIOUS, {"orders": RunRow(state)}))


@pytest.mark.promise("C9")
@pytest.mark.parametrize("state", ["SWITCHING", "SWITCHED", "PROMOTED"])
def test_roles_that_a_switched_tables_policy_names_do_not_move(state: str) -> None:
    for path in ("/new/", None):
        with pytest.raises(RefusedChangeError, match=r"(?s)orders name them.*rolePath /old/"):
            move(path, state)
    move("/old/", state)


def test_roles_of_a_replica_may_move() -> None:
    move("/new/", "REPLICATING")


def test_a_path_is_read_off_an_arn() -> None:
    assert path_of("arn:aws:iam::222222222222:role/name") == "/"
    assert path_of("arn:aws:iam::222222222222:role/a/b/name") == "/a/b/"


def assumed(folder: Path, **source: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the inputs of the source's provider, and of the role that it assumes."""
    role = {"roleArn": "arn:aws:iam::111111111111:role/deploy"}
    [provider] = [
        each
        for each in deployed(folder, source={**SOURCE, **role, **source}).of("aws")
        if each.name == "source"
    ]
    [given] = json.loads(provider.inputs["assumeRoles"])
    return dict(provider.inputs), given


def test_the_deployers_role_is_assumed_with_the_words_of_its_account(tmp_path: Path) -> None:
    session = {"externalId": "word", "sessionName": "pipeline"}
    inputs, role = assumed(tmp_path, **session, stsRegion="eu-central-1")
    assert {**session, "roleArn": role["roleArn"]} == role
    assert inputs["stsRegion"] == "eu-central-1"


def test_without_them_the_session_has_the_name_that_it_always_had(tmp_path: Path) -> None:
    inputs, role = assumed(tmp_path)
    assert role.keys() == {"roleArn", "sessionName"}
    assert role["sessionName"] == "pulumi-dynamodb-replication"
    assert "stsRegion" not in inputs


def test_both_functions_run_on_the_processor_that_the_stack_file_names(tmp_path: Path) -> None:
    stack = deployed(tmp_path, architecture="x86_64")
    assert [each.inputs["architectures"] for each in stack.of("Function")] == [["x86_64"]] * 2


def test_an_archive_for_another_processor_is_refused_with_the_command_that_builds(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "lambda"
    stand_in_archive(folder)
    config = StackConfig.parse({**CONFIG, "architecture": "x86_64", "lambdaArchive": str(folder)})
    with pytest.raises(PackageError, match=r"(?s)for arm64.*for x86_64.*--architecture x86_64"):
        require_archive(config)
    stand_in_archive(folder, "x86_64")
    assert require_archive(config).platform == "lambda-x86_64"


def test_each_processor_has_an_archive_of_its_own() -> None:
    for architecture, folder, option in (
        ("arm64", "lambda", ""),
        ("x86_64", "lambda-x86_64", " --architecture x86_64"),
    ):
        config = StackConfig.parse({**CONFIG, "architecture": architecture})
        assert config.lambda_archive == BUILDS / folder
        with pytest.raises(PackageError, match=rf"infra\.package --for lambda{option}$"):
            package.require(config.lambda_archive.parent / "nothing" / folder)
