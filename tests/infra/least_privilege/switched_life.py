"""The life of a stack that is switched: killed and cancelled once, committed, and finished."""

from __future__ import annotations

from botocore.exceptions import ClientError

from infra.local.cloud import SOURCE
from tests.infra.least_privilege.recorded_run import Stage, scheduled, until, verify

CANCELLED = 7
FENCE = ("switch", "--fence", "--timeout", "90s")
ATTEMPTS = 3
A_DAY_IN_A_SECOND = "0.00001"
"""The time scale at which a day is under a second: `--finish` is for a day later."""


def switched(stage: Stage) -> None:
    """Everything that `switch` does, by the roles that it does it with."""
    stage.bootstrap("run")
    verify(stage)
    stage.bootstrap(*FENCE, "--dry-run")
    _cancelled(stage)
    for _ in range(ATTEMPTS):
        # On a busy machine a policy may come too late: then it is typed again.
        if "The target is the primary" in stage.bootstrap(*FENCE, allowed=(0, CANCELLED)):
            break
    else:
        raise AssertionError(f"cancelled {ATTEMPTS} times")
    scheduled(stage)  # the watchdog looks at the old source's policy
    stage.bootstrap("status", "--operator")
    stage.bootstrap("switch", "--finish", "--open-source", scale=A_DAY_IN_A_SECOND)


def _cancelled(stage: Stage) -> None:
    """A switch that dies once the source's Deny is put, and before the consumer's gate: closed,
    that leaves deletions by time to live out, and a verification has to restore them first.
    """
    process = stage.start(*FENCE)
    try:
        until("the source's Deny", lambda: _has_policy(stage))
    finally:
        process.kill()
        process.communicate()
    stage.bootstrap("switch", "--cancel")
    assert not _has_policy(stage)


def _has_policy(stage: Stage) -> bool:
    try:
        stage.cloud.client("dynamodb", SOURCE).get_resource_policy(
            ResourceArn=f"arn:aws:dynamodb:{SOURCE.region}:{SOURCE.account_id}"
            f":table/{stage.lane['sourceTable']}"
        )
    except ClientError as error:
        assert error.response["Error"]["Code"] == "PolicyNotFoundException"
        return False
    return True
