"""Keys of the stack file that cannot be used any more, as `status` and a switch see them."""

from __future__ import annotations

import copy
import dataclasses
import json
from typing import Any

import pytest

from bootstrap.core.errors import Side, UnavailableError
from bootstrap.core.facts import KeyFacts
from bootstrap.core.journal_rows import Row
from bootstrap.core.stack_outputs import Outputs, parse
from bootstrap.core.state import State
from bootstrap.status.health import state_now
from bootstrap.status.key_health import KEYS, judge_keys, read_keys
from replicator.watchdog import detectors
from replicator.watchdog.detectors import Level
from replicator.watchdog.finding import Finding
from tests.support.bootstrap.fake_accounts import FakeSource, FakeTarget
from tests.support.bootstrap.fake_aws import OUTPUTS_JSON, FakeAws, outputs

SOURCE_KEY = "arn:aws:kms:eu-west-1:111111111111:key/source"
CONSUMER_KEY = "arn:aws:kms:eu-west-1:222222222222:key/consumer"
LOGS, ALARMS = "logs.eu-west-1.amazonaws.com", "cloudwatch.amazonaws.com"
ROW = Row(run_id="20261130T000000Z-abc", state=State.REPLICATING)
PROBES = Finding(detectors.PROBES, Level.FINE, 60.0)


def policy(*principals: str) -> str:
    statements = [
        {
            "Effect": "Allow",
            "Principal": {"Service" if each.endswith(".com") else "AWS": each},
            "Action": "kms:*",
            "Resource": "*",
        }
        for each in principals
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


BOTH = [f"arn:aws:iam::{account * 12}:root" for account in "12"]


def under_keys(arn: str = "", **changes: Any) -> FakeAws:
    """A stack with a key for the source's place, its stream, and the consumer's."""
    world = FakeAws()
    world.keys = {
        SOURCE_KEY: KeyFacts(SOURCE_KEY, "Enabled", policy(*BOTH, ALARMS)),
        CONSUMER_KEY: KeyFacts(CONSUMER_KEY, "Enabled", policy(*BOTH, LOGS, ALARMS)),
    }
    if arn:
        world.keys[arn] = dataclasses.replace(world.keys[arn], **changes)
    return world


def stack() -> Outputs:
    value = copy.deepcopy(OUTPUTS_JSON)
    value["keys"] = {"source": SOURCE_KEY, "consumer": CONSUMER_KEY}
    value["keyServices"] = {"source": [ALARMS], "consumer": [LOGS, ALARMS]}
    value["tables"][0]["streamKeyArn"] = SOURCE_KEY
    return parse(json.dumps(value), "test")


def judged(world: FakeAws, *others: Finding, chosen: Outputs | None = None) -> Finding:
    chosen = chosen or stack()
    accounts = FakeSource(world, lambda: None), FakeTarget(world, lambda: None)
    (found,) = judge_keys(ROW, read_keys(*accounts, chosen, chosen.tables[0]), others)
    return found


def test_keys_that_are_enabled_and_allow_what_is_needed_are_fine() -> None:
    assert judged(under_keys()).level is Level.FINE


@pytest.mark.promise("C7")
@pytest.mark.promise("C10")
@pytest.mark.parametrize("arn", [SOURCE_KEY, CONSUMER_KEY])
@pytest.mark.parametrize("state", ["Disabled", "PendingDeletion", "Unavailable"])
def test_a_key_that_is_not_enabled_makes_the_replica_degraded_by_name(arn: str, state: str) -> None:
    found = judged(under_keys(arn, state=state), PROBES)
    assert (found.detector, found.level, found.value) == (KEYS, Level.WARNING, 0.0)
    assert f"{arn} of the" in found.detail
    assert f"is {state}" in found.detail
    assert f"aws kms enable-key --key-id {arn}" in found.first
    assert state_now(State.REPLICATING, [found]) is State.DEGRADED


@pytest.mark.promise("C7")
@pytest.mark.parametrize(
    ("arn", "service"), [(SOURCE_KEY, ALARMS), (CONSUMER_KEY, ALARMS), (CONSUMER_KEY, LOGS)]
)
def test_a_key_whose_policy_does_not_name_a_service_is_a_finding(arn: str, service: str) -> None:
    left = {ALARMS, LOGS} - {service}
    found = judged(under_keys(arn, policy=policy(*BOTH, *left)), PROBES)
    assert found.level is Level.WARNING
    assert arn in found.detail
    assert f"to the service {service}" in found.detail


@pytest.mark.promise("C7")
def test_a_key_that_is_gone_is_a_finding() -> None:
    found = judged(under_keys(CONSUMER_KEY, refused="NotFoundException"), PROBES)
    assert (found.level, CONSUMER_KEY in found.detail) == (Level.WARNING, True)


def test_a_key_that_may_not_be_described_is_unknown_only_without_probes_that_come_through() -> None:
    world = under_keys(CONSUMER_KEY, refused="AccessDeniedException")
    found = judged(world, PROBES)
    assert found.level is Level.FINE
    assert f"{CONSUMER_KEY} could not be described: AccessDeniedException" in found.detail
    for others in ((), (dataclasses.replace(PROBES, level=Level.WARNING),)):
        assert judged(world, *others).level is Level.UNKNOWN


def test_a_policy_that_may_not_be_read_is_noted_and_no_finding() -> None:
    found = judged(under_keys(CONSUMER_KEY, policy=None))
    assert found.level is Level.FINE
    assert f"the policy of {CONSUMER_KEY} may not be read" in found.detail


def test_an_account_that_cannot_be_reached_hides_no_key_of_the_other() -> None:
    world = under_keys(CONSUMER_KEY, state="Disabled")
    source = FakeSource(world, lambda: None)

    def refuse(arn: str) -> KeyFacts:
        raise UnavailableError(Side.SOURCE, "the source account was not reached", fix="wait")

    source.key = refuse  # type: ignore[method-assign]
    chosen = stack()
    read = read_keys(source, FakeTarget(world, lambda: None), chosen, chosen.tables[0])
    (found,) = judge_keys(ROW, read, ())
    assert found.level is Level.WARNING
    assert f"{CONSUMER_KEY} of the" in found.detail
    assert "the source account was not reached" in found.detail


def test_a_stack_without_keys_and_a_table_without_a_run_are_not_asked() -> None:
    world, chosen = under_keys(), outputs()
    accounts = FakeSource(world, lambda: None), FakeTarget(world, lambda: None)
    assert read_keys(*accounts, chosen, chosen.tables[0]) is None
    read = read_keys(*accounts, stack(), stack().tables[0])
    assert judge_keys(Row(), read, ()) == ()
