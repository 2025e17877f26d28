"""A replicated table under live writes, in virtual time, as the process that verifies it sees it.

Writers change the source, and the records of their changes reach the real guard late, twice and out
of order, while the operator's command runs: time passes in its calls and in its waits. Exports take
each key up to a minute beside their time. Some changes get lost, and a foreign writer writes to the
target behind the guard's back. `spoilt` knows when, by no means of the verification's.
"""

from __future__ import annotations

import contextlib
import heapq
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import count
from random import Random
from typing import Any

from bootstrap.aws.calls import Calls
from bootstrap.aws.ledger import AwsLedger
from bootstrap.core.errors import Side
from bootstrap.core.facts import ExportSpec, ItemRead
from bootstrap.verify.repair import Repairer
from infra.local.emulator.export_files import Line, full_lines
from replicator.call_context import CallContext
from replicator.change import Change, Precision, Version, stream_order
from replicator.consumer.ledger import LedgerWriter
from replicator.consumer.outcome import Ambiguous, Applied, Superseded
from replicator.consumer.writer import Attempt
from replicator.runtime import Deadline, Runtime
from tests.support.bootstrap.fake_aws import LEDGER, FakeAws
from tests.support.fakes.clock import VirtualClock
from tests.support.fakes.errors import Killed
from tests.support.verify.exports import Directory
from tests.support.verify.images import Image, as_file, differing, key, reordered, rescaled
from tests.support.verify.twin import REPLICA, Table, Twin

SECOND = 1_000_000
MINUTE = 60 * SECOND
BESIDE = MINUTE
"""By which an export may take a key too early or too late."""
LATEST = 20 * MINUTE
"""After which no record is delivered again."""

History = list[tuple[int, Image | None, str]]
"""When a key became what, and by whom: writer, consumer, operator or foreigner."""


class Ticking(VirtualClock):
    """Time in which things happen, each at its moment."""

    def __init__(self) -> None:
        super().__init__()
        self._due: list[tuple[int, int, Callable[[], None]]] = []
        self._numbers = count()

    def at(self, micros: int, what: Callable[[], None]) -> None:
        heapq.heappush(self._due, (micros, next(self._numbers), what))

    def advance(self, seconds: float) -> None:
        end = self._micros + round(seconds * SECOND)
        while self._due and self._due[0][0] <= end:
            when, _, what = heapq.heappop(self._due)
            self._micros = max(self._micros, when)
            what()
        self._micros = max(self._micros, end)


class Passing(FakeAws):
    """Its calls take time, once there is a `pace`."""

    def __init__(self) -> None:
        self.ticking = Ticking()
        super().__init__(self.ticking)
        self.pace: Callable[[], float] = lambda: 0.0

    def before(self, name: str, detail: Any = None) -> None:
        if not self._quiet:
            self.clock.advance(self.pace())
        super().before(name, detail)


@dataclass(frozen=True)
class Watched(Directory):
    """Objects whose reads are calls."""

    world: FakeAws = field(kw_only=True)

    def stream(self, bucket: str, key: str) -> Iterator[bytes]:
        with self.world.around("s3"):
            chunks = list(super().stream(bucket, key))
        return iter(chunks)


class LiveTable(Table):
    """A table that remembers what its items were, and exports them as of then."""

    def __init__(self, world: FakeAws, side: Side, objects: Directory, chance: Random) -> None:
        super().__init__(world, side, objects)
        self.chance = chance
        self.histories: dict[str, History] = {}
        self.spellings: dict[str, Callable[[Any], Any]] = {}
        """How exports write some keys' items."""
        self.taken: dict[str, dict[str, Image]] = {}
        """What exports hold, by their prefixes."""

    def record(self, name: str, image: Image | None, by: str) -> None:
        self.histories.setdefault(name, []).append((self.world.clock.now_micros(), image, by))
        if image is None:
            self.items.pop(name, None)
        else:
            self.items[name] = image

    def at(self, name: str, moment: int) -> Image | None:
        """The last state not later than a moment."""
        history = self.histories.get(name, [])
        return next((image for when, image, _ in reversed(history) if when <= moment), None)

    def _full(self, wanted: ExportSpec) -> list[Line]:
        assert wanted.time is not None
        taken = {name: self._beside(name, wanted.time * SECOND) for name in self.histories}
        self.taken[wanted.prefix] = {name: image for name, image in taken.items() if image}
        return full_lines(
            self._spelt(name, image) for name, image in self.taken[wanted.prefix].items()
        )

    def _beside(self, name: str, moment: int) -> Image | None:
        chance = self.chance
        off = chance.choice((-BESIDE, 0, BESIDE, chance.randint(-BESIDE, BESIDE)))
        return self.at(name, moment + off)

    def _spelt(self, name: str, image: Image) -> Image:
        """Any item may come with its sets in another order, and now and then with other zeroes."""
        spelt = self.spellings.get(name)
        if spelt is None and self.chance.random() < 0.1:
            spelt = self.chance.choice((rescaled, reordered))
        return as_file(spelt(image) if spelt else image)

    def _lines(self, wanted: ExportSpec) -> list[Line]:
        """The last write of each key in the window, whose ends are as blurred."""
        assert wanted.window is not None
        begin, end = (moment * SECOND for moment in wanted.window)
        lines: list[Line] = []
        for name, history in self.histories.items():
            first, last = (at + self.chance.randint(-BESIDE, BESIDE) for at in (begin, end))
            written = [when for when, _, _ in history if first <= when < last]
            old, new = self.at(name, first - 1), self.at(name, last - 1)
            if not written or not differing(old, new):
                continue
            line = {
                "Metadata": {"WriteTimestampMicros": str(written[-1])},
                "Keys": key(name),
                **({"OldImage": as_file(old)} if old else {}),
                **({"NewImage": as_file(new)} if new else {}),
            }
            lines.append(line)
        return lines

    def read(self, key: Any) -> ItemRead:
        with self._call("read"):
            self.reads.append(int(self.world.clock()) * SECOND)
            return ItemRead(self.items.get(key["pk"]["S"]), self.reads[-1])


@dataclass(frozen=True)
class Record:
    """A change on its way: made, in the stream, and first applied."""

    made: int
    arrived: int
    applied: int


@dataclass
class Live(Twin):
    """The table, its writers and its consumer. Nothing happens but as time passes."""

    world: Passing = field(default_factory=Passing)
    source: LiveTable = field(init=False)
    target: LiveTable = field(init=False)
    seed: int = 0
    precision: Precision = "u"
    pace: int = 50
    """Changes in a call of the operator's guard, at first: as throttling leaves it."""

    def _fill(self) -> None:
        world, self.random = self.world, Random(self.seed)
        self.objects = Watched(self.directory / "s3", world=world)
        self.source = LiveTable(world, Side.SOURCE, self.objects, self.random)
        self.target = LiveTable(world, Side.TARGET, self.objects, self.random)
        self.records: list[Record] = []
        self.applied: dict[str, History] = defaultdict(list)
        """What each key's ledger entry stands for."""
        self.spoilt: dict[str, list[tuple[int, int | None]]] = defaultdict(list)
        """From when to when a key was not what the consumer would have made it."""
        self.masked: list[str] = []
        """Keys whose change was refused for the sake of an older state."""
        self.kept: list[str] = []
        """Keys of which the consumer has quarantined a change, of unknown order."""
        self.stalls: list[tuple[int, int]] = []
        """When the consumer stands still."""
        self.numbers = 0
        """Of changes in the table's own stream, where that is the buffer."""
        self.streaming = True
        """Whether changes get into the stream at all."""
        self.trace: list[str] = []
        self._by = "operator"
        self._runtime = Runtime(world.clock, self.random)
        self._consumer = LedgerWriter(
            world.dynamodb, target_table=REPLICA, ledger_table=LEDGER, runtime=self._runtime
        )
        world.through, world.ages, world.writes = self._through, self._age, self._writes
        world.dynamodb.watchers.append(self._changed)

    # -- what happens ----------------------------------------------------------------------------

    @property
    def now(self) -> int:
        return self.world.clock.now_micros()

    def tell(self, text: str) -> None:
        self.trace.append(f"{self.now / SECOND % 100_000:12.6f} {text}")

    def later(self, micros: int, what: Callable[[], None]) -> None:
        self.world.ticking.at(self.now + micros, what)

    def snapshot(self, name: str, image: Image) -> None:
        """An item that the import brought: no entry of the ledger knows of it."""
        self.source.record(name, image, "writer")
        self._put(name, image, "import")

    def write(self, name: str, image: Image | None, *, lost: bool = False) -> None:
        """A change of the source. Its record comes late; or never, if it is lost."""
        chance, now = self.random, self.now
        old = self.source.at(name, now)
        history = self.source.histories.get(name)
        if (old is None and image is None) or (history and history[-1][0] // 1000 == now // 1000):
            return
        lost = lost or not self.streaming
        self.source.record(name, image, "writer")
        self.tell(f"{'lost: ' if lost else ''}{name} {'is written' if image else 'is deleted'}")
        if lost:
            self._spoil(name)
            return
        arrived = now + chance.choice((50_000, SECOND // 2, SECOND, 40 * SECOND))
        first = arrived + chance.randrange(chance.choice((SECOND, 20 * SECOND, 2 * MINUTE)))
        for begin, end in self.stalls:
            if begin <= first < end:
                first = end + chance.randrange(SECOND)
        change = Change(key(name), old, image, self._version(now), arrived / 1e6)
        self.records.append(Record(now, arrived, first))
        again = [first + chance.randrange(LATEST) for _ in range(chance.choice((0, 0, 0, 1, 2)))]
        for when in (first, *again):
            self.world.ticking.at(when, lambda: self._deliver(name, change, now))

    def _version(self, now: int) -> Version:
        if self.precision == "s":
            self.numbers += 1
            order = stream_order("2026-01-01T00:00:00.000", str(10**20 + self.numbers))
            return Version(now // SECOND * SECOND, self.precision, order)
        return Version(now if self.precision == "u" else now // 1000 * 1000, self.precision)

    def foreign(self, name: str, image: Image | None) -> None:
        """Write to the target behind the guard."""
        self.tell(f"foreign: {name} {'is written' if image else 'is deleted'}")
        self._put(name, image, "foreigner")
        self._spoil(name)

    def _put(self, name: str, image: Image | None, by: str) -> None:
        with self._acting(by):
            if image is None:
                self.world.dynamodb.delete_item(TableName=REPLICA, Key=key(name))
            else:
                self.world.dynamodb.put_item(TableName=REPLICA, Item=image)

    def _deliver(self, name: str, change: Change, made: int) -> None:
        context = CallContext(Deadline(self._runtime, 60_000), lambda *error: None, expire=True)
        with self._acting("consumer"):
            (result,) = self._consumer.apply([Attempt(change)], context)
        assert isinstance(result, Applied | Superseded | Ambiguous), result
        if isinstance(result, Ambiguous):
            self.kept.append(name)
            self.tell(f"kept: {name}")
        elif isinstance(result, Applied):
            self._apply(name, change.new, "consumer")
        elif self._masked(name, made):
            self.masked.append(name)
            self.tell(f"masked: {name}")

    def _masked(self, name: str, made: int) -> bool:
        """Whether a change is refused, and what was applied is no state of its time or later."""
        there = self.applied[name][-1][1]
        later = (image for when, image, _ in self.source.histories[name] if when >= made)
        return all(differing(image, there) for image in later)

    @contextlib.contextmanager
    def _acting(self, by: str) -> Iterator[None]:
        """Who writes to the target meanwhile. It is no call of the operator's."""
        before, self._by = self._by, by
        try:
            with self.world.unwatched():
                yield
        finally:
            self._by = before

    def _changed(self, table: str, before: Image | None, after: Image | None) -> None:
        image = after or before
        if table == REPLICA and image is not None:
            self.target.record(image["pk"]["S"], after, self._by)

    def _apply(self, name: str, image: Any, by: str) -> None:
        """A key is what its entry says; and as it should be, if that is what the source is."""
        self.applied[name].append((self.now, image, by))
        spans = self.spoilt.get(name)
        healed = not differing(image, self.source.at(name, self.now))
        if spans and spans[-1][1] is None and healed:
            spans[-1] = (spans[-1][0], self.now)

    def _spoil(self, name: str) -> None:
        spans = self.spoilt[name]
        if not spans or spans[-1][1] is not None:
            spans.append((self.now, None))

    def repairer(self) -> Repairer:
        repairer = super().repairer()
        assert isinstance(repairer.guard, LedgerWriter)
        repairer.guard.pace.size = self.pace
        if self.precision == "s":
            ledger = AwsLedger(Calls(Side.TARGET, "Role importer"), self.world.dynamodb, LEDGER)
            return replace(repairer, numbered=ledger)
        return repairer

    def _written(self, request: dict[str, Any]) -> None:
        for each in request["TransactItems"]:
            ((what, action),) = each.items()
            if action["TableName"] == REPLICA:
                image = action["Item"] if what == "Put" else None
                name = (image or action["Key"])["pk"]["S"]
                self.tell(f"repaired: {name}")
                self._apply(name, image, "operator")

    # -- what AWS says of it ---------------------------------------------------------------------

    def _through(self, put_at: float) -> float:
        """When the probes that were put at a moment come through: after all that was before."""
        before = (each.applied for each in self.records if each.arrived <= put_at * SECOND)
        return max([put_at + 1, *(when / SECOND for when in before)])

    def _age(self, begin: float) -> float | None:
        """AgeOfOldestUnreplicatedRecord at the beginning of a minute, in ms."""
        at = begin * SECOND
        waiting = [each.made for each in self.records if each.made <= at < each.arrived]
        if not waiting and not self._writes(begin):
            return None
        return max([0.0, *((at - made) / 1000 for made in waiting)])

    def _writes(self, begin: float) -> float:
        end = begin + 60
        return float(sum(begin <= each.made / SECOND < end for each in self.records))

    # -- killed ----------------------------------------------------------------------------------

    def kill(self, wanted: Callable[[int, str], bool], after_the_work: bool) -> list[str]:
        """From the first call that is wanted on, nothing of the process gets through. Returns
        where the name of that call will be; numbers of calls are counted from now."""
        start, died = self.world.calls, list[str]()

        def watch(number: int, name: str, after: bool) -> None:
            if not died and after == after_the_work and wanted(number - start, name):
                died.append(name)
            if died:
                raise Killed(f"{'after' if after else 'before'} {name}")

        self.world.on_call = watch
        return died
