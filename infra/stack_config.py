"""The stack configuration, checked whole before any resource exists.

Both readers of a stack file use it: the Pulumi program and `bootstrap plan --config`. It imports
neither Pulumi nor boto3.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infra import alarm_config, policy_sizes, stack_file, table_groups
from infra.account_config import AccountConfig, read_account
from infra.alarm_config import AlarmConfig
from infra.config_validation import ConfigError, ConfigErrors, ConfigReader
from infra.secret_settings import Secrets, without_secrets
from infra.stack_arns import OperatorScope
from infra.table_config import TableConfig, read_tables

__all__ = ["ConfigError", "OperatorsConfig", "StackConfig", "TableConfig", "value_of"]

PROJECT = "dynamodb-replication"
PROJECT_ROOT = Path(__file__).resolve().parent.parent
LONGEST_RETENTION_HOURS = 8760
"""365 days, the most that Kinesis offers."""

MOST_TABLES = 50
"""More would take the dashboard over the 500 widgets that CloudWatch shows."""

MOST_TAGS = 47
"""AWS takes 50 for a resource; three are the stack's own."""
TAG_VALUE = r"[\w .:/=+@-]{0,256}"
WHOLE_ACCOUNT = "account"
PRINCIPAL = (
    rf"{WHOLE_ACCOUNT}|arn:aws[a-z-]*:iam::[0-9]{{12}}:(root|role/[\w+=,.@/-]+|user/[\w+=,.@/-]+)"
)


@dataclass(frozen=True)
class OperatorsConfig:
    """The principals that may assume the operators' roles in each account.

    There is no default: a role that its owner did not think of should belong to no one.
    """

    source: tuple[str, ...]
    """For the exporter and the reader."""
    target: tuple[str, ...]
    """For the importer and the reader."""
    external_id: str | None = None
    """A shared word that a caller must present. None: not required."""
    read_items: bool = False
    """Whether both roles may read single items, for `verify --read-source`, and the importer scan
    the target, for the keys that `resume` names. False: the exporter sees no item of the source
    (C5)."""


@dataclass(frozen=True)
class StackConfig:
    """A whole stack: one pair of accounts and the tables replicated between them."""

    source: AccountConfig
    target: AccountConfig
    tables: tuple[TableConfig, ...]
    operators: OperatorsConfig
    retention_hours: int = LONGEST_RETENTION_HOURS
    """How long the stream keeps a change. 8760 (365 days): exports and outages may take long. No
    run begins under 168, a week."""
    lambda_archive: Path = PROJECT_ROOT / "build" / "lambda"
    """Folder that `python -m infra.package` built."""
    protect: bool = True
    """Whether Pulumi and AWS refuse to delete what holds data. False only to tear a stack down."""
    snapshot_key: bool = False
    """Whether the stack makes a customer-managed key for the snapshot bucket. False: SSE-S3."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Put on every resource that takes tags."""
    alarms: AlarmConfig = field(default_factory=AlarmConfig)
    """The addresses that alarms notify, and their thresholds."""

    @property
    def operator_scope(self) -> OperatorScope:
        """The settings that decide what the operators' roles may do."""
        return OperatorScope(
            source=self.source,
            target=self.target,
            read_items=self.operators.read_items,
            snapshot_key=self.snapshot_key,
        )

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
        return cls.parse(_values_of(path)[0])

    @staticmethod
    def secrets_of(path: Path) -> Secrets:
        """Return the keys of a stack file whose values are secrets.

        Raises:
            OSError, ValueError: the file cannot be read, or is no stack file.
        """
        return _values_of(path)[1]

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> StackConfig:
        """Check plain values, as a YAML or JSON reader returns them.

        Raises:
            ConfigError: naming every mistake at once.
        """
        mistakes = ConfigErrors()
        top = ConfigReader("", values, mistakes)
        source, target = read_account(top, "source"), read_account(top, "target")
        config = cls(
            source=source,
            target=target,
            tables=read_tables(top),
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
            alarms=alarm_config.read(
                top,
                {"source": source.region, "consumer": source.region, "target": target.region},
            ),
        )
        top.refuse_unknown_keys()
        _refuse_duplicates(config, mistakes)
        _refuse_keys_of_other_places(config, mistakes)
        _refuse_source_as_target(config, mistakes)
        if not mistakes.found:  # the size of a policy says something only of a valid stack
            _refuse_too_many_tables(config, mistakes)
        mistakes.raise_if_any()
        return config


def _values_of(path: Path) -> tuple[dict[str, Any], Secrets]:
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
    for side, principals in (("source", operators.source), ("target", operators.target)):
        size = policy_sizes.trust_policy_size(principals, operators.external_id)
        if size > policy_sizes.TRUST_POLICY_LIMIT:
            section.mistakes.add(
                section.key(side),
                f"{len(principals)} principals",
                f"principals whose trust policy has up to {policy_sizes.TRUST_POLICY_LIMIT} "
                f"characters, with externalId (a quota of IAM); this one has {size}",
                f"name fewer roles, or write {side}: [{WHOLE_ACCOUNT}] and permit the others in "
                "the account's own IAM policies",
            )
    return operators


def _principals(section: ConfigReader, side: str, account: AccountConfig) -> tuple[str, ...]:
    fix = (
        f"list roles: [arn:aws:iam::ACCOUNT:role/NAME]; or [{WHOLE_ACCOUNT}], which leaves it to "
        "the account's own IAM policies"
    )
    given = section.sequence(side, fix, required=True)
    for n, value in enumerate(given):
        if not (isinstance(value, str) and re.fullmatch(PRINCIPAL, value)):
            section.mistakes.add(
                f"{section.key(side)}[{n}]",
                value,
                f"the ARN of a role, a user or an account root, or {WHOLE_ACCOUNT}",
                fix,
            )
    return tuple(account.root_arn if value == WHOLE_ACCOUNT else str(value) for value in given)


def _tags(top: ConfigReader) -> dict[str, str]:
    section = top.section("tags", "write tags: {team: payments}", required=False)
    seen: set[str] = set()
    for key, value in section.values.items():
        legal = re.fullmatch(r"(?!aws:)[\w .:/=+@-]{1,128}", key)
        if not legal or not (isinstance(value, str) and re.fullmatch(TAG_VALUE, value)):
            section.mistakes.add(
                section.key(key),
                value,
                "a key that does not begin with aws:, and a quoted string of up to 256 letters, "
                "digits, spaces and _.:/=+@- (IAM takes no others)",
                "put the value in quotes, and choose another key if it begins with aws:",
            )
        elif key.lower() in seen:
            section.mistakes.add(
                section.key(key),
                value,
                "keys that differ in more than capital letters: IAM takes no others",
                "remove one of the two",
            )
        seen.add(key.lower())
    if len(section.values) > MOST_TAGS:
        section.mistakes.add(
            section.path,
            f"{len(section.values)} tags",
            f"up to {MOST_TAGS}: AWS takes 50 for a resource, and the stack has some of its own",
            "remove some",
        )
    return {key: str(value) for key, value in section.values.items()}


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


def _refuse_keys_of_other_places(config: StackConfig, mistakes: ConfigErrors) -> None:
    for n, table in enumerate(config.tables):
        keys = (
            ("sourceKeyArn", table.source_key, config.source),
            ("targetKeyArn", table.target_key, config.target),
        )
        for name, arn, account in keys:
            place = f":kms:{account.region}:{account.account_id}:"
            if arn and account.account_id and account.region and place not in arn:
                mistakes.add(
                    f"tables[{n}].{name}",
                    arn,
                    f"a key of {account.account_id} in {account.region}, where the table is",
                    "name the key of the table's own account and Region",
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
        names = (
            f" with names as long as these: an operators' role names the resources of each, in "
            f"policies of which IAM allows one inline and {policy_sizes.ATTACHED_POLICIES_LIMIT} "
            "attached"
        )
        mistakes.add(
            "tables",
            len(config.tables),
            f"up to {count} tables{names if count < MOST_TABLES else ', which a dashboard shows'}",
            f"move tables[{count}] and those after it to a second stack",
        )
