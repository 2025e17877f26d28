"""A replicated table under live writes, played in virtual time, with faults planted in it.

The source is a list of changes; their records reach the real ledger guard late, twice and out of
order; exports of either side are taken at any moment, each key up to a minute beside it.
"""

from __future__ import annotations

import base64
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from bootstrap.verify.judging import FUZZ, MARGIN, Judgement, Moments, judge
from bootstrap.verify.partitions import Difference, Found
from replicator.canonical import digest, key_digest
from replicator.change import Change, Entry, Version
from replicator.effects import Deadline, Effects
from replicator.guard import Attempt, Terms
from replicator.ledger import LedgerGuard, from_item
from replicator.outcome import Applied, Superseded
from tests.fakes.clock import START_MICROS, VirtualClock
from tests.fakes.dynamodb import FakeDynamoDB

SECOND = 1_000_000
MINUTE = 60 * SECOND
TARGET, LEDGER = "orders-replica", "ledger"
KEYS, HOT = 60, 2
FIRST_EXPORT = START_MICROS + 40 * MINUTE
END = START_MICROS + 140 * MINUTE

Image = dict[str, Any]
History = list[tuple[int, Image | None]]


def key(n: int) -> Image:
    return {"pk": {"S": f"order-{n}"}}


def at(history: History, moment: int) -> Image | None:
    """The last state not later than a moment."""
    return next((image for when, image in reversed(history) if when <= moment), None)


@dataclass
class Made:
    """A change, and when its record is delivered (several times, perhaps; never, if lost)."""

    n: int
    change: Change
    deliveries: list[int]


@dataclass
class Live:
    """One seeded run. `planted`: what has to be found, by key, and as what."""

    seed: int
    planted: dict[int, set[Judgement]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.clock = VirtualClock(START_MICROS)
        self.dynamodb = FakeDynamoDB(self.clock, check_shapes=False)
        for table, name, kind in ((TARGET, "pk", "S"), (LEDGER, "k", "B")):
            self.dynamodb.create_table(
                TableName=table,
                KeySchema=[{"AttributeName": name, "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": name, "AttributeType": kind}],
                BillingMode="PAY_PER_REQUEST",
            )
        self.effects = Effects(self.clock, self.random)
        self.guard = LedgerGuard(
            self.dynamodb, target_table=TARGET, ledger_table=LEDGER, effects=self.effects
        )
        self.source: dict[int, History] = {}
        self.target: dict[int, History] = {n: [] for n in range(KEYS)}
        self.entries: dict[int, list[tuple[int, Entry]]] = {n: [] for n in range(KEYS)}
        self.made: list[Made] = []
        self.foreign: list[tuple[int, int, Image | None]] = []
        self._write()
        self._plant()
        self._play()

    # -- what happens ----------------------------------------------------------------------------

    def _image(self, n: int, version: int) -> Image:
        chance = self.random
        image = {
            **key(n),
            "v": {"N": str(version)},
            "b": {"B": chance.randbytes(20)},
            "m": {"M": {"t": chance.choice([{"N": "1"}, {"S": "1"}])}},
        }
        if chance.random() < 0.5:
            image["e"] = {"S": ""}
        return image

    def _write(self) -> None:
        """The source's writes: a few a key, and two keys that are written all the time."""
        chance = self.random
        for n in range(KEYS):
            first = self._image(n, 0) if chance.random() < 0.8 else None
            history: History = [(START_MICROS, first)]
            if n < HOT:
                moments = range(START_MICROS + MINUTE, END, 90 * SECOND)
                times = [moment + chance.randrange(60 * SECOND) for moment in moments]
            else:
                times = [
                    chance.randrange(START_MICROS + 1, END) for _ in range(chance.randrange(4))
                ]
            for version, when in enumerate(sorted(set(times)), 1):
                old = history[-1][1]
                gone = old is not None and chance.random() < 0.25
                new = None if gone else self._image(n, version)
                history.append((when, new))
                arrival = when / 1e6
                change = Change(key(n), old, new, Version(when, "u"), arrival)
                self.made.append(Made(n, change, self._deliveries(when)))
            self.source[n] = history
            if first is not None:
                self.dynamodb.put_item(TableName=TARGET, Item=first)
            self.target[n].append((START_MICROS, first))

    def _deliveries(self, when: int) -> list[int]:
        chance = self.random
        late = chance.choice([2 * SECOND, 20 * SECOND, 4 * MINUTE])
        first = when + chance.randrange(SECOND, late)
        repeated = [
            first + chance.randrange(30 * MINUTE) for _ in range(chance.choice([0, 0, 1, 2]))
        ]
        return [first, *repeated]

    def _plant(self) -> None:
        """Loses the last change of some keys, and writes to the target behind the guard's back."""
        chance = self.random
        last = {each.n: each for each in self.made}
        either = {Judgement.DIFFERENCE, Judgement.FOREIGN}
        quiet = [n for n in range(HOT, KEYS) if self.source[n][-1][0] < FIRST_EXPORT - 8 * MINUTE]
        chance.shuffle(quiet)
        for n in quiet[:4]:
            if n in last and digest(last[n].change.new) != digest(last[n].change.old):
                last[n].deliveries = []
                self.planted[n] = {Judgement.DIFFERENCE}
        for n in quiet[4:8]:
            image = at(self.source[n], END)
            wrong = self._wrong(n, image)
            self.foreign.append((FIRST_EXPORT - 2 * MINUTE, n, wrong))
            self.planted[n] = {Judgement.FOREIGN} if n in last else {Judgement.DIFFERENCE}
        # Changed after the first export and then spoilt: that export alone could not tell.
        busy = [
            n
            for n in range(HOT, KEYS)
            if FIRST_EXPORT - MINUTE < self.source[n][-1][0] < FIRST_EXPORT + 30 * MINUTE
        ]
        for n in busy[:2]:
            when = self.source[n][-1][0] + 8 * MINUTE
            self.foreign.append((when, n, self._wrong(n, at(self.source[n], END))))
            self.planted[n] = either

    def _wrong(self, n: int, image: Image | None) -> Image | None:
        if image is None:
            return self._image(n, 99)
        kind = self.random.randrange(5)
        if kind == 0:
            return None
        blob = image["b"]["B"]
        return {
            **image,
            **[
                {"b": {"B": blob[:-1] + bytes([blob[-1] ^ 1])}},
                {"v": {"S": image["v"]["N"]}},
                {"extra": {"S": ""}},
                {"m": {"M": {"t": {"N": "2"}}}},
            ][kind - 1],
        }

    def _play(self) -> None:
        """Deliveries and foreign writes in order of time; remembers what both tables held when."""
        events: list[tuple[int, int, Any]] = [
            (when, place, made) for place, made in enumerate(self.made) for when in made.deliveries
        ]
        events += [(when, -1, (n, image)) for when, n, image in self.foreign]
        for when, _, what in sorted(events, key=lambda event: event[:2]):
            self.clock.advance((when - self.clock.now_micros()) / 1e6)
            if isinstance(what, Made):
                n = what.n
                terms = Terms(Deadline(self.effects, 60_000), lambda *about: None)
                (result,) = self.guard.apply([Attempt(what.change)], terms)
                assert isinstance(result, Applied | Superseded), result
                row = self.dynamodb.get_item(
                    TableName=LEDGER, Key={"k": {"B": what.change.key}}, ConsistentRead=True
                )["Item"]
                self.entries[n].append((when, from_item(row)))
            else:
                n, image = what
                if image is None:
                    self.dynamodb.delete_item(TableName=TARGET, Key=key(n))
                else:
                    self.dynamodb.put_item(TableName=TARGET, Item=image)
            found = self.dynamodb.get_item(TableName=TARGET, Key=key(n), ConsistentRead=True)
            self.target[n].append((when, found.get("Item")))

    # -- what a verification sees ----------------------------------------------------------------

    def applied_by(self, moment: int) -> int:
        """The latest time up to which every change had been delivered by a moment.

        A change that got lost is unknown to whoever asks: it is not waited for.
        """
        waiting = [
            each.change.version.micros
            for each in self.made
            if each.deliveries and min(each.deliveries) > moment
        ]
        return min([moment, *(when - 1 for when in waiting)])

    def entry(self, n: int, moment: int) -> Entry | None:
        return next((e for when, e in reversed(self.entries[n]) if when <= moment), None)

    def export(self, side: dict[int, History], moment: int) -> dict[int, Image | None]:
        """A side as an export has it: each key up to a minute before or after the moment."""
        return {
            n: at(history, moment + self.random.randint(-FUZZ, FUZZ)) for n, history in side.items()
        }


def differences(
    ours: dict[int, Image | None], theirs: dict[int, Image | None]
) -> Iterator[tuple[int, Difference]]:
    """What a comparison finds, by another road than the engine's."""
    for n in ours:
        one, other = ours[n], theirs[n]
        if digest(one) != digest(other):
            left = None if one is None else Found(digest(one), 0, n)
            right = None if other is None else Found(digest(other), 0, n)
            yield n, Difference(key_digest(key(n)), left, right)


@dataclass
class Verdict:
    """What several rounds of verification came to."""

    found: dict[int, Judgement] = field(default_factory=dict)
    unjudged: set[int] = field(default_factory=lambda: set(range(KEYS)))
    rounds: int = 0


def verify(live: Live, find: Any = differences, rounds: int = 3) -> Verdict:
    """Rounds of exports. Each looks at every key, and judges what the ones before could not."""
    chance = live.random
    verdict = Verdict()
    moment = FIRST_EXPORT
    while verdict.rounds < rounds:
        verdict.rounds += 1
        source = moment + chance.randrange(MINUTE)
        # The target's export: before, with or after the source's.
        target = source + chance.choice([-3 * MINUTE, 0, 2 * MINUTE, 7 * MINUTE])
        now = max(source, target) + FUZZ
        while live.applied_by(now) < source + FUZZ:
            now += MINUTE
        known = live.applied_by(target - FUZZ)
        moments = Moments(
            source,
            target,
            applied_by_target=None if verdict.rounds == 1 and chance.random() < 0.2 else known,
            applied_by_now=live.applied_by(now),
        )
        pair = live.export(live.source, source), live.export(live.target, target)
        differing = dict(find(*pair))
        for n in range(KEYS):
            if n not in differing:
                verdict.unjudged.discard(n)
                continue
            judgement = judge(differing[n], live.entry(n, now), moments)
            if judgement is not Judgement.CHANGED_SINCE:
                verdict.found[n] = judgement
                verdict.unjudged.discard(n)
        moment += 25 * MINUTE
    return verdict


def as_file(image: Any) -> Any:
    """An image as a file holds it: binary as base64."""
    if isinstance(image, dict):
        return {name: as_file(value) for name, value in image.items()}
    return base64.b64encode(image).decode() if isinstance(image, bytes) else image


__all__ = ["FUZZ", "KEYS", "MARGIN", "Live", "Verdict", "as_file", "differences", "key", "verify"]
