"""The check that a snapshot can cross the accounts, before any is paid for.

The exporter writes one small object into the snapshot bucket, with the encryption of an export; the
importer reads it, lists it and deletes it. A process that is killed in between leaves the object,
and the next check of the table overwrites and deletes it.
"""

from __future__ import annotations

from collections.abc import Iterator

from bootstrap.core.errors import AccessDeniedError, AccountError, Side, UnavailableError
from bootstrap.core.ports import CrossAccountCheck
from bootstrap.plan.blocker import Blocker
from bootstrap.plan.replication import Replication

NAME = "cross-account-check"
"""Beside the folders of the table's runs, which begin with a date."""
NOT_TRIED = (
    "Whether the accounts let the snapshot cross was not tried, and an organisation's policy may "
    "still refuse it."
)
PAGE = "docs/platform-teams.md"


def check_cross_account(check: CrossAccountCheck, replication: Replication) -> None:
    """Write, read and remove the object of a deployed stack.

    Raises:
        AccessDeniedError: a call was refused; with who has to allow it.
        AccountError: a call failed in another way.
    """
    for error in _refusals(check, replication):
        raise error


def cross_account_blockers(check: CrossAccountCheck, replication: Replication) -> Iterator[Blocker]:
    """List the calls that were refused, and who has to allow each; and those that failed.

    Raises:
        UnavailableError: AWS did not answer, so that nothing is known.
    """
    for error in _refusals(check, replication):
        yield Blocker(error.what, error.fix)


def _refusals(check: CrossAccountCheck, replication: Replication) -> Iterator[AccountError]:
    assert replication.deployment is not None, "before the deployment there is no bucket"
    key = f"{replication.deployment.snapshot_prefix}/{NAME}"
    refused: list[AccountError] = []
    try:
        check.write(key)
        check.read(key)
    except UnavailableError:
        raise
    except AccountError as error:
        refused.append(error)
    try:
        # Also where nothing was written: an earlier process may have left it.
        check.remove(key)
    except UnavailableError:
        raise
    except AccountError as error:
        refused.append(error)
    for each in refused:
        if isinstance(each, AccessDeniedError):
            fix = _allowed_by(each, replication)
            yield AccessDeniedError(each.side, each.what, fix=fix, code=each.code)
        else:  # a key that is disabled, a bucket that has gone
            yield each


def _allowed_by(error: AccessDeniedError, replication: Replication) -> str:
    """Return who has to allow a refused call, by the kind of policy that AWS names.

    AWS names it in most services ("Troubleshoot access denied error messages", IAM User Guide).
    """
    caller, owner = replication.source_account, replication.target_account
    if error.side is Side.TARGET:
        caller = owner
    said = error.what.lower()
    named = {
        "service control policy": f"a service control policy of account {caller}'s organisation",
        "resource control policy": f"a resource control policy of account {owner}'s organisation",
        "permissions boundary": "the permissions boundary of the role",
        "vpc endpoint policy": "the policy of the VPC endpoint through which this machine calls S3",
    }
    found = [whose for kind, whose in named.items() if kind in said]
    if found:
        return f"have it allowed in {found[0]}: {PAGE} lists what has to pass"
    return (
        "the same again in a few minutes, if `pulumi up` has just run: IAM passes a change on with "
        f"a delay. Otherwise {replication.up}, which allows it in the role's policy and in those "
        "of the bucket and its key; if they allow it already, look for an organisation's policy: "
        f"a service control policy of account {caller}, or a resource control policy of account "
        f"{owner} ({PAGE} lists what has to pass). Where it refuses the network of this machine "
        "alone, --skip-cross-account-check leaves the check out: DynamoDB writes an export from "
        "its own network"
    )
