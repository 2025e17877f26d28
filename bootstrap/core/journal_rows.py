"""Rows of the journal table, and the protocol of the table."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, TypeVar

from bootstrap.core.state import State


class StepRecord(Protocol):
    """A dataclass stored as JSON under its key. Fields may be added, never redefined."""

    key: ClassVar[str]


R = TypeVar("R", bound=StepRecord)
T = TypeVar("T")


@dataclass(frozen=True)
class Event:
    """An entry of a run's history, at a moment of AWS's clock."""

    at: float
    state: State
    text: str = ""


@dataclass(frozen=True)
class RunFailure:
    """The cause of the state FAILED."""

    step: str
    what: str
    fix: str
    resumable: bool = True


@dataclass(frozen=True)
class WaitReason:
    """The object of a wait, and its beginning by AWS's clock."""

    what: str
    since: float


@dataclass(frozen=True)
class Row:
    """A table's row in the journal."""

    generation: int = 0
    holder: str = ""
    """JSON of `lease.Holder`; empty after the lease was released."""
    expires: float = 0
    run_id: str = ""
    state: State = State.PLANNED
    since: float = 0
    failure: RunFailure | None = None
    waiting: WaitReason | None = None
    events: int = 0
    records: Mapping[str, str] = field(default_factory=dict)

    def record(self, kind: type[R]) -> R | None:
        """Return a step's record, if there is one."""
        text = self.records.get(kind.key)
        return None if text is None else from_json(kind, text)


@dataclass(frozen=True)
class RowUpdate:
    """The changes of one conditional write. None leaves a field as it is."""

    state: State | None = None
    since: float | None = None
    run_id: str | None = None
    failure: RunFailure | None = None
    waiting: WaitReason | None = None
    records: Mapping[str, str | None] = field(default_factory=dict)
    """None removes the record."""
    event: Event | None = None


@dataclass(frozen=True)
class RowWrite:
    """One row's part of a write of several rows.

    `expires`: its lease's. `unchanged`: records that have to be as they were read, so that a write
    that was long on its way never follows a later one.
    """

    table: str
    row: Row
    change: RowUpdate
    expires: float
    unchanged: tuple[str, ...] = ()


class Store(Protocol):
    """The journal table. A conditional write returns False if the generation has changed."""

    def read(self, table: str) -> tuple[Row | None, float]:
        """Read the row (strongly consistent) and AWS's time."""

    def history(self, table: str, run_id: str) -> Sequence[Event]:
        """Read a run's events, oldest first."""

    def claim(self, table: str, seen: int, holder: str, expires: float) -> bool:
        """Take the lease under generation seen + 1 if it is still `seen` (0: no row)."""

    def renew(self, table: str, generation: int, expires: float) -> bool:
        """Extend the lease."""

    def release(self, table: str, generation: int) -> bool:
        """Give the lease back."""

    def write(self, table: str, row: Row, change: RowUpdate, expires: float) -> bool:
        """Apply a change on condition of `row.generation`."""

    def write_all(self, writes: Sequence[RowWrite]) -> bool:
        """Apply the changes of several rows, all or none, each on condition of its generation and
        of the records that may not have changed.

        At most 50: a row takes two of the 100 actions of a transaction.
        """


def updated(row: Row, change: RowUpdate) -> Row:
    """Apply a change to a row. A new state ends the wait and the failure of the one before."""
    entered = change.state is not None and change.state is not row.state
    records = {**row.records, **change.records}
    return dataclasses.replace(
        row,
        state=change.state or row.state,
        since=row.since if change.since is None else change.since,
        run_id=change.run_id or row.run_id,
        failure=change.failure or (None if entered else row.failure),
        waiting=change.waiting or (None if entered else row.waiting),
        events=row.events + (change.event is not None),
        records={key: text for key, text in records.items() if text is not None},
    )


def to_json(record: StepRecord) -> str:
    fields: Mapping[str, Any] = dataclasses.asdict(record)  # type: ignore[call-overload]
    return json.dumps(fields, separators=(",", ":"), sort_keys=True)


def from_json(kind: type[T], text: str) -> T:
    """Parse a dataclass of this version or a newer one, whose further fields are dropped."""
    hashable: Any = kind  # as every class is: mypy does not see it of a type variable
    parsed: T = _parsed(hashable, text)
    return parsed


@functools.lru_cache(maxsize=500)
def _parsed(kind: type[Any], text: str) -> Any:
    """Parse a record, which is frozen: a run asks for the same ones at every look of each table."""
    known = {each.name for each in dataclasses.fields(kind)}
    values = {name: value for name, value in json.loads(text).items() if name in known}
    values = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
    return kind(**values)
