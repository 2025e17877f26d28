"""The cases that follow from a recorded clean run, and a sample of them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from random import Random

from tests.crash.crash_points import FAULTS, KILLS, MATRIX, Case, Deed, Moment
from tests.crash.hooks import Line

CASES = 10
"""The size of the sample that `make test` plays."""

READING = re.compile(r"\w[\w-]*:(Describe|Get|List|Query|BatchGet|AssumeRole)")

Recording = Mapping[tuple[str, str], int]
"""How often a clean run made each (step, operation)."""


def recording(runs: Iterable[Sequence[Line]]) -> Recording:
    """What every one of these clean runs made, as often as the one that made it least: how often
    is polled is chance.
    """
    counts = [
        Counter((step, operation) for step, operation, _ in {_call(line) for line in run})
        for run in runs
    ]
    common = set.intersection(*(set(each) for each in counts))
    return {key: min(each[key] for each in counts) for key in sorted(common)}


def _call(line: Line) -> tuple[str, str, int]:
    return line.step, line.operation, line.nth


def moments(step: str, operation: str, count: int) -> list[Moment]:
    """First and last; every one, where the call changes something."""
    changes = READING.match(operation) is None
    numbers = range(1, count + 1) if changes else sorted({1, count})
    return [Moment(step, operation, n) for n in numbers]


def cases(recorded: Recording) -> list[Case]:
    """All: kills at all moments, faults at the first and the last."""
    found: list[Case] = []
    for (step, operation), count in recorded.items():
        all_of_it = moments(step, operation, count)
        found += [Case(moment, deed) for moment in all_of_it for deed in KILLS]
        ends = sorted({all_of_it[0], all_of_it[-1]})
        found += [Case(moment, deed) for moment in ends for deed in FAULTS]
    return found


def sample(every: Sequence[Case], seed: int, count: int) -> list[Case]:
    """So many cases: each deed in turn, and as many different steps and operations as can be."""
    random = Random(seed)
    left = sorted(every)
    random.shuffle(left)
    chosen: list[Case] = []
    deeds = sorted({case.deed for case in left}, key=MATRIX.index)
    for n in range(min(count, len(left))):
        best = min(left, key=_rank(deeds[n % len(deeds)], chosen))
        left.remove(best)
        chosen.append(best)
    return chosen


def _rank(deed: Deed, chosen: Sequence[Case]) -> Callable[[Case], tuple[bool, int, int]]:
    """The wanted deed first; then whatever step and operation have had the least of."""
    steps = Counter(case.moment.step for case in chosen)
    operations = Counter(case.moment.operation for case in chosen)
    return lambda case: (
        case.deed is not deed,
        steps[case.moment.step],
        operations[case.moment.operation],
    )
