"""The states of a run, and the records that its steps keep in the journal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class Buffered:
    """The observation that everything rests on: the stream's destination was ACTIVE."""

    key: ClassVar[str] = "buffered"

    active_at: float
    """By AWS's clock."""
    stream_arn: str
    table_id: str
    """The source table's. Another one later means that the table was made again."""
    retention_hours: int = 0
    """The stream's. Raised later, it does not bring back what was forgotten before."""


@dataclass(frozen=True)
class Wanted:
    """What the target is to have beside what its import gives it, as the plan said."""

    key: ClassVar[str] = "wanted"

    table_class: str = "STANDARD"
    tags: str = "{}"
    """JSON object: the source's tags."""
    ttl_attribute: str = ""
    """The source's time-to-live attribute; empty while it has none."""
    warm_writes: int = 0
    """Units a second for target and ledger; 0: what a new table takes is enough."""


@dataclass(frozen=True)
class RecoveryRecord:
    """Point-in-time recovery of the source was off, and this run switched it on."""

    key: ClassVar[str] = "recovery"

    switched_on_at: float


@dataclass(frozen=True)
class Exported:
    """The export: intended (`token`), begun (`arn`), complete (`done`)."""

    key: ClassVar[str] = "export"

    attempt: int = 1
    token: str = ""
    export_time: int = 0
    """Whole epoch seconds."""
    prefix: str = ""
    intended_at: float = 0
    arn: str = ""
    done: bool = False
    items: int | None = None
    size_bytes: int | None = None
    started: float | None = None
    ended: float | None = None
    failure: str = ""
    failed_generation: int = 0
    """Of the lease under which the failure was reported; a later run makes another attempt."""

    @property
    def begun(self) -> bool:
        """Whether the call may have been made."""
        return bool(self.token)

    @property
    def data_prefix(self) -> str:
        """Where the data files are. The folder above holds manifests, which an import chokes on."""
        return f"{self.prefix}/AWSDynamoDB/{self.arn.rsplit('/', 1)[-1]}/data/"


@dataclass(frozen=True)
class Imported:
    """The import: intended (`token`), begun (`arn`), complete (`done`)."""

    key: ClassVar[str] = "import"

    attempt: int = 1
    token: str = ""
    prefix: str = ""
    table: str = ""
    """TableCreationParameters as JSON: a repeated call must be the same call."""
    intended_at: float = 0
    arn: str = ""
    done: bool = False
    table_id: str = ""
    items: int | None = None
    size_bytes: int | None = None
    started: float | None = None
    ended: float | None = None
    failure: str = ""
    failed_generation: int = 0
    failed_arns: tuple[str, ...] = ()
    refused: int = 0
    """Items that the import is short of its export, and that the operator accepted to be missing.
    """


@dataclass(frozen=True)
class Configured:
    """Floor stored, target protected and set up as the plan said."""

    key: ClassVar[str] = "configured"

    floor: int
    """Microseconds. The one that stands in the ledger, which may be lower than this snapshot's."""
    ttl: str = "at-switch"
    """`orders.TtlPolicy`."""


@dataclass(frozen=True)
class Enabled:
    """The consumer was switched on."""

    key: ClassVar[str] = "enabled"

    at: float
    by_us: bool = True
    """False: it was found switched on."""


@dataclass(frozen=True)
class Paused:
    """The operator switched the consumer off on purpose."""

    key: ClassVar[str] = "paused"

    at: float
    resumed_at: float = 0
    """0: it is to stay off. The note goes once the ledger's entries may expire again."""

    @property
    def resumed(self) -> bool:
        return self.resumed_at > 0


@dataclass(frozen=True)
class Abandoning:
    """The operator gave the run up: what is to go beside consumer and snapshot."""

    key: ClassVar[str] = "abandoning"

    at: float
    drop_target: bool = False
    disable_source_pitr: bool = False
    target_table_id: str = ""
    """Of the table that this run imported; empty while it is not known to have made one."""


@dataclass(frozen=True)
class Earlier:
    """A run of this table was abandoned. The note outlives it, until the next one has caught up.

    The ledger's entries stay and stay true: each says which change of a key was applied last, and
    a later snapshot holds that change, or a newer one. They may expire again only then.
    """

    key: ClassVar[str] = "earlier"

    at: float
    target_table_id: str = ""
    """Of the table that the run had imported."""


@dataclass(frozen=True)
class Probing:
    """A round of probes that is about to be put."""

    key: ClassVar[str] = "probing"

    probe: str
    probes: int
    put_at: float
    moment: float = 0
    """What the round proves once it is through: all that was written before this is applied."""
    complete: bool = False
    """Whether every probe of it is in the stream."""


@dataclass(frozen=True)
class CaughtUp:
    """Everything written to the source before `moment` has been applied."""

    key: ClassVar[str] = "caught-up"

    moment: float
    probe: str
    probes: int
    round_trip: float
    """Seconds from the put of the probes until the last was seen through: the lag is below."""
    retention_hours: int = 0
    """The stream's then."""


@dataclass(frozen=True)
class Interrupted:
    """The stream's destination was seen off after the export had begun: what was changed meanwhile
    is in neither. The note outlasts the end: it does not come back by itself.
    """

    key: ClassVar[str] = "interrupted"

    begin: float
    """Everything made before had been put into the stream, or is in the snapshot."""
    end: float = 0
    """When it was first seen on again; 0: it has not been."""


@dataclass(frozen=True)
class Overran:
    """The consumer was off for longer than the stream keeps changes."""

    key: ClassVar[str] = "overran"

    begin: float
    """Everything made before had been applied, or is in the snapshot."""
    end: float
    """What was made later was still in the stream when the consumer had caught up."""


@dataclass(frozen=True)
class Skipped:
    """DynamoDB gave up on change records: they are not in the stream, and do not come again."""

    key: ClassVar[str] = "skipped"

    count: int
    begin: float
    end: float
    """They were counted from `begin` to `end`."""
