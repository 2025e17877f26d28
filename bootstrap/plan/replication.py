"""One table's replication as a plan sees it: its configuration, and its resources once deployed."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bootstrap.core import pulumi_commands
from bootstrap.core.errors import UsageError
from bootstrap.core.stack_outputs import (
    AccountOutputs,
    LoadSettings,
    Outputs,
    PlaceKeyOutputs,
    TableOutputs,
)
from infra.key_config import PLACES
from infra.key_services import key_services, places_with_made_keys
from infra.stack_config import PROJECT, ConfigError, StackConfig, TableConfig
from infra.verification_names import DPUS, USUAL_WORKERS
from replicator.buffers import KINESIS, STREAMS

INNER = {"source": "source.accountId", "target": "target.accountId", "tables": "tables[0].source"}
"""A first member of each section, for a section that is a secret as a whole."""
FIX = "compare it with infra/Pulumi.example.yaml"


@dataclass(frozen=True)
class Deployment:
    """The resources that the stack made for one table."""

    stream_name: str
    stream_arn: str
    function_name: str
    mapping_uuid: str
    mapping_replacement: str
    """Commands that replace the mapping, which the stack protects."""
    exporter_arn: str
    importer_arn: str
    snapshot_prefix: str
    """The table's part of the snapshot bucket."""
    consumer_arn: str | None
    """None: an older program named none."""
    watchdog_arn: str | None = None
    """None: an older program named none; also the next two."""
    observer_arn: str | None = None
    """Of the watchdog, in the source account."""
    reader_arn: str | None = None
    """Of `status --operator`, in the target account."""


@dataclass(frozen=True)
class AdoptedStream:
    """The adopted stream of a table, and what the stack expects of it."""

    arn: str
    key_arn: str
    retention_hours: int
    owns_destination: bool
    """The table's streaming destination is the stack's."""
    readers: str
    """ARNs that the consumer's role may have: the end of its name is Pulumi's."""
    start_at: str = ""
    """Where the stack file lets the mapping begin; empty once the mapping is there."""

    @property
    def name(self) -> str:
        return self.arn.rpartition("/")[2]


@dataclass(frozen=True)
class Replication:
    """One table's replication."""

    source_table: str
    source_table_arn: str
    target_table: str
    source_account: str
    target_account: str
    target_region: str
    consumer_region: str
    """Function and mapping run in the source's Region, in the target account."""
    parallelization_factor: int
    reserved_concurrency: int | None
    """Invocations reserved for the function. None: it shares the account's pool."""
    source_key_arn: str | None
    """The customer-managed key of the source that the exporter may use. None: no such key."""
    target_key_arn: str | None
    """The customer-managed key for the target table. None: a key of AWS's."""
    deployment: Deployment | None
    """None before the stack is deployed."""
    stream_key_arn: str | None = None
    """The customer-managed key that the stack file gives the stream. None: the stack makes one."""
    place_keys: PlaceKeyOutputs = field(default_factory=PlaceKeyOutputs)
    """The customer-managed keys by place. Empty: AWS's keys, or one that the stack will make."""
    key_services: Mapping[str, Sequence[str]] = field(default_factory=dict, hash=False)
    """The services of AWS that use these keys by themselves, by place."""
    snapshot_key_arn: str | None = None
    """The customer-managed key of the snapshot bucket. None: S3's own, or not made yet."""
    makes_target_key: bool = False
    """The stack will make the key of the target table."""
    load: LoadSettings = field(default_factory=LoadSettings)
    """How the snapshot gets into the target."""
    config_key: str = "tables[0]"
    """The table's entry in the stack file, as `pulumi config set --path` names it. The file of a
    deployed stack may have been edited since, which no one sees here."""
    made_key_count: int = 0
    """Keys that the stack makes for places and for the snapshot bucket."""
    glue_workers: int = USUAL_WORKERS
    glue_dpus: int = USUAL_WORKERS
    """Workers of a verification's job on Glue, and their data processing units; the defaults of a
    stack file where the stack has no job."""
    adopted: AdoptedStream | None = None
    """None: the stream is the stack's."""
    buffer: str = KINESIS
    """`kinesis`, or `streams` for the table's own stream."""
    stream_mode: str = ""
    """As configured: ON_DEMAND or PROVISIONED; empty once the stack is deployed, when AWS says."""
    configured_shards: int | None = None
    """Shards of a PROVISIONED stream, as configured. None once the stack is deployed."""
    stack: str = ""
    """The stack's name; empty if a stack file's name does not say it."""
    denies_other_writers: bool = False
    """The run keeps other writers off the target, with a role that the stack has for it."""
    stack_owns_deny: bool = False
    """The stack's state still holds the Deny that older programs made: the run leaves it alone."""
    in_vpc: bool = False
    """Both functions are in a VPC of the target account, in the source's Region."""
    stack_tags: Mapping[str, str] = field(default_factory=dict, hash=False)
    """The tags of the stack's resources, which the target gets beside the source's."""
    unknown_settings: tuple[str, ...] = ()
    """Keys of the stack file that are secrets. Their defaults are assumed."""

    @property
    def reads_table_stream(self) -> bool:
        """True if the buffer is the table's own stream."""
        return self.buffer == STREAMS

    @property
    def partition(self) -> str:
        """The AWS partition of the source, as an ARN names it."""
        return self.source_table_arn.split(":")[1]

    @property
    def up(self) -> str:
        """The command that applies a change of the stack file."""
        return pulumi_commands.up(self.stack)

    def configure(self, key: str, value: str) -> str:
        """Return the command that sets one of the table's keys in the stack file."""
        return pulumi_commands.set_value(self.stack, f"{self.config_key}.{key}", value)

    def unconfigure(self, key: str) -> str:
        """Return the command that removes one of the table's keys from the stack file."""
        return pulumi_commands.remove_value(self.stack, f"{self.config_key}.{key}")

    @property
    def stream_name(self) -> str:
        """The stream, as a sentence names it."""
        if self.reads_table_stream:
            return f"the stream of table {self.source_table}"
        if self.adopted:
            return f"stream {self.adopted.name}"
        return f"stream {self.deployment.stream_name}" if self.deployment else "the stack's stream"

    @property
    def stream_arn(self) -> str | None:
        if self.reads_table_stream:
            return None
        if self.adopted:
            return self.adopted.arn
        return self.deployment.stream_arn if self.deployment else None


@dataclass(frozen=True)
class UndeployedStack:
    """A stack file before the first deployment: accounts, credentials and tables."""

    source: AccountOutputs
    target: AccountOutputs
    source_profile: str | None
    target_profile: str | None
    tables: tuple[Replication, ...]

    def chosen(self, name: str | None) -> Sequence[Replication]:
        """Return one table by its name in the source account, or all without a name.

        Raises:
            UsageError: the file has no such table.
        """
        found = [table for table in self.tables if name in (None, table.source_table)]
        if not found:
            known = ", ".join(table.source_table for table in self.tables)
            raise UsageError(
                f"The stack file does not replicate a table {name!r}.",
                fix=f"--table with one of: {known}",
            )
        return found


def of_outputs(outputs: Outputs, table: TableOutputs) -> Replication:
    """Return the replication of a table of a deployed stack."""
    job = outputs.verification.job
    return Replication(
        source_table=table.source_table,
        source_table_arn=table.source_table_arn,
        target_table=table.target_table,
        source_account=outputs.source.account_id,
        target_account=outputs.target.account_id,
        target_region=outputs.target.region,
        consumer_region=table.consumer_region,
        parallelization_factor=table.parallelization_factor,
        reserved_concurrency=table.reserved_concurrency,
        source_key_arn=table.source_key_arn or None,
        target_key_arn=table.target_key_arn or None,
        stream_key_arn=table.stream_key_arn or None,
        place_keys=outputs.keys,
        key_services=outputs.key_services,
        snapshot_key_arn=outputs.snapshot_key_arn or None,
        made_key_count=outputs.made_key_count,
        glue_workers=job.workers if job else USUAL_WORKERS,
        glue_dpus=job.dpus if job else USUAL_WORKERS,
        load=table.load,
        config_key=f"tables[{_position(outputs, table)}]",
        adopted=_adopted(table) if table.adopts_stream else None,
        buffer=table.buffer,
        stack=outputs.stack,
        stack_tags=outputs.tags,
        in_vpc=outputs.in_vpc,
        denies_other_writers=outputs.denies_other_writers(table),
        stack_owns_deny=table.stack_owns_target_deny,
        deployment=Deployment(
            stream_name=table.stream_name,
            stream_arn=table.stream_arn,
            function_name=table.function_name,
            mapping_uuid=table.mapping_uuid,
            mapping_replacement=pulumi_commands.replace_mapping(outputs, table),
            exporter_arn=outputs.source.role_arn,
            importer_arn=outputs.target.role_arn,
            snapshot_prefix=table.snapshot_prefix,
            consumer_arn=table.consumer_role_arn or None,
            watchdog_arn=table.watchdog_role_arn or None,
            observer_arn=table.observer_role_arn or None,
            reader_arn=outputs.target.operator_role_arn or None,
        ),
    )


def _position(outputs: Outputs, table: TableOutputs) -> int:
    """Return the table's place in the stack file: the outputs have the tables in its order."""
    return [each.source_table for each in outputs.tables].index(table.source_table)


def _adopted(table: TableOutputs) -> AdoptedStream:
    return AdoptedStream(
        arn=table.stream_arn,
        key_arn=table.stream_key_arn,
        retention_hours=table.retention_hours or 0,
        owns_destination=table.owns_destination,
        readers=f"{table.consumer_role_arn.rpartition('-')[0]}-*",
    )


def _to_adopt(config: StackConfig, table: TableConfig, role: str) -> AdoptedStream | None:
    if table.stream is None:
        return None
    account = config.target
    return AdoptedStream(
        arn=table.stream,
        key_arn=table.stream_key or "",
        retention_hours=config.retention_hours,
        owns_destination=table.owns_destination,
        readers=f"arn:{account.partition}:iam::{account.account_id}:role"
        f"{account.role_path or '/'}{role}",
        start_at=table.start_at,
    )


def of_file(path: Path) -> UndeployedStack:
    """Read a stack file, `Pulumi.STACK.yaml`.

    Raises:
        UsageError: the file cannot be read, or the stack could not be deployed.
    """
    try:
        secrets = StackConfig.secrets_of(path)
        if secrets.needed:
            raise _needs_secrets(path, secrets.needed)
        config = StackConfig.read(path)
        roles = [
            StackConfig.role_names(path, _stack_of(path), f"{table.prefix}-consumer-role")
            for table in config.tables
        ]
    except ConfigError as error:
        raise UsageError(f"{path} cannot be deployed. {error}", fix=FIX) from None
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"The stack file {path} cannot be read: {why}.", fix=FIX) from None
    source, target = (
        AccountOutputs(
            account.account_id,
            account.region,
            account.role_arn or "",
            sts_region=account.sts_region or "",
            external_id=account.external_id or "",
            session_name=account.session_name or "",
        )
        for account in (config.source, config.target)
    )
    return UndeployedStack(
        source=source,
        target=target,
        source_profile=config.source.profile,
        target_profile=config.target.profile,
        tables=tuple(
            _of_config(config, table, _stack_of(path), role, tuple(secrets.unknown))
            for table, role in zip(config.tables, roles, strict=True)
        ),
    )


def _stack_of(path: Path) -> str:
    """Return the stack that a stack file is named after; empty for another name."""
    named = re.fullmatch(r"Pulumi\.(.+)\.ya?ml", path.name)
    return named[1] if named else ""


def _needs_secrets(path: Path, keys: Sequence[str]) -> UsageError:
    """Make the error for keys without which there is no plan. Pulumi alone has their key."""
    stack = _stack_of(path)
    option, value = ("--stack", stack) if stack else ("--config-file", str(path))
    file = f"{option} {shlex.quote(value)}"
    commands = []
    for key in keys:
        if key in INNER:
            # A value cannot be set inside of one that is encrypted as a whole.
            commands.append(f"pulumi config rm {key} {file}")
        inner = INNER.get(key, key)
        commands.append(f"pulumi config set --plaintext --path {shlex.quote(inner)} VALUE {file}")
    verb = "is a secret" if len(keys) == 1 else "are secrets"
    return UsageError(
        f"{path} cannot be planned from: {', '.join(keys)} {verb}, and only Pulumi can decrypt it.",
        fix=f"store it in plain text: {' && '.join(commands)}; or deploy first, and plan with "
        "--stack",
    )


def _tags(config: StackConfig, stack: str) -> Mapping[str, str]:
    """Return the stack's tags. Without the one that names a stack, if the file does not say it."""
    tags = config.tags.with_own(PROJECT, stack)
    return {key: value for key, value in tags.items() if value or key in config.tags.given}


def _of_config(
    config: StackConfig,
    table: TableConfig,
    stack: str,
    role: str,
    unknown: tuple[str, ...],
) -> Replication:
    return Replication(
        source_table=table.source,
        source_table_arn=config.source.table_arn(table.source),
        target_table=table.target,
        source_account=config.source.account_id,
        target_account=config.target.account_id,
        target_region=config.target.region,
        consumer_region=config.source.region,
        parallelization_factor=table.parallelization_factor,
        reserved_concurrency=table.reserved_concurrency,
        source_key_arn=table.source_key,
        target_key_arn=table.target_key,
        stream_key_arn=table.stream_key,
        place_keys=PlaceKeyOutputs(*(config.keys.given(place) or "" for place in PLACES)),
        key_services={place: key_services(place, config) for place in PLACES},
        snapshot_key_arn=config.keys.given("target") if config.snapshots_under_place_key else None,
        made_key_count=len(places_with_made_keys(config)),
        glue_workers=config.verification.workers,
        glue_dpus=config.verification.workers * DPUS[config.verification.worker_type],
        makes_target_key=config.keys.makes("target") and not (table.target_key or table.load.adopt),
        deployment=None,
        load=LoadSettings(
            mode=table.load.mode,
            adopt=table.load.adopt,
            performance_tier=table.load.performance_tier,
            max_write_request_units=table.load.max_write_request_units,
        ),
        config_key=f"tables[{config.tables.index(table)}]",
        adopted=_to_adopt(config, table, role),
        buffer=table.buffer,
        stream_mode=table.stream_mode,
        configured_shards=table.shards,
        denies_other_writers=config.denies_other_writers(table),
        stack=stack,
        stack_tags=_tags(config, stack),
        in_vpc=config.vpc is not None,
        unknown_settings=unknown,
    )
