"""The `keys` section of the stack file: your own keys for what the stack keeps, by place."""

from __future__ import annotations

from dataclasses import dataclass

from infra.account_config import AccountConfig
from infra.config_validation import ConfigReader
from infra.table_config import KEY_ARN

NOT_BUILT = (
    "nothing: keys are built for the target's account and Region alone",
    "remove it; for the stream, set streamKeyArn of the table",
)
"""What is allowed for the other places, and the fix."""


@dataclass(frozen=True)
class KeyConfig:
    """Customer-managed keys by place. Only the target's account and Region can have one."""

    target: str | None = None
    """ARN of a customer-managed key for what the stack itself keeps in the target's account and
    Region: every ledger, the journal and the quarantine buckets. Nothing else: the target table has
    `targetKeyArn`, and the snapshot bucket `snapshotKey`. None: keys of AWS's. Once a stack has it,
    it stays: what was kept is read with that key."""


def read_keys(top: ConfigReader, target: AccountConfig) -> KeyConfig:
    """Read and check the section."""
    section = top.section("keys", "write keys: {target: ARN}", required=False)
    place = f"{target.region or 'REGION'}:{target.account_id or 'ACCOUNT'}"
    arn = section.optional_text(
        "target",
        KEY_ARN,
        "the ARN of a KMS key",
        f"use arn:aws:kms:{place}:key/ID (the key's, not an alias's), or leave it out",
    )
    if arn and target.account_id and target.region and f":kms:{place}:" not in arn:
        section.mistakes.add(
            section.key("target"),
            arn,
            f"a key of {target.account_id} in {target.region}, where it is used",
            f"name a key of account {target.account_id} and Region {target.region}",
        )
    for other in ("source", "consumer"):
        section.refuse_key(other, *NOT_BUILT)
    section.refuse_unknown_keys()
    return KeyConfig(arn)
