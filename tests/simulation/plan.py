"""Everything that a seed decides before a history begins: its kind, and how hard AWS makes it."""

from __future__ import annotations

import dataclasses
import random
from typing import Literal

from replicator.buffers import KINESIS, STREAMS
from tests.simulation.history import DAY, HOUR, MILLISECOND, MINUTE, SECOND, Taste

Expiry = Literal["none", "replicating", "blackout"]
Interruption = Literal["none", "killed", "second operator", "promotion"]

TIED = (0, 0)
SAME_MILLISECOND = (1, 400)
MOMENTS = (1 * MILLISECOND, 900 * MILLISECOND)
SECONDS = (1 * SECOND, 40 * SECOND)
MINUTES = (1 * MINUTE, 20 * MINUTE)
DAYS = (1 * HOUR, 4 * DAY)


@dataclasses.dataclass(frozen=True)
class Faults:
    """Chances per AWS call, and how many faults there may be in all: they end some time."""

    throttled: float = 0.0
    cancelled: float = 0.0
    failed_before: float = 0.0
    failed_after: float = 0.0
    late: float = 0.0
    unprocessed: float = 0.0
    stale: float = 0.0
    denied: float = 0.0
    most: int = 40


@dataclasses.dataclass(frozen=True)
class SwitchPlan:
    """A switch of the table. `change`: the mark lies at this change (from 0), give or take `offset`
    microseconds by which the change comes later.

    `expired`: chance of a deletion to be one by time to live. `interruption`: what meets the
    process that switches. `stops_after`: seconds from the commit until the mapping is disabled.
    """

    fenced: bool
    change: int
    offset: int
    expired: float
    interruption: Interruption
    stops_after: float


@dataclasses.dataclass(frozen=True)
class Plan:
    """One history's circumstances. `strict`: delivered in order, once, to one invocation at a time.

    Chances are per batch unless said otherwise. `delays`: how late a record enters the stream, in
    microseconds, with weights. `unusable`: chance per change of a broken record beside it.
    `foreign`: records of another table per change, on average. `adopted`: the stream is an adopted
    one; where records may be broken, those of others then are, too. `sticky`: a key keeps to its
    shard. `pack`: how many changes go into a call, and `worth_reading`: how many redelivered ones
    are looked up first; small, because batches are.
    """

    seed: int
    taste: Taste
    faults: Faults
    shards: int
    lanes_per_shard: int
    batch: int
    width: int
    pack: int
    worth_reading: int
    burst: int
    retention_days: int
    strict: bool
    sticky: bool
    delays: tuple[tuple[int, int, int], ...]
    duplicates: float
    overlap: float
    kill: float
    unusable: float
    aggregated: float
    foreign: float
    adopted: bool
    lethal: bool
    probes: int
    redrive: bool
    heal: bool
    snapshot: bool
    gate: bool
    expiry: Expiry
    switch: SwitchPlan | None = None
    buffer: str = KINESIS
    split: bool = False
    """The first shard of a table's stream is split on the way."""
    rest: bool = False
    """Nothing reads the table's stream for half a day."""

    @property
    def reads_table_stream(self) -> bool:
        return self.buffer == STREAMS


SWITCHED = 0.08
"""The share, of the histories in which a table can be switched, of those in which it is."""


def _foreign(seed: int) -> float:
    """A chance of its own, so that the other histories stay as they were."""
    return random.Random(f"foreign {seed}").choice((0.0, 0.0, 0.3, 2.0))


def _adopted(seed: int) -> bool:
    """Drawn apart, too."""
    return random.Random(f"adopted {seed}").random() < 0.3


def plan(seed: int) -> Plan:
    chance = random.Random(f"plan {seed}")

    def happens(probability: float) -> bool:
        return chance.random() < probability

    expiry: Expiry = chance.choices(("none", "replicating", "blackout"), (72, 14, 14))[0]
    blackout = expiry == "blackout"
    snapshot = expiry == "none" and happens(0.3)
    crowded = happens(0.12)
    strict = happens(0.6) if crowded else happens(0.06)
    redrive = not strict and not snapshot and happens(0.75)
    rejecting = redrive or (not strict and happens(0.15))
    faulty = happens(0.6)
    long = happens(0.15)
    taste = Taste(
        changes=chance.randint(6, 10) + (chance.randint(0, 14) if long else 0),
        keys=chance.choice((1, 1, 2) if blackout else (1, 1, 1, 2, 2, 3, 8)),
        steps=_steps(chance, snapshot, expiry, crowded),
        precisions=chance.choice(("u", "u", "u", "m", "um")),
        most_in_one_timestamp=chance.choice((3, 4)) if crowded else 2,
        returns=chance.choice((0.0, 0.3, 0.6)),
        deletes=chance.choice((0.1, 0.3, 0.5)),
        rejects=chance.choice((0.2, 0.4)) if rejecting and not snapshot else 0.0,
        existing=chance.choice((0.0, 0.5)) if snapshot else 0.0,
    )
    found = Plan(
        seed=seed,
        taste=taste,
        faults=_faults(chance, strict) if faulty else Faults(),
        shards=1 if strict else chance.choice((2, 3) if blackout else (1, 1, 2, 3)),
        lanes_per_shard=1 if strict else chance.choice((1, 1, 1, 2)),
        batch=chance.choice((1, 3, 8, 20)),
        width=1 if strict else chance.choice((1, 1, 3)),
        pack=chance.choice((50, 50, 2)),
        worth_reading=chance.choice((1, 10)),
        burst=chance.choice((10, 10, 1)),
        retention_days=8,
        strict=strict,
        sticky=not blackout and happens(0.5),
        delays=((1, MILLISECOND, 2),) if strict else _delays(chance, expiry),
        duplicates=0.0 if strict else chance.choice((0.0, 0.2, 0.5)),
        overlap=0.0 if strict else chance.choice((0.0, 0.4, 0.8)),
        kill=0.0 if strict else chance.choice((0.0, 0.3, 0.6)),
        unusable=0.1 if happens(0.2) or redrive else 0.0,
        aggregated=chance.choice((0.0, 0.3)) if not strict else 0.0,
        foreign=_foreign(seed),
        adopted=_adopted(seed),
        lethal=not strict and happens(0.04),
        probes=chance.choice((0, 2, 6)),
        redrive=redrive,
        heal=happens(0.5),
        snapshot=snapshot,
        gate=not strict and expiry == "none" and happens(0.05),
        expiry=expiry,
    )
    if not strict and expiry == "none" and not found.gate:
        found = _switched(found)
    # Half of the seeds, so that both buffers together take the time of one.
    return _streamed(found) if seed % 2 and found.switch is None else found


def _streamed(found: Plan) -> Plan:
    """Let the table's own stream be the buffer: each change once in it, in order for its key.

    A chance of its own, so that the other histories stay as they were. A stream forgets in a day
    what a Kinesis stream keeps for a year: no black-out.
    """
    chance = random.Random(f"streams {found.seed}")
    steps = tuple(step for step in found.taste.steps if step != DAYS) or (MOMENTS,)
    taste = dataclasses.replace(
        found.taste, precisions="s", steps=(*steps, SECONDS), most_in_one_timestamp=99
    )
    split = chance.random() < 0.4
    rest = not found.snapshot and not found.gate and chance.random() < 0.1
    return dataclasses.replace(
        found,
        buffer=STREAMS,
        taste=taste,
        lanes_per_shard=1,
        sticky=True,
        duplicates=0.0,
        aggregated=0.0,
        adopted=False,
        lethal=False,
        probes=0,
        expiry="none" if found.expiry == "blackout" else found.expiry,
        redrive=found.redrive and found.expiry != "blackout",
        unusable=0.6 if rest else found.unusable,  # more than quarantine takes at once
        burst=1 if rest else found.burst,
        split=split,
        rest=rest,
    )


def _switched(found: Plan) -> Plan:
    """Switch the table in some histories. A chance of its own, so that the others stay the same."""
    chance = random.Random(f"switch {found.seed}")
    if chance.random() >= SWITCHED:
        return found
    late = chance.random() < 0.5
    change = chance.randrange(found.taste.changes) if late else found.taste.changes - 1
    before = (0, -MILLISECOND, -5 * SECOND, -5 * MINUTE)
    switch = SwitchPlan(
        fenced=chance.random() < 0.7,
        change=change,
        offset=chance.choice((*before, MILLISECOND, 30 * SECOND) if late else before),
        expired=chance.choice((0.0, 0.5, 1.0)),
        interruption=chance.choices(
            ("none", "killed", "second operator", "promotion"), (45, 20, 15, 20)
        )[0],
        stops_after=chance.choice((0.0, 20.0, 600.0)),
    )
    if chance.random() < 0.2:  # quarantine may hold something, which cancels a switch
        return dataclasses.replace(found, switch=switch)
    taste = dataclasses.replace(found.taste, rejects=0.0)
    return dataclasses.replace(
        found, switch=switch, taste=taste, redrive=False, unusable=0.0, lethal=False
    )


def _steps(
    chance: random.Random, snapshot: bool, expiry: Expiry, crowded: bool
) -> tuple[tuple[int, int], ...]:
    steps = [MOMENTS]
    if crowded or chance.random() < 0.5:
        steps.extend([TIED] * (3 if crowded else 1))
    if chance.random() < 0.4:
        steps.append(SAME_MILLISECOND)
    if snapshot or chance.random() < 0.3:
        steps.append(SECONDS)
    if snapshot:
        steps.append(MINUTES)
    if expiry == "replicating":
        steps.append(DAYS)
    return tuple(steps)


def _delays(chance: random.Random, expiry: Expiry) -> tuple[tuple[int, int, int], ...]:
    """(low, high, weight): mostly quick and nearly in order, sometimes anything but."""
    delays = [(10 * MILLISECOND, 30 * MILLISECOND, 10)]
    disorder = chance.choice(("none", "mild", "wild"))
    if disorder != "none":
        delays.append((30 * MILLISECOND, 3 * SECOND, 6))
    if disorder == "wild":
        delays.append((SECOND, 5 * MINUTE, 6))
        if expiry == "replicating":
            delays.append((HOUR, 6 * DAY, 4))
    return tuple(delays)


def _faults(chance: random.Random, strict: bool) -> Faults:
    def rate() -> float:
        return chance.choice((0.0, 0.02, 0.1))

    return Faults(
        throttled=rate(),
        cancelled=rate(),
        failed_before=rate(),
        failed_after=rate(),
        late=0.0 if strict else rate(),
        unprocessed=rate(),
        stale=chance.choice((0.0, 0.3)),
        denied=chance.choice((0.0, 0.05, 0.1)),
        most=chance.choice((5, 15, 60)),
    )
