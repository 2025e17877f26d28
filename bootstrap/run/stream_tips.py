"""The proof, by an own reader, that everything a table's stream held at a moment has ended.

The consumer leaves a row for the last record of each batch, once everything before it has ended.
The reader finds, in each shard, the last record made up to the moment, and those after it: the
shard is through once any of these has a row. A row of a record proves every record before it in its
shard, because Lambda reads a shard in order, one batch at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from bootstrap.core.errors import AccountError, Side
from bootstrap.core.ports import LedgerEntries
from bootstrap.core.table_stream_facts import KEPT_HOURS, RecordPlace, StreamShard, label_of
from bootstrap.core.table_stream_ports import StreamRecordReader
from replicator.change import stream_order
from replicator.ended_rows import EndedRow, ended_key

EMPTY_PAGES = 10
"""Empty answers in a row after which an open shard counts as read to its end. "It might take
multiple calls to get to a portion of the shard that contains stream records" (API reference,
GetRecords), and AWS says not how many."""
PAGES_PER_LOOK = 30
"""Of one shard, so that a look takes seconds: the lease is renewed between two."""
FIRST_LOOK_BACK = 60.0
LOOK_BACK_GROWTH = 4.0
KEPT_SECONDS = KEPT_HOURS * 3600.0


@dataclass(frozen=True)
class TipsProgress:
    """The number of shards that are through."""

    through: int
    shards: int
    overtaken: bool = False
    """The consumer is too far behind for this question: it has to be asked again later."""

    @property
    def all_through(self) -> bool:
        return self.through == self.shards and not self.overtaken


@dataclass
class _ShardReading:
    """One shard, as far as it has been read."""

    shard_id: str
    look_back: float | None
    """Seconds before the question at which the reading began; None: at the oldest record."""
    iterator: str | None = None
    read_to: str = ""
    """The number of the last record read."""
    tip: RecordPlace | None = None
    """The last record read that was made up to the question."""
    later: list[str] = field(default_factory=list)
    """The numbers of the records after it."""
    empty: int = 0
    found: bool = False
    """True: nothing that was made up to the question follows the tip."""
    finished: bool = False
    """True: the shard is closed, and has been read to its end."""
    through: bool = False
    row: EndedRow | None = None
    """Of the newest record that has one; None: it needed none."""
    proved: str = ""
    """That record's number."""

    def note(self, place: RecordPlace, question: float) -> None:
        self.read_to = place.number
        if place.created <= question:
            # Also after a later one: what was made up to the question has to be proved.
            self.tip, self.later = place, []
        else:
            self.later.append(place.number)

    def prove(self, number: str, row: EndedRow) -> None:
        self.through = True
        if self.row is None or row.order > self.row.order:
            self.row, self.proved = row, number

    @property
    def ended(self) -> str:
        """The number of the last record that is known to have ended, or to be in the snapshot."""
        return self.proved or (self.tip.number if self.tip is not None else "")

    @property
    def complete(self) -> bool:
        return self.finished and self.through and self.read_to in ("", self.ended)

    @property
    def numbers(self) -> list[str]:
        return [*([self.tip.number] if self.tip is not None else []), *self.later]


def _row(item: dict[str, Any]) -> EndedRow:
    try:
        return EndedRow.from_item(item)
    except ValueError as error:
        raise AccountError(
            Side.TARGET,
            f"The ledger holds a row that cannot be read: {error}.",
            fix="find out who wrote it: the consumer alone writes the ledger table",
        ) from error


class StreamTips:
    """The reading of a stream for one question, over as many looks as the consumer needs."""

    def __init__(
        self,
        reader: StreamRecordReader,
        ledger: LedgerEntries,
        stream_arn: str,
        *,
        question: float,
        floor: float,
        most: int,
    ) -> None:
        """`question`: the moment, by AWS's clock; `floor`: what is older is in the snapshot, and
        needs no proof (both epoch seconds). `most`: records of a shard after its tip, over which
        the question is given up: more than two batches.
        """
        self.question = question
        self.stream_arn = stream_arn
        self._reader = reader
        self._ledger = ledger
        self._floor = floor
        self._most = most
        self._shards: dict[str, _ShardReading] = {}
        self._first = True
        self._gone = False

    def look(self, shards: Sequence[StreamShard]) -> TipsProgress:
        """Read on, and ask the ledger. `shards`: all that the stream has now."""
        for each in shards:
            # What opened after the first look may hold any record: it is read from its beginning.
            begin = FIRST_LOOK_BACK if self._first else None
            self._shards.setdefault(each.shard_id, _ShardReading(each.shard_id, begin))
        self._first = False
        for shard in self._shards.values():
            if not shard.through:
                self._read(shard)
        self._prove()
        found = self._shards.values()
        overtaken = self._gone or any(len(each.later) > self._most for each in found)
        return TipsProgress(sum(each.through for each in found), len(found), overtaken)

    def ended(self) -> dict[str, str]:
        """Return the number of the last ended record of each shard that is through; empty where it
        holds none that counts.
        """
        return {each.shard_id: each.ended for each in self._shards.values() if each.through}

    def complete(self) -> frozenset[str]:
        """Return the closed shards whose last record has ended: nothing will come from them."""
        return frozenset(each.shard_id for each in self._shards.values() if each.complete)

    def rows(self) -> list[EndedRow]:
        """Return the row that proved each shard, of those that needed one."""
        return [each.row for each in self._shards.values() if each.row is not None]

    def _read(self, shard: _ShardReading) -> None:
        for _ in range(PAGES_PER_LOOK):
            if shard.finished or shard.through:
                return
            if shard.iterator is None and not self._begin(shard):
                return
            assert shard.iterator is not None
            page = self._reader.read(shard.iterator)
            if page is None:
                shard.iterator = None
                if not shard.read_to:
                    shard.look_back = None
                continue
            for place in page.places:
                shard.note(place, self.question)
            shard.iterator, shard.finished = page.following, page.following is None
            shard.empty = 0 if page.places else shard.empty + 1
            if shard.later:
                shard.found = True
            if shard.finished or shard.empty >= EMPTY_PAGES:
                self._end(shard)
            if shard.found and not page.places:
                return

    def _begin(self, shard: _ShardReading) -> bool:
        since = None if shard.look_back is None else self.question - shard.look_back
        shard.iterator = self._reader.iterator(
            self.stream_arn, shard.shard_id, since=since, after=shard.read_to
        )
        if shard.iterator is None:
            # The stream has forgotten it. What it held is proved by no one: ask again, without it.
            self._gone = True
        return shard.iterator is not None

    def _end(self, shard: _ShardReading) -> None:
        """Conclude from a shard that was read to its end, or read it from further back."""
        if shard.numbers:
            shard.found = True
            return
        back = shard.look_back
        if back is None or self.question - back < self._floor:
            shard.through = True  # nothing newer than the floor is in it
            return
        longer = back * LOOK_BACK_GROWTH
        shard.look_back = longer if longer < KEPT_SECONDS else None
        shard.iterator, shard.empty, shard.finished = None, 0, False

    def _prove(self) -> None:
        open_ = [each for each in self._shards.values() if each.found and not each.through]
        for shard in open_:
            # A whole second before the floor, because the record's time has no fraction.
            shard.through = shard.tip is not None and shard.tip.created + 1 < self._floor
        label = label_of(self.stream_arn)
        keys = {
            ended_key(stream_order(label, number)): (shard, number)
            for shard in open_
            if not shard.through
            for number in shard.numbers
        }
        for key, item in (self._ledger.entries(list(keys)) if keys else {}).items():
            shard, number = keys[key]
            shard.prove(number, _row(item))
