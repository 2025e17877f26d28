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

from bootstrap.core.errors import AccountError, BlockedError, Side
from bootstrap.core.ports import LedgerEntries
from bootstrap.core.suggestions import Command, suggest
from bootstrap.core.table_stream_facts import KEPT_HOURS, RecordPlace, StreamShard, label_of
from bootstrap.core.table_stream_ports import StreamRecordReader
from replicator.change import stream_order
from replicator.ended_rows import KEPT_SECONDS as ROW_SECONDS
from replicator.ended_rows import EndedRow, ended_key

EMPTY_PAGES = 20
"""Empty answers in a row, after which an open shard may count as read to its end, if they also took
a while. "It might take multiple calls to get to a portion of the shard that contains stream
records" (API reference, GetRecords), and AWS says not how many. A closed shard ends where AWS says
so.
"""
EMPTY_AT_A_LOOK = 5
"""Of a shard that had so many before: it is read on until the question is answered."""
SEARCHED_PAGES = 10
"""Empty answers in a row, after which a shard is read from further back."""
PAGES_PER_LOOK = 30
"""Of one shard, so that a look takes seconds: the lease is renewed between two."""
FIRST_LOOK_BACK = 60.0
LOOK_BACK_GROWTH = 16.0
KEPT_SECONDS = KEPT_HOURS * 3600.0


@dataclass(frozen=True)
class TipsProgress:
    """The number of shards that are through."""

    through: int
    shards: int
    overtaken: bool = False
    """The stream has forgotten what was to be read: the question has to be asked again."""

    @property
    def all_through(self) -> bool:
        return self.through == self.shards and not self.overtaken


@dataclass
class EmptyPages:
    """Empty answers in a row, of one iterator after another without a gap."""

    count: int = 0
    since: float = 0.0
    """The moment of the first, in epoch seconds."""

    def note(self, empty: bool, at: float) -> None:
        if not empty:
            self.count = 0
            return
        if not self.count:
            self.since = at
        self.count += 1

    def end(self, at: float, seconds: float) -> bool:
        """Tell whether so many over so many seconds count as the end of an open shard."""
        return self.count >= EMPTY_PAGES and at - self.since >= seconds


def is_enough(row: EmptyPages, in_look: int, closed: bool) -> bool:
    """Tell whether a look has read enough empty pages; a closed shard has a definite end."""
    return not closed and row.count >= EMPTY_PAGES and in_look >= EMPTY_AT_A_LOOK


@dataclass
class _ShardReading:
    """One shard, as far as it has been read."""

    shard_id: str
    look_back: float | None
    """Seconds before the question at which the reading began; None: at the oldest record."""
    closed: bool = False
    iterator: str | None = None
    read_to: str = ""
    """The number of the last record read."""
    tip: RecordPlace | None = None
    """The last record read that was made up to the question."""
    later: list[str] = field(default_factory=list)
    """The numbers of records after it. The batch that ends the tip ends with one of them."""
    empty: EmptyPages = field(default_factory=EmptyPages)
    finished: bool = False
    """True: the shard is closed, and has been read to its end."""
    through: bool = False
    row: EndedRow | None = None
    """Of the newest record that has one; None: it needed none."""
    proved: str = ""
    """That record's number."""

    def note(self, place: RecordPlace, question: float, most: int) -> None:
        self.read_to = place.number
        if place.created <= question:
            # Also after a later one: what was made up to the question has to be proved.
            self.tip, self.later = place, []
        elif len(self.later) < most:
            self.later.append(place.number)

    def prove(self, number: str, row: EndedRow) -> None:
        if self.row is None or row.order > self.row.order:
            self.row, self.proved = row, number

    @property
    def has_row(self) -> bool:
        """A record at the tip or behind it is known to have ended."""
        if not self.proved:
            return False
        return self.tip is None or int(self.proved) >= int(self.tip.number)

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
        settling: float = 0.0,
        applied_until: float = 0.0,
    ) -> None:
        """`question`: the moment, by AWS's clock; `floor`: what is older is in the snapshot, and
        needs no proof (both epoch seconds). `most`: records of a shard after its tip that are asked
        for: more than a batch, so that the batch of the tip ends among them. `settling`: seconds
        after the question until the stream holds what was made before it; and for which an open
        shard has to be empty until it counts as read to its end. `applied_until`: what was made
        before had ended at an earlier question; it proves a record whose row has expired.
        """
        self.question = question
        self.stream_arn = stream_arn
        self._reader = reader
        self._ledger = ledger
        self._floor = floor
        self._most = most
        self._settling = settling
        self._applied_until = applied_until
        self._shards: dict[str, _ShardReading] = {}
        self._first = True
        self._gone = False
        self._at = question

    def look(self, shards: Sequence[StreamShard], at: float) -> TipsProgress:
        """Read on, and ask the ledger. `shards`: all that the stream has `at` this moment by AWS's
        clock. Until the stream has settled none is through; a look then only reads.

        Raises:
            BlockedError: a shard's last record is so old that nothing can prove it any more.
        """
        self._at = at
        for each in shards:
            # What opened after the first look may hold any record: it is read from its beginning.
            begin = FIRST_LOOK_BACK if self._first else None
            known = self._shards.setdefault(each.shard_id, _ShardReading(each.shard_id, begin))
            known.closed = each.closed
        self._first = False
        for shard in self._shards.values():
            self._read(shard)
        if at >= self.question + self._settling:
            self._prove()
        found = self._shards.values()
        return TipsProgress(sum(each.through for each in found), len(found), self._gone)

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
        """Read to an empty page, or until enough lies behind the tip."""
        empty = 0
        for _ in range(PAGES_PER_LOOK):
            if shard.finished or len(shard.later) >= self._most:
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
                shard.note(place, self.question, self._most)
            shard.iterator, shard.finished = page.following, page.following is None
            shard.empty.note(not page.places, self._at)
            empty += not page.places
            if self._is_searched(shard):
                self._look_further_back(shard)
            elif (shard.later and not page.places) or is_enough(shard.empty, empty, shard.closed):
                return

    def _begin(self, shard: _ShardReading) -> bool:
        since = None if shard.look_back is None else self.question - shard.look_back
        shard.iterator = self._reader.iterator(
            self.stream_arn, shard.shard_id, since=since, after=shard.read_to
        )
        # After an iterator that has expired, empty pages begin anew: it may be elsewhere.
        shard.empty = EmptyPages()
        if shard.iterator is None:
            # The stream has forgotten it. What it held is proved by no one: ask again, without it.
            self._gone = True
        return shard.iterator is not None

    def _is_searched(self, shard: _ShardReading) -> bool:
        """Tell whether a shard has nothing where it was read, and may have something before."""
        if shard.numbers or self._is_whole(shard):
            return False
        return shard.finished or (not shard.closed and shard.empty.count >= SEARCHED_PAGES)

    def _is_whole(self, shard: _ShardReading) -> bool:
        """Tell whether a shard is read from so far back that nothing before needs a proof."""
        return shard.look_back is None or self.question - shard.look_back < self._floor

    def _look_further_back(self, shard: _ShardReading) -> None:
        assert shard.look_back is not None
        longer = shard.look_back * LOOK_BACK_GROWTH
        shard.look_back = longer if longer < KEPT_SECONDS else None
        shard.iterator, shard.finished = None, False

    def _prove(self) -> None:
        """Conclude anew at each look: a record from before the question may turn up late."""
        label, keys = label_of(self.stream_arn), {}
        for shard in self._shards.values():
            if self._needs_row(shard) and not shard.has_row:
                for number in shard.numbers:
                    keys[ended_key(stream_order(label, number))] = (shard, number)
        for key, item in (self._ledger.entries(list(keys)) if keys else {}).items():
            shard, number = keys[key]
            shard.prove(number, _row(item))
        for shard in self._shards.values():
            shard.through = self._has_tip(shard) and (
                shard.has_row or not self._needs_row(shard) or self._had_row(shard)
            )

    def _has_tip(self, shard: _ShardReading) -> bool:
        """Tell whether nothing that was made up to the question follows the tip."""
        if shard.later or shard.finished:
            return True
        # Where AWS says that the shard is closed, it also says where it ends.
        return not shard.closed and shard.empty.end(self._at, self._settling)

    def _needs_row(self, shard: _ShardReading) -> bool:
        if shard.tip is None:
            return bool(shard.later) or not self._is_whole(shard)
        # A whole second before the floor, because the record's time has no fraction.
        return shard.tip.created + 1 >= self._floor

    def _had_row(self, shard: _ShardReading) -> bool:
        """Tell whether a tip whose row has expired had ended at an earlier question.

        AWS keeps records for 24 hours, and says not how soon it deletes them afterwards.
        """
        tip = shard.tip
        if tip is None or shard.later or tip.created >= self._at - ROW_SECONDS:
            return False
        if tip.created + 1 < self._applied_until:
            return True
        raise BlockedError(
            f"The last change in shard {shard.shard_id} of {self.stream_arn} is "
            f"{(self._at - tip.created) / 3600:.0f} hours old. The stream should have forgotten "
            "it, and the consumer's row that proved it has expired.",
            fix=suggest(
                "the same command in an hour, when AWS has deleted it; ",
                Command("verify"),
                " compares the tables meanwhile",
            ),
        )
