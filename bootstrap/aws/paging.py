"""Listings of AWS, page by page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from bootstrap.aws.calls import Calls
from bootstrap.core.errors import AccountError, UnavailableError

T = TypeVar("T")

PAGE = 25
"""The most that ListExports and ListImports return in a page."""
MOST_PAGES = 20
"""Pages of a listing that is read only for a hint."""
_REFUSED_TOKENS = frozenset(
    {"ExpiredNextTokenException", "ExpiredToken", "ExpiredTokenException", "ValidationException"}
)
"""ListExports, for one, is known to hand out tokens longer than it accepts."""


class BrokenListingError(UnavailableError):
    """A listing that AWS does not continue: what follows is unknown."""


def pages(
    calls: Calls, service: str, method: Callable[..., Any], resource: str, **request: Any
) -> Iterator[dict[str, Any]]:
    """Yield each page of a listing that continues with NextToken.

    Raises:
        BrokenListingError: AWS refuses the token that it gave, or gives one twice.
    """
    token, seen = "", set[str]()
    while True:
        try:
            answer = calls(service, method, resource, **request)
        except AccountError as error:
            if token and error.code in _REFUSED_TOKENS:
                raise broken_listing(
                    calls, service, resource, f"it answers {error.code}"
                ) from error
            raise
        yield answer
        token = answer.get("NextToken") or ""
        if not token:
            return
        if token in seen:
            raise broken_listing(calls, service, resource, "it repeats a page")
        seen.add(token)
        request = {**request, "NextToken": token}


def search_twice(search: Callable[[], T]) -> T:
    """Search a listing, and once more from its beginning if it breaks off: tokens expire.

    Raises:
        BrokenListingError: it broke off again.
    """
    try:
        return search()
    except BrokenListingError:
        return search()


def count_running(listing: Iterator[dict[str, Any]], member: str, status: str) -> int | None:
    """Count the jobs in progress in a listing of jobs; None: unknown.

    The count is a hint: it never fails, and reads no thousands of jobs that are over.
    """
    count = 0
    try:
        for number, answer in enumerate(listing, 1):
            found = answer.get(member, [])
            count += sum(each.get(status) == "IN_PROGRESS" for each in found)
            if number == MOST_PAGES and answer.get("NextToken"):
                return None
    except AccountError:
        return None
    return count


def broken_listing(calls: Calls, service: str, resource: str, why: str) -> BrokenListingError:
    """Make the error for a listing that breaks off."""
    return BrokenListingError(
        calls.side,
        f"{service} in the {calls.side.account} does not list {resource} to the end ({why}): what "
        "follows is unknown.",
        fix="run again in a few minutes: it continues where it stopped",
    )
