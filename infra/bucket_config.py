"""The `buckets` section of the stack file: what a company's rules ask of every bucket."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from infra.account_config import AccountConfig
from infra.config_validation import NOT_GIVEN, ConfigReader

BUCKET_NAME = r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"
BUCKET_PLACES = ("consumer", "target")
"""The places of buckets: target account, in the source's and in the target's Region. The source
account has none."""


@dataclass(frozen=True)
class BucketRules:
    """The rules for the buckets of one place."""

    access_log_bucket: str | None = None
    """The bucket that S3 writes the access logs into."""
    block_public_access: bool = True


@dataclass(frozen=True)
class BucketConfig:
    """The rules for the buckets of both places."""

    access_logs: Mapping[str, str] = field(default_factory=dict)
    """Your own buckets for S3's access logs, by place. None: S3 writes none."""
    block_public_access: bool = True
    """Whether the stack sets each bucket's own block of public access. False where a policy of the
    organisation denies that call: S3 blocks public access to new buckets anyway, and blocks that
    the stack has set stay. A stack of an older release needs one `pulumi up` without it first."""

    def rules(self, place: str) -> BucketRules:
        """Return the rules for the buckets of one place."""
        return BucketRules(self.access_logs.get(place), self.block_public_access)


def read_buckets(top: ConfigReader, source: AccountConfig, target: AccountConfig) -> BucketConfig:
    """Read and check the section."""
    section = top.section("buckets", "write buckets: {blockPublicAccess: false}", required=False)
    config = BucketConfig(
        access_logs=_access_logs(section, source, target),
        block_public_access=section.flag(
            "blockPublicAccess", default=BucketConfig.block_public_access
        ),
    )
    section.refuse_unknown_keys()
    return config


def _access_logs(
    section: ConfigReader, source: AccountConfig, target: AccountConfig
) -> dict[str, str]:
    """Read a bucket for each place: S3 demands the account and Region of the bucket that it logs.

    Amazon S3 User Guide, "Enabling Amazon S3 server access logging".
    """
    if section.raw("accessLogs") is NOT_GIVEN:
        return {}
    logs = section.section("accessLogs", "write accessLogs: {consumer: BUCKET, target: BUCKET}")
    regions = dict(zip(BUCKET_PLACES, (source.region, target.region), strict=True))
    found = {}
    for place, region in regions.items():
        name = logs.text(
            place,
            BUCKET_NAME,
            f"the name of a bucket of the target account in {region}, where these buckets are",
            "use the bucket's name (not its ARN), or remove buckets.accessLogs",
        )
        if name:
            found[place] = name
    logs.refuse_key(
        "source", "nothing: the stack makes no bucket in the source account", "remove it"
    )
    logs.refuse_unknown_keys()
    if source.region != target.region and len(found) == 2 and len(set(found.values())) == 1:
        logs.mistakes.add(
            logs.key("consumer"),
            found["consumer"],
            f"another bucket than the target's: this one is in {source.region}",
            f"name a bucket of the target account in {source.region}",
        )
    return found
