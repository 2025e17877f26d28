"""A stream counts as through only where its records, or its own end, say so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from bootstrap.core.errors import BlockedError
from bootstrap.core.ports import LedgerEntries
from bootstrap.core.table_stream_facts import RecordPlace, StreamPage, StreamShard, label_of
from bootstrap.cutover.stream_rest import StreamRest
from bootstrap.run.stream_tips import EMPTY_PAGES, StreamTips, TipsProgress
from replicator.change import stream_order
from replicator.ended_rows import EndedRow, ended_key
from tests.support.bootstrap.fake_table_stream import STREAM

pytestmark = pytest.mark.promise("C9", "C10")

QUESTION = 1_000_000.0
SETTLING = 30.0
OPEN, CLOSED = StreamShard("s1"), StreamShard("s1", closed=True)


class Rows(LedgerEntries):
    def __init__(self) -> None:
        self.kept: dict[bytes, dict[str, Any]] = {}
        self.asked = 0

    def end(self, *places: RecordPlace) -> None:
        for each in places:
            row = EndedRow(stream_order(label_of(STREAM), each.number), 1)
            self.kept[ended_key(row.order)] = row.to_item()

    def entries(self, keys: Sequence[bytes]) -> dict[bytes, dict[str, Any]]:
        self.asked += len(keys)
        return {key: self.kept[key] for key in keys if key in self.kept}


class Shard:
    """One shard's records, with empty pages and an expired iterator between them."""

    def __init__(
        self, *created: float, empty_before: int = 0, expires_at: int = 0, closed: bool = False
    ) -> None:
        self.places = [RecordPlace(str(10**24 + n), int(at)) for n, at in enumerate(created)]
        self.empty_before = empty_before
        self.expires_at = expires_at
        """The number of the call that finds its iterator expired; 0: none does."""
        self.closed = closed
        self.calls = 0

    def iterator(
        self, stream_arn: str, shard_id: str, *, since: float | None = None, after: str = ""
    ) -> str | None:
        if after:
            return str(sum(int(each.number) <= int(after) for each in self.places))
        return str(sum(each.created < int(since or 0) for each in self.places))

    def read(self, iterator: str) -> StreamPage | None:
        self.calls += 1
        if self.calls == self.expires_at:
            return None
        if self.calls <= self.empty_before:
            return StreamPage((), iterator)
        begin = int(iterator)
        found = self.places[begin : begin + 1_000]
        end = self.closed and begin + len(found) == len(self.places)
        return StreamPage(found, None if end else str(begin + len(found)))


def tips_of(shard: Shard, rows: Rows, *, floor: float = 86_000, until: float = 0) -> StreamTips:
    return StreamTips(
        shard,
        rows,
        STREAM,
        question=QUESTION,
        floor=QUESTION - floor,
        most=1_000,
        settling=SETTLING,
        applied_until=until,
    )


def look_on(tips: StreamTips, shard: StreamShard = OPEN, begin: int = 0) -> TipsProgress:
    """Look every five seconds; return the last look, or the one that is through."""
    for after in range(begin, begin + 121, 5):
        looked = tips.look([shard], QUESTION + after)
        if looked.all_through:
            break
    return looked


def test_a_shard_of_a_hundred_changes_a_second_is_through_once_the_tips_batch_has_ended() -> None:
    shard, rows = Shard(*(QUESTION - 300 + n / 100 for n in range(100 * 330))), Rows()
    rows.end(*shard.places[::100])
    looked = tips_of(shard, rows).look([OPEN], QUESTION + SETTLING)
    assert looked.all_through, looked
    assert rows.asked <= 1_001


def test_a_consumer_that_stays_behind_a_busy_shard_is_waited_for_with_the_same_question() -> None:
    shard, rows = Shard(*(QUESTION - 60 + n / 100 for n in range(100 * 200))), Rows()
    rows.end(shard.places[5_000])
    tips = tips_of(shard, rows)
    looked = look_on(tips)
    assert (looked.through, looked.overtaken) == (0, False)
    rows.end(shard.places[6_400])
    assert tips.look([OPEN], QUESTION + 200).all_through


def test_empty_pages_are_no_end_of_an_open_shard_until_they_last() -> None:
    shard = Shard(QUESTION - 10, empty_before=EMPTY_PAGES + 2)
    tips = tips_of(shard, Rows(), floor=20)
    assert not tips.look([OPEN], QUESTION + SETTLING).all_through
    assert not look_on(tips).all_through, "the record behind them has not ended"


def test_a_record_from_before_the_question_that_turns_up_late_revokes_what_was_found() -> None:
    shard, rows = Shard(QUESTION - 50), Rows()
    rows.end(shard.places[0])
    tips = tips_of(shard, rows)
    assert look_on(tips).all_through
    shard.places.append(RecordPlace(str(10**24 + 7), int(QUESTION - 1)))
    assert not tips.look([OPEN], QUESTION + 125).all_through
    rows.end(shard.places[-1])
    assert look_on(tips, begin=130).all_through


def test_a_closed_shard_is_read_to_the_end_that_aws_names() -> None:
    shard, rows = Shard(*(QUESTION - 50 + n for n in range(40)), empty_before=300), Rows()
    shard.closed = True
    tips = tips_of(shard, rows, floor=3_600)
    assert not look_on(tips, CLOSED).all_through
    rows.end(shard.places[-1])
    assert look_on(tips, CLOSED, 130).all_through
    assert tips.complete() == {"s1"}


def test_empty_pages_before_and_after_an_expired_iterator_do_not_add_up() -> None:
    shard, rows = Shard(*(QUESTION - 50 + n for n in range(40))), Rows()
    shard.empty_before, shard.expires_at = EMPTY_PAGES + 1, EMPTY_PAGES
    tips = tips_of(shard, rows)
    rows.end(shard.places[0])
    assert not tips.look([OPEN], QUESTION + SETTLING).all_through
    assert not look_on(tips).all_through, "39 records have not ended"


def test_a_quiet_open_shard_is_through_as_soon_as_the_stream_has_settled() -> None:
    tips = tips_of(Shard(), Rows())
    assert not tips.look([OPEN], QUESTION).all_through
    for after in range(5, 45, 5):
        looked = tips.look([OPEN], QUESTION + after)
    assert looked.all_through


@pytest.mark.promise("C6")
def test_a_tip_whose_row_has_expired_is_proved_by_an_earlier_question_or_refused() -> None:
    old = QUESTION - 80 * 3_600
    assert look_on(tips_of(Shard(old), Rows(), floor=1e6, until=old + 60)).all_through
    with pytest.raises(BlockedError, match="80 hours old"):
        look_on(tips_of(Shard(old), Rows(), floor=1e6, until=old - 60))


def test_the_last_reading_before_the_commit_waits_for_empty_pages_too() -> None:
    shard = Shard(QUESTION - 10, empty_before=EMPTY_PAGES + 2)
    rest = StreamRest(shard, Rows(), STREAM, {"s1": ""}, QUESTION - 3_600, quiet=5.0)
    assert not rest.look([OPEN], QUESTION)
    seen = [rest.look([OPEN], QUESTION + after) for after in (2, 4, 6, 8, 10)]
    assert rest.changes == 1
    assert seen[-1]
    closed = Shard(QUESTION - 10, empty_before=200, closed=True)
    rest = StreamRest(closed, Rows(), STREAM, {"s1": ""}, QUESTION - 3_600, quiet=5.0)
    for after in range(0, 100, 5):
        done = rest.look([CLOSED], QUESTION + after)
    assert done and rest.changes == 1
