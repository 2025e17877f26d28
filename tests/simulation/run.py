"""Runs seeds: builds the real consumer into a world, and tells how it went."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from collections import Counter
from collections.abc import Iterable
from typing import Any
from unittest import mock

from replicator.consumer import ledger
from replicator.consumer.consumer import Consumer
from replicator.names import QUARANTINE_REFUSED
from tests.simulation.invariant_checker import ViolationError
from tests.simulation.operator_actions import Operator
from tests.simulation.plan import plan
from tests.simulation.redrive import config, runtime
from tests.simulation.scheduler import StuckError
from tests.simulation.service import Handler
from tests.simulation.switch_attempt import switchable
from tests.simulation.world import Build, Place, World


class _Silent:
    """Takes log lines and keeps nothing; a bug that was caught comes out again."""

    def _nothing(self, *args: Any, **kwargs: Any) -> None: ...

    info = warning = _nothing

    def error(self, *args: Any, **kwargs: Any) -> None:
        bug = sys.exception()
        if bug is not None:
            raise CrashError(f"{type(bug).__name__}: {bug}") from bug


@dataclasses.dataclass(frozen=True)
class _Meter:
    """Takes metrics, and tells of the one that says that a lane waits."""

    place: Place

    def emit(self, stats: Any) -> None:
        if stats.counts[QUARANTINE_REFUSED]:
            self.place.tripped()


class CrashError(Exception):
    """The consumer met a bug of its own."""


def consumer(place: Place) -> Handler:
    """The consumer as it is."""
    return Consumer.build(
        config(place),
        dynamodb=place.dynamodb,
        s3=place.s3,
        runtime=runtime(place),
        logger=_Silent(),
        meter=_Meter(place),
    )


@dataclasses.dataclass(frozen=True)
class Story:
    """How one history went. `features` is what it really contained, for the mix."""

    seed: int
    failure: str | None
    features: tuple[str, ...]
    invocations: int
    changes: int


def play(seed: int, build: Build = consumer, trace: list[str] | None = None) -> Story:
    """One history, from its seed alone."""
    planned = plan(seed)
    world = World(planned, build, trace)
    failure = None
    try:
        with mock.patch.multiple(
            ledger,
            CHANGES_PER_CALL=planned.pack,
            KEYS_PER_READ=2 * planned.pack,
            WORTH_READING=planned.worth_reading,
        ):
            people = Operator(world)
            with switchable(people.switch) if people.switch else contextlib.nullcontext():
                world.run(people)
    except (ViolationError, StuckError) as violation:
        failure = f"{type(violation).__name__}: {violation}"
    except Exception as error:
        failure = f"The consumer raised {type(error).__name__}: {error}"
        if trace is not None:
            raise
    return Story(
        seed,
        failure,
        tuple(_features(world)),
        world.service.counts.invocations,
        len(world.history.changes),
    )


def _features(world: World) -> Iterable[str]:
    planned, counts, gate = world.plan, world.service.counts, world.witness.gate
    crowded = any(
        life.crowded(position)
        for life in world.history.lives
        for position in range(1, life.last + 1)
    )
    yield from (
        name
        for name, present in {
            "overlap": counts.overlaps > 0,
            "kill": world.trouble.kills > 0,
            "overlap and kill": counts.overlaps > 0 and world.trouble.kills > 0,
            "tie": world.history.ties > 0,
            "tie of three or more": crowded,
            "redrive": world.redriven + world.direct > 0,
            "direct redrive": world.direct > 0,
            "noted as ambiguous": bool(world.witness.noted),
            "partial failure": counts.partial > 0,
            "AWS faults": world.trouble.left < planned.faults.most,
            "quarantine": bool(world.witness.kept),
            "probe": bool(world.witness.proved),
            "snapshot and floor": planned.snapshot,
            "mixed precision": planned.taste.precisions == "um",
            "strictly in order": planned.strict and not world.witness.repeated,
            "ledger expiry": planned.expiry == "replicating",
            "days without a reader": planned.expiry == "blackout",
            "gate closed": world.witness.gates > 0 or (gate is not None and gate.gates > 0),
            "switch committed": gate is not None and gate.committed,
            "switch taken back": gate is not None and not gate.handed_on,
            "promotion": gate is not None and gate.promoted,
            "deletion left to time to live": gate is not None and bool(gate.left),
            "late write": gate is not None and gate.late_writes > 0,
            "park": bool(world.service.parked_at),
            "aggregated": planned.aggregated > 0,
            "records of another table": planned.foreign > 0,
            "adopted stream": planned.adopted,
            "records of no table": any(
                part.nameless for record in world.witness.places.values() for part in record.parts
            ),
            "small packs": planned.pack < 50,
            "table's own stream": planned.reads_table_stream,
            "shard split": any(
                lane.parent is not None and lane.records for lane in world.service.lanes.values()
            ),
            "half a day without a reader": planned.rest,
        }.items()
        if present
    )


@dataclasses.dataclass
class Summary:
    """Many histories together."""

    histories: int = 0
    invocations: int = 0
    changes: int = 0
    features: Counter[str] = dataclasses.field(default_factory=Counter)
    failures: list[Story] = dataclasses.field(default_factory=list)

    def add(self, story: Story) -> None:
        self.histories += 1
        self.invocations += story.invocations
        self.changes += story.changes
        self.features.update(story.features)
        if story.failure is not None:
            self.failures.append(story)

    def merge(self, other: Summary) -> None:
        self.histories += other.histories
        self.invocations += other.invocations
        self.changes += other.changes
        self.features.update(other.features)
        self.failures.extend(other.failures)

    def share(self, feature: str) -> float:
        return self.features[feature] / max(1, self.histories)

    def __str__(self) -> str:
        lines = [
            f"{self.histories} histories, {self.changes} changes, {self.invocations} invocations, "
            f"{len(self.failures)} failures"
        ]
        lines += [
            f"  {100 * count / self.histories:5.1f} %  {name}"
            for name, count in self.features.most_common()
        ]
        return "\n".join(lines)
