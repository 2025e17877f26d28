"""Gaps in the changes, closed by whole backfills under live writes, each from a seed alone."""

from __future__ import annotations

from typing import ClassVar

from tests.support.verify.expected_results import ViolationError
from tests.support.verify.live_table import SECOND
from tests.support.verify.runs import Run


class Gap(Run):
    """For some time no change gets into the stream; then a backfill brings them."""

    name: ClassVar[str] = "backfill"

    def play(self) -> None:
        """The whole story.

        Raises:
            ViolationError: a backfill left something out, or a verification said something wrong.
        """
        live, chance = self.live, self.chance
        self.populate()
        self.passes(12)
        begin, live.streaming = live.now // SECOND, False
        self.passes(chance.randrange(3, 40))
        end, live.streaming = live.now // SECOND + 1, True
        live.tell(f"a gap from {begin} to {end}")
        self.passes(chance.randrange(3, 10))
        if not self.unequal():
            self.features["nothing was lost"] = 1
        # The ends of an export's window are blurred by a minute.
        self._backfill(begin - 120.0, end + 120.0)
        self.verify(fresh=True)
        self.rests()
        left = self.unequal()
        # An export of what was written is silent on a key that is absent before and after.
        if any(live.source.items.get(name) is not None for name in left):
            raise ViolationError(f"the backfill left these: {left}")
        if left:
            self.features["left by the backfill, and found"] = 1
            self.verify(repair=True)
            self.passes(6)
        self.proves_equal()

    def _backfill(self, begin: float, end: float) -> None:
        live = self.live
        kills = ("anywhere", "comparing", "judging", "repair") if self.planned.kills else ()

        def fill(pid: int) -> None:
            filling = live.filling(pid)
            filling.gap(begin, end)
            live.tell(f"backfilled {sorted(filling.counts.items())}")
            for what in filling.counts:
                self.features[f"backfilled: {what}"] = 1

        self.until_it_ends(kills, fill)
