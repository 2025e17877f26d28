"""A table's journal: its state, the intention before each act, and the history of its run.

One row per table holds the lease and the state, so one condition (the lease's generation) guards
every write. A row per event holds the history. The table is in the target account: the journal must
survive the loss of the source account.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bootstrap.core.errors import BootstrapError
from bootstrap.core.journal_rows import (
    Event,
    R,
    Row,
    RowUpdate,
    RowWrite,
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
        """The row as last read or written."""
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
        """Read the row again: a write whose answer was lost may have succeeded.

        Raises:
            LeaseLostError: if another run has taken the row over.
        """
        row, at = self._store.read(self._table)
        self._lease.saw(at)
        if row is None or row.generation != self._lease.generation:
            raise self._lease.lost(row)
        self._row = row

    def get(self, kind: type[R]) -> R | None:
        return self._row.record(kind)

    def begin(self, run_id: str) -> None:
        """Start a run of this table."""
        now = self.now()
        event = Event(now, State.PLANNED, f"run {run_id}")
        self._write(RowUpdate(State.PLANNED, now, run_id, event=event))

    def close(self, kept: Sequence[StepRecord], text: str) -> None:
        """End the run. Of its records, only `kept` remain for the next one."""
        now = self.now()
        records: dict[str, str | None] = dict.fromkeys(self._row.records)
        records |= {record.key: to_json(record) for record in kept}
        event = Event(now, State.ABANDONED, text)
        self._write(RowUpdate(State.ABANDONED, now, records=records, event=event))

    def works_in(self, state: State | None) -> None:
        """Set the state that the next `put` enters with its record. None: the current one stays."""
        self._at_work = state

    def put(self, record: StepRecord, text: str) -> None:
        """Record an intended act, or one observed as done."""
        self._note({record.key: to_json(record)}, text)

    def put_all(self, records: Sequence[StepRecord], text: str) -> None:
        """Record several at once, all or none."""
        self._note({record.key: to_json(record) for record in records}, text)

    def planned(self, record: StepRecord, text: str, state: State | None = None) -> RowWrite:
        """Return the write that puts `record` and enters `state`, for `Store.write_all`.

        Raises:
            LeaseLostError: when another run has taken over.
        """
        self._lease.check()
        now, before = self.now(), self._row.state
        entered = state or before
        change = RowUpdate(
            entered,
            None if entered is before else now,
            records={record.key: to_json(record)},
            event=Event(now, entered, text),
        )
        return RowWrite(self._table, self._row, change, self._lease.extended(), (record.key,))

    def wrote(self, write: RowWrite) -> None:
        """Take over a write of `planned` that `Store.write_all` has carried out."""
        self._lease.renewed(write.expires)
        self._row = updated(write.row, write.change)

    def forget(self, kind: type[StepRecord], text: str) -> None:
        """Remove a record that no longer holds."""
        self._note({kind.key: None}, text)

    def _note(self, records: Mapping[str, str | None], text: str) -> None:
        now, before = self.now(), self._row.state
        state = self._at_work or before
        since = None if state is before else now
        self._write(RowUpdate(state, since, records=records, event=Event(now, state, text)))

    def enter(self, state: State) -> None:
        """Enter a state, unless it is the current one."""
        if state is not self._row.state:
            now = self.now()
            self._write(RowUpdate(state, now, event=Event(now, state)))

    def waits(self, what: str) -> None:
        """Record the object of a wait when it changes; `status` on another machine shows it."""
        if self._row.waiting is None or self._row.waiting.what != what:
            self._write(RowUpdate(waiting=WaitReason(what, self.now())))

    def fail(self, step: str, error: BootstrapError) -> None:
        now = self.now()
        event = Event(now, State.FAILED, f"{step}: {error.what}")
        self._write(
            RowUpdate(
                State.FAILED,
                now,
                failure=RunFailure(step, error.what, error.suggestion.notation, error.resumable),
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
