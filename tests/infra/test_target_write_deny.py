"""The policy that keeps other writers out of the target, as IAM evaluates it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bootstrap.core.write_deny import WRITE_ACTIONS
from infra.target_write_deny import WRITES
from tests.infra.least_privilege.declared import RESOURCE, Declared, Policy
from tests.infra.least_privilege.evaluate import Judge
from tests.infra.least_privilege.needs import Need
from tests.support.infra.recording_engine import CONFIG, Deployment, record

pytestmark = pytest.mark.slow

TARGET = "arn:aws:dynamodb:eu-west-1:222222222222:table/orders-replica"
CONSUMER = "arn:aws:iam::222222222222:role/consumer"
IMPORTER = "arn:aws:iam::222222222222:role/importer"
ADMINISTRATOR = "arn:aws:iam::222222222222:root"


@pytest.fixture
def fenced(tmp_path: Path) -> Judge:
    table = {**CONFIG["tables"][0], "denyOtherWriters": True}
    deployed = record({**CONFIG, "tables": [table]}, tmp_path / "archive")
    fence = deployed.one("ResourcePolicy", "write-fence").inputs
    assert fence["resourceArn"] == TARGET
    document = str(fence["policy"])
    for role, arn in (("consumer-role", CONSUMER), ("importer", IMPORTER)):
        document = document.replace(deployed.arn(deployed.one("Role", role)), arn)
    policy = Policy("fence", RESOURCE, "222222222222", TARGET, document)
    # What the roles' own policies allow is not the question here.
    return Judge(Declared((policy,), {}, {}), lenient=True)


def session(role: str) -> str:
    return role.replace(":iam:", ":sts:").replace(":role/", ":assumed-role/") + "/session"


@pytest.mark.parametrize("action", WRITES)
def test_nobody_but_consumer_and_importer_writes_to_a_fenced_target(
    action: str, fenced: Judge
) -> None:
    assert fenced.allows(Need(session(CONSUMER), action, TARGET))
    assert fenced.allows(Need(session(IMPORTER), action, TARGET))
    assert not fenced.allows(Need(ADMINISTRATOR, action, TARGET))
    assert not fenced.allows(Need(session(f"{CONSUMER}-2"), action, TARGET))


def test_a_fenced_target_is_read_as_before(fenced: Judge) -> None:
    assert fenced.allows(Need(ADMINISTRATOR, "dynamodb:GetItem", TARGET))
    assert fenced.allows(Need(ADMINISTRATOR, "dynamodb:DeleteResourcePolicy", TARGET))


def test_there_is_no_fence_unless_the_configuration_asks_for_it(stack: Deployment) -> None:
    assert [r.name for r in stack.of("ResourcePolicy") if "fence" in r.name] == []


def test_a_stack_and_a_switch_deny_the_same_writes() -> None:
    # The operator's tool may not import the program, so both have the list.
    assert WRITES == WRITE_ACTIONS
