"""What must hold while a switch closes both tables, commits or takes itself back.

Nothing here knows how a switch works: it sees the rows that are written, and the tables' policies.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator
from datetime import datetime
from typing import Any

from tests.simulation.history import MILLISECOND, SECOND, History, Image, SourceChange
from tests.simulation.invariant_checker import ViolationError, Witness
from tests.support.bootstrap.fake_aws import SOURCE_ARN, TARGET_ARN
from tests.support.bootstrap.fake_policies import FakePolicies
from tests.support.fakes.clock import START_MICROS

ZOMBIE_SECONDS = 60
"""From the moment at which every lane has said that it is closed: until then an invocation of
before may write."""
LONG_INVOCATION_SECONDS = 150
"""The same from the first word of a switch: an invocation's time limit, and settings' life."""
APPLICATION = "arn:aws:iam::111111111111:role/application"


class GateWitness:
    """Follows the gate of one table. Moments in microseconds since 1970."""

    def __init__(
        self,
        witness: Witness,
        lanes: Collection[str],
        expired: Collection[int],
        now: Callable[[], int],
    ) -> None:
        """`lanes`: the names of all. `expired`: the numbers of changes that time to live made."""
        self._witness = witness
        self._history: History = witness.history
        self._lanes = frozenset(lanes)
        self._expired = frozenset(expired)
        self._now = now
        self._nonce: str | None = None
        self._armed_at: int | None = None
        self._closed_at: int | None = None
        self._opened_at: int | None = None
        self._echoed: set[str] = set()
        self.left: dict[int, SourceChange] = {}
        """Deletions that a closed gate has left to the target's time to live, by number."""
        self.gates = 0
        self.late_writes = 0
        """Rows of late writes that name a change."""
        self.armed = False
        """A switch has begun to close something."""
        self.committed = False
        self.promoted = False

    @property
    def handed_on(self) -> bool:
        """The target is the primary now."""
        return self.committed or self.promoted

    # What is seen ---------------------------------------------------------------------------

    def settings_written(self, row: Image) -> None:
        """The ledger's settings row was written."""
        nonce = row["closed"]["S"] if "closed" in row else None
        if "armed" not in row and nonce is None:
            self._armed_at = None
        elif self._armed_at is None:
            self._armed_at, self.armed = self._now(), True
        if nonce == self._nonce:
            return
        if nonce is None:
            self._opened_at = self._now()
        self._nonce, self._echoed = nonce, set()
        self._closed_at = None if nonce is None else self._now()

    def probe_written(self, row: Image, lane: str) -> None:
        """A probe of this lane has come through."""
        if self._nonce is None or row.get("closed") != {"S": self._nonce}:
            return
        self._echoed.add(lane)
        self.gates += self._echoed == self._lanes

    def late_writes_written(self, row: Image) -> None:
        """A shard's row of late writes was written."""
        self.late_writes += int(row["changes"]["N"]) > 0

    def journal_written(self, row: Image) -> None:
        """The table's row of the journal was written."""
        if row.get("state") == {"S": "SWITCHED"} and not self.committed:
            self.committed = True
            self._check_cut(json.loads(row["record:switch"]["S"])["mark"] * SECOND)

    # What it means --------------------------------------------------------------------------

    @property
    def closing(self) -> bool:
        """Some consumer may know the gate as closed."""
        if self._nonce is not None:
            return True
        opened = self._opened_at
        return opened is not None and self._now() < opened + LONG_INVOCATION_SECONDS * SECOND

    @property
    def proved_closed(self) -> bool:
        """Nothing may write the target any more."""
        if self.committed:
            return True
        if self._closed_at is None or self._armed_at is None or self._echoed != self._lanes:
            return False
        return self._now() >= max(
            self._closed_at + ZOMBIE_SECONDS * SECOND,
            self._armed_at + LONG_INVOCATION_SECONDS * SECOND,
        )

    def leaves(self, change: SourceChange) -> bool:
        """Whether the end of this change is that a closed gate has left it to time to live."""
        if change.number not in self.left:
            if not self.closing or change.number not in self._expired:
                return False
            self.left[change.number] = change
        return True

    def _check_cut(self, mark: int) -> None:
        """The target is the source as of one moment, which is no earlier than the mark."""
        made = (change.made for change in self._history.changes)
        moments = [mark + MILLISECOND - 1, *(each for each in made if each > mark)]
        if any(self._is_as_of(moment, mark) for moment in moments):
            return
        raise ViolationError(
            f"C9: committed with the mark {mark}, and the target is the source as of no moment "
            f"since: {self._witness.states}"
        )

    def _is_as_of(self, moment: int, mark: int) -> bool:
        return all(
            self._witness.states[key] in set(self._possible(key, moment, mark))
            for key in range(len(self._history.lives))
        )

    def _possible(self, key: int, moment: int, mark: int) -> Iterator[Any]:
        """Each state of the key that may stand for this moment's."""
        life, prints = self._history.lives[key], self._witness.prints[key]
        newest = sum(change.made <= moment for change in life.changes)
        yield prints[newest]
        for position in range(life.last + 1):
            low, high = sorted((position, newest))
            between = life.changes[low:high]
            # Time to live may be ahead, and what it deleted after the mark may be left out.
            if all(each.number in self._expired and each.stamp > mark for each in between):
                yield prints[position]
            group = life.group
            if group[position] == group[newest] and self._witness.excused(key, group[newest]):
                yield prints[position]

    # The end --------------------------------------------------------------------------------

    def check_end(self, settings: Image, journal: Image) -> None:
        """What a switch that was taken back may leave behind."""
        if self.handed_on:
            return
        if journal["state"]["S"] != "REPLICATING":
            raise ViolationError(f"C9: it ends in {journal['state']['S']}.")
        standing = {"armed", "mark", "closed"} & settings.keys()
        if standing:
            raise ViolationError(f"C9: a switch that was taken back leaves {sorted(standing)}.")
        gap = json.loads(journal.get("record:gate-gap", {}).get("S", "null"))
        for change in self.left.values():
            if self._witness.reflects(change.key, change.position):
                continue
            if gap is None or not gap["begin"] * SECOND <= change.stamp <= gap["end"] * SECOND:
                raise ViolationError(
                    f"C9: the deletion {change.number} was left to time to live, and no gap of "
                    "the journal has it."
                )

    def check_policies(self, policies: FakePolicies) -> None:
        """At no moment of the history did both tables take an application's writes."""
        for moment in _turns(policies):
            if moment <= START_MICROS / SECOND:
                continue
            at = FakePolicies(lambda moment=moment: moment)  # type: ignore[misc]
            at.tables = policies.tables
            if not at.refuses(SOURCE_ARN, APPLICATION) and not at.refuses(TARGET_ARN, APPLICATION):
                raise ViolationError(f"C9: both tables took writes at {moment:.3f}.")


def _turns(policies: FakePolicies) -> list[float]:
    """The moments at which another policy takes hold, or a date of one comes, and just after."""
    found: set[float] = set()
    for policy in policies.tables.values():
        for at, text in policy.changes:
            found.add(at + policies.spread_seconds)
            for statement in json.loads(text)["Statement"] if text else ():
                conditions = statement.get("Condition", {})
                dates = [conditions[name] for name in conditions if name.startswith("Date")]
                found |= {
                    datetime.fromisoformat(each["aws:CurrentTime"]).timestamp() for each in dates
                }
    return sorted(found | {moment + 0.001 for moment in found})
