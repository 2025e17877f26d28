"""The sizes of the operators' policies, which limit the number of tables in a stack.

`infra.operators` refuses a policy that is too large for IAM, but only while Pulumi deploys. These
sizes come from the configuration alone; a test compares them with the policies themselves.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from infra.account_config import AccountConfig
from infra.partitions import endpoint
from infra.resource_names import SUFFIX
from infra.table_config import TableConfig

INLINE_POLICY_LIMIT = 10_240
"""Characters, without white space, of all inline policies of a role together (IAM quota, not
adjustable).
"""

TRUST_POLICY_LIMIT = 2_048
"""Characters, without white space, of a role's trust policy (IAM quota)."""

# Characters of each policy that are the same in every stack, without its Regions and partitions.
IMPORTER, TARGET_KEYS = 2543, 285
EXPORTER, SOURCE_KEYS, SNAPSHOT_KEY = 1059, 155, 233
SEE_KEYS = 96
READ_ITEMS = len('"dynamodb:GetItem",')

SNAPSHOTS = "replication-snapshot"

UUID = 36 * "0"


def importer_policy_size(
    source: AccountConfig,
    target: AccountConfig,
    tables: Sequence[TableConfig],
    *,
    snapshot_key: bool,
) -> int:
    """Return the characters of the importer's policy, without white space."""
    texts = []
    snapshots = f"arn:{target.partition}:s3:::{SNAPSHOTS}{SUFFIX}"
    for table in tables:
        arn = target.table_arn(table.target)
        texts += [arn, f"{arn}/import/*", f"{arn}/export/*"]
        texts += [target.arn("dynamodb", f"table/{table.prefix}-ledger{SUFFIX}")]
        texts += [target.arn("lambda", f"event-source-mapping:{UUID}", region=source.region)]
        quarantine, failures = (
            f"arn:{target.partition}:s3:::{table.prefix}-{bucket}{SUFFIX}"
            for bucket in ("quarantine", "on-failure")
        )
        texts += [quarantine, f"{quarantine}/open/*", f"{quarantine}/resolved/*"]
        texts += [failures, f"{failures}/*"]
        texts += [f"{snapshots}/{table.slug}/*"]
    keys = {table.target_key for table in tables if table.target_key}
    once = TARGET_KEYS + _endpoint_size(target) if keys else 0
    seen = [*keys, target.arn("kms", f"key/{UUID}")] if snapshot_key else [*keys]
    once += SEE_KEYS if seen else 0
    places = 5 * len(target.partition) + 2 * len(target.region)
    return IMPORTER + places + once + _quoted([*texts, *keys, *seen])


def exporter_policy_size(
    source: AccountConfig,
    target: AccountConfig,
    tables: Sequence[TableConfig],
    *,
    snapshot_key: bool,
    reads_items: bool,
) -> int:
    """Return the characters of the exporter's policy, without white space."""
    texts = []
    for table in tables:
        arn = source.table_arn(table.source)
        texts += [arn, f"{arn}/export/*"]
        texts += [source.arn("kinesis", f"stream/{table.prefix}-buffer-stream{SUFFIX}")]
        texts += [source.arn("kms", f"key/{UUID}")]
    keys = {table.source_key for table in tables if table.source_key}
    once = SOURCE_KEYS + SEE_KEYS + _endpoint_size(source) if keys else 0
    once += READ_ITEMS if reads_items else 0
    if snapshot_key:
        once += SNAPSHOT_KEY + len(target.partition) + len(target.region) + _endpoint_size(target)
    return EXPORTER + len(target.partition) + once + _quoted([*texts, *keys, *keys])


def trust_policy_size(principals: Sequence[str], external_id: str | None) -> int:
    """Return the characters of an operators' role's trust policy, without white space."""
    statement: dict[str, object] = {
        "Effect": "Allow",
        "Action": ["sts:AssumeRole"],
        "Principal": {"AWS": list(principals)},
    }
    if external_id:
        statement["Condition"] = {"StringEquals": {"sts:ExternalId": external_id}}
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    return len(json.dumps(policy, separators=(",", ":")))


def _endpoint_size(account: AccountConfig) -> int:
    """Return the characters of a service's endpoint beyond those of `SERVICE..amazonaws.com`."""
    return len(endpoint("", account.region)) - len("..amazonaws.com")


def _quoted(texts: Sequence[str]) -> int:
    return sum(len(text) + len('"",') for text in texts)
