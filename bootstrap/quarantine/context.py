"""The dependencies of the quarantine commands, for one table."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from bootstrap.core.formatting import moment
from bootstrap.core.ports import Ledger, RecordWriter
from bootstrap.core.refusals import refuse_without_lease
from bootstrap.core.stack_outputs import TableOutputs
from bootstrap.core.state import State
from bootstrap.quarantine.direct import DirectConsumer
from bootstrap.quarantine.redrive_policy import RetentionWindow
from bootstrap.quarantine.store import QuarantineStoreReader
from replicator.runtime import Clock, Executor, SerialExecutor


@dataclass(frozen=True)
class QuarantineContext:
    """One table's buckets, stream and ledger. `who` is written on each resolved object."""

    table: TableOutputs
    store: QuarantineStoreReader
    ledger: Ledger
    state: Callable[[], State]
    """Reads the table's state in the journal."""
    stream: Callable[[], RecordWriter]
    """Created on first use: most commands do not need the source account."""
    consumer: Callable[[], DirectConsumer]
    clock: Clock
    who: str
    chance: random.Random = field(default_factory=random.Random)
    executor: Executor = field(default_factory=SerialExecutor)
    """Runs calls about single objects, which spend their time on the network."""

    def now(self) -> float:
        """Seconds since 1970."""
        return self.clock.now_micros() / 1_000_000

    def retention_window(self) -> RetentionWindow:
        return RetentionWindow(
            self.table.ledger_retention_days, self.ledger.settings().expire, self.now()
        )

    def refuse(self, command: str) -> None:
        """Raise BlockedError if a switch or a promotion refuses the command now."""
        refuse_without_lease(self.state(), self.ledger.settings(), command, self.table.source_table)

    def note(self, how: str, **more: str) -> Mapping[str, str]:
        """Return the note for a resolved object."""
        return {"how": how, "by": self.who, "at": moment(self.now()), **more}
