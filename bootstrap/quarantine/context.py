"""The dependencies of the quarantine commands, for one table."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from bootstrap.core.formatting import moment
from bootstrap.core.ports import Ledger, RecordWriter
from bootstrap.core.stack_outputs import TableOutputs
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

    def note(self, how: str, **more: str) -> Mapping[str, str]:
        """Return the note for a resolved object."""
        return {"how": how, "by": self.who, "at": moment(self.now()), **more}
