"""The rights of functions in a VPC: what Lambda needs of their roles, and no more."""

from __future__ import annotations

import pytest

from tests.infra.least_privilege import dry_run_policies, evaluate, justifications
from tests.infra.least_privilege.declared import Declared
from tests.infra.least_privilege.needs import Need, all_needs
from tests.support.infra.recording_engine import CONFIG, TARGET

pytestmark = [pytest.mark.slow, pytest.mark.promise("C8")]

NETWORK = "replicate-orders-{}-network"
FUNCTIONS = ("consumer", "watchdog")


@pytest.fixture(scope="module")
def declared() -> Declared:
    vpc = {"subnetIds": ["subnet-01234567"], "securityGroupIds": ["sg-01234567"]}
    config = {**CONFIG, "target": {**TARGET, "region": "eu-central-1"}, "vpc": vpc}
    return dry_run_policies.declare(config).declared


@pytest.fixture(scope="module")
def needs(declared: Declared) -> list[Need]:
    return [need for need in all_needs((), declared, "") if need.action.startswith("ec2:")]


def test_lambda_may_keep_interfaces_and_the_functions_own_code_may_not(
    declared: Declared, needs: list[Need]
) -> None:
    actions = len(justifications.NETWORK)
    assert len([need for need in needs if need.refused]) == len(FUNCTIONS) * actions
    assert len(needs) == 2 * len(FUNCTIONS) * actions
    assert [str(need) for need in evaluate.broken(declared, needs)] == []


@pytest.mark.parametrize("function", FUNCTIONS)
def test_no_right_in_a_network_is_without_its_reason(
    function: str, declared: Declared, needs: list[Need]
) -> None:
    policy = NETWORK.format(function)
    assert list(evaluate.superfluous(declared.looking_at(policy), needs)) == []
    wider = declared.allowing(policy, 0, "ec2:ModifyNetworkInterfaceAttribute")
    found = list(evaluate.superfluous(wider.looking_at(policy), needs))
    assert len(found) == 1
    assert "ec2:ModifyNetworkInterfaceAttribute" in found[0]
    assert list(evaluate.wide(declared)) == []
