"""The simulation finds what it is there for: each planted fault, with the seeds of every other day.

The seeds are not chosen, and only a broken promise counts as found.
"""

from __future__ import annotations

import pytest

from replicator.buffers import KINESIS, STREAMS
from tests.simulation.injected_faults import FAULTS, STREAM_FAULTS, SWITCH_FAULTS, Plant
from tests.simulation.plan import plan
from tests.simulation.run import play

WITHIN = 2_000
SEEDS = 3


@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_breaks_a_promise(name: str) -> None:
    assert len(_found(name, FAULTS[name], KINESIS)) == SEEDS


@pytest.mark.slow
@pytest.mark.parametrize("name", STREAM_FAULTS)
def test_a_planted_fault_with_a_tables_own_stream_breaks_a_promise(name: str) -> None:
    assert len(_found(name, STREAM_FAULTS[name], STREAMS)) == SEEDS


def _found(name: str, plant: Plant, buffer: str) -> list[int]:
    """The first seeds, of those with this buffer, that show a fault."""
    found: list[int] = []
    tried = 0
    with plant():
        for seed in (seed for seed in range(2 * WITHIN) if plan(seed).buffer == buffer):
            if len(found) == SEEDS:
                break
            story = play(seed)
            tried += 1
            if story.failure is not None and story.failure.startswith("ViolationError"):
                found.append(story.seed)

    print(f"{name}: found by seeds {found} of {tried} histories")
    return found


@pytest.mark.slow
@pytest.mark.promise("C9")
@pytest.mark.parametrize("name", SWITCH_FAULTS)
def test_a_planted_fault_of_a_switch_breaks_a_promise(name: str) -> None:
    switched = (seed for seed in range(4 * WITHIN) if plan(seed).switch is not None)
    with SWITCH_FAULTS[name]():
        failures = (play(seed).failure for seed in switched)
        assert any(failure and failure.startswith("ViolationError") for failure in failures)
