"""The `source` and `target` sections of the stack file: one account of the pair."""

from __future__ import annotations

from dataclasses import dataclass

from infra import partitions
from infra.config_validation import ConfigErrors, ConfigReader

ACCOUNT_ID = r"[0-9]{12}"
REGION = r"[a-z]{2,4}(-[a-z]+)+-[0-9]{1,2}"
POLICY_ARN = r"arn:aws[a-z-]*:iam::([0-9]{12}|aws):policy/[A-Za-z0-9_+=,.@/-]+"
ROLE_PATH = r"(?=.{1,512}$)/([A-Za-z0-9_+=,.@-]+/)*"
EXTERNAL_ID = r"[\w+=,.@:/-]{2,1224}"
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
    """A role of the account, to assume from those credentials. None: they are used as they are."""
    external_id: str | None = None
    """The external id that the trust policy of `roleArn` requires. None: it requires none."""
    session_name: str | None = None
    """The name of the session of `roleArn`, which CloudTrail shows. None: `pulumi-` and the
    project's name.
    """
    sts_region: str | None = None
    """The Region whose STS says who the caller is and opens the session, also those of the
    operators' roles. None: `region`; another where the credentials' own account has not opted in to
    that one.
    """
    permissions_boundary_arn: str | None = None
    """A managed policy that every role of the stack in this account gets as its permissions
    boundary: one of the account's own, or AWS's. `python -m infra.review boundary` prints what it
    has to let through. None: the roles have no boundary. Adding or changing it changes the roles in
    place.
    """
    role_path: str | None = None
    """The IAM path of every role of the stack in this account. None: `/`. A change replaces the
    roles, and their ARNs change: follow docs/platform-teams.md, A boundary and a path.
    """

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
        external_id=read_external_id(section),
        session_name=section.optional_text(
            "sessionName",
            r"[A-Za-z0-9_+=,.@-]{2,64}",
            "2 to 64 letters, digits and _+=,.@-",
            "use a name of those characters, or leave it out",
        ),
        sts_region=section.optional_text(
            "stsRegion",
            REGION,
            "the name of an AWS Region",
            "use a name such as eu-west-1, or leave it out",
        ),
        permissions_boundary_arn=section.optional_text(
            "permissionsBoundaryArn",
            POLICY_ARN,
            "the ARN of a managed policy",
            "use arn:aws:iam::ACCOUNT:policy/NAME, or leave it out",
        ),
        role_path=section.optional_text(
            "rolePath",
            ROLE_PATH,
            "a path of up to 512 letters, digits and _+=,.@-/ that begins and ends with a slash",
            "use a path such as /platform/replication/, or leave it out",
        ),
    )
    section.refuse_unknown_keys()
    _refuse_boundary_of_another_account(section, account)
    _refuse_settings_of_no_session(section, account)
    _refuse_another_partition(section, account)
    return account


def read_external_id(section: ConfigReader) -> str | None:
    """Read the external id of a role's trust policy (API reference, AssumeRole)."""
    return section.optional_text(
        "externalId",
        EXTERNAL_ID,
        "2 to 1224 letters, digits and +=,.@:/-",
        "use only those characters, or leave it out",
    )


def refuse_two_partitions(
    mistakes: ConfigErrors, source: AccountConfig, target: AccountConfig
) -> None:
    """Report a pair of partitions: no policy of one can name a role of another."""
    if source.region and target.region and source.partition != target.partition:
        mistakes.add(
            "target.region",
            target.region,
            f"a Region of the partition {source.partition}, as source.region is: IAM knows no role "
            f"of another, and {target.region} is of {target.partition}",
            f"choose a Region of {source.partition}; tables cannot be replicated from one "
            "partition to another",
        )


def _refuse_settings_of_no_session(section: ConfigReader, account: AccountConfig) -> None:
    for key, value in (("externalId", account.external_id), ("sessionName", account.session_name)):
        if value and not account.role_arn and "roleArn" not in section.values:
            section.mistakes.add(
                section.key(key),
                value,
                "nothing without roleArn, whose session it is for",
                f"remove it, or set {section.key('roleArn')} to the role to assume",
            )


def _refuse_another_partition(section: ConfigReader, account: AccountConfig) -> None:
    other = account.sts_region
    if other and account.region and partitions.partition(other) != account.partition:
        section.mistakes.add(
            section.key("stsRegion"),
            other,
            f"a Region of the partition {account.partition}, as {section.key('region')} is",
            "name another Region, or leave it out",
        )


def _refuse_boundary_of_another_account(section: ConfigReader, account: AccountConfig) -> None:
    arn = account.permissions_boundary_arn
    if not (arn and account.account_id and account.region):
        return
    begins = tuple(
        f"arn:{account.partition}:iam::{owner}:policy/" for owner in (account.account_id, "aws")
    )
    if not arn.startswith(begins):
        section.mistakes.add(
            section.key("permissionsBoundaryArn"),
            arn,
            f"a policy of account {account.account_id} in the partition {account.partition}, or "
            f"one of AWS's own: IAM takes no other as a boundary",
            f"use {begins[0]}NAME, a policy of the role's own account, or leave it out",
        )
