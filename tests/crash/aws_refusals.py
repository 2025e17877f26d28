"""What AWS answers when it refuses: codes and statuses by service."""

from __future__ import annotations

import time
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any

from botocore.awsrequest import AWSResponse

from tests.crash.crash_points import Deed


@dataclass(frozen=True)
class Refusal:
    """An error's code, HTTP status and words."""

    code: str
    status: int
    message: str


QUERY = ("sts", "cloudwatch")
"""Services whose errors go by the names of the query protocol."""
THROTTLED = {"lambda": "TooManyRequestsException", "kinesis": "LimitExceededException"}
BROKEN = {
    "dynamodb": "InternalServerError",
    "lambda": "ServiceException",
    "kms": "KMSInternalException",
}

# AWS's answer to a call that was made again after its work was done, where that is no success (API
# reference, errors of each). The local cloud is never busy with a change, so they stand here.
BUSY: dict[str, Refusal] = {
    "dynamodb:UpdateTable": Refusal(
        "ResourceInUseException",
        400,
        "Attempt to change a resource which is still in use: Table is being updated",
    ),
    "dynamodb:UpdateTimeToLive": Refusal(
        "ValidationException", 400, "TimeToLive is already enabled"
    ),
    "dynamodb:UpdateContinuousBackups": Refusal(
        "ContinuousBackupsUnavailableException",
        400,
        "Backups are being enabled for the table. Please retry later",
    ),
    "lambda:UpdateEventSourceMapping": Refusal(
        "ResourceInUseException",
        400,
        "Cannot update the event source mapping because it is in use.",
    ),
}


def refusal(deed: Deed, service: str, operation: str, resource: str) -> Refusal:
    """What the service says where this is done to it."""
    old = service in QUERY
    if deed in (Deed.THROTTLE, Deed.THROTTLE_ONCE):
        code = THROTTLED.get(service, "Throttling" if old else "ThrottlingException")
        return Refusal(code, 429 if service == "lambda" else 400, "Rate exceeded")
    if deed is Deed.DENY:
        return Refusal(
            "AccessDenied" if old else "AccessDeniedException",
            403 if old else 400,
            f"User: arn:aws:sts::000000000000:assumed-role/someone/session is not authorized to "
            f"perform: {service}:{operation} on resource: {resource} because no identity-based "
            f"policy allows the {service}:{operation} action",
        )
    if deed is Deed.EXPIRE:
        return Refusal(
            "ExpiredToken" if old else "ExpiredTokenException",
            403 if old else 400,
            "The security token included in the request is expired",
        )
    return Refusal(BROKEN.get(service, "InternalFailure"), 500, "Internal server error")


def answer(refused: Refusal, url: str) -> tuple[AWSResponse, dict[str, Any]]:
    """The refusal as botocore has it: the response, and what it made of it."""
    headers = {"date": formatdate(time.time(), usegmt=True)}
    response = AWSResponse(url, refused.status, headers, None)
    response._content = b""
    parsed = {
        "Error": {"Code": refused.code, "Message": refused.message},
        "ResponseMetadata": {
            "HTTPStatusCode": refused.status,
            "HTTPHeaders": headers,
            "RequestId": "made-by-tests-crash",
        },
    }
    return response, parsed
