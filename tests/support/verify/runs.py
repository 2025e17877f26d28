"""Whole verifications under live writes, each from a seed alone: planted, found, fixed, killed."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, ClassVar
from unittest import mock

from bootstrap.verify import repair
from tests.support.fakes.errors import Killed
from tests.support.verify.expected_results import Attempt, Command, ViolationError, check
from tests.support.verify.images import SPELLINGS, SPOILS, differing, large, made
from tests.support.verify.live_table import LATEST, MINUTE, SECOND, Live

LARGE = "300 KB"
KINDS = ("missing", "extra", *(name for name in SPOILS if name != LARGE))
BEFORE = 22
"""Minutes before the first verification."""
MEANS = ("lost", "foreign", "lost and foreign")

#: Where a process dies: at which calls, and up to which of them.
KILLS: dict[str, tuple[frozenset[str] | None, int]] = {
    "anywhere": (None, 160),
    "comparing": (frozenset({"s3"}), 20),
    "judging": (frozenset({"BatchGetItem"}), 3),
    "repair": (frozenset({"apply"}), 5),
    "reading": (frozenset({"source_read", "target_read"}), 12),
}
PHASES = {
    "s3": "comparing and explaining",
    "BatchGetItem": "judging",
    "apply": "repair",
    "source_read": "reading",
    "target_read": "reading",
}
"""Of the calls a process died at. All others: exports, proof and journal."""


def _precision(seed: int, of_kinesis: str) -> str:
    """Seconds and numbers in a third of the runs, where the table's own stream is the buffer."""
    return "s" if Random(f"numbered {seed}").random() < 1 / 3 else of_kinesis


@dataclass(frozen=True)
class Planned:
    """What a seed decides beforehand."""

    seed: int
    keys: int
    hot: int
    warm: int
    interval: float
    """Minutes between two writes of a warm key, on average."""
    precision: Any
    large: bool
    stalls: bool
    look_first: bool
    """A verification that only looks comes before the one that repairs."""
    given: bool
    """And one of the same exports, named."""
    read_source: bool
    values: bool
    at_once: int
    """Keys that a repair takes at a time."""
    pace: int
    """Changes in a call of its guard."""
    late: int
    kills: bool

    @classmethod
    def of(cls, seed: int) -> Planned:
        chance = Random(f"plan {seed}")
        keys = chance.randrange(60, 110)
        look_first = chance.random() < 0.5
        return cls(
            seed=seed,
            keys=keys,
            hot=chance.randrange(3),
            warm=keys // 6,
            interval=chance.choice((6, 12, 25, 50)),
            precision=_precision(seed, chance.choice("uuum")),
            large=chance.random() < 0.2,
            stalls=chance.random() < 0.5,
            look_first=look_first,
            given=look_first and chance.random() < 0.4,
            read_source=chance.random() < 0.35,
            values=chance.random() < 0.2,
            at_once=chance.choice((1, 3, 100)),
            pace=chance.choice((1, 2, 50)),
            late=chance.randrange(4),
            kills=chance.random() < 0.6,
        )


@dataclass
class Run:
    """One seed: a table with writers, what is planted in it, and an operator."""

    name: ClassVar[str] = "verify"

    planned: Planned
    directory: Path
    features: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        planned = self.planned
        self.live = Live(
            self.directory, seed=planned.seed, precision=planned.precision, pace=planned.pace
        )
        self.chance = Random(f"run {planned.seed}")
        self.writing = True
        self.versions = 0
        self.pids = 1_000
        self.live.world.pace = self._pace
        begin = self.live.now
        while planned.stalls and len(self.live.stalls) < 12:
            begin += self.chance.randrange(5 * MINUTE, 20 * MINUTE)
            end = begin + self.chance.randrange(MINUTE, 8 * MINUTE)
            self.live.stalls.append((begin, end))
            begin = end

    def _pace(self) -> float:
        return 20.0 if self.chance.random() < 0.01 else self.chance.random() / 2

    def passes(self, minutes: float) -> None:
        self.live.world.clock.advance(60 * minutes)

    # -- writers ---------------------------------------------------------------------------------

    def image(self, name: str) -> Any:
        self.versions += 1
        return made(name, self.versions, self.chance)

    def populate(self) -> None:
        """The snapshot, and the writers that continue."""
        planned, chance = self.planned, self.chance
        for n in range(planned.keys):
            name = f"k{n}"
            if chance.random() < 0.85:
                self.live.snapshot(name, self.image(name))
            if n < planned.hot:
                self._go_on(name, 3)
            elif n < planned.hot + planned.warm:
                self._go_on(name, planned.interval)
            elif chance.random() < 0.5:
                self._soon(name, 12)

    def _soon(self, name: str, minutes: float) -> None:
        when = self.chance.randrange(round(minutes * MINUTE))
        self.live.later(when, lambda: self._write(name))

    def _go_on(self, name: str, minutes: float) -> None:
        def write() -> None:
            if self.writing:
                self._write(name)
                self._go_on(name, minutes)

        self.live.later(1 + round(self.chance.expovariate(1 / (minutes * MINUTE))), write)

    def _write(self, name: str) -> None:
        there = self.live.source.at(name, self.live.now) is not None
        gone = there and self.chance.random() < 0.25
        self.live.write(name, None if gone else self.image(name))

    # -- plants ----------------------------------------------------------------------------------

    def plant(self) -> None:
        """Keys of their own, spoilt in ten minutes; each kind at least once."""
        planned, chance = self.planned, self.chance
        kinds = [kind for kind in KINDS for _ in range(chance.choice((1, 1, 2)))]
        if planned.large:
            kinds.append(LARGE)
        for n, kind in enumerate(kinds):
            self._plant(f"p{n}", kind, chance.choice(MEANS), entry=chance.random() < 0.6)
        self._plant("f", chance.choice(KINDS), "foreign", entry=True)
        for n in range(planned.late):
            kind, means = chance.choice(KINDS), chance.choice(MEANS)
            self._plant(f"late{n}", kind, means, entry=chance.random() < 0.5, late=True)
        self.features["spoilt while verified"] = int(planned.late > 0)
        for kind, spelling in SPELLINGS.items():
            name = f"e-{kind}"
            self.live.snapshot(name, self.image(name))
            if chance.random() < 0.5:
                self._soon(name, 3)
            self.live.target.spellings[name] = spelling
            self.features[f"equal: {kind}"] = 1
        if planned.warm and chance.random() < 0.5:
            # One that is written all the time heals itself.
            name = f"k{planned.hot}"
            self.features["spoilt and healed by writers"] = 1
            when = chance.randrange(30 * MINUTE)
            self.live.later(when, lambda: self.live.foreign(name, self.image(name)))

    def _plant(self, name: str, kind: str, means: str, *, entry: bool, late: bool = False) -> None:
        """`entry`: the consumer has written the key before. `late`: spoilt while it is verified."""
        chance, live = self.chance, self.live
        absent = (kind, means) == ("missing", "lost") or (kind, means) == ("extra", "foreign")
        first = self.image(name)
        if kind == LARGE:
            first = large(first)
        if not absent or (entry and chance.random() < 0.5):
            live.snapshot(name, first)
        if entry:
            there = live.source.at(name, live.now) is not None
            image = None if absent and there else first | {"v": {"N": f"{self.versions}.25"}}
            live.later(SECOND, lambda: live.write(name, image))
            if absent and not there:
                live.later(2 * SECOND, lambda: live.write(name, None))
        spoil = {"lost": self._lose, "foreign": self._overwrite, "lost and foreign": self._both}
        begin, end = (BEFORE, BEFORE + 15) if late else (10, 15)
        when = chance.randrange(begin * MINUTE, end * MINUTE)
        live.later(when, lambda: spoil[means](name, kind))
        if chance.random() < 0.25:
            # It is written again while it is verified, and perhaps while it is repaired.
            again = chance.randrange(BEFORE * MINUTE, (BEFORE + 12) * MINUTE)
            live.later(again, lambda: live.write(name, self.image(name)))
            self.features["spoilt, and written again"] = 1
        self.features[f"{kind}, {means}"] = 1
        self.features["foreign over an entry"] |= entry and means == "foreign"

    def _lose(self, name: str, kind: str) -> None:
        self.live.write(name, self._spoilt(name, kind, lost=True), lost=True)

    def _overwrite(self, name: str, kind: str) -> None:
        self.live.foreign(name, self._spoilt(name, kind, lost=False))

    def _both(self, name: str, kind: str) -> None:
        """Neither is what the other is, nor what was there before."""
        before = self.live.source.at(name, self.live.now)
        assert before is not None
        once = SPOILS["value"](before, self.chance)
        twice = SPOILS["value"](once, self.chance)
        self.live.write(name, None if kind == "extra" else once, lost=True)
        self.live.foreign(name, None if kind == "missing" else self._altered(twice, kind))

    def _altered(self, image: Any, kind: str) -> Any:
        return SPOILS.get(kind, SPOILS["N to S, nested"])(image, self.chance)

    def _spoilt(self, name: str, kind: str, *, lost: bool) -> Any:
        if kind in ("missing", "extra"):
            return self.image(name) if (kind == "missing") == lost else None
        return self._altered(self.live.source.at(name, self.live.now), kind)

    # -- the operator ----------------------------------------------------------------------------

    def command(self, *kills: str, since: int | None = None, **options: Any) -> Command:
        """One command, again and again until it ends well; checked. `since`: of its exports."""
        live = self.live
        options = {"show_values": self.planned.values, **options}
        live.tell(f"verify {options}")
        attempts: list[Attempt] = []

        def attempt(pid: int) -> None:
            report = live.directory / f"report-{pid}.jsonl"
            attempts.append(Attempt(live.now, None))
            try:
                attempts[-1].found = live.verify(pid, report=report, **options)
            finally:
                if report.exists():
                    text = report.read_text()
                    attempts[-1].lines = [json.loads(line) for line in text.splitlines()]
                for line in attempts[-1].lines:
                    shown = ("kind", "foreign", "attributes", "repair")
                    members = {name: line[name] for name in shown if name in line}
                    live.tell(f"found: {line['key']['pk']['S']} {members}")

        self.until_it_ends(kills, attempt)
        done = Command(live, options, attempts, since or attempts[0].begun, live.now)
        live.tell(f"{done.found.verified.verdict}, {done.found.rounds} rounds")
        self.features[f"rounds: {min(done.found.rounds, 3)}"] = 1
        check(done)
        return done

    def until_it_ends(self, kills: Sequence[str], attempt: Callable[[int], None]) -> None:
        """One process after the other, the first ones killed; each gets its process id."""
        chance, live = self.chance, self.live
        deaths = [chance.choice(kills) for _ in range(chance.choice((0, 1, 1, 2)))] if kills else []
        while True:
            self.pids += 1
            died = self._doomed(deaths.pop()) if deaths else []
            try:
                attempt(self.pids)
                return
            except Killed as killed:
                live.tell(f"killed {killed}")
                self.features[f"killed: {PHASES.get(died[0], 'exports, proof, journal')}"] += 1
            finally:
                live.live_again()
            self.passes(chance.choice((0.1, 2, 15)))

    def _doomed(self, where: str) -> list[str]:
        names, most = KILLS[where]
        wanted, seen = self.chance.randrange(1, most), 0

        def reached(number: int, name: str) -> bool:
            nonlocal seen
            if names is None:
                return number >= wanted
            seen += name in names
            return seen >= wanted and name in names

        return self.live.kill(reached, self.chance.random() < 0.5)

    def verify(self, **more: Any) -> Command:
        """As an operator would who wants to know."""
        kills = ["anywhere", "comparing", "judging"]
        if more.get("repair"):
            kills += 2 * ["repair"]
        if self.planned.read_source:
            more |= {"read_source": True}
            kills += 2 * ["reading"]
        return self.command(*(kills if self.planned.kills else ()), until_judged=0.95, **more)

    def play(self) -> None:
        """The whole story.

        Raises:
            ViolationError: a verification said something wrong.
        """
        planned = self.planned
        self.populate()
        self.plant()
        self.passes(BEFORE)
        if planned.look_first:
            first = self.verify()
            if planned.given and not first.found.read:
                self._given(first.begun)
            self.passes(self.chance.randrange(10))
        self.verify(repair=True)
        self.passes(6)
        self.verify()
        self.rests()
        if self.unequal():
            self.features["repaired again"] = 1
            self.verify(repair=True)
            self.passes(6)
        self.proves_equal()
        for name, there in {
            "300 KB": planned.large,
            "milliseconds": planned.precision == "m",
            "numbered": planned.precision == "s",
            "a consumer that stands still now and then": planned.stalls,
            "single reads": planned.read_source,
        }.items():
            self.features[name] = int(there)

    def rests(self) -> None:
        """The writers rest, and all that is on its way arrives."""
        self.writing = False
        self.passes(LATEST / MINUTE + 10)

    def proves_equal(self) -> None:
        last = self.verify()
        if last.found.verified.proves_equal is not True:
            raise ViolationError(f"at rest it says: {last.found.verified.verdict}")
        if self.unequal():
            raise ViolationError(f"at rest these differ: {self.unequal()}")
        if self.live.kept:
            raise ViolationError(f"the order of changes became unknown: {self.live.kept}")
        self.live.tell("equal at rest")

    def _given(self, since: int) -> None:
        """Exports that are there already."""
        exports = [list(table.exports)[-1] for table in (self.live.source, self.live.target)]
        self.features["exports that were there"] = 1
        self.command(since=since, source_export=exports[0], target_export=exports[1])

    def unequal(self) -> list[str]:
        live = self.live
        names = live.source.histories.keys() | live.target.histories.keys()
        return sorted(
            name
            for name in names
            if differing(live.source.items.get(name), live.target.items.get(name))
        )


@dataclass(frozen=True)
class Story:
    """How one run went."""

    story: str
    seed: int
    failure: str | None
    features: Counter[str]
    trace: list[str]

    @property
    def again(self) -> str:
        return f"Try: python -m tests.support.verify.replay {self.story} {self.seed}"


def play(seed: int, story: type[Run] = Run) -> Story:
    """One run, from its seed alone."""
    planned = Planned.of(seed)
    with (
        tempfile.TemporaryDirectory(prefix="verify-") as root,
        mock.patch.object(repair, "AT_ONCE", planned.at_once),
    ):
        run = story(planned, Path(root))
        failure = None
        try:
            run.play()
        except ViolationError as violation:
            failure = str(violation)
    return Story(story.name, seed, failure, +run.features, run.live.trace)


@dataclass
class Summary:
    """Many runs together: the mix, by the number of runs that hold each, and the failures."""

    runs: int = 0
    features: Counter[str] = field(default_factory=Counter)
    kills: Counter[str] = field(default_factory=Counter)
    failures: list[Story] = field(default_factory=list)

    def add(self, story: Story) -> None:
        self.runs += 1
        for name, times in story.features.items():
            self.features[name] += 1
            if name.startswith("killed"):
                self.kills[name] += times
        if story.failure is not None:
            self.failures.append(story)

    def __str__(self) -> str:
        lines = [f"{self.runs} runs, {self.kills.total()} kills, {len(self.failures)} failures"]
        lines += [f"  {times:5}  {name}" for name, times in sorted(self.features.items())]
        lines += [f"  {times:5}  times {name}" for name, times in sorted(self.kills.items())]
        lines += [f"{story.failure}\n{story.again}" for story in self.failures]
        return "\n".join(lines)


def play_many(seeds: Iterable[int], story: type[Run] = Run) -> Summary:
    summary = Summary()
    for seed in seeds:
        summary.add(play(seed, story))
    return summary
