"""The stack configuration, checked whole before any resource exists.

Both readers of a stack file use it: the Pulumi program and `bootstrap plan --config`. It imports
neither Pulumi nor boto3.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from infra import alarm_config, policy_sizes, stack_file, table_groups
from infra.account_config import AccountConfig, read_account, refuse_two_partitions
from infra.alarm_config import AlarmConfig
from infra.autonaming import ROLE_TYPE, Autonaming, read_autonaming, refuse_long_names
from infra.bucket_config import BucketConfig, read_buckets
from infra.config_validation import ConfigError, ConfigErrors, ConfigReader
from infra.iam_config import IamConfig, read_iam
from infra.key_config import KeyConfig, read_keys
from infra.operators_config import OperatorsConfig, read_operators
from infra.secret_settings import Secrets, without_secrets
from infra.stack_arns import OperatorScope
from infra.switch_config import SwitchConfig, read_switch
from infra.table_config import NOT_BUILT, TableConfig, read_tables
from infra.tag_config import TagConfig, read_tags
from infra.verification_config import VerificationConfig, read_verification
from infra.vpc_config import VpcConfig, read_vpc

__all__ = ["ConfigError", "OperatorsConfig", "StackConfig", "TableConfig", "value_of"]

PROJECT = "dynamodb-replication"
PROJECT_ROOT = Path(__file__).resolve().parent.parent
ARCHITECTURES = ("arm64", "x86_64")
LONGEST_RETENTION_HOURS = 8760
"""365 days, the most that Kinesis offers."""

LOG_RETENTION_DAYS = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096),
    *(1827, 2192, 2557, 2922, 3288, 3653),
)
"""The values that CloudWatch Logs takes (PutRetentionPolicy, retentionInDays)."""

MOST_TABLES = 50
"""More would take the dashboard over the 500 widgets that CloudWatch shows."""


@dataclass(frozen=True)
class StackConfig:
    """A whole stack: one pair of accounts and the tables replicated between them."""

    source: AccountConfig
    target: AccountConfig
    tables: tuple[TableConfig, ...]
    operators: OperatorsConfig
    retention_hours: int = LONGEST_RETENTION_HOURS
    """How long a Kinesis stream keeps a change. 8760 (365 days): exports and outages may take long.
    No run begins under 168, a week. A table's own stream (`buffer: streams`) keeps it for 24."""
    architecture: str = "arm64"
    """The instruction set of both functions. arm64: the cheaper one, in nearly every Region.
    `x86_64` where a Region or a rule leaves no other; `make build ARCHITECTURE=x86_64` builds for
    it.
    """
    lambda_archive: Path = PROJECT_ROOT / "build" / "lambda"
    """Folder that `make build` made. For x86_64: `build/lambda-x86_64`."""
    protect: bool = True
    """Whether Pulumi and AWS refuse to delete what holds data. False only to tear a stack down."""
    snapshot_key: bool | None = None
    """Whether the stack makes a customer-managed key for the snapshot bucket alone. False: SSE-S3.
    None: the key of `keys.target`, or SSE-S3 without one. A key that was made stays."""
    keys: KeyConfig = field(default_factory=KeyConfig)
    """Customer-managed keys by place."""
    tags: TagConfig = field(default_factory=TagConfig)
    """Put on every resource that takes tags, and on the target table, where they win over the
    source's, whatever the capital letters. The stack adds `project`, `stack` and `managed-by`: the
    same key here takes the place of one, and null drops it (`project: null`)."""
    log_retention_days: int = 90
    """How long the logs of both functions are kept. 90: longer than an investigation takes.
    They hold digests of keys, counts and reasons, never content of an item."""
    buckets: BucketConfig = field(default_factory=BucketConfig)
    """Rules for every bucket."""
    vpc: VpcConfig | None = None
    """The VPC that both functions are in. None: Lambda's own network."""
    alarms: AlarmConfig = field(default_factory=AlarmConfig)
    """The addresses that alarms notify, and their thresholds."""
    iam: IamConfig = field(default_factory=IamConfig)
    """How the roles get their permissions."""
    switch: SwitchConfig | None = None
    """Whether the stack makes the roles that `switch` needs, one in each account, and who may
    assume them. They change resource policies of the tables, which amounts to full control of the
    tables' data. `true`: those who may assume the operators' roles."""
    verification: VerificationConfig = field(default_factory=VerificationConfig)
    """Where `verify` compares, and with what."""

    def account(self, side: str) -> AccountConfig:
        """Return the account of `source` or `target`."""
        return {"source": self.source, "target": self.target}[side]

    def owner_of(self, place: str) -> AccountConfig:
        """Return the account of a place: `source`, `consumer` or `target`."""
        return self.source if place == "source" else self.target

    def region_of(self, place: str) -> str:
        """Return the Region of a place. The consumer's is the source's."""
        return self.target.region if place == "target" else self.source.region

    @property
    def snapshots_under_place_key(self) -> bool:
        """True if the snapshot bucket has the key of the target's place."""
        return self.snapshot_key is None and self.keys.has("target")

    naming: Autonaming = field(default_factory=Autonaming)
    """The names that the engine gives to resources. Not a key of the project's."""

    @property
    def operator_scope(self) -> OperatorScope:
        """The settings that decide what the operators' roles may do."""
        return OperatorScope(
            source=self.source,
            target=self.target,
            read_items=self.operators.read_items,
            snapshot_key=bool(self.snapshot_key),
            keys=self.keys,
            snapshots_under_place_key=self.snapshots_under_place_key,
            managed_policies=self.iam.managed_policies,
            imports=any(not table.load.is_bulk for table in self.tables),
            bulk_puts=self.has_bulk_loads,
            table_streams=any(table.reads_table_stream for table in self.tables),
            verification_job=self.verification.on_glue,
            naming=self.naming,
        )

    def named(self, naming: Autonaming) -> StackConfig:
        """Return the configuration with the names that the engine gives to resources.

        Raises:
            ConfigError: AWS refuses such names, or policies that name them.
        """
        named, mistakes = replace(self, naming=naming), ConfigErrors()
        refuse_long_names(naming, named.tables, mistakes)
        _refuse_too_many_tables(named, mistakes)
        mistakes.raise_if_any()
        return named

    def _with_default_keys(self) -> StackConfig:
        of_stream, of_target = self.keys.given("source"), self.keys.given("target")
        tables = (table.with_default_keys(of_stream, of_target) for table in self.tables)
        return replace(self, tables=tuple(tables))

    def denies_other_writers(self, table: TableConfig) -> bool:
        """Tell whether the operator's tool keeps other writers off the table's target."""
        return self.switch is not None or table.deny_other_writers

    def switch_tables(self, side: str) -> tuple[TableConfig, ...]:
        """Return the tables that the switch role of an account is for. None: there is no role."""
        if self.switch is not None:
            return self.tables
        if side == "source":
            return ()
        return tuple(table for table in self.tables if table.deny_other_writers)

    @property
    def has_bulk_loads(self) -> bool:
        return any(table.load.is_bulk for table in self.tables)

    @property
    def has_switch_roles(self) -> bool:
        return any(self.switch_tables(side) for side in ("source", "target"))

    @property
    def switch_principals(self) -> SwitchConfig:
        """Return who may assume the switch roles."""
        return self.switch or SwitchConfig(self.operators.source, self.operators.target)

    def protects(self, table: TableConfig) -> bool:
        """Tell whether what holds a table's data may not be deleted."""
        return self.protect and table.protect

    @classmethod
    def read(cls, path: Path) -> StackConfig:
        """Read a stack file, `Pulumi.STACK.yaml`. Stand-ins take the place of secrets.

        Raises:
            OSError, ValueError: the file cannot be read, or is no stack file.
            ConfigError: naming every mistake at once.
        """
        return cls.parse(plain_values(path)[0])

    @staticmethod
    def role_names(path: Path, stack: str, name: str) -> str:
        """Return the names that a role may get by a stack file's own `pulumi:autonaming`.

        `*` stands for what only the engine knows.

        Raises:
            OSError, ValueError: the file cannot be read, or is no stack file.
        """
        value = stack_file.read(path, "pulumi").get("autonaming")
        text = value if isinstance(value, str) or value is None else json.dumps(value)
        known = {"project": PROJECT, **({"stack": stack} if stack else {})}
        return read_autonaming(text, known).wildcard(ROLE_TYPE, name)

    @staticmethod
    def secrets_of(path: Path) -> Secrets:
        """Return the keys of a stack file whose values are secrets.

        Raises:
            OSError, ValueError: the file cannot be read, or is no stack file.
        """
        return plain_values(path)[1]

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> StackConfig:
        """Check plain values, as a YAML or JSON reader returns them.

        Raises:
            ConfigError: naming every mistake at once.
        """
        mistakes = ConfigErrors()
        top = ConfigReader("", values, mistakes)
        source, target = read_account(top, "source"), read_account(top, "target")
        tables, operators = read_tables(top), read_operators(top, source, target)
        keys = read_keys(top, source, target)
        architecture = top.choice("architecture", ARCHITECTURES, default=cls.architecture)
        config = cls(
            source=source,
            target=target,
            tables=tables,
            operators=operators,
            retention_hours=top.whole_number(
                "retentionHours", 24, LONGEST_RETENTION_HOURS, "hours", default=cls.retention_hours
            ),
            architecture=architecture,
            lambda_archive=PROJECT_ROOT
            / top.text(
                "lambdaArchive",
                r".+",
                "a folder, absolute or relative to the project",
                "leave it out, and run: make build",
                default="build/lambda" + ("" if architecture == "arm64" else f"-{architecture}"),
            ),
            protect=top.flag("protect", default=cls.protect),
            snapshot_key=top.optional_flag("snapshotKey"),
            keys=keys,
            tags=read_tags(top),
            log_retention_days=top.number_among(
                "logRetentionDays", LOG_RETENTION_DAYS, "days", default=cls.log_retention_days
            ),
            buckets=read_buckets(top, source, target),
            vpc=read_vpc(top),
            alarms=alarm_config.read(
                top,
                {"source": source.region, "consumer": source.region, "target": target.region},
            ),
            iam=read_iam(top),
            switch=read_switch(top, operators, source, target),
            verification=read_verification(top),
        )
        top.refuse_key("reverse", *NOT_BUILT)
        top.refuse_unknown_keys()
        refuse_two_partitions(mistakes, source, target)
        _refuse_duplicates(config, mistakes)
        _refuse_tables_of_one_name(config, mistakes)
        _refuse_keys_of_other_places(config, mistakes)
        _refuse_streams_of_other_places(config, mistakes)
        _refuse_source_as_target(config, mistakes)
        config = config._with_default_keys()
        if not mistakes.found:  # the size of a policy says something only of a valid stack
            _refuse_too_many_tables(config, mistakes)
        mistakes.raise_if_any()
        return config


def plain_values(path: Path) -> tuple[dict[str, Any], Secrets]:
    """Return a stack file's values, with stand-ins for secrets, and the keys of those.

    Raises:
        OSError, ValueError: the file cannot be read, or is no stack file.
    """
    found = stack_file.read(path, PROJECT)
    return without_secrets({key: value_of(value) for key, value in found.items()})


def value_of(given: Any) -> Any:
    """Return a top-level value as the program sees it.

    `pulumi config set` writes text, also for true and 48, and the engine passes everything on as
    text: JSON where it is JSON.
    """
    try:
        return json.loads(given)
    except (TypeError, ValueError):
        return given


def _refuse_duplicates(config: StackConfig, mistakes: ConfigErrors) -> None:
    sides: Sequence[tuple[str, str]] = (
        ("source", "a table streams its changes to one stream only, so it is replicated once"),
        ("target", "two tables cannot share a target"),
    )
    for side, why in sides:
        names = [getattr(table, side) for table in config.tables]
        for name, count in Counter(names).items():
            if count > 1 and name:
                last = len(names) - 1 - names[::-1].index(name)
                mistakes.add(
                    f"tables[{last}].{side}", name, f"each name once: {why}", "remove the duplicate"
                )


def _refuse_tables_of_one_name(config: StackConfig, mistakes: ConfigErrors) -> None:
    """Refuse two tables whose resources would have the same names.

    Only a table that is called like another one's shortened name and digest can meet it.
    """
    first: dict[str, int] = {}
    for n, table in enumerate(config.tables):
        other = first.setdefault(table.slug, n)
        if other != n and table.source and table.source != config.tables[other].source:
            mistakes.add(
                f"tables[{n}].source",
                table.source,
                f"a table whose resources are not named like another's: those of tables[{other}] "
                f"({config.tables[other].source}) are named {table.prefix}, too",
                "replicate one of the two by a stack of its own",
            )


def _refuse_streams_of_other_places(config: StackConfig, mistakes: ConfigErrors) -> None:
    source = config.source
    place = f":kinesis:{source.region}:{source.account_id}:"
    for n, table in enumerate(config.tables):
        if table.stream and source.account_id and source.region and place not in table.stream:
            mistakes.add(
                f"tables[{n}].streamArn",
                table.stream,
                f"a stream of {source.account_id} in {source.region}, where the table is: DynamoDB "
                "streams to no other account or Region",
                "name a stream of the source account and Region",
            )


def _refuse_keys_of_other_places(config: StackConfig, mistakes: ConfigErrors) -> None:
    for n, table in enumerate(config.tables):
        keys = (
            ("sourceKeyArn", table.source_key, config.source),
            ("targetKeyArn", table.target_key, config.target),
            ("streamKeyArn", table.stream_key, config.source),
        )
        for name, arn, account in keys:
            place = f":kms:{account.region}:{account.account_id}:"
            if arn and account.account_id and account.region and place not in arn:
                mistakes.add(
                    f"tables[{n}].{name}",
                    arn,
                    f"a key of {account.account_id} in {account.region}, where it is used",
                    f"name a key of account {account.account_id} and Region {account.region}",
                )


def _refuse_source_as_target(config: StackConfig, mistakes: ConfigErrors) -> None:
    here, there = config.source, config.target
    if not here.account_id or (here.account_id, here.region) != (there.account_id, there.region):
        return
    for n, table in enumerate(config.tables):
        if table.source and table.source == table.target:
            mistakes.add(
                f"tables[{n}].target",
                table.target,
                "another account, Region or name than the source's: this is the source itself",
                "correct target.accountId or target.region, or give the target another name",
            )


def _refuse_too_many_tables(config: StackConfig, mistakes: ConfigErrors) -> None:
    """Refuse more tables than the operators' roles can name; that depends on the names' length."""
    count = min(MOST_TABLES, table_groups.count_that_fits(config.operator_scope, config.tables))
    if count < len(config.tables):
        inline = "" if config.iam.managed_policies else "one inline and "
        kinds = f"{inline}{policy_sizes.ATTACHED_POLICIES_LIMIT} attached"
        names = (
            f" with names as long as these: an operators' role names the resources of each, in "
            f"policies of which IAM allows {kinds}"
        )
        mistakes.add(
            "tables",
            len(config.tables),
            f"up to {count} tables{names if count < MOST_TABLES else ', which a dashboard shows'}",
            f"move tables[{count}] and those after it to a second stack",
        )
