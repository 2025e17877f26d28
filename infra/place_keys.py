"""The keys of the three places: given ones, and those that the stack makes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi
import pulumi_aws as aws

from infra.accounts import Accounts
from infra.key_config import PLACES
from infra.key_services import needs_key
from infra.place_key_policies import made_key_policy
from infra.policies import Text, document
from infra.stack_config import StackConfig

DESCRIPTIONS: Mapping[str, str] = {
    "source": "The alarms' topic of a replication",
    "consumer": "Failed events, logs and settings of a replication's functions",
    "target": "Ledgers, journal, quarantine, snapshots and targets of a replication",
}
ALIAS_CHARACTERS = 8
"""Of the key's id: enough to keep the aliases of several stacks apart."""


@dataclass(frozen=True)
class PlaceKey:
    """The key of a place."""

    arn: Text
    made: aws.kms.Key | None = None
    """None: others own it."""

    @property
    def needed(self) -> list[pulumi.Resource]:
        """Dependencies of encrypted data: deleted after it, or not at all."""
        return [self.made] if self.made else []


@dataclass(frozen=True)
class PlaceKeys:
    """The keys of the places that have one. Everything else is under AWS's keys."""

    by_place: Mapping[str, PlaceKey] = field(default_factory=dict)

    @classmethod
    def declared(cls, settings: StackConfig, accounts: Accounts, *, exporter: Text) -> PlaceKeys:
        """Declare the keys that the stack makes. `exporter`: ARN of the role."""
        found = {}
        for place in PLACES:
            given = settings.keys.given(place)
            if given:
                found[place] = PlaceKey(given)
            elif settings.keys.makes(place) and needs_key(place, settings):
                made = MadeKey(place, settings, accounts, exporter).key
                found[place] = PlaceKey(made.arn, made)
        return cls(found)

    @property
    def source(self) -> PlaceKey | None:
        return self.by_place.get("source")

    @property
    def consumer(self) -> PlaceKey | None:
        return self.by_place.get("consumer")

    @property
    def target(self) -> PlaceKey | None:
        return self.by_place.get("target")

    @property
    def outputs(self) -> dict[str, Text]:
        """The ARNs by place."""
        return {place: key.arn for place, key in self.by_place.items()}


class MadeKey(pulumi.ComponentResource):
    """A key that the stack makes for a place, and its alias."""

    key: aws.kms.Key

    def __init__(
        self, place: str, settings: StackConfig, accounts: Accounts, exporter: Text
    ) -> None:
        name = f"replication-{place}"
        super().__init__("replication:index:PlaceKey", name)
        side = "source" if place == "source" else "target"
        region = settings.region_of(place)
        opts = pulumi.ResourceOptions(
            parent=self,
            provider=accounts.of(side),
            # The source's may change: only its topic, which keeps nothing, is under it.
            protect=settings.protect and place != "source",
            # Target tables outlive the stack, and are lost with the key that encrypts them. What
            # is under way to the source's topic is still read with its key.
            retain_on_delete=place != "consumer",
        )
        self.key = aws.kms.Key(
            f"{name}-key",
            region=region,
            description=DESCRIPTIONS[place],
            enable_key_rotation=True,
            deletion_window_in_days=30,
            policy=document(*made_key_policy(place, settings, exporter=exporter)),
            opts=opts,
        )
        aws.kms.Alias(
            f"{name}-alias",
            region=region,
            # By the key's id: the name is the account's and Region's, where other stacks have keys.
            name=self.key.key_id.apply(lambda id_: f"alias/{name}-{id_[:ALIAS_CHARACTERS]}"),
            target_key_id=self.key.arn,
            opts=pulumi.ResourceOptions(
                parent=self, provider=accounts.of(side), deleted_with=self.key
            ),
        )
        self.register_outputs({"arn": self.key.arn})
