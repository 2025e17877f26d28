"""Outputs of the Pulumi stack, from a file or the Pulumi CLI, validated as a whole."""

from __future__ import annotations

import codecs
import json
import shlex
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from bootstrap.core.errors import UsageError
from bootstrap.core.output_members import OutputMembers
from bootstrap.core.verification_outputs import VerificationOutputs, read_verification
from infra.load_names import BULK, IMPORT, STANDARD, TIERS
from replicator import names
from replicator.buffers import BUFFERS, KINESIS, STREAMS

SHOWN = "pulumi stack output --json --show-secrets > FILE"
STALE = "pulumi up --refresh, then write the file again: pulumi stack output --json > FILE"
SHOWN_MISTAKES = 10


@dataclass(frozen=True)
class AccountOutputs:
    """One side of the pair and the role that the bootstrap assumes there."""

    account_id: str
    region: str
    role_arn: str
    operator_role_arn: str = ""
    """A role that may only read; empty in the outputs of an older program."""
    switch_role_arn: str = ""
    """The role that changes the tables' resource policies; empty where the stack has none."""
    sts_region: str = ""
    """The Region whose STS opens the roles' sessions. Empty: `region`."""
    external_id: str = field(default="", repr=False)
    """What `role_arn` demands of its caller, as a stack file says it. Outputs have none."""
    session_name: str = ""
    """The session's name, as a stack file says it. Empty: the tool's own."""


@dataclass(frozen=True)
class AlarmLimits:
    """Thresholds of the stack's alarms that `status` applies too."""

    retention_used_percent: int = 25
    probe_age_minutes: int = 30
    unreplicated_warning_hours: int = 1


@dataclass(frozen=True)
class LoadSettings:
    """The way of a table's snapshot into its target, by the stack file's keys of the same names."""

    mode: str = IMPORT
    """`import` or `bulk`."""
    adopt: bool = False
    """The target table is the user's own: it exists before the load, and is never deleted."""
    performance_tier: str = STANDARD
    """Of a bulk put: STANDARD or ACCELERATED."""
    max_write_request_units: int | None = None
    """The most write request units a second of a bulk put. None: no limit of its own."""

    @property
    def is_bulk(self) -> bool:
        return self.mode == BULK

    @property
    def text(self) -> str:
        """The settings as one text: equal for equal settings."""
        if not self.is_bulk:
            return self.mode
        limit = (
            f", {self.max_write_request_units}" if self.max_write_request_units is not None else ""
        )
        return f"{self.mode}, {'adopt, ' if self.adopt else ''}{self.performance_tier}{limit}"


@dataclass(frozen=True)
class MappingSettings:
    """Settings of the event source mapping, where the bootstrap makes it."""

    batch_size: int = 500
    """Most records of an invocation."""
    batch_window_seconds: int = 0
    """Seconds to wait for a fuller batch."""


@dataclass(frozen=True)
class TableOutputs:
    """One replicated table: its names in both accounts and the resources between them.

    Where the buffer is the table's own stream, the bootstrap makes stream and mapping:
    `stream_name`, `stream_arn` and `mapping_uuid` are empty, and the journal has what was made.
    """

    source_table: str
    source_table_arn: str
    target_table: str
    stream_name: str
    stream_arn: str
    consumer_region: str
    """The Region of function and mapping: the source's, in the target account."""
    function_name: str
    mapping_uuid: str
    parallelization_factor: int
    ledger_table: str
    ledger_retention_days: int
    """Days from the last change of a key to the expiry of its entry."""
    quarantine_bucket: str
    """Target account, target Region."""
    on_failure_bucket: str
    """Target account, the consumer's Region: whole events that Lambda could not deliver."""
    snapshot_prefix: str
    source_key_arn: str = ""
    """The customer-managed key of the source that the exporter may use; empty for none."""
    target_key_arn: str = ""
    """The customer-managed key for the target table; empty for AWS's."""
    stream_key_arn: str = ""
    """The customer-managed key that the stack file gives the stream; empty for the stack's own."""
    reserved_concurrency: int | None = None
    """The function's reserved concurrency; None: it uses the unreserved rest."""
    log_group: str = ""
    """The consumer's log, in its Region; empty if an older program named none."""
    watchdog_log_group: str = ""
    """The watchdog's log, in the same Region."""
    limits: AlarmLimits = AlarmLimits()
    """The defaults, if an older program wrote none."""
    retention_hours: int | None = None
    """The stream's retention in the stack; None: an older program wrote none."""
    record_kib: int | None = None
    """The largest record that the stack lets the stream take; None as above."""
    deny_other_writers: bool = False
    """The operator's tool keeps other writers off the target, through the target's switch role."""
    consumer_role_arn: str = ""
    """The consumer's role; empty if an older program named none."""
    watchdog_role_arn: str = ""
    """Empty likewise."""
    observer_role_arn: str = ""
    """The watchdog's role in the source account; empty likewise."""
    stack_owns_target_deny: bool = False
    """The stack's state still holds the Deny on other writers of the target, as older programs
    made it. The bootstrap owns it otherwise."""
    adopts_stream: bool = False
    """The stream is others', and carries other tables' changes, too."""
    owns_destination: bool = True
    """The table's streaming destination is the stack's."""
    dimensions: Mapping[str, str] = field(default_factory=dict)
    """Of the metrics that consumer and watchdog emit; empty if an older program named none."""
    load: LoadSettings = LoadSettings()
    """An import, if an older program named none."""
    buffer: str = KINESIS
    """`kinesis` or `streams`. An older program named none, and knew only `kinesis`."""
    function_arn: str = ""
    """The consumer's; empty if an older program named none."""
    mapping_settings: MappingSettings = MappingSettings()
    """Of a mapping that the bootstrap makes."""

    @property
    def reads_table_stream(self) -> bool:
        """True if the buffer is the table's own stream."""
        return self.buffer == STREAMS


def buffer_named(table: TableOutputs) -> str:
    """Return what a sentence calls the buffer of a table."""
    if table.reads_table_stream:
        return f"the stream of table {table.source_table}"
    return f"stream {table.stream_name}"


@dataclass(frozen=True)
class PlaceKeyOutputs:
    """The customer-managed key of each place; empty for AWS's keys."""

    source: str = ""
    """Of the alarms' topic in the source account, and of streams without one of their own."""
    consumer: str = ""
    """Of on-failure buckets, functions, their logs and the alarms' topic."""
    target: str = ""
    """Of ledgers, journal and quarantine, and of what else has no key of its own there."""


@dataclass(frozen=True)
class Outputs:
    """A whole stack."""

    project: str
    stack: str
    source: AccountOutputs
    target: AccountOutputs
    journal_table: str
    snapshot_bucket: str
    tables: tuple[TableOutputs, ...]
    snapshot_key_arn: str = ""
    """The customer-managed key of the snapshot bucket; empty for S3's own."""
    keys: PlaceKeyOutputs = PlaceKeyOutputs()
    """The customer-managed keys by place."""
    key_services: Mapping[str, Sequence[str]] = field(default_factory=dict, hash=False)
    """The services of AWS that use these keys by themselves, by place; empty if an older program
    named none."""
    made_key_count: int = 0
    """Keys that the stack makes for places and for the snapshot bucket."""
    in_vpc: bool = False
    """Both functions are in a VPC of the target account."""
    tags: Mapping[str, str] = field(default_factory=dict, hash=False)
    """The tags of the stack's resources; empty if an older program named none."""
    verification: VerificationOutputs = field(default_factory=VerificationOutputs)
    """Where `verify` compares; the default where the stack file says nothing."""

    def for_looking(self) -> Outputs:
        """Return the same stack with the roles that only read.

        Raises:
            UsageError: if the stack has none.
        """
        sides = (self.source, self.target)
        if not all(side.operator_role_arn for side in sides):
            raise UsageError(
                f"The stack {self.stack} has no operator roles.",
                fix=f"pulumi up --refresh --stack {shlex.quote(self.stack)}",
            )
        source, target = (replace(side, role_arn=side.operator_role_arn) for side in sides)
        return replace(self, source=source, target=target)

    def target_arn(self, table: TableOutputs, name: str = "") -> str:
        """Return the ARN of a table's target; `name`: of another table of that account."""
        partition, target = table.source_table_arn.split(":")[1], self.target
        name = name or table.target_table
        return f"arn:{partition}:dynamodb:{target.region}:{target.account_id}:table/{name}"

    def metric_dimensions(self, table: TableOutputs) -> Mapping[str, str]:
        """Return the dimensions of the metrics that the deployed functions emit."""
        return table.dimensions or names.older_dimensions(self.stack, table.source_table)

    def denies_other_writers(self, table: TableOutputs) -> bool:
        """Tell whether this tool may, and should, keep other writers off the table's target."""
        return bool(self.target.switch_role_arn) and table.deny_other_writers

    def table(self, name: str) -> TableOutputs:
        """Find a table by its name in the source account.

        Raises:
            UsageError: if the stack does not replicate it.
        """
        for table in self.tables:
            if table.source_table == name:
                return table
        known = ", ".join(table.source_table for table in self.tables)
        raise UsageError(
            f"The stack {self.stack} does not replicate a table {name!r}.",
            fix=f"--table with one of: {known}",
        )


HIDDEN = '"[secret]"'
"""What the Pulumi CLI prints for a value that is, or holds, a secret of the configuration."""
Runner = Callable[[Sequence[str]], subprocess.CompletedProcess[str]]


def run_pulumi(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run a command of the Pulumi CLI, and capture what it prints."""
    return subprocess.run(command, capture_output=True, text=True, check=False)


def from_stack(stack: str, run: Runner = run_pulumi) -> Outputs:
    """Read the outputs of a Pulumi stack with the Pulumi CLI.

    Raises:
        UsageError: if the CLI or the stack is missing, or for outputs of another project.
    """
    command = ["pulumi", "stack", "output", "--json", "--stack", stack]
    try:
        done = run(command)
        if done.returncode == 0 and HIDDEN in done.stdout:
            done = run([*command, "--show-secrets"])
    except FileNotFoundError:
        raise UsageError(
            f"The outputs of stack {stack} are read with the Pulumi CLI, and there is no `pulumi` "
            "on "
            "the path.",
            fix="install it (https://www.pulumi.com/docs/install), or pass --outputs FILE with "
            "what "
            f"`pulumi stack output --json --stack {stack}` prints elsewhere",
        ) from None
    if done.returncode != 0:
        said = done.stderr.strip() or f"exit status {done.returncode}"
        raise UsageError(
            f"`{' '.join(command)}` failed: {said}",
            fix="pulumi stack ls, and run the bootstrap where that shows the stack",
        )
    fix = f"pulumi up --refresh --stack {shlex.quote(stack)}"
    return parse(done.stdout, f"stack {stack}", fix)


def from_file(path: Path) -> Outputs:
    """Read the outputs in a file, as `pulumi stack output --json` prints them.

    Raises:
        UsageError: for a file that cannot be read, or that holds no outputs of this project.
    """
    try:
        text = _decoded(path.read_bytes())
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise UsageError(
            f"The outputs file {path} cannot be read: {why}.",
            fix=f"pulumi stack output --json > {shlex.quote(str(path))}",
        ) from None
    return parse(text, str(path), STALE)


def _decoded(content: bytes) -> str:
    # PowerShell's > begins a file with a byte order mark, and its older versions write UTF-16.
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16")
    return content.decode("utf-8-sig")


def parse(text: str, origin: str, fix: str = STALE) -> Outputs:
    """Parse outputs. Unknown members are ignored: a newer program may write more.

    Raises:
        UsageError: with every member that is missing or invalid.
    """
    try:
        value = json.loads(text)
    except ValueError as error:
        raise UsageError(f"{origin} is not JSON: {error}", fix=fix) from None
    if HIDDEN in text:
        raise UsageError(f"{origin} hides secret outputs.", fix=SHOWN)
    mistakes: list[str] = []
    top = OutputMembers(value, "", mistakes)
    outputs = Outputs(
        project=top.text("project"),
        stack=top.text("stack"),
        source=_account(top.inner("source"), "exporterRoleArn"),
        target=_account(top.inner("target"), "importerRoleArn"),
        journal_table=top.text("journalTable"),
        snapshot_bucket=top.text("snapshotBucket"),
        tables=tuple(_table(each) for each in top.several("tables")),
        snapshot_key_arn=top.optional("snapshotKeyArn"),
        keys=_keys(top),
        key_services=_key_services(top),
        made_key_count=top.optional_number("madeKeys") or 0,
        in_vpc=top.has("vpc"),
        tags=top.texts("tags"),
        verification=read_verification(top),
    )
    if mistakes:
        shown = mistakes[:SHOWN_MISTAKES]
        more = [f"and {len(mistakes) - len(shown)} more"] if len(mistakes) > len(shown) else []
        lines = "\n".join(f"  {mistake}" for mistake in [*shown, *more])
        raise UsageError(f"{origin} holds no outputs of this project:\n{lines}", fix=fix)
    return outputs


def _keys(top: OutputMembers) -> PlaceKeyOutputs:
    # An older program knew one place.
    older = top.optional("keptKeyArn")
    if not top.has("keys"):
        return PlaceKeyOutputs(target=older)
    keys = top.inner("keys")
    return PlaceKeyOutputs(*(keys.optional(place) for place in ("source", "consumer", "target")))


def _key_services(top: OutputMembers) -> Mapping[str, Sequence[str]]:
    found = top.texts_by_key("keyServices")
    return {place: tuple(services) for place, services in found.items()}


def _account(members: OutputMembers, role_key: str) -> AccountOutputs:
    account_id = members.text("accountId", r"[0-9]{12}", "12 digits")
    role_arn = members.text(
        role_key, r"arn:aws[a-z-]*:iam::[0-9]{12}:role/.+", "the ARN of an IAM role"
    )
    if role_arn and account_id and f"::{account_id}:" not in role_arn:
        members.wrong(role_key, f"is {role_arn}, a role of another account than {account_id}")
    return AccountOutputs(
        account_id,
        members.text("region"),
        role_arn,
        members.optional("operatorRoleArn"),
        members.optional("switchRoleArn"),
        members.optional("stsRegion"),
    )


def _table(members: OutputMembers) -> TableOutputs:
    arn = r"arn:aws[a-z-]*:{}:.+"
    # Another buffer, of a newer program, is none that this tool can run.
    buffer = members.one_of("buffer", BUFFERS)
    by_stack = buffer == KINESIS
    return TableOutputs(
        source_table=members.text("sourceTable"),
        source_table_arn=members.text(
            "sourceTableArn", arn.format("dynamodb"), "the ARN of a DynamoDB table"
        ),
        target_table=members.text("targetTable"),
        stream_name=members.text("streamName") if by_stack else "",
        stream_arn=members.text(
            "streamArn", arn.format("kinesis"), "the ARN of a Kinesis data stream"
        )
        if by_stack
        else "",
        consumer_region=members.text("consumerRegion"),
        function_name=members.text("functionName"),
        mapping_uuid=members.text("mappingUuid") if by_stack else "",
        parallelization_factor=members.number("parallelizationFactor"),
        ledger_table=members.text("ledgerTable"),
        ledger_retention_days=members.number("ledgerRetentionDays"),
        quarantine_bucket=members.text("quarantineBucket"),
        on_failure_bucket=members.text("onFailureBucket"),
        snapshot_prefix=members.text("snapshotPrefix"),
        source_key_arn=members.optional("sourceKeyArn"),
        target_key_arn=members.optional("targetKeyArn"),
        stream_key_arn=members.optional("streamKeyArn"),
        reserved_concurrency=members.optional_number("reservedConcurrency"),
        log_group=members.optional("logGroup"),
        watchdog_log_group=members.optional("watchdogLogGroup"),
        limits=_limits(members.inner("alarmLimits"))
        if members.has("alarmLimits")
        else AlarmLimits(),
        retention_hours=members.optional_number("retentionHours"),
        record_kib=members.optional_number("maxRecordKib"),
        deny_other_writers=members.flag("denyOtherWriters"),
        consumer_role_arn=members.optional("consumerRoleArn"),
        watchdog_role_arn=members.optional("watchdogRoleArn"),
        observer_role_arn=members.optional("observerRoleArn"),
        stack_owns_target_deny=members.flag("stackOwnsTargetDeny"),
        adopts_stream=members.flag("adoptsStream"),
        owns_destination=not members.has("ownsDestination") or members.flag("ownsDestination"),
        dimensions=members.texts("metricDimensions"),
        load=_load(members),
        buffer=buffer,
        # What makes a mapping needs it.
        function_arn=members.optional("functionArn") if by_stack else members.text("functionArn"),
        mapping_settings=MappingSettings()
        if by_stack
        else _mapping_settings(members.inner("mappingSettings")),
    )


def _mapping_settings(members: OutputMembers) -> MappingSettings:
    return MappingSettings(
        batch_size=members.number("batchSize"),
        batch_window_seconds=members.number("batchWindowSeconds"),
    )


def _load(members: OutputMembers) -> LoadSettings:
    return LoadSettings(
        # Another mode, of a newer program, is none that this tool can run.
        mode=members.one_of("load", (IMPORT, BULK)),
        adopt=members.flag("adopt"),
        performance_tier=members.one_of("performanceTier", TIERS),
        max_write_request_units=members.optional_number("maxWriteRequestUnits"),
    )


def _limits(members: OutputMembers) -> AlarmLimits:
    return AlarmLimits(
        retention_used_percent=members.number("retentionUsedPercent"),
        probe_age_minutes=members.number("probeAgeMinutes"),
        unreplicated_warning_hours=members.number("unreplicatedWarningHours"),
    )
