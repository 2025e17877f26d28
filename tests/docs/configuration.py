"""The configuration page: every key that the code reads, with its values, default and meaning.

The keys come from a parse of the example stack file under observation, the meanings from the text
under each field.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

import pytest
import yaml

from infra import bucket_config
from infra.account_config import AccountConfig
from infra.alarm_config import ALARM_PLACES, AlarmConfig, Thresholds
from infra.bucket_config import BucketConfig
from infra.config_validation import ConfigReader
from infra.iam_config import IamConfig
from infra.key_config import KeyConfig
from infra.load_config import LoadConfig
from infra.operators_config import OperatorsConfig
from infra.stack_config import StackConfig
from infra.switch_config import SwitchConfig
from infra.table_config import TableConfig
from infra.verification_config import VerificationConfig
from infra.vpc_config import VpcConfig
from tests.docs.pages import ROOT

EXAMPLE = ROOT / "infra" / "Pulumi.example.yaml"
PREFIX = "dynamodb-replication:"
VPC = {"subnetIds": ["subnet-0123456789abcdef0"], "securityGroupIds": ["sg-0123456789abcdef0"]}


@dataclass(frozen=True)
class Key:
    """One key of the stack file, as the code reads it."""

    path: str
    """Such as `tables[].batchSize`."""
    allowed: str
    default: str
    meaning: str

    @property
    def name(self) -> str:
        return self.path.rpartition(".")[2]


SECTIONS: Mapping[str, tuple[str, type]] = {
    "": ("The stack", StackConfig),
    "source": ("`source` and `target`", AccountConfig),
    "tables[]": ("`tables`: one entry for each table", TableConfig),
    "operators": ("`operators`", OperatorsConfig),
    "switch": ("`switch`, as a mapping", SwitchConfig),
    "iam": ("`iam`", IamConfig),
    "verification": ("`verification`", VerificationConfig),
    "buckets": ("`buckets`", BucketConfig),
    "keys": ("`keys`", KeyConfig),
    "buckets.accessLogs": ("`buckets.accessLogs`", BucketConfig),
    "vpc": ("`vpc`", VpcConfig),
    "alarms": ("`alarms`", AlarmConfig),
    "alarms.topics": ("`alarms.topics`", AlarmConfig),
    "alarms.thresholds": ("`alarms.thresholds`", Thresholds),
}
MORE = {"tables[]": LoadConfig}
"""Types of further keys of a section."""

SAME = {"target": "source"}
"""Sections that are alike are shown once."""

FIELDS = {
    "sourceKeyArn": "source_key",
    "targetKeyArn": "target_key",
    "streamKeyArn": "stream_key",
    "load": "mode",
    "streamArn": "stream",
    "makeDestination": "makes_destination",
}
"""Keys that are not spelled like their field."""

DEFAULTS = {
    "tables[].target": "the source's name",
    "operators": "required",
    "switch": "`false`",
    "switch.source": "`operators.source`",
    "switch.target": "`operators.target`",
}
KINDS = {
    "source": "`accountId`, `region`, …: see below",
    "target": "as `source`",
    "tables": "a list: see below",
    "operators": "`source`, `target`, `externalId`, `readItems`: see below",
    "keys": "`source`, `consumer`, `target`: see below",
    "snapshotKey": "`true` or `false`",
    "vpc": "`subnetIds`, `securityGroupIds`: see below",
    "vpc.subnetIds": "a list of up to 16 ids",
    "vpc.securityGroupIds": "a list of up to 5 ids",
    "buckets": "`accessLogs`, `blockPublicAccess`: see below",
    "buckets.accessLogs": "`consumer`, `target`: see below",
    "buckets.accessLogs.consumer": "the name of a bucket of the target account, in the source's "
    "Region",
    "buckets.accessLogs.target": "the name of a bucket of the target account, in the target's "
    "Region",
    "alarms": "`emails` or `topics`, `thresholds`: see below",
    "iam": "`managedPolicies`: see below",
    "switch": "`true`, `false`, or `source`, `target`, `mfa`: see below",
    "verification": "`engine`, `workers`, `workerType`, `maxHours`, `package`: see below",
    "tags": "texts by key; up to 47, of up to 256 letters, digits, spaces and `_.:/=+@-` each",
    "operators.source": "a list of ARNs of roles or users, or `account`",
    "operators.target": "a list of ARNs of roles or users, or `account`",
    "switch.source": "a list of ARNs of roles or users, or `account`",
    "switch.target": "a list of ARNs of roles or users, or `account`",
    "alarms.emails": "a list of e-mail addresses",
    "alarms.topics": "`source`, `consumer`, `target`: see below",
    "alarms.thresholds": "see below",
    "alarms.topics.source": "the ARN of an SNS topic in the source's Region",
    "alarms.topics.consumer": "the ARN of an SNS topic in the source's Region",
    "alarms.topics.target": "the ARN of an SNS topic in the target's Region",
}
MEANINGS = {
    "source": "The account and Region of the table that exists.",
    "target": "The account and Region of the replica.",
    "tables": "The tables to replicate.",
    "operators": "Who may assume the operators' roles.",
    "operators.source": "Principals that may assume the roles of the source account. `account` "
    "leaves it to the IAM policies of that account.",
    "operators.target": "The same for the target account.",
    "switch.source": "Principals that may assume the switch role of the source account.",
    "switch.target": "The same for the target account.",
    "buckets.accessLogs.consumer": "For the on-failure buckets.",
    "buckets.accessLogs.target": "For the quarantine and snapshot buckets.",
    "alarms.topics.source": "Topic for alarms in the source account.",
    "alarms.topics.consumer": "Topic for alarms in the target account, in the source's Region.",
    "alarms.topics.target": "Topic for alarms in the target account, in the target's Region.",
    "source.accountId": "Twelve digits, in quotes: YAML drops a leading zero.",
    "source.region": "The Region of the table.",
    "target.region": "The Region of the replica.",
    "alarms.thresholds": "The value from which each alarm fires.",
}


def every_key() -> tuple[Key, ...]:
    """List every key that the code reads, in the order in which it reads them."""
    seen: dict[str, Key] = {}
    for each in _reads():
        # A key that is read as a raw value first may be read in a more telling way later.
        if each.path not in seen or not seen[each.path].allowed:
            seen[each.path] = each
    return tuple(seen.values())


def tables() -> str:
    """Render one table of keys for each section of the stack file."""
    parts = []
    for section, (title, _) in SECTIONS.items():
        rows = [
            f"| `{key.name}` | {key.allowed} | {key.default} | {key.meaning} |"
            for key in every_key()
            if key.path.rpartition(".")[0] == section
        ]
        head = ["| key | values | default | meaning |", "| --- | --- | --- | --- |"]
        parts.append("\n".join([f"## {title}", "", *head, *rows]))
    return "\n\n".join(parts)


def example() -> str:
    """Render the example stack file."""
    return f"```yaml\n{EXAMPLE.read_text(encoding='utf-8').rstrip()}\n```"


def _reads() -> Iterator[Key]:
    """Parse the example under observation, once for each of the two ways to name alarm topics."""
    loaded = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))["config"]
    values = {name.removeprefix(PREFIX): value for name, value in loaded.items() if PREFIX in name}
    region = values["source"]["region"]
    topics = dict.fromkeys(ALARM_PLACES, f"arn:aws:sns:{region}:111111111111:topic")
    logs = dict.fromkeys(bucket_config.BUCKET_PLACES, "access-logs")
    for alarms in ({"emails": ["team@example.com"]}, {"topics": topics}):
        found: list[Key] = []
        with pytest.MonkeyPatch.context() as patch:
            for method in _DESCRIBED:
                _observe(patch, method, found)
            more = {"switch": {}, "buckets": {"accessLogs": logs}, "vpc": VPC}
            StackConfig.parse({**values, "alarms": alarms, **more})
        yield from found


def _observe(patch: pytest.MonkeyPatch, method: str, found: list[Key]) -> None:
    plain = getattr(ConfigReader, method)
    signature = inspect.signature(plain)

    def observed(reader: ConfigReader, *args: Any, **kwargs: Any) -> Any:
        given = signature.bind(reader, *args, **kwargs).arguments
        path = re.sub(r"\[\d+\]", "[]", reader.key(given["name"]))
        found.append(_key(path, method, given))
        return plain(reader, *args, **kwargs)

    patch.setattr(ConfigReader, method, observed)


_DESCRIBED = (
    "optional_text",
    "text",
    "optional_number",
    "whole_number",
    "number_among",
    "choice",
    "flag",
    "sequence",
    "section",
    "raw",
)


def _key(path: str, method: str, given: Mapping[str, Any]) -> Key:
    allowed = ""
    if path in KINDS:
        allowed = KINDS[path]
    elif method in ("text", "optional_text"):
        allowed = str(given["allowed"])
    elif method in ("whole_number", "optional_number"):
        allowed = f"{given['low']} to {given['high']} {given['unit']}"
    elif method == "number_among":
        allowed = f"{', '.join(map(str, given['among']))} {given['unit']}"
    elif method == "choice":
        allowed = " or ".join(f"`{each}`" for each in given["among"])
    elif method == "flag":
        allowed = "`true` or `false`"
    return Key(path, allowed, _default(path, method, given), _meaning(path))


def _default(path: str, method: str, given: Mapping[str, Any]) -> str:
    if path in DEFAULTS:
        return DEFAULTS[path]
    if "default" in given:
        value = given["default"]
        return f"`{str(value).lower() if isinstance(value, bool) else value}`"
    required = method == "text" or (
        method in ("section", "sequence") and given.get("required", method == "section")
    )
    return "required" if required else "none"


def _meaning(path: str) -> str:
    if path in MEANINGS:
        return MEANINGS[path]
    section, _, name = path.rpartition(".")
    _, owner = SECTIONS[SAME.get(section, section)]
    field = FIELDS.get(name) or re.sub(r"([A-Z])", lambda found: f"_{found[1].lower()}", name)
    texts = _texts(owner)
    if section in MORE:
        texts = {**texts, **_texts(MORE[section])}
    return texts.get(field, "")


@cache
def _texts(owner: type) -> Mapping[str, str]:
    """Collect the text under each field of a dataclass."""
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(owner))).body
    assert isinstance(body, ast.ClassDef)
    texts = {}
    for field, text in pairwise(body.body):
        if not (isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)):
            continue
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
            texts[field.target.id] = " ".join(str(text.value.value).split())
    return texts
