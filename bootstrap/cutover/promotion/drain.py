"""The bounded wait of a promotion for changes that are on their way through the stream.

The source is not asked, so nothing tells that the stream is empty: the wait ends when its time is
up, when a round of probes that was put during it has come through, or when no lane moves any more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bootstrap.core.errors import AccountError, LeaseLostError
from bootstrap.core.formatting import duration, instant
from bootstrap.core.journal_rows import Row
from bootstrap.core.outcome import Done, Outcome, Pending
from bootstrap.cutover.promotion.context import PromoteContext
from bootstrap.cutover.promotion.readings import read_round
from bootstrap.journal.records import Enabled, Paused
from bootstrap.journal.switch_records import Switching

STILL_SECONDS = 60.0
"""A lane's row is written every 10 s at most, and Lambda may pause before it repeats a batch."""
POLL_SECONDS = 5.0


@dataclass(frozen=True)
class Drain:
    """The end of the wait."""

    ended: str
    """`off`, `consumer-off`, `gate-closed`, `probes-through`, `still` or `time-up`; scripts may
    rely on it."""
    text: str
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        return {"ended": self.ended, "seconds": round(self.seconds, 3), "text": self.text}


class DrainWait:
    """The wait of one process. `row`: the journal's, of before the promotion."""

    def __init__(self, context: PromoteContext, row: Row) -> None:
        self._context = context
        self._row = row
        self._began = self._moved = context.clock.monotonic()
        self._began_at = context.now
        self._places: Mapping[str, str] = {}
        self.result: Drain | None = _pointless(context, row)
        """None until it has ended."""

    def advance(self) -> Outcome:
        """Look once more, unless the wait has ended.

        Raises:
            LeaseLostError: another process has taken over.
        """
        if self.result is None:
            self.result = self._look()
        if self.result is not None:
            return Done()
        left = self._context.drain - self._waited
        poll = min(self._context.timing.poll(POLL_SECONDS), left)
        return Pending("changes that are on their way", max(poll, 0.1))

    @property
    def _no_lane(self) -> str:
        own = self._context.table.reads_table_stream
        return "the consumer ended no newer change" if own else "no lane moved"

    @property
    def _lanes_may(self) -> str:
        own = self._context.table.reads_table_stream
        return "changes may still have come" if own else "lanes may have moved"

    @property
    def _waited(self) -> float:
        return self._context.clock.monotonic() - self._began

    def _look(self) -> Drain | None:
        """Return the end of the wait; None while it lasts."""
        over = self._waited >= self._context.drain
        try:
            places, through = self._read()
        except LeaseLostError:
            raise
        except AccountError as error:
            text = f"the ledger could not be read during the wait: {error.what}"
            return Drain("time-up", text, self._waited) if over else None
        now = self._context.clock.monotonic()
        if places != self._places:
            self._places, self._moved = places, now
        if through is not None and through > self._began_at:
            text = f"probes put at {instant(through)}, during the wait, came through every lane"
            return Drain("probes-through", text, self._waited)
        if now - self._moved >= STILL_SECONDS:
            return Drain("still", f"{self._no_lane} for {duration(STILL_SECONDS)}", self._waited)
        if over:
            return Drain("time-up", f"its time was up while {self._lanes_may}", self._waited)
        return None

    def _read(self) -> tuple[Mapping[str, str], float | None]:
        """Return the last ended record of each shard, and when the newest full round was put."""
        ledger = self._context.ledger
        rows = ledger.lanes(ledger.lane_shards())
        attempt = self._row.record(Switching)
        found = read_round(self._context, ledger.book(), ledger.settings(), attempt)
        places = {each.shard_id: each.sequence_number for each in rows}
        return places, None if found is None else found.put_at


def _pointless(context: PromoteContext, row: Row) -> Drain | None:
    if context.drain <= 0:
        return Drain("off", "nothing was waited for: --drain 0")
    paused = row.record(Paused)
    if row.record(Enabled) is None:
        return Drain("consumer-off", "the consumer has never been switched on")
    if paused is not None and not paused.resumed:
        text = f"the consumer has been paused since {instant(paused.at)}"
        return Drain("consumer-off", text)
    if context.ledger.settings().closed is not None:
        return Drain("gate-closed", "an unfinished switch had closed the consumer's gate")
    return None
