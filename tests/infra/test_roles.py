"""What the accounts demand of every role: a permissions boundary, a path."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from infra.moved_roles import path_of, refuse_moved_roles
from infra.preflight import RefusedStackError
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


def refuse(path: str | None, state: str) -> None:
    target = {**TARGET, **({"rolePath": path} if path else {})}
    config = StackConfig.parse({**CONFIG, "target": target})
    refuse_moved_roles(config, PREVIOUS, {"orders": RunRow(state)})


@pytest.mark.promise("C9")
@pytest.mark.parametrize("state", ["SWITCHING", "SWITCHED", "PROMOTED"])
def test_roles_that_a_switched_tables_policy_names_do_not_move(state: str) -> None:
    for path in ("/new/", None):
        with pytest.raises(RefusedStackError, match=r"(?s)orders name them.*rolePath /old/"):
            refuse(path, state)
    refuse("/old/", state)


def test_roles_of_a_replica_may_move() -> None:
    refuse("/new/", "REPLICATING")


def test_a_path_is_read_off_an_arn() -> None:
    assert path_of("arn:aws:iam::222222222222:role/name") == "/"
    assert path_of("arn:aws:iam::222222222222:role/a/b/name") == "/a/b/"
