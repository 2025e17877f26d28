"""The durable memory of a run: state, intentions before acts, history; one writer at a time.

One row per table holds the lease and the current truth, so that one condition (the lease's
generation) guards every write; a row per event holds the history. Both live in the journal table,
in the target account: losing the source account must not take it along.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bootstrap.core.errors import BootstrapError
from bootstrap.core.journal_rows import (
    Event,
    R,
    Row,
    RowUpdate,
    RunFailure,
    StepRecord,
    Store,
    WaitReason,
    to_json,
    updated,
)
from bootstrap.core.state import State
from bootstrap.journal.lease import Lease


class Journal:
    """A table's journal, while this process holds its lease."""

    def __init__(self, store: Store, table: str, lease: Lease) -> None:
        self._store = store
        self._table = table
        self._lease = lease
        self._row = Row()
        self._at_work: State | None = None

    @property
    def row(self) -> Row:
        """What was last read or written."""
        return self._row

    @property
    def generation(self) -> int:
        return self._lease.generation

    @property
    def run_id(self) -> str:
        return self._row.run_id

    def now(self) -> float:
        """AWS's time, carried forward from its last answer."""
        return self._lease.now()

    def refresh(self) -> None:
        """Reads the row again: a write whose answer was lost may have succeeded.

        Raises:
            LeaseLostError: when the row is another run's by now.
        """
        row, at = self._store.read(self._table)
        self._lease.saw(at)
        if row is None or row.generation != self._lease.generation:
            raise self._lease.lost(row)
        self._row = row

    def get(self, kind: type[R]) -> R | None:
        return self._row.record(kind)

    def begin(self, run_id: str) -> None:
        """A run of this table starts."""
        now = self.now()
        event = Event(now, State.PLANNED, f"run {run_id}")
        self._write(RowUpdate(State.PLANNED, now, run_id, event=event))

    def close(self, kept: Sequence[StepRecord], text: str) -> None:
        """The run is over for good: of its notes, only `kept` are left for the next one."""
        now = self.now()
        records: dict[str, str | None] = dict.fromkeys(self._row.records)
        records |= {record.key: to_json(record) for record in kept}
        event = Event(now, State.ABANDONED, text)
        self._write(RowUpdate(State.ABANDONED, now, records=records, event=event))

    def works_in(self, state: State | None) -> None:
        """The state that the next `put` enters with its record. None: the current one stays."""
        self._at_work = state

    def put(self, record: StepRecord, text: str) -> None:
        """Notes what a step is about to do, or has seen done."""
        self._note({record.key: to_json(record)}, text)

    def forget(self, kind: type[StepRecord], text: str) -> None:
        """Takes a note back that the world has overtaken."""
        self._note({kind.key: None}, text)

    def _note(self, records: Mapping[str, str | None], text: str) -> None:
        now, before = self.now(), self._row.state
        state = self._at_work or before
        since = None if state is before else now
        self._write(RowUpdate(state, since, records=records, event=Event(now, state, text)))

    def enter(self, state: State) -> None:
        """Enters a state, unless it is the current one."""
        if state is not self._row.state:
            now = self.now()
            self._write(RowUpdate(state, now, event=Event(now, state)))

    def waits(self, what: str) -> None:
        """Notes what is waited for, when that changes; `status` shows it from elsewhere."""
        if self._row.waiting is None or self._row.waiting.what != what:
            self._write(RowUpdate(waiting=WaitReason(what, self.now())))

    def fail(self, step: str, error: BootstrapError) -> None:
        now = self.now()
        event = Event(now, State.FAILED, f"{step}: {error.what}")
        self._write(
            RowUpdate(
                State.FAILED,
                now,
                failure=RunFailure(step, error.what, error.fix, error.resumable),
                event=event,
            )
        )

    def _write(self, change: RowUpdate) -> None:
        self._lease.check()
        row, expires = self._row, self._lease.extended()
        if not self._store.write(self._table, row, change, expires):
            raise self._lease.lost(None)
        self._lease.renewed(expires)
        self._row = updated(row, change)
