"""The accounts, the journal and the options that a step works with."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from bootstrap.core.durations import Timing
from bootstrap.core.facts import EventSource
from bootstrap.core.ports import (
    BulkLoads,
    CrossAccountCheck,
    ItemScanner,
    Ledger,
    OwnWrites,
    ResourcePolicies,
    Snapshots,
    SourceAccount,
    TargetAccount,
)
from bootstrap.core.run_options import RunOptions
from bootstrap.core.stack_outputs import Outputs, TableOutputs
from bootstrap.core.table_stream_ports import TableStreamClients
from bootstrap.journal.journal import Journal
from bootstrap.journal.stream_records import mapping_of, stream_of
from bootstrap.journal.verification_records import Verified
from bootstrap.run.stream_tips import StreamTips
from replicator.probes import ProbeRecord
from replicator.runtime import Clock
from replicator.stream import Shard


@dataclass(frozen=True)
class ProbePut:
    """A round of probes that is not in the stream as a whole yet. Times are epoch seconds."""

    probe: str
    count: int
    shards: tuple[Shard, ...]
    """The open shards that it is for."""
    at: float
    """When it was begun."""
    left: tuple[ProbeRecord, ...]
    """The records that Kinesis has not taken."""
    refusals: int = 0
    """Attempts in a row in which Kinesis refused some."""
    progress_at: float = 0.0
    """When Kinesis last took one."""


@dataclass
class RunMemory:
    """Observations of this process. They may be lost with it: watching starts anew, and another
    round of probes is put.
    """

    active_seen_at: float | None = None
    """When the stream's destination was last seen ACTIVE, before the export."""
    flowing_at: float | None = None
    """When it was last seen on, after that."""
    resume_asked_at: float | None = None
    """The end of the metrics' period in which this process first looked at the target's writes."""
    deny_doubted_at: float | None = None
    """When the target's policy was first read without the Deny that the journal has."""
    deny_puts: int = 0
    """How often this process has put it."""
    load_intended: str = ""
    """The token of the bulk put that this process has intended and not yet asked for."""
    load_refused_at: float | None = None
    """When a repeated start of a bulk put was refused, whose first answer may have been lost."""
    moment: float | None = None
    handed_over: bool = False
    probe: str = ""
    probes: int = 0
    put_at: float = 0
    putting: ProbePut | None = None
    caught_up: bool = False
    rounds: int = 0
    stream_policy_put_at: float | None = None
    """When this process put the policy of the table's own stream."""
    tips: StreamTips | None = None
    """The reading of the table's own stream up to what it held when the question was asked."""


@dataclass(frozen=True)
class StepContext:
    """One table's run."""

    outputs: Outputs
    table: TableOutputs
    source: SourceAccount
    target: TargetAccount
    target_items: ItemScanner
    ledger: Ledger
    own_writes: OwnWrites
    snapshots: Snapshots
    verified: Callable[[], Verified | None]
    """Reads the result of the table's last verification."""
    journal: Journal
    timing: Timing
    clock: Clock
    options: RunOptions = field(default_factory=RunOptions)
    target_policies: ResourcePolicies | None = None
    """Through the stack's role for it; None where it has none for this table."""
    loads: BulkLoads | None = None
    """None: the stack file says `load: import`, and no role may ask for bulk operations."""
    table_stream: TableStreamClients | None = None
    """None: the buffer is a Kinesis data stream."""
    cross_account_check: CrossAccountCheck | None = None
    """None: the calls that cross accounts are not tried before the export."""
    memory: RunMemory = field(default_factory=RunMemory)
    chance: random.Random = field(default_factory=random.Random)
    """Spreads repeated attempts."""

    @property
    def mapping_uuid(self) -> str:
        """The consumer's event source mapping, whatever the buffer; empty if there is none yet."""
        known = mapping_of(self.table, self.journal.row)
        return known or (self.ledger.settings().mapping if self.table.reads_table_stream else "")

    @property
    def stream_arn(self) -> str:
        """The buffer, whatever its kind; empty if there is none yet.

        A verification has a journal of its own, without the run's records: there the ledger's
        settings row says which stream the consumer reads.
        """
        known = stream_of(self.table, self.journal.row)
        return known or (self.ledger.settings().stream if self.table.reads_table_stream else "")

    def mapping(self) -> EventSource | None:
        """Describe the consumer's event source mapping; None if it does not exist, or not yet."""
        uuid = self.mapping_uuid
        return self.target.mapping(uuid) if uuid else None

    @property
    def target_arn(self) -> str:
        """The target table's, whether it exists or not."""
        partition, target = self.table.source_table_arn.split(":")[1], self.outputs.target
        return (
            f"arn:{partition}:dynamodb:{target.region}:{target.account_id}:"
            f"table/{self.table.target_table}"
        )
