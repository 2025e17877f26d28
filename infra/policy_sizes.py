"""How many tables fit into one stack: two roles of the operators name what each table is made of.

`infra.operators` refuses a policy that is too large for IAM, but only while Pulumi deploys. Here
the sizes are known from the configuration alone; a test holds them against the policies themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

INLINE_POLICY_LIMIT = 10_240
"""Characters, without white space, of all inline policies of a role together (IAM quota, not
adjustable).
"""

# Characters of each policy that are the same in every stack, without its Regions and partitions.
IMPORTER, TARGET_KEYS = 2543, 285
EXPORTER, SOURCE_KEYS, SNAPSHOT_KEY = 1059, 155, 233
SEE_KEYS = 96
READ_ITEMS = len('"dynamodb:GetItem",')

SNAPSHOTS = "replication-snapshot"

SUFFIX = "-0a1b2c3"
"""Pulumi appends seven hexadecimal digits to a name."""
UUID = 36 * "0"


@dataclass(frozen=True)
class AccountPlace:
    partition: str
    account: str
    region: str

    def arn(self, service: str, rest: str) -> str:
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{rest}"


@dataclass(frozen=True)
class PolicySizeInputs:
    """What of a table the sizes depend on."""

    slug: str
    """What its exports in the snapshot bucket are under."""
    prefix: str
    """How its resources are named."""
    source: str
    target: str
    source_key: str | None
    target_key: str | None


def importer_policy_size(
    source: AccountPlace,
    target: AccountPlace,
    lanes: Sequence[PolicySizeInputs],
    *,
    snapshot_key: bool,
) -> int:
    """Characters of the importer's policy, without white space."""
    texts, here = [], AccountPlace(target.partition, target.account, source.region)
    snapshots = f"arn:{target.partition}:s3:::{SNAPSHOTS}{SUFFIX}"
    for lane in lanes:
        table = target.arn("dynamodb", f"table/{lane.target}")
        texts += [table, f"{table}/import/*", f"{table}/export/*"]
        texts += [target.arn("dynamodb", f"table/{lane.prefix}-ledger{SUFFIX}")]
        texts += [here.arn("lambda", f"event-source-mapping:{UUID}")]
        quarantine, failures = (
            f"arn:{target.partition}:s3:::{lane.prefix}-{bucket}{SUFFIX}"
            for bucket in ("quarantine", "on-failure")
        )
        texts += [quarantine, f"{quarantine}/open/*", f"{quarantine}/resolved/*"]
        texts += [failures, f"{failures}/*"]
        texts += [f"{snapshots}/{lane.slug}/*"]
    keys = {lane.target_key for lane in lanes if lane.target_key}
    once = TARGET_KEYS + len(target.region) if keys else 0
    seen = [*keys, target.arn("kms", f"key/{UUID}")] if snapshot_key else [*keys]
    once += SEE_KEYS if seen else 0
    places = 5 * len(target.partition) + 2 * len(target.region)
    return IMPORTER + places + once + _quoted([*texts, *keys, *seen])


def exporter_policy_size(
    source: AccountPlace,
    target: AccountPlace,
    lanes: Sequence[PolicySizeInputs],
    *,
    snapshot_key: bool,
    reads_items: bool,
) -> int:
    """Characters of the exporter's policy, without white space."""
    texts = []
    for lane in lanes:
        table = source.arn("dynamodb", f"table/{lane.source}")
        texts += [table, f"{table}/export/*"]
        texts += [source.arn("kinesis", f"stream/{lane.prefix}-buffer-stream{SUFFIX}")]
        texts += [source.arn("kms", f"key/{UUID}")]
    keys = {lane.source_key for lane in lanes if lane.source_key}
    once = SOURCE_KEYS + SEE_KEYS + len(source.region) if keys else 0
    once += READ_ITEMS if reads_items else 0
    if snapshot_key:
        once += SNAPSHOT_KEY + len(target.partition) + 2 * len(target.region)
    return EXPORTER + len(target.partition) + once + _quoted([*texts, *keys, *keys])


def _quoted(texts: Sequence[str]) -> int:
    return sum(len(text) + len('"",') for text in texts)
