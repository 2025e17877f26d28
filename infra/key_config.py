"""The `keys` section of the stack file: one customer-managed key for each place."""

from __future__ import annotations

from dataclasses import dataclass

from infra.account_config import AccountConfig
from infra.config_validation import ConfigReader
from infra.table_config import KEY_ARN

CREATE = "create"
"""In the place of an ARN: the stack makes the key."""
PLACES = ("source", "consumer", "target")


@dataclass(frozen=True)
class KeyConfig:
    """Customer-managed keys by place: the ARN of yours, or `create`. Everything that a key can
    encrypt has one place, whatever the Regions (docs/platform-teams.md, Keys of your own)."""

    source: str | None = None
    """Source account and Region: streams, and the alarms' topic there. None: each stream has a key
    that the stack makes. `create`: the stack makes a key for the topic; each stream keeps having
    one of its own. The `streamKeyArn` of a table wins. A stream with a given key keeps it."""
    consumer: str | None = None
    """Target account, the source's Region: on-failure buckets, log groups, functions' environment,
    and the alarms' topic there. None: keys of AWS's. Once a stack has one, it stays: what was kept
    is read with that key."""
    target: str | None = None
    """Target account and Region: ledgers, journal, quarantine buckets, the alarms' topic if the
    Regions differ, target tables without a `targetKeyArn`, and the snapshot bucket unless
    `snapshotKey` says otherwise. None: keys of AWS's. Once a stack has one, it stays."""

    def given(self, place: str) -> str | None:
        """Return the ARN of the key that the stack file gives a place."""
        value = self._of(place)
        return None if value == CREATE else value

    def makes(self, place: str) -> bool:
        """Tell whether the stack makes the key of a place."""
        return self._of(place) == CREATE

    def has(self, place: str) -> bool:
        """Tell whether a place has a key."""
        return self._of(place) is not None

    def _of(self, place: str) -> str | None:
        return {"source": self.source, "consumer": self.consumer, "target": self.target}[place]


def read_keys(top: ConfigReader, source: AccountConfig, target: AccountConfig) -> KeyConfig:
    """Read and check the section."""
    section = top.section("keys", "write keys: {target: ARN}, or create", required=False)
    config = KeyConfig(
        source=_key(section, "source", source.account_id, source.region),
        consumer=_key(section, "consumer", target.account_id, source.region),
        target=_key(section, "target", target.account_id, target.region),
    )
    section.refuse_unknown_keys()
    return config


def _key(section: ConfigReader, name: str, account: str, region: str) -> str | None:
    """Read the key of a place, which is a key of its account and Region."""
    place = f"{region or 'REGION'}:{account or 'ACCOUNT'}"
    value = section.optional_text(
        name,
        f"{CREATE}|{KEY_ARN}",
        f"the ARN of a KMS key, or {CREATE}",
        f"use arn:aws:kms:{place}:key/ID (the key's, not an alias's) or {CREATE}, or leave it out",
    )
    if value in (None, CREATE) or not (account and region):
        return value
    if f":kms:{place}:" not in value:
        section.mistakes.add(
            section.key(name),
            value,
            f"a key of {account} in {region}, where it is used",
            f"name a key of account {account} and Region {region}, or {CREATE}",
        )
    return value
