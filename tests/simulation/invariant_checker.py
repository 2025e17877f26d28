"""What must hold whatever was delivered and however: the promises, checked as the world goes by.

Nothing here knows how the consumer works: it sees the items of the target, the objects in
quarantine, the probe rows and the reports to Lambda, and compares them with the source's history.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from tests.simulation.history import History, Image
from tests.simulation.names import ENDED, LATE_WRITES, PROBE
from tests.simulation.records import Part, StreamRecord, order_of
from tests.support.fakes.values import normalised

if TYPE_CHECKING:
    from tests.simulation.gate_witness import GateWitness


PATIENCE = 12 * 3600.0
"""Seconds from which a record of a table's stream is safer in quarantine than there."""
INVOCATION = 902.0
"""The longest invocation: its consumer judges the age at its beginning."""


class ViolationError(BaseException):
    """A promise was broken. Not an Exception: it is found inside the consumer's own calls."""


def fingerprint(image: Image | None) -> Any:
    """Equal for images that DynamoDB calls equal."""
    if image is None:
        return None
    return tuple((name, _frozen(normalised(image[name]))) for name in sorted(image))


def _frozen(value: Any) -> Any:
    ((kind, content),) = value.items()
    if kind in ("SS", "NS", "BS"):
        return kind, frozenset(content)
    if kind == "M":
        return kind, tuple((name, _frozen(content[name])) for name in sorted(content))
    if kind == "L":
        return kind, tuple(_frozen(each) for each in content)
    return kind, content


class Witness:
    """Follows one history. `strict`: delivered in order; unless something is then delivered again
    (`repeated`) nothing excuses a wrong state.

    Where several changes have the same content the most lenient reading counts: a state is taken
    for the earliest change that it could stand for without a step back.
    """

    def __init__(
        self, history: History, target: str, strict: bool, log: Callable[[str], None]
    ) -> None:
        self.history = history
        self.target = target
        self.strict = strict
        self.repeated = False
        self.log = log
        self.prints = [
            [fingerprint(life.image(position)) for position in range(life.last + 1)]
            for life in history.lives
        ]
        self._key_of = {fingerprint(life.keys): number for number, life in enumerate(history.lives)}
        self.states: list[Any] = [None] * len(history.lives)
        self.reached = [-1] * len(history.lives)
        self.noted: set[tuple[int, int]] = set()
        self.kept: dict[str, list[bytes]] = {}
        self.proved: set[tuple[str, int]] = set()
        self.places: dict[str, StreamRecord] = {}
        self.gate_closed = False
        """Nothing writes the target any more, by the clock."""
        self.closing = False
        """Some consumer may know the gate as closed."""
        self.gates = 0
        self.gate: GateWitness | None = None
        """Follows a switch, where there is one."""
        self.numbers: set[str] | None = None
        """The orders whose rows say that they have ended; None where the stream takes probes."""
        self.now: Callable[[], float] = lambda: 0.0
        """The time, in seconds since 1970."""
        self.indexed: set[str] = set()
        """The shards that the index of lanes has named."""

    # Allowances -----------------------------------------------------------------------------

    def excused(self, key: int, group: int) -> bool:
        """Whether the order within this group of changes of one timestamp is not promised."""
        if self.strict and not self.repeated:
            return False
        crowded = len(self.history.lives[key].members(group)) > 2
        return crowded or (key, group) in self.noted

    def _not_older(self, key: int, one: int, other: int) -> bool:
        """Whether the state after change `one` may stand where change `other` has ended."""
        group = self.history.lives[key].group
        return one >= other or (group[one] == group[other] and self.excused(key, group[other]))

    def reflects(self, key: int, position: int) -> bool:
        """The target's item is the state after this change, or after a newer one."""
        return any(
            seen == self.states[key] and self._not_older(key, candidate, position)
            for candidate, seen in enumerate(self.prints[key])
        )

    # Events ---------------------------------------------------------------------------------

    def begin(self, key: int, image: Image | None) -> None:
        """The snapshot holds this item (or none)."""
        self.states[key] = fingerprint(image)

    def arrived(self, record: StreamRecord) -> None:
        self.places[record.place] = record

    def item_changed(self, old: Image | None, new: Image | None) -> None:
        """The target's table was written."""
        image = new if new is not None else old
        if image is None:
            return  # a delete of what was not there: the key is not known, and nothing changed
        key = self._key_of.get(fingerprint(self.history.schema.keys_of(image)))
        if key is None:
            raise ViolationError(f"C1: the target has an item that the source never had: {image}")
        if self.gate_closed or (self.gate is not None and self.gate.proved_closed):
            raise ViolationError(f"C9: key {key} was written behind a closed gate.")
        seen = fingerprint(new)
        before = self.reached[key]
        self.states[key] = seen
        self.reached[key] = self._position(key, seen, before)
        self.log(f"  target: key {key} is as after change {self.reached[key]} (was {before})")

    def _position(self, key: int, seen: Any, before: int) -> int:
        life = self.history.lives[key]
        fitting = [
            position for position in range(1, life.last + 1) if self.prints[key][position] == seen
        ]
        if not fitting:
            raise ViolationError(
                f"C1: key {key} was given an item that no change of it made: {seen}"
            )
        possible = [
            position for position in fitting if before < 0 or self._not_older(key, position, before)
        ]
        if possible:
            return possible[0]
        raise ViolationError(
            f"C2: key {key} stepped back from its change {before} to its change {fitting[-1]}"
        )

    def object_kept(self, name: str, body: bytes) -> None:
        """An object was written to the quarantine bucket."""
        if not name.startswith("open/"):
            return
        found = json.loads(body)
        place = f"{found['shardId']}:{found['sequenceNumber']}"
        record = self.places.get(place)
        if record is None or f"/{found['reason']}/{found['shardId']}/" not in name:
            raise ViolationError(f"C3: quarantine object {name} is of no record.")
        if record.lethal and found["reason"] != "parked":
            raise ViolationError(f"C3: {place} was parked, and was read all the same.")
        data = base64.b64decode(found["data"])
        if any(part.foreign and part.data == data for part in record.parts):
            raise ViolationError(f"C3: {place} is of another table, and was quarantined.")
        self.kept.setdefault(place, []).append(data)
        self.log(f"  quarantine: {found['reason']}: {place} ({record.label})")
        if found["reason"] == "ambiguous-order":
            for part in record.parts:
                if part.data == data and part.change is not None:
                    self._note(part)

    def _note(self, part: Part) -> None:
        assert part.change is not None
        key, life = part.change.key, self.history.lives[part.change.key]
        group = life.group[part.change.position]
        if not life.crowded(part.change.position) and not life.undoes(group):
            raise ViolationError(
                f"C1: {part.label} was noted as ambiguous, and its timestamp is not."
            )
        self.noted.add((key, group))

    def probe_written(self, name: bytes, lane: Iterable[StreamRecord]) -> None:
        """A probe's row appeared: everything before the probe in its lane must have ended."""
        identity, _, number = name[len(PROBE) :].decode().rpartition(":")
        probe = (identity, int(number))
        for record in lane:
            for index, part in enumerate(record.parts):
                if part.probe == probe:
                    self.proved.add(probe)
                    return
                if not self.ended(record, index):
                    raise ViolationError(
                        f"C3: probe {probe} was confirmed before {part.label} had ended."
                    )
        raise ViolationError(f"C3: probe {probe} was confirmed and never sent.")

    def ended_row_written(self, name: bytes, lanes: Iterable[Sequence[StreamRecord]]) -> None:
        """A record's row appeared: it, and everything before it in its shard, must have ended."""
        assert self.numbers is not None
        order = name[len(ENDED) :].decode()
        for records in lanes:
            found = [number for number, each in enumerate(records) if order_of(each) == order]
            for record in records[: found[0] + 1] if found else ():
                if not self.ended(record, 0):
                    raise ViolationError(
                        f"C3: the row {order} was written before {record.label} had ended."
                    )
            if found:
                self.numbers.add(order)
                return
        raise ViolationError(f"C3: the row {order} is of no record.")

    def waits(self, records: Sequence[StreamRecord]) -> None:
        """A batch is kept out of quarantine, and so in the stream."""
        if self.numbers is None or not records[0].says_its_age:
            return
        if self.now() - records[0].arrival > PATIENCE + INVOCATION:
            raise ViolationError(
                f"C3: {records[0].place} is left to a stream that is about to forget it."
            )

    def shard_row_written(self, name: bytes) -> None:
        """A row about a shard appeared: the index must name the shard, or no reader finds it."""
        parts = 2 if name.startswith(LATE_WRITES) else 1
        shard = name.decode().split(":", parts)[-1]
        if shard not in self.indexed:
            raise ViolationError(f"C3: row {name!r} was written, and the index lacks its shard.")

    def ended(self, record: StreamRecord, index: int) -> bool:
        """Applied, superseded, or whole in quarantine."""
        part = record.parts[index]
        if part.foreign:
            return True
        kept = self.kept.get(record.place, ())
        if part.data in kept or record.data in kept:
            return True
        if part.change is not None:
            reflected = self.reflects(part.change.key, part.change.position)
            return reflected or (self.gate is not None and self.gate.leaves(part.change))
        return part.probe in self.proved

    def acknowledged(self, records: Sequence[StreamRecord], *, whole: bool) -> None:
        """Lambda knows that these need not come again; `whole`: nor any other of their batch.

        What does come again is behind them in their shard, and its row will stand for theirs.
        """
        if self.numbers is not None and whole and order_of(records[-1]) not in self.numbers:
            raise ViolationError(f"C10: {records[-1].place} was acknowledged without a row of it.")
        for record in records:
            for index, part in enumerate(record.parts):
                if not self.ended(record, index):
                    raise ViolationError(
                        f"C3: {record.place} was acknowledged, and its {part.label} has neither "
                        "been applied nor superseded nor quarantined."
                    )

    # The end --------------------------------------------------------------------------------

    def check_end(self, open_changes: Iterable[Any]) -> None:
        """Everything has been delivered. `open_changes` are still in quarantine."""
        waiting = {(change.key, change.position) for change in open_changes}
        if self.gate is not None:
            if self.gate.handed_on:
                return  # what is not in the target then is not to come there
            waiting |= {(change.key, change.position) for change in self.gate.left.values()}
        for key, life in enumerate(self.history.lives):
            positions = [p for p in range(life.last + 1) if (key, p) not in waiting]
            newest = max(positions)
            group = life.group
            fitting = [
                position
                for position in range(life.last + 1)
                if self.prints[key][position] == self.states[key]
                and (
                    position == newest
                    or (position > newest and (key, position) in waiting)
                    or (group[position] == group[newest] and self.excused(key, group[newest]))
                )
            ]
            if not fitting:
                raise ViolationError(
                    f"C1: key {key} ends as {self.states[key]}, and its change {newest} left "
                    f"{self.prints[key][newest]}"
                )
