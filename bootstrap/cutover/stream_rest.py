"""The part of a table's stream that lies behind the records which a drain had found ended."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from bootstrap.core.errors import Side, UnavailableError
from bootstrap.core.ports import LedgerEntries
from bootstrap.core.table_stream_facts import RecordPlace, StreamShard, label_of
from bootstrap.core.table_stream_ports import StreamRecordReader
from bootstrap.run.stream_tips import PAGES_PER_LOOK, EmptyPages, is_enough
from replicator.change import stream_order
from replicator.ended_rows import ended_key


@dataclass
class _ShardRest:
    """One shard behind what had ended."""

    read_to: str
    """The number of the last record read, or ended; empty: none."""
    iterator: str | None = None
    closed: bool = False
    empty: EmptyPages = field(default_factory=EmptyPages)
    finished: bool = False
    """Read to its end."""
    changes: int = 0
    deletions: list[str] = field(default_factory=list)
    """The numbers of deletions by time to live that are not known to have ended."""


class StreamRest:
    """One reading of all shards to their ends, over several looks if it has to be."""

    def __init__(
        self,
        reader: StreamRecordReader,
        ledger: LedgerEntries,
        stream_arn: str,
        ended: Mapping[str, str],
        floor: float,
        complete: Collection[str] = (),
        *,
        quiet: float = 0.0,
    ) -> None:
        """`ended`: by shard, the number of the last record that had ended; empty: it had none that
        counts. A shard that is not among them opened since: all that is in it is new.

        `floor`: what was made before is in the snapshot (epoch seconds). `complete`: closed shards
        whose last record had ended. A stream of a day has several times as many as open ones.
        `quiet`: seconds for which an open shard has to be empty until it counts as read to its end.
        """
        self._reader = reader
        self._ledger = ledger
        self._stream_arn = stream_arn
        self._ended = ended
        self._floor = floor
        self._complete = frozenset(complete)
        self._quiet = quiet
        self._at = 0.0
        self._shards: dict[str, _ShardRest] = {}

    @property
    def changes(self) -> int:
        """Records that the source's writers have made."""
        return sum(each.changes for each in self._shards.values())

    @property
    def deletions(self) -> int:
        """Deletions by the source's time to live that the consumer has not ended."""
        return sum(len(each.deletions) for each in self._shards.values())

    def look(self, shards: Sequence[StreamShard], at: float) -> bool:
        """Read on; return whether all shards have been read to their ends. `shards`: all that the
        stream has `at` this moment (epoch seconds, by AWS's clock).

        Raises:
            UnavailableError: a shard cannot be read for now.
        """
        self._at = at
        for each in shards:
            if each.shard_id in self._complete:
                continue
            known = self._shards.get(each.shard_id)
            if known is None:
                known = self._shards[each.shard_id] = _ShardRest(self._ended.get(each.shard_id, ""))
            known.closed = each.closed
            self._read(each.shard_id, known)
        return all(each.finished for each in self._shards.values())

    def _read(self, shard_id: str, shard: _ShardRest) -> None:
        found: list[RecordPlace] = []
        empty = 0
        for _ in range(PAGES_PER_LOOK):
            if shard.finished:
                break
            page = self._reader.read(self._iterator(shard_id, shard))
            if page is None:
                shard.iterator = None
                continue
            # A whole second before the floor, because the record's time has no fraction.
            found += [each for each in page.places if each.created + 1 >= self._floor]
            if page.places:
                shard.read_to = page.places[-1].number
            shard.iterator = page.following
            shard.empty.note(not page.places, self._at)
            empty += not page.places
            # Where AWS says that a shard is closed, it also says where it ends.
            quiet = not shard.closed and shard.empty.end(self._at, self._quiet)
            shard.finished = page.following is None or quiet
            if is_enough(shard.empty, empty, shard.closed):
                break
        self._sort(shard, found)

    def _iterator(self, shard_id: str, shard: _ShardRest) -> str:
        if shard.iterator is None:
            shard.iterator = self._reader.iterator(self._stream_arn, shard_id, after=shard.read_to)
            # After an iterator that has expired, empty pages begin anew.
            shard.empty = EmptyPages()
        if shard.iterator is None:
            raise UnavailableError(
                Side.SOURCE,
                f"Shard {shard_id} of {self._stream_arn} cannot be read to its end.",
                fix="the same command again",
            )
        return shard.iterator

    def _sort(self, shard: _ShardRest, found: Sequence[RecordPlace]) -> None:
        """Count the changes; keep the deletions behind the last record that has ended."""
        shard.changes += sum(not each.expired for each in found)
        shard.deletions += [each.number for each in found if each.expired]
        if not shard.deletions:
            return
        label = label_of(self._stream_arn)
        keys = {
            ended_key(stream_order(label, number)): int(number)
            for number in [*(each.number for each in found), *shard.deletions]
        }
        rows = self._ledger.entries(list(keys))
        last = max((keys[key] for key in rows), default=-1)
        shard.deletions = [each for each in shard.deletions if int(each) > last]
