"""Records that the steps of a run keep in the journal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class Buffered:
    """The stream's destination was observed ACTIVE. The export time rests on it."""

    key: ClassVar[str] = "buffered"

    active_at: float
    """By AWS's clock."""
    stream_arn: str
    table_id: str
    """The source table's. Another id later means that the table was re-created."""
    retention_hours: int = 0
    """The stream's. A later increase does not restore records that have expired."""


@dataclass(frozen=True)
class Wanted:
    """Settings of the target that its import does not make, by the plan."""

    key: ClassVar[str] = "wanted"

    table_class: str = "STANDARD"
    tags: str = "{}"
    """JSON object: the tags of the target, the source's and the stack's."""
    ttl_attribute: str = ""
    """The source's time-to-live attribute; empty while it has none."""
    warm_writes: int = 0
    """Units a second for target and ledger; 0: a new table's are enough."""
    warm_indexes: str = "{}"
    """JSON object: units a second by index of the target, where a new index has too few."""
    load: str = "import"
    """The settings of the load for which the plan was made (`LoadSettings.text`)."""


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
    """The lease under which the failure was reported; a later run makes another attempt."""

    @property
    def begun(self) -> bool:
        """True if the call may have been made."""
        return bool(self.token)

    @property
    def data_prefix(self) -> str:
        """The prefix of the data files. The folder above holds manifests, which fail an import."""
        return f"{self.prefix}/AWSDynamoDB/{self.arn.rsplit('/', 1)[-1]}/data/"


@dataclass(frozen=True)
class Imported:
    """The import: intended (`token`), begun (`arn`), complete (`done`)."""

    key: ClassVar[str] = "import"

    attempt: int = 1
    token: str = ""
    prefix: str = ""
    table: str = ""
    """TableCreationParameters as JSON: a repeated call must be identical."""
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
    """Items of the export that the import refused and the operator accepted as missing."""
    no_table: str = ""
    """The reason why there is no table of it: the request was refused, or the import failed. Empty:
    there may be one. As long as it stands, the export may be loaded another way."""

    @property
    def may_have_table(self) -> bool:
        return self.done or bool(self.token and not self.no_table)


@dataclass(frozen=True)
class Configured:
    """Floor stored; target protected and configured by the plan."""

    key: ClassVar[str] = "configured"

    floor: int
    """Microseconds. The ledger's, which may be lower than this snapshot's."""
    ttl: str = "at-switch"
    """A `TtlPolicy`."""


@dataclass(frozen=True)
class Enabled:
    """The consumer was switched on."""

    key: ClassVar[str] = "enabled"

    at: float
    by_us: bool = True
    """False: it was on already."""


@dataclass(frozen=True)
class Paused:
    """The operator switched the consumer off on purpose."""

    key: ClassVar[str] = "paused"

    at: float
    resumed_at: float = 0
    """0: it stays off. The record is removed once ledger entries may expire again."""
    off_at: float = 0
    """The first observation of the mapping being Disabled; 0: none."""
    quiet_from: int = 0
    """Whole epoch seconds: from here on the consumer writes nothing; 0: not known. The target's
    write metrics from here on are those of other writers."""
    waiting_since: float = 0
    """Of a table's own stream: before this, everything had ended when the pause began; 0: that is
    not known."""

    @property
    def first(self) -> float:
        """Since when changes may wait, as far as that is known."""
        return min(self.at, self.waiting_since or self.at)

    @property
    def resumed(self) -> bool:
        return self.resumed_at > 0


@dataclass(frozen=True)
class Abandoning:
    """The operator abandoned the run: deletions beside consumer and snapshot."""

    key: ClassVar[str] = "abandoning"

    at: float
    drop_target: bool = False
    disable_source_pitr: bool = False
    target_table_id: str = ""
    """The id of the table that this run imported; empty if it is not known to have made one."""


@dataclass(frozen=True)
class Earlier:
    """A run of this table was abandoned. The record remains until the next run has caught up.

    The ledger's entries remain valid: each names the change of a key that was applied last, and a
    later snapshot holds that change or a newer one. Until then they may not expire.
    """

    key: ClassVar[str] = "earlier"

    at: float
    target_table_id: str = ""
    """The id of the table that the run had imported."""


@dataclass(frozen=True)
class Adopting:
    """The source table was made again under its name, and its changes enter the stream.

    The record remains until the table is adopted.
    """

    key: ClassVar[str] = "adopting"

    table_id: str
    """The new table's."""
    active_at: float
    """Every change of it that was made later is in the stream."""


@dataclass(frozen=True)
class Probing:
    """A round of probes, recorded before its put."""

    key: ClassVar[str] = "probing"

    probe: str
    probes: int
    put_at: float
    moment: float = 0
    """Once the round is through, every change made before this has been applied."""
    complete: bool = False
    """True once every probe of it is in the stream."""


@dataclass(frozen=True)
class CaughtUp:
    """Every change made in the source before `moment` has been applied."""

    key: ClassVar[str] = "caught-up"

    moment: float
    probe: str
    probes: int
    round_trip: float
    """Seconds from the put of the probes until the last was through: the lag is smaller."""
    retention_hours: int = 0
    """The stream's at that time."""


@dataclass(frozen=True)
class Interrupted:
    """The stream's destination was off after the export had begun: changes made meanwhile are in
    neither. The record remains after the end, since those changes stay missing.
    """

    key: ClassVar[str] = "interrupted"

    begin: float
    """Every change made before is in the stream or in the snapshot."""
    end: float = 0
    """The first observation of it being on again; 0: none."""


@dataclass(frozen=True)
class Overran:
    """The consumer was off for longer than the stream's retention."""

    key: ClassVar[str] = "overran"

    begin: float
    """Every change made before has been applied or is in the snapshot."""
    end: float
    """Changes made later were still in the stream when the consumer caught up."""


@dataclass(frozen=True)
class ExpiryMismatch:
    """The target expired items by another attribute than the source, which keeps them. The record
    remains after the end, since what the target deleted stays missing.
    """

    key: ClassVar[str] = "expired-otherwise"

    end: float = 0
    """From here on the target deletes nothing that the source keeps; 0: it still may."""


@dataclass(frozen=True)
class Skipped:
    """Change records that DynamoDB dropped: they never enter the stream."""

    key: ClassVar[str] = "skipped"

    count: int
    begin: float
    end: float
    """The count covers `begin` to `end`."""
