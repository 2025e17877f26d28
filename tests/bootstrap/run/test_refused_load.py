"""A bulk put that DynamoDB refuses to begin, as for a tier that a Region does not offer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from bootstrap.core.errors import AccountError, Side
from bootstrap.core.run_options import Goal, RunOptions
from tests.support.bootstrap.fake_aws import FakeAws, outputs
from tests.support.bootstrap.killed_process import Process
from tests.support.remedies import commands_in, problem

ACCELERATED: Mapping[str, Any] = {"load": "bulk", "performanceTier": "ACCELERATED"}


def refuse_accelerated(world: FakeAws) -> list[str]:
    """Refuse each start of the tier; return the tokens of the refused requests."""
    refused: list[str] = []

    def refuse(number: int, name: str, after: bool) -> None:
        if name == "start_bulk" and not after:
            request = world.seen[-1].detail
            if request.tier == "ACCELERATED":
                refused.append(request.token)
                raise AccountError(
                    Side.TARGET,
                    "StartBulkPutItems failed with ValidationException: not in this Region",
                    fix="-",
                    code="ValidationException",
                )

    world.on_call = refuse
    return refused


@pytest.mark.promise("C6")
def test_a_refused_tier_is_named_and_changed_without_another_export() -> None:
    world = FakeAws()
    refused = refuse_accelerated(world)
    with pytest.raises(AccountError) as failure:
        Process(world, 1, chosen=outputs(**ACCELERATED)).go()
    assert "ACCELERATED" in failure.value.what
    assert "not in this Region" in failure.value.what
    fix = str(failure.value.fix)
    assert "pulumi config set --path 'tables[0].performanceTier' STANDARD --stack local" in fix
    for words in commands_in(fix):
        assert problem(words) == "", " ".join(words)

    Process(world, 2, chosen=outputs(load="bulk")).go()
    (operation,) = world.bulk.operations.values()
    assert operation.request.tier == "STANDARD"
    assert operation.request.token not in refused
    assert len(world.exports) == 1


@pytest.mark.promise("C6")
def test_the_same_settings_are_asked_for_once_in_a_run_and_again_in_the_next() -> None:
    world = FakeAws()
    refused = refuse_accelerated(world)
    for pid in (1, 2):
        with pytest.raises(AccountError):
            Process(world, pid, chosen=outputs(**ACCELERATED)).go()
    assert len(refused) == 2
    assert world.bulk.operations == {}


@pytest.mark.promise("C6")
def test_an_operation_that_a_refused_intention_has_begun_is_found_and_not_begun_again() -> None:
    world = FakeAws()

    def lose_then_refuse(number: int, name: str, after: bool) -> None:
        if name != "start_bulk":
            return
        if after and world.bulk.operations and not lost:
            lost.append(name)
            raise AccountError(Side.TARGET, "the answer was lost", fix="-", code="Lost")
        if not after and lost:
            raise AccountError(Side.TARGET, "refused", fix="-", code="ValidationException")

    lost: list[str] = []
    world.on_call = lose_then_refuse
    with pytest.raises(AccountError, match="lost"):
        Process(world, 1, chosen=outputs(**ACCELERATED)).go()
    Process(world, 2, chosen=outputs(**ACCELERATED)).go()
    assert len(world.bulk.operations) == 1


def _lose_and_refuse(world: FakeAws) -> None:
    """The answer of the first start is lost, and each later start is refused."""
    lost: list[str] = []

    def watch(number: int, name: str, after: bool) -> None:
        if name != "start_bulk":
            return
        if after and not lost:
            lost.append(name)
            raise AccountError(Side.TARGET, "the answer was lost", fix="-", code="Lost")
        if not after and lost:
            raise AccountError(Side.TARGET, "refused", fix="-", code="ValidationException")

    world.on_call = watch


@pytest.mark.promise("C6")
@pytest.mark.parametrize("listed_after", [60.0, 1_000.0])
def test_a_refused_repetition_begins_no_second_operation_however_late_the_first_is_listed(
    listed_after: float,
) -> None:
    world = FakeAws()
    world.bulk.listed_after, world.bulk.seconds = listed_after, 7_200
    _lose_and_refuse(world)
    with pytest.raises(AccountError, match="lost"):
        Process(world, 1, chosen=outputs(load="bulk")).go()
    late = listed_after > 120
    if late:
        with pytest.raises(AccountError, match="refuse"):
            Process(world, 2, chosen=outputs(load="bulk")).go()
        world.clock.advance(listed_after)
    Process(world, 3, chosen=outputs(load="bulk")).go()
    assert len(world.bulk.operations) == 1


@pytest.mark.promise("C6")
def test_abandon_cancels_the_operation_of_an_intention_that_was_given_up() -> None:
    world = FakeAws()
    world.bulk.listed_after, world.bulk.seconds = 200.0, 7_200
    _lose_and_refuse(world)
    with pytest.raises(AccountError, match="lost"):
        Process(world, 1, chosen=outputs(load="bulk")).go()
    with pytest.raises(AccountError, match="refuse"):
        Process(world, 2, chosen=outputs(load="bulk")).go()
    world.clock.advance(200)
    Process(world, 3, chosen=outputs(load="bulk"), options=RunOptions(goal=Goal.ABANDON)).go()
    (arn,) = world.bulk.operations
    assert world.times("cancel_bulk")
    assert min(world.times("remove_objects")) >= world.bulk.end(arn)
