"""One entry of `tables` in the stack file: a replicated table and its settings."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field, replace

from infra.config_validation import ConfigReader
from infra.load_config import LoadConfig, read_load
from replicator.buffers import BUFFERS, KINESIS, STREAMS

ORDERINGS = ("ledger",)
STREAM_MODES = ("ON_DEMAND", "PROVISIONED")

TABLE_NAME = r"[A-Za-z0-9_.-]{3,255}"
TRIM_HORIZON = "TRIM_HORIZON"
START = rf"{TRIM_HORIZON}|20[0-9]{{2}}-[0-9]{{2}}-[0-9]{{2}}T[0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}Z"
STREAM_ARN = r"arn:aws[a-z-]*:kinesis:[a-z0-9-]+:[0-9]{12}:stream/[A-Za-z0-9_.-]{1,128}"
KEY_ARN = r"arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]{1,64}"
NOT_BUILT = (
    "nothing: replication back to the source is not built",
    "remove it; after a switch, a new stack with the sides swapped replicates the other way",
)
"""What is allowed for `reverse`, of the stack or of a table, and the fix. The key is kept free."""

PREFIX = "replicate"
"""The first word in the names of everything that belongs to a table."""


@dataclass(frozen=True)
class TableConfig:
    """One replicated table and its settings."""

    source: str
    """Name of the existing table in the source account. It is never scanned and never written."""
    target: str
    """Name of the table that the load fills in the target account. It must not exist before, unless
    `adopt` says that it is yours."""
    buffer: str = KINESIS
    """Where changes wait. `kinesis`: a Kinesis data stream, for up to 365 days. `streams`: the
    table's own stream (DynamoDB Streams), which costs nothing and keeps a change for 24 hours: for
    a table whose export and load take less than 20. The operator's tool switches that stream on.
    """
    ordering: str = "ledger"
    """How the newer of two changes is found. `ledger`: target items equal the source's."""
    stream_mode: str = "ON_DEMAND"
    """ON_DEMAND follows the load; PROVISIONED is cheaper under a steady one, and needs `shards`.
    Like `shards`, applied when it changes here; a mode that was changed by hand stays otherwise."""
    shards: int | None = None
    """Shards of a PROVISIONED stream; `plan` says how many the table needs. None for ON_DEMAND.
    Applied by `pulumi up --refresh` when the number here changes, at most doubled at a time. Shards
    that were split by hand stay until then: write their number here too."""
    parallelization_factor: int = 1
    """Invocations per shard at a time. 1: more costs more probes; only growing lag needs it. Always
    1 for `buffer: streams`: what proves that a shard is through rests on the order within it."""
    batch_size: int = 500
    """Most records per invocation. 500: enough to fold changes of a hot key into one write. With
    `buffer: streams` a change of this and of `batchWindow` reaches the mapping at the next `run` or
    `resume`."""
    batch_window: int = 0
    """Seconds to wait for a fuller batch. 0: a short lag matters more than the price. One page of
    AWS demands 1 for a batch size over 10, also for streams, while Lambda's defaults for Kinesis
    are 100 records and 0 seconds. If AWS refuses the mapping, set 1."""
    memory: int = 1769
    """MiB of the function. 1769: what AWS documents as one full vCPU, which decoding needs."""
    reserved_concurrency: int | None = None
    """Concurrent invocations reserved for this table, and its limit. None: the account's pool."""
    ledger_retention_days: int = 30
    """Days an entry outlives its change. Never under 8: DynamoDB retries a delivery for 168 h."""
    quarantine_burst: int = 10
    """Records of an invocation, or of ten minutes, that may always go to quarantine. When more than
    these, and more than a tenth, would go there, the fault is systematic: the consumer quarantines
    nothing and retries. 10: single bad records are few."""
    start_at: str = TRIM_HORIZON
    """Where a new mapping begins to read: the oldest record, or the records that arrived since a
    moment (UTC, 2026-11-23T10:00:00Z). A change replaces the mapping: follow a runbook.
    Of an adopted stream with a long history, set a moment before the first `up`.
    """
    deny_other_writers: bool = False
    """Whether writes to the target table are denied to everyone but this stack. The operator's tool
    puts the Deny into the table's resource policy once the load is done. With the stack's
    `switch` it is so for every table.
    """
    protect: bool = True
    """Whether Pulumi and AWS refuse to delete what holds this table's data. False only to take the
    table out of the stack: follow the runbook. The stack's `protect` counts as well.
    """
    source_key: str | None = None
    """ARN of the customer-managed key of the source table, with which the exporter decrypts. None:
    the table has a key of AWS's. The target never needs it.
    """
    target_key: str | None = None
    """ARN of the customer-managed key that encrypts the target table. None: the stack's
    `keys.target`; without one a key of AWS's, of the same kind as the source's. The load makes the
    table with it. With `adopt`: the key that the table has; none of the stack's.
    """
    earlier_target_keys: tuple[str, ...] = ()
    """Not of the stack file: the other keys that the target has had by the outputs of the stack.
    A table that exists keeps its key until its owner changes it, and is used with it.
    """
    stream_key: str | None = None
    """ARN of the customer-managed key that encrypts the stream, of the source account and Region.
    None: the stack's `keys.source`, or one that the stack makes. Once a stream has a given key, it
    keeps it: the records in it are read with that key. That of an adopted stream follows its
    owner's.
    """

    stream: str | None = None
    """ARN of a Kinesis data stream of the source account and Region that others own and this table
    is replicated through: an adopted stream. With `streamKeyArn`. The stack changes nothing of it,
    and other tables' records may flow through it. None: the stack makes a stream.
    """
    makes_destination: bool = False
    """Whether the stack switches the table's streaming to the adopted stream on, and off again.
    False: the table streams there already, and continues whatever becomes of the stack.
    """
    load: LoadConfig = field(default_factory=LoadConfig)
    """How the snapshot gets into the target."""

    def with_default_keys(self, of_stream: str | None, of_target: str | None) -> TableConfig:
        """Return the table with these keys where it has none of its own.

        An adopted stream has its owner's key, and so has an adopted target, whatever the stack's.
        A table's own stream has the table's.
        """
        others = self.stream is not None or self.reads_table_stream
        return replace(
            self,
            stream_key=self.stream_key or (None if others else of_stream),
            target_key=self.target_key or (None if self.load.adopt else of_target),
        )

    @property
    def reads_table_stream(self) -> bool:
        """True if the table's own stream buffers its changes."""
        return self.buffer == STREAMS

    @property
    def owns_destination(self) -> bool:
        """True if the table's streaming destination is the stack's."""
        return self.stream is None or self.makes_destination

    @property
    def slug(self) -> str:
        """A name for this table's resources that every service accepts (S3 is the strictest)."""
        plain = re.sub(r"[^a-z0-9]+", "-", self.source.lower()).strip("-")[:24].strip("-")
        if plain == self.source:
            return plain
        # Two names may shorten to the same: a digest of the whole one keeps them apart.
        return f"{plain or 'table'}-{hashlib.sha256(self.source.encode()).hexdigest()[:6]}"

    @property
    def prefix(self) -> str:
        """The beginning of the names of this table's resources."""
        return f"{PREFIX}-{self.slug}"


def read_tables(top: ConfigReader) -> tuple[TableConfig, ...]:
    """Read the list of tables."""
    fix = "list each table as: - {source: orders, target: orders}"
    return tuple(
        _table(top.as_section(f"tables[{n}]", value, fix))
        for n, value in enumerate(top.sequence("tables", fix, required=True))
    )


def _table(section: ConfigReader) -> TableConfig:
    names = "3 to 255 letters, digits, underscores, hyphens and dots"
    default = TableConfig
    source = section.text(
        "source", TABLE_NAME, names, "name the existing table (the name, not the ARN)"
    )
    table = TableConfig(
        source=source,
        target=section.text(
            "target",
            TABLE_NAME,
            names,
            "name the table that the load fills (the name, not the ARN)",
            default=source,
        ),
        buffer=section.choice("buffer", BUFFERS, default=default.buffer),
        ordering=section.choice("ordering", ORDERINGS, default=default.ordering),
        stream_mode=section.choice("streamMode", STREAM_MODES, default=default.stream_mode),
        shards=section.optional_number("shards", 1, 10_000, "shards"),
        parallelization_factor=section.whole_number(
            "parallelizationFactor", 1, 10, "invocations", default=default.parallelization_factor
        ),
        batch_size=section.whole_number(
            "batchSize", 1, 10_000, "records", default=default.batch_size
        ),
        batch_window=section.whole_number(
            "batchWindow", 0, 300, "seconds", default=default.batch_window
        ),
        memory=section.whole_number("memory", 128, 10_240, "MiB", default=default.memory),
        reserved_concurrency=section.optional_number(
            "reservedConcurrency", 1, 10_000, "invocations"
        ),
        ledger_retention_days=section.whole_number(
            "ledgerRetentionDays", 8, 3650, "days", default=default.ledger_retention_days
        ),
        quarantine_burst=section.whole_number(
            "quarantineBurst", 1, 10_000, "records", default=default.quarantine_burst
        ),
        start_at=section.text(
            "startAt",
            START,
            "TRIM_HORIZON, or a moment in UTC such as 2026-11-23T10:00:00Z",
            "leave it out, unless `plan` or a runbook says otherwise",
            default=default.start_at,
        ),
        deny_other_writers=section.flag("denyOtherWriters", default=default.deny_other_writers),
        protect=section.flag("protect", default=default.protect),
        source_key=_key(section, "sourceKeyArn"),
        target_key=_key(section, "targetKeyArn"),
        stream_key=_key(section, "streamKeyArn"),
        stream=section.optional_text(
            "streamArn",
            STREAM_ARN,
            "the ARN of a Kinesis data stream",
            "use arn:aws:kinesis:REGION:ACCOUNT:stream/NAME, or leave it out",
        ),
        makes_destination=section.flag("makeDestination", default=default.makes_destination),
        load=read_load(section),
    )
    if table.reads_table_stream:
        _refuse_settings_of_kinesis(section, table)
    else:
        _refuse_shards_of_another_mode(section, table)
        _refuse_half_an_adoption(section, table)
    section.refuse_key("reverse", *NOT_BUILT)
    section.refuse_unknown_keys()
    return table


OF_KINESIS = {
    "streamMode": "DynamoDB sizes a table's own stream",
    "shards": "DynamoDB sizes a table's own stream",
    "streamKeyArn": "the table's key encrypts its stream (sourceKeyArn)",
    "streamArn": "the operator's tool switches the table's own stream on",
    "makeDestination": "a table's own stream needs no streaming destination",
    "startAt": "Lambda begins to read a table's own stream at the oldest record or the newest "
    "alone, and only the oldest loses nothing",
}
"""Keys that a table's own stream has no use for, with the reason."""


def _refuse_settings_of_kinesis(section: ConfigReader, table: TableConfig) -> None:
    for name, why in OF_KINESIS.items():
        section.refuse_key(
            name,
            f"nothing, for buffer: {STREAMS}: {why}",
            f"remove {name}, or set buffer to {KINESIS}",
        )
    if table.parallelization_factor != 1:
        section.mistakes.add(
            section.key("parallelizationFactor"),
            table.parallelization_factor,
            f"1, for buffer: {STREAMS}: what proves that a shard is through rests on the order "
            "within it",
            f"remove parallelizationFactor, or set buffer to {KINESIS}",
        )


def _refuse_shards_of_another_mode(section: ConfigReader, table: TableConfig) -> None:
    if table.stream_mode == "PROVISIONED" and table.shards is None:
        section.mistakes.add(
            section.key("shards"),
            None,
            "a whole number of shards, for a PROVISIONED stream",
            "set shards, or leave streamMode out",
        )
    if table.stream_mode == "ON_DEMAND" and table.shards is not None:
        section.mistakes.add(
            section.key("shards"),
            table.shards,
            "nothing, for an ON_DEMAND stream",
            "remove shards, or set streamMode to PROVISIONED",
        )


def _refuse_half_an_adoption(section: ConfigReader, table: TableConfig) -> None:
    """Refuse settings that an adopted stream needs, without it, and it without them."""
    if table.stream is None:
        if table.makes_destination:
            section.mistakes.add(
                section.key("makeDestination"),
                True,
                "nothing, for a stream that the stack makes: its destination is made with it",
                "remove makeDestination, or set streamArn",
            )
        return
    if table.stream_key is None:
        section.mistakes.add(
            section.key("streamKeyArn"),
            None,
            "the key of the stream in streamArn: no other account reads one under AWS's own key",
            "set streamKeyArn to the customer-managed key that encrypts the stream",
        )
    if table.stream_mode != TableConfig.stream_mode or table.shards is not None:
        section.mistakes.add(
            section.key("shards" if table.shards is not None else "streamMode"),
            table.shards if table.shards is not None else table.stream_mode,
            "nothing, with streamArn: the stream's size is its owner's",
            "remove streamMode and shards",
        )


def _key(section: ConfigReader, name: str) -> str | None:
    return section.optional_text(
        name,
        KEY_ARN,
        "the ARN of a KMS key",
        "use arn:aws:kms:REGION:ACCOUNT:key/ID (the key's, not an alias's), or leave it out",
    )
