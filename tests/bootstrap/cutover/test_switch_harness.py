"""The world that the tests of a switch run in answers as AWS and the consumer do."""

from __future__ import annotations

import pytest

from bootstrap.core.errors import UnavailableError
from bootstrap.core.write_deny import WriteDeny, with_deny
from bootstrap.journal.switch_records import SwitchMode
from replicator.probes import PROTOCOL, probe_records
from tests.support.bootstrap.fake_aws import (
    CONSUMER,
    IMPORTER,
    SOURCE_ARN,
    SOURCE_SWITCH,
    STREAM_ARN,
    TARGET_ARN,
    TARGET_SWITCH,
    FakeAws,
    outputs,
)
from tests.support.bootstrap.killed_process import replicated
from tests.support.bootstrap.switch_harness import holding, switch_context

pytestmark = pytest.mark.promise("C9")


@pytest.fixture
def world() -> FakeAws:
    return replicated()


def test_a_policy_holds_once_it_has_spread_and_for_whom_it_names(world: FakeAws) -> None:
    context = holding(switch_context(world))
    policies = context.target_policies
    deny = WriteDeny("a", TARGET_ARN, excepted=(CONSUMER, IMPORTER))
    known = policies.replace(TARGET_ARN, policies.read(TARGET_ARN), with_deny(None, deny))
    assert not context.canary.refused("orders-replica")
    world.clock.advance(241)
    assert context.canary.refused("orders-replica")
    assert not world.policies.refuses(TARGET_ARN, CONSUMER)
    opened = with_deny(known.document, WriteDeny("b", TARGET_ARN, only=(CONSUMER, IMPORTER)))
    policies.replace(TARGET_ARN, known, opened)
    world.clock.advance(241)
    assert not context.canary.refused("orders-replica")
    assert world.policies.refuses(TARGET_ARN, CONSUMER)


def test_the_dates_of_a_deny_hold_by_the_clock(world: FakeAws) -> None:
    policies = holding(switch_context(world)).source_policies
    assert policies is not None
    now = int(world.clock())
    deny = WriteDeny("a", SOURCE_ARN, begins=now + 300, ends=now + 400)
    policies.replace(SOURCE_ARN, policies.read(SOURCE_ARN), with_deny(None, deny))
    world.clock.advance(299)
    assert not world.policies.refuses(SOURCE_ARN, SOURCE_SWITCH)
    world.clock.advance(2)
    assert world.policies.refuses(SOURCE_ARN, SOURCE_SWITCH)
    world.clock.advance(100)
    assert not world.policies.refuses(SOURCE_ARN, SOURCE_SWITCH)


def test_a_policy_is_changed_over_its_revision_and_not_twice_in_fifteen_seconds(
    world: FakeAws,
) -> None:
    policies = holding(switch_context(world)).target_policies
    none = policies.read(TARGET_ARN)
    first = policies.replace(TARGET_ARN, none, with_deny(None, WriteDeny("a", TARGET_ARN)))
    second = with_deny(None, WriteDeny("b", TARGET_ARN))
    with pytest.raises(UnavailableError):
        policies.replace(TARGET_ARN, first, second)
    world.clock.advance(15)
    policies.replace(TARGET_ARN, first, second)
    world.clock.advance(15)
    with pytest.raises(UnavailableError, match="Another caller"):
        policies.replace(TARGET_ARN, first, None)


def test_a_probes_row_echoes_what_its_invocation_ran_under(world: FakeAws) -> None:
    context = holding(switch_context(world))
    ledger = context.steps.ledger

    def echo(name: str) -> tuple[int, str | None, str | None]:
        records = probe_records(name, "orders", world.shards[:1], 1)
        context.steps.source.put_probes("orders-stream", records)
        world.clock.advance(60)
        ledger.settings()  # any call lets the consumer work
        (found,) = ledger.probe_echoes(name, 1)
        return found.protocol, found.armed, found.closed

    assert echo("one") == (PROTOCOL, None, None)
    assert ledger.arm("n")
    assert echo("two") == (PROTOCOL, "n", None)
    assert ledger.close("n")
    assert echo("three") == (PROTOCOL, "n", "n")
    world.protocol = 0
    assert echo("four")[0] == 0


def test_the_old_source_is_switched_off(world: FakeAws) -> None:
    old = holding(switch_context(world)).old_source
    assert old is not None
    old.stop_destination("orders", STREAM_ARN)
    old.set_expiry("orders", "until", False)
    assert [each.status for each in world.destinations] == ["DISABLED"]
    assert not world.source_expiry.enabled


def test_a_harness_has_only_what_the_stacks_roles_allow(world: FakeAws) -> None:
    stopped = switch_context(world, mode=SwitchMode.WRITES_STOPPED)
    assert stopped.source_policies is None
    bare = switch_context(world, chosen=outputs())
    assert (bare.source_policies, bare.old_source, bare.steps.target_policies) == (None, None, None)
    assert stopped.steps.outputs.target.switch_role_arn == TARGET_SWITCH
