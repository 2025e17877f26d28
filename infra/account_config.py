"""The `source` and `target` sections of the stack file: one account of the pair."""

from __future__ import annotations

from dataclasses import dataclass

from infra import partitions
from infra.config_validation import ConfigReader

ACCOUNT_ID = r"[0-9]{12}"
REGION = r"[a-z]{2,4}(-[a-z]+)+-[0-9]{1,2}"
ROLE_ARN = r"arn:aws[a-z-]*:iam::[0-9]{12}:role/[\w+=,.@/-]+"


@dataclass(frozen=True)
class AccountConfig:
    """One side of the replication: its account, its Region, and Pulumi's credentials there."""

    account_id: str
    """Twelve digits. A string: YAML reads 012345678901 as a number, without the zero."""
    region: str
    profile: str | None = None
    """A profile of the AWS configuration file. None: the credentials of the environment."""
    role_arn: str | None = None
    """A role to assume from those credentials. None: they are used as they are."""

    @property
    def partition(self) -> str:
        return partitions.partition(self.region)

    @property
    def root_arn(self) -> str:
        """The account as a principal: everyone whom the account's own IAM policies permit."""
        return f"arn:{self.partition}:iam::{self.account_id}:root"

    def arn(self, service: str, resource: str, *, region: str | None = None) -> str:
        """Return the ARN of a resource of this account, by default in this side's Region."""
        return (
            f"arn:{self.partition}:{service}:{region or self.region}:{self.account_id}:{resource}"
        )

    def table_arn(self, name: str) -> str:
        return self.arn("dynamodb", f"table/{name}")


def read_account(top: ConfigReader, side: str) -> AccountConfig:
    """Read one side's section. `side` is source or target."""
    section = top.section(
        side,
        f'write {side}: {{accountId: "111111111111", region: eu-west-1}}, with your own values',
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
