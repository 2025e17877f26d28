"""The ARNs of a stack's parts, which the grants of the operators' roles name."""

from __future__ import annotations

from dataclasses import dataclass, field

from infra.account_config import AccountConfig
from infra.autonaming import BUCKET_TYPE, FUNCTION_TYPE, STREAM_TYPE, TABLE_TYPE, Autonaming
from infra.key_config import KeyConfig
from infra.table_config import TableConfig

SNAPSHOTS, JOURNAL = "replication-snapshot", "replication-journal"

UUID = 36 * "#"
"""As long as an id that AWS makes up, and equal to none that a configuration names."""


@dataclass(frozen=True)
class PlaceArns:
    """The key of each place, if it has one."""

    source: tuple[str, ...] = ()
    consumer: tuple[str, ...] = ()
    target: tuple[str, ...] = ()


@dataclass(frozen=True)
class SharedArns:
    """The parts that a stack has once."""

    snapshots: str
    """The snapshot bucket."""
    keys: tuple[str, ...]
    """The key that the stack makes for that bucket alone."""
    journal: str
    places: PlaceArns


@dataclass(frozen=True)
class TableArns:
    """One table, and the parts of the stack that replicate it."""

    table: TableConfig
    stream: str
    """The Kinesis stream. Empty, as are its key and the mapping, where the table's own stream is
    the buffer: the operator's tool makes both."""
    stream_key: str
    ledger: str
    mapping: str
    function: str
    """The consumer."""
    quarantine: str
    failures: str
    target_key: str | None = None
    """The customer-managed key of the target table."""


@dataclass(frozen=True)
class OperatorScope:
    """The settings that decide what the operators' roles may do."""

    source: AccountConfig
    target: AccountConfig
    read_items: bool
    snapshot_key: bool
    """The stack makes a key for the snapshot bucket alone."""
    keys: KeyConfig = field(default_factory=KeyConfig)
    snapshots_under_place_key: bool = False
    managed_policies: bool = False
    """Whether the roles have no inline policy."""
    imports: bool = True
    """Whether a table of the stack is imported."""
    bulk_puts: bool = False
    """Whether a table of the stack is loaded by bulk puts."""
    table_streams: bool = False
    """Whether a table of the stack has its own stream for a buffer."""
    verification_job: bool = False
    """Whether the stack has a job for verifications, which the importer may run."""
    naming: Autonaming = field(default_factory=Autonaming)

    def target_under_place_key(self, table: TableConfig) -> bool:
        """Tell whether a table's target has the key of its place."""
        known = {self.keys.given("target"), *(() if table.load.adopt else (None,))}
        return self.keys.has("target") and table.target_key in known

    def expected_places(self) -> PlaceArns:
        """Return ARNs as long as those of the places' keys."""
        owners = {
            "source": (self.source, self.source),
            "consumer": (self.target, self.source),
            "target": (self.target, self.target),
        }
        found = {}
        for place, (owner, where) in owners.items():
            made = owner.arn("kms", f"key/{UUID}", region=where.region)
            key = self.keys.given(place) or (made if self.keys.makes(place) else None)
            found[place] = (key,) if key else ()
        return PlaceArns(**found)

    def expected(self, table: TableConfig) -> TableArns:
        """Return ARNs as long as those that the table's parts will have.

        Pulumi and AWS make up the ends of names and ids, in a fixed number of characters.
        """
        mapping = self.target.arn(
            "lambda", f"event-source-mapping:{UUID}", region=self.source.region
        )
        stream = self.naming.name(STREAM_TYPE, f"{table.prefix}-buffer-stream")
        made = table.stream or self.source.arn("kinesis", f"stream/{stream}")
        function = self.naming.name(FUNCTION_TYPE, f"{table.prefix}-consumer")
        by_stack = not table.reads_table_stream
        return TableArns(
            table,
            stream=made if by_stack else "",
            stream_key=self.source.arn("kms", f"key/{UUID}") if by_stack else "",
            ledger=self.target.table_arn(self.naming.name(TABLE_TYPE, f"{table.prefix}-ledger")),
            mapping=mapping if by_stack else "",
            function=self.target.arn("lambda", f"function:{function}", region=self.source.region),
            quarantine=self._bucket(f"{table.prefix}-quarantine"),
            failures=self._bucket(f"{table.prefix}-on-failure"),
            target_key=next(
                iter(self.expected_places().target)
                if self.target_under_place_key(table)
                else iter([table.target_key])
            ),
        )

    def expected_shared(self) -> SharedArns:
        """Return ARNs as long as those that the shared parts will have."""
        return SharedArns(
            snapshots=self._bucket(SNAPSHOTS),
            keys=(self.target.arn("kms", f"key/{UUID}"),) if self.snapshot_key else (),
            journal=self.target.table_arn(self.naming.name(TABLE_TYPE, JOURNAL)),
            places=self.expected_places(),
        )

    def _bucket(self, name: str) -> str:
        return f"arn:{self.target.partition}:s3:::{self.naming.name(BUCKET_TYPE, name)}"
