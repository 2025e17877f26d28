"""C8 for a promotion: the importer and the target's switch role may do what it does.

Recorded on the local cloud, where both roles are enforced, and evaluated against the policies.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.infra.least_privilege import evaluate
from tests.infra.least_privilege.needs import all_needs
from tests.infra.least_privilege.recorded_run import EXTERNAL_ID, Rehearsal, Stage, rehearse
from tests.support.infra.recording_engine import CONFIG

pytestmark = [pytest.mark.slow, pytest.mark.promise("C8", "C9")]

TAKEN_OFF = "dynamodb:DeleteResourcePolicy"
"""`abandon` takes the Deny off; a promotion rewrites it."""


def promoted(stage: Stage) -> None:
    stage.bootstrap("run")
    stage.bootstrap("promote", "--yes", "--drain", "0")


@pytest.fixture(scope="module")
def rehearsal(tmp_path_factory: pytest.TempPathFactory) -> Rehearsal:
    directory = tmp_path_factory.mktemp("promotion")
    config: dict[str, Any] = {"tables": CONFIG["tables"], "switch": True}
    return rehearse(directory, config, directory / "calls.jsonl", promoted)


def of_role(rehearsal: Rehearsal, name: str) -> set[tuple[str, str]]:
    """The calls of one of the stack's roles: action and resource."""
    return {
        (need.action, need.resource)
        for need in rehearsal.needs
        if f":assumed-role/{name}" in need.caller
    }


def test_every_call_of_a_promotion_is_allowed(rehearsal: Rehearsal) -> None:
    needs = all_needs(rehearsal.needs, rehearsal.declared, EXTERNAL_ID)
    assert [str(need) for need in evaluate.broken(rehearsal.declared, needs)] == []


def test_the_targets_role_has_no_right_that_a_promotion_leaves_unused(
    rehearsal: Rehearsal,
) -> None:
    [(_, target)] = rehearsal.declared.tables
    called = of_role(rehearsal, "replication-switch-target")
    assert {resource for _, resource in called} == {target}
    [policy] = [p for p in rehearsal.declared.policies if p.name.endswith("switch-target-grants")]
    allowed = {
        action
        for statement in policy.statements
        for action in statement["Action"]
        if action.startswith("dynamodb:")
    }
    assert allowed - {action for action, _ in called} == {TAKEN_OFF}


def test_a_run_and_a_promotion_use_no_role_that_may_close_the_source(rehearsal: Rehearsal) -> None:
    assert [p for p in rehearsal.declared.policies if "switch-source" in p.name]
    assert of_role(rehearsal, "replication-switch-source") == set()
