"""The stack configuration: read once, checked whole, before any resource exists."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi
from pulumi.runtime.config import CONFIG, get_config_env

from infra import policy_sizes
from infra.config_validation import ConfigErrors, ConfigReader
from infra.monitoring import alarm_settings
from infra.monitoring.alarm_settings import AlarmSettings

PROJECT_ROOT = Path(__file__).resolve().parent.parent

ORDERINGS = ("ledger",)
STREAM_MODES = ("ON_DEMAND", "PROVISIONED")
LONGEST_RETENTION_HOURS = 8760  # 365 days, the most that Kinesis offers

ACCOUNT_ID = r"[0-9]{12}"
REGION = r"[a-z]{2}(-[a-z]+)+-[0-9]"
TABLE_NAME = r"[A-Za-z0-9_.-]{3,255}"
TRIM_HORIZON = "TRIM_HORIZON"
START = rf"{TRIM_HORIZON}|20[0-9]{{2}}-[0-9]{{2}}-[0-9]{{2}}T[0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}Z"
KEY_ARN = r"arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[\w-]+"
ROLE_ARN = r"arn:aws[a-z-]*:iam::[0-9]{12}:role/[\w+=,.@/-]+"
WHOLE_ACCOUNT = "account"
PRINCIPAL = (
    rf"{WHOLE_ACCOUNT}|arn:aws[a-z-]*:iam::[0-9]{{12}}:(root|role/[\w+=,.@/-]+|user/[\w+=,.@/-]+)"
)


@dataclass(frozen=True)
class AccountConfig:
    """One side of the replication: where it is, and how Pulumi gets in."""

    account_id: str
    """Twelve digits. A string: YAML reads 012345678901 as a number, without the zero."""
    region: str
    profile: str | None = None
    """A profile of the AWS configuration file. None: the credentials of the environment."""
    role_arn: str | None = None
    """A role to assume from those credentials. None: they are used as they are."""

    @property
    def partition(self) -> str:
        if self.region.startswith("cn-"):
            return "aws-cn"
        return "aws-us-gov" if self.region.startswith("us-gov-") else "aws"

    @property
    def root_arn(self) -> str:
        """The account itself as a principal: whoever its own IAM policies let."""
        return f"arn:{self.partition}:iam::{self.account_id}:root"

    def table_arn(self, name: str) -> str:
        return f"arn:{self.partition}:dynamodb:{self.region}:{self.account_id}:table/{name}"


@dataclass(frozen=True)
class TableConfig:
    """One table that is replicated, and how."""

    source: str
    """Name of the existing table in the source account. It is never scanned and never written."""
    target: str
    """Name that the import will create in the target account. The table must not exist before."""
    ordering: str = "ledger"
    """How the newer of two changes is told. `ledger`: target items equal the source's."""
    stream_mode: str = "ON_DEMAND"
    """ON_DEMAND follows the load; PROVISIONED is cheaper under a steady one, and needs `shards`."""
    shards: int | None = None
    """Shards of a PROVISIONED stream. None for ON_DEMAND."""
    parallelization_factor: int = 1
    """Invocations per shard at a time. 1: more costs more probes; only growing lag needs it."""
    batch_size: int = 500
    """Most records per invocation. 500: enough to fold changes of a hot key into one write."""
    batch_window: int = 0
    """Seconds to wait for a fuller batch. 0: lag before price."""
    memory: int = 1769
    """MiB of the function. 1769: what AWS documents as one full vCPU; decoding is bound by it."""
    reserved_concurrency: int | None = None
    """Concurrent invocations, kept for this table and its most. None: the account's shared pool."""
    ledger_retention_days: int = 30
    """Days an entry outlives its change. Never under 8: DynamoDB retries a delivery for 168 h."""
    quarantine_burst: int = 10
    """Records of an invocation, or of ten minutes, that may go to quarantine whatever their share.
    More, and more than a tenth, are a systematic fault: the lane waits. 10: exceptions are few."""
    start_at: str = TRIM_HORIZON
    """Where a new mapping begins to read: the oldest record, or the records that arrived since a
    moment (UTC, 2026-11-23T10:00:00Z). Changing it replaces the mapping: see the README's runbook.
    """
    deny_other_writers: bool = False
    """Whether a policy on the target table keeps out all writers but this stack. It needs the
    table, so it is set once the import has made it.
    """
    source_key: str | None = None
    """ARN of the customer-managed key of the source table, which the exporter decrypts with. None:
    AWS's own key. The target never needs it.
    """
    target_key: str | None = None
    """ARN of the customer-managed key that the import shall encrypt the target table with. None: as
    the source where that is AWS's key.
    """

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
        """How this table's resources are named. The longest still fits into IAM's 64 letters."""
        return f"replicate-{self.slug}"


@dataclass(frozen=True)
class OperatorsConfig:
    """Who may assume the operators' roles of a side: its exporter or importer, and its reader.

    There is no default: a role that an operator did not think of should be nobody's.
    """

    source: tuple[str, ...]
    target: tuple[str, ...]
    external_id: str | None = None
    """Shared word that an assuming caller must present. None: not asked for."""
    read_items: bool = False
    """Whether both roles may read single items, for `verify --read-source`. False: the exporter
    sees no item of the source (C5)."""


@dataclass(frozen=True)
class StackConfig:
    """A whole stack: one pair of accounts and the tables replicated between them."""

    source: AccountConfig
    target: AccountConfig
    tables: tuple[TableConfig, ...]
    operators: OperatorsConfig
    retention_hours: int = LONGEST_RETENTION_HOURS
    """How long the stream keeps a change. 8760 (365 days): exports and outages may take long."""
    lambda_archive: Path = PROJECT_ROOT / "build" / "lambda"
    """Folder that `python -m infra.package` built."""
    protect: bool = True
    """Whether Pulumi and AWS refuse to delete what holds data. False only to tear a stack down."""
    snapshot_key: bool = False
    """Whether the stack makes a customer-managed key for the snapshot bucket. False: SSE-S3."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Put on every resource that takes tags."""
    alarms: AlarmSettings = field(default_factory=AlarmSettings)
    """Who hears of alarms, and from when on they fire."""

    @classmethod
    def load(cls, config: pulumi.Config) -> StackConfig:
        """Reads the running stack's configuration.

        Raises:
            ConfigError: naming every mistake at once.
        """
        return cls.parse(_values_of(config))

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> StackConfig:
        """Checks plain values, as a YAML or JSON reader returns them.

        Raises:
            ConfigError: naming every mistake at once.
        """
        mistakes = ConfigErrors()
        top = ConfigReader("", values, mistakes)
        source, target = _account(top, "source"), _account(top, "target")
        settings = cls(
            source=source,
            target=target,
            tables=_tables(top),
            operators=_operators(top, source, target),
            retention_hours=top.whole_number(
                "retentionHours", 24, LONGEST_RETENTION_HOURS, "hours", default=cls.retention_hours
            ),
            lambda_archive=PROJECT_ROOT
            / top.text(
                "lambdaArchive",
                r".+",
                "a folder, absolute or relative to the project",
                "leave it out, and run: make build",
                default="build/lambda",
            ),
            protect=top.flag("protect", default=cls.protect),
            snapshot_key=top.flag("snapshotKey", default=cls.snapshot_key),
            tags=_tags(top),
            alarms=alarm_settings.read(
                top,
                {"source": source.region, "consumer": source.region, "target": target.region},
            ),
        )
        top.refuse_unknown_keys()
        _refuse_clashes(settings, mistakes)
        if not mistakes.found:  # a size is told of what can be deployed otherwise
            _refuse_too_many(settings, mistakes)
        mistakes.raise_if_any()
        return settings


def _values_of(config: pulumi.Config) -> dict[str, Any]:
    """Every value of the project, unknown ones included. Pulumi hands over strings, of JSON."""
    prefix = f"{config.name}:"
    texts = {**get_config_env(), **CONFIG.get()}
    return {
        key.removeprefix(prefix): _json_or_text(value)
        for key, value in texts.items()
        if key.startswith(prefix)
    }


def _json_or_text(value: Any) -> Any:
    try:
        return json.loads(value)
    except (TypeError, ValueError):
        return value


def _account(top: ConfigReader, name: str) -> AccountConfig:
    section = top.section(
        name,
        f'write {name}: {{accountId: "111111111111", region: eu-west-1}}, with your own values',
    )
    account = AccountConfig(
        account_id=section.text(
            "accountId",
            ACCOUNT_ID,
            "a quoted string of 12 digits",
            'put the number in quotes: YAML drops a leading zero. accountId: "111111111111"',
        ),
        region=section.text(
            "region", REGION, "the name of an AWS Region", "use a name such as eu-west-1"
        ),
        profile=section.optional_text(
            "profile",
            r"\S+",
            "the name of a profile in the AWS configuration file",
            "use a name that `aws configure list-profiles` shows, or leave it out",
        ),
        role_arn=section.optional_text(
            "roleArn",
            ROLE_ARN,
            "the ARN of a role",
            "use arn:aws:iam::ACCOUNT:role/NAME, or leave it out",
        ),
    )
    section.refuse_unknown_keys()
    return account


def _tables(top: ConfigReader) -> tuple[TableConfig, ...]:
    mend = "list each table as: - {source: orders, target: orders}"
    return tuple(
        _table(top.as_section(f"tables[{n}]", value, mend))
        for n, value in enumerate(top.sequence("tables", mend, required=True))
    )


def _table(section: ConfigReader) -> TableConfig:
    names = "3 to 255 letters, digits, underscores, hyphens and dots"
    source = section.text(
        "source", TABLE_NAME, names, "name the existing table (the name, not the ARN)"
    )
    table = TableConfig(
        source=source,
        target=section.text(
            "target",
            TABLE_NAME,
            names,
            "name the table that the import shall create (the name, not the ARN)",
            default=source,
        ),
        ordering=section.choice("ordering", ORDERINGS, default=TableConfig.ordering),
        stream_mode=section.choice("streamMode", STREAM_MODES, default=TableConfig.stream_mode),
        shards=section.optional_number("shards", 1, 10_000, "shards"),
        parallelization_factor=section.whole_number(
            "parallelizationFactor",
            1,
            10,
            "invocations",
            default=TableConfig.parallelization_factor,
        ),
        batch_size=section.whole_number(
            "batchSize", 1, 10_000, "records", default=TableConfig.batch_size
        ),
        batch_window=section.whole_number(
            "batchWindow", 0, 300, "seconds", default=TableConfig.batch_window
        ),
        memory=section.whole_number("memory", 128, 10_240, "MiB", default=TableConfig.memory),
        reserved_concurrency=section.optional_number(
            "reservedConcurrency", 1, 10_000, "invocations"
        ),
        ledger_retention_days=section.whole_number(
            "ledgerRetentionDays", 8, 3650, "days", default=TableConfig.ledger_retention_days
        ),
        quarantine_burst=section.whole_number(
            "quarantineBurst", 1, 10_000, "records", default=TableConfig.quarantine_burst
        ),
        start_at=section.text(
            "startAt",
            START,
            "TRIM_HORIZON, or a moment in UTC such as 2026-11-23T10:00:00Z",
            "leave it out, unless a runbook of the README tells you to set it",
            default=TableConfig.start_at,
        ),
        deny_other_writers=section.flag("denyOtherWriters", default=TableConfig.deny_other_writers),
        source_key=_key(section, "sourceKeyArn"),
        target_key=_key(section, "targetKeyArn"),
    )
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
    section.refuse_unknown_keys()
    return table


def _key(section: ConfigReader, name: str) -> str | None:
    return section.optional_text(
        name,
        KEY_ARN,
        "the ARN of a KMS key",
        "use arn:aws:kms:REGION:ACCOUNT:key/ID (the key's, not an alias's), or leave it out",
    )


def _operators(top: ConfigReader, source: AccountConfig, target: AccountConfig) -> OperatorsConfig:
    section = top.section(
        "operators", "write operators: {source: [role ARN], target: [role ARN]}", required=False
    )
    operators = OperatorsConfig(
        source=_principals(section, "source", source),
        target=_principals(section, "target", target),
        external_id=section.optional_text(
            "externalId",
            r"[\w+=,.@:/-]{2,1224}",
            "2 to 1224 letters, digits and +=,.@:/-",
            "use a word of those characters, or leave it out",
        ),
        read_items=section.flag("readItems", default=OperatorsConfig.read_items),
    )
    section.refuse_unknown_keys()
    return operators


def _principals(section: ConfigReader, side: str, account: AccountConfig) -> tuple[str, ...]:
    mend = (
        f"list roles: [arn:aws:iam::ACCOUNT:role/NAME]; or [{WHOLE_ACCOUNT}], which trusts whoever "
        "the account's own IAM policies let"
    )
    given = section.sequence(side, mend, required=True)
    for n, value in enumerate(given):
        if not (isinstance(value, str) and re.fullmatch(PRINCIPAL, value)):
            section.mistakes.add(
                f"{section.key(side)}[{n}]",
                value,
                f"the ARN of a role, a user or an account root, or {WHOLE_ACCOUNT}",
                mend,
            )
    return tuple(account.root_arn if value == WHOLE_ACCOUNT else str(value) for value in given)


def _tags(top: ConfigReader) -> dict[str, str]:
    section = top.section("tags", "write tags: {team: payments}", required=False)
    for key, value in section.values.items():
        legal = re.fullmatch(r"(?!aws:)[\w .:/=+@-]{1,128}", key)
        if not legal or not (isinstance(value, str) and len(value) <= 256):
            section.mistakes.add(
                section.key(key),
                value,
                "a key that does not begin with aws:, and a quoted string of up to 256 characters",
                "put the value in quotes, and choose another key if it begins with aws:",
            )
    return {key: str(value) for key, value in section.values.items()}


def _refuse_clashes(settings: StackConfig, mistakes: ConfigErrors) -> None:
    """What no value is guilty of alone."""
    sides: Sequence[tuple[str, str]] = (
        ("source", "a table streams its changes to one stream only, so it is replicated once"),
        ("target", "two tables cannot share a target"),
    )
    for side, why in sides:
        names = [getattr(table, side) for table in settings.tables]
        for name, count in Counter(names).items():
            if count > 1 and name:
                last = len(names) - 1 - names[::-1].index(name)
                mistakes.add(
                    f"tables[{last}].{side}", name, f"each name once: {why}", "remove the duplicate"
                )
    here, there = settings.source, settings.target
    for n, table in enumerate(settings.tables):
        keys = (("sourceKeyArn", table.source_key, here), ("targetKeyArn", table.target_key, there))
        for name, arn, account in keys:
            place = f":kms:{account.region}:{account.account_id}:"
            if arn and account.account_id and account.region and place not in arn:
                mistakes.add(
                    f"tables[{n}].{name}",
                    arn,
                    f"a key of {account.account_id} in {account.region}, where the table is",
                    "name the key of the table's own account and Region",
                )
    if not here.account_id or (here.account_id, here.region) != (there.account_id, there.region):
        return
    for n, table in enumerate(settings.tables):
        if table.source and table.source == table.target:
            mistakes.add(
                f"tables[{n}].target",
                table.target,
                "another account, Region or name than the source's: this is the source itself",
                "mend target.accountId or target.region, or give the target another name",
            )


def _refuse_too_many(settings: StackConfig, mistakes: ConfigErrors) -> None:
    """As many tables as the operators' roles can name; which depends on how long the names are."""
    count = len(settings.tables)
    while (
        count > 1 and max(operator_policy_sizes(settings, count)) > policy_sizes.INLINE_POLICY_LIMIT
    ):
        count -= 1
    if count < len(settings.tables):
        mistakes.add(
            "tables",
            len(settings.tables),
            f"up to {count} tables with names as long as these: an operators' role names what each "
            f"is made of, and IAM allows {policy_sizes.INLINE_POLICY_LIMIT} characters of it",
            f"move tables[{count}] and those after it to a second stack",
        )


def operator_policy_sizes(settings: StackConfig, count: int | None = None) -> tuple[int, int]:
    """Characters of the exporter's and the importer's policy, for the first tables or for all."""
    lanes = [
        policy_sizes.PolicySizeInputs(
            table.slug, table.prefix, table.source, table.target, table.source_key, table.target_key
        )
        for table in settings.tables[:count]
    ]
    source, target = (
        policy_sizes.AccountPlace(account.partition, account.account_id, account.region)
        for account in (settings.source, settings.target)
    )
    return (
        policy_sizes.exporter_policy_size(
            source,
            target,
            lanes,
            snapshot_key=settings.snapshot_key,
            reads_items=settings.operators.read_items,
        ),
        policy_sizes.importer_policy_size(
            source, target, lanes, snapshot_key=settings.snapshot_key
        ),
    )
