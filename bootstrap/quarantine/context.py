"""What an operator works with to clear one table's quarantine."""

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
    """One table's buckets, stream and ledger. `who` is noted on what is resolved."""

    table: TableOutputs
    shelf: QuarantineStoreReader
    ledger: Ledger
    stream: Callable[[], RecordWriter]
    """Made when first needed: most commands have no business in the source account."""
    consumer: Callable[[], DirectConsumer]
    clock: Clock
    who: str
    chance: random.Random = field(default_factory=random.Random)
    executor: Executor = field(default_factory=SerialExecutor)
    """For the calls about single objects, which wait for the network and for nothing else."""

    def now(self) -> float:
        """Seconds since 1970."""
        return self.clock.now_micros() / 1_000_000

    def memory(self) -> RetentionWindow:
        return RetentionWindow(
            self.table.ledger_retention_days, self.ledger.settings().expire, self.now()
        )

    def note(self, how: str, **more: str) -> Mapping[str, str]:
        """What is written on a resolved object."""
        return {"how": how, "by": self.who, "at": moment(self.now()), **more}
