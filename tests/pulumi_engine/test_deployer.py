"""A deployer's policies: a whole life passes under them, and without one of them it does not."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.pulumi_engine.cli import REPOSITORY
from tests.pulumi_engine.deployer import policies
from tests.pulumi_engine.deployer.journey import allow, live, make_role
from tests.pulumi_engine.deployer.policies import LIMIT, MARK, Policy
from tests.pulumi_engine.deployer.unseen import SOURCE, TARGET, UNSEEN
from tests.pulumi_engine.engine import OPEN_COROUTINES, Engine, RefusedError

SIDES = (SOURCE, TARGET)


def without(policy: Mapping[str, Any], action: str) -> dict[str, Any]:
    """Return a policy that lacks one action."""
    rest = copy.deepcopy(dict(policy))
    for statement in rest["Statement"]:
        statement["Action"] = [each for each in statement["Action"] if each != action]
    return rest


@pytest.mark.slow
@pytest.mark.filterwarnings(*OPEN_COROUTINES)
def test_a_stack_lives_and_ends_under_the_documented_policies(engine: Engine) -> None:
    source, target = engine.cloud.source, engine.cloud.target
    whole = policies.seen(TARGET)
    make_role(engine, source, seen=policies.seen(SOURCE), unseen=policies.unseen(SOURCE))
    make_role(
        engine,
        target,
        seen=without(whole, "lambda:CreateEventSourceMapping"),
        unseen=policies.unseen(TARGET),
    )
    stack = engine.stack("deployer")
    # They are enforced: without one action the same life ends early.
    with pytest.raises(RefusedError, match="lambda:CreateEventSourceMapping"):
        live(stack)
    allow(engine, target, seen=whole)
    live(stack)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("which", [policies.seen, policies.unseen])
def test_a_policy_fits_into_one_that_iam_manages(side: str, which: Callable[[str], Policy]) -> None:
    assert policies.size(which(side)) <= LIMIT


@pytest.mark.parametrize("side", SIDES)
def test_no_action_is_allowed_twice_or_by_a_wildcard(side: str) -> None:
    statements = [*policies.seen(side)["Statement"], *policies.unseen(side)["Statement"]]
    actions = [action for statement in statements for action in statement["Action"]]
    assert len(actions) == len(set(actions))
    assert [action for action in actions if "*" in action] == []


@pytest.mark.parametrize("side", SIDES)
def test_what_was_read_and_not_seen_is_marked_and_says_where_it_was_read(side: str) -> None:
    assert policies.seen_actions(side) & policies.unseen_actions(side) == set()
    assert all(s["Sid"].endswith(MARK) for s in policies.unseen(side)["Statement"])
    assert not any(s["Sid"].endswith(MARK) for s in policies.seen(side)["Statement"])
    assert [each for each in UNSEEN if not each.read_in] == []


def test_the_documented_policies_are_these() -> None:
    text = (REPOSITORY / "docs" / "platform-teams.md").read_text(encoding="utf-8")
    shown = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL)]
    assert shown == [which(side) for side in SIDES for which in (policies.seen, policies.unseen)]
