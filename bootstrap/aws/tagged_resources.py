"""Resources by their tags: the Resource Groups Tagging API of one account and Region."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError
from botocore.parsers import ResponseParserError

from bootstrap.aws.calls import Calls
from bootstrap.core.errors import UnavailableError

SERVICE = "resourcegroupstaggingapi"
TYPES = ("kinesis", "dynamodb", "s3", "lambda")
PAGE = 100
"""The most that GetResources returns in a page."""
MOST_PAGES = 100
CONFIG = Config(
    connect_timeout=3,
    read_timeout=10,
    retries={"mode": "standard", "total_max_attempts": 2},
)
"""It is read only for a hint: a network without a way to it must not hold up the rest."""


class AwsTaggedResources:
    """Lists the streams, tables, buckets and functions that have tags."""

    def __init__(self, calls: Calls, tagging: Any) -> None:
        self._calls = calls
        self._tagging = tagging

    def arns(self, tags: Mapping[str, str]) -> Sequence[str]:
        """Return the ARNs of what has all these tags, and also of what was deleted lately.

        Raises:
            BootstrapError: the listing cannot be read to its end.
        """
        request: dict[str, Any] = {
            "TagFilters": [{"Key": key, "Values": [value]} for key, value in tags.items()],
            "ResourceTypeFilters": list(TYPES),
            "ResourcesPerPage": PAGE,
        }
        found: list[str] = []
        token = ""
        for _ in range(MOST_PAGES):
            answer = self._page(request, token)
            found += _arns(answer)
            following = answer.get("PaginationToken") or ""
            if not following:
                return found
            if following == token:
                break
            token = following
        raise self._broken("it does not end")

    def _page(self, request: Mapping[str, Any], token: str) -> Mapping[str, Any]:
        more = {"PaginationToken": token} if token else {}
        try:
            return self._calls(
                "tag", self._tagging.get_resources, "the stack's resources", **request, **more
            )
        except (BotoCoreError, ResponseParserError) as error:
            raise self._broken(str(error)) from error

    def _broken(self, why: str) -> UnavailableError:
        return UnavailableError(
            self._calls.side,
            f"tag:GetResources in the {self._calls.side.account} cannot be read: {why}",
            fix="run again in a few minutes",
        )


def _arns(answer: Mapping[str, Any]) -> Sequence[str]:
    listed = [each.get("ResourceARN") for each in answer.get("ResourceTagMappingList") or ()]
    return [each for each in listed if isinstance(each, str)]
