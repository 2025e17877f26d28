"""Listings of AWS: long ones, repeated pages, and tokens that AWS refuses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from bootstrap.aws.calls import Calls
from bootstrap.aws.exports import TableExports
from bootstrap.aws.paging import MOST_PAGES, BrokenListingError
from bootstrap.aws.source import AwsSource
from bootstrap.aws.tables import Tables
from bootstrap.aws.target import AwsTarget
from bootstrap.core.errors import AccountError, Side
from bootstrap.core.export_search import begin_window
from tests.support.bootstrap.fake_aws import SOURCE_ARN
from tests.support.fakes.errors import client_error

QUARTER = 900
NOW = 1_780_000_000
DAYS_90 = 90 * 86_400 // QUARTER
"""8,640: exports of a table that is exported every 15 minutes."""


class LongLists:
    """DynamoDB with many exports, newest first as AWS lists them, and many imports."""

    def __init__(self, count: int = DAYS_90) -> None:
        self.calls: Counter[str] = Counter()
        self.exports = [self._export(NOW - n * QUARTER) for n in range(count)]
        self.trouble: Callable[[int], None] = lambda page: None
        self.repeats = False

    @staticmethod
    def _export(at: int, prefix: str = "theirs") -> dict[str, Any]:
        arn = f"{SOURCE_ARN}/export/{at * 1000:014d}-0a1b2c3d"
        return {
            "ExportArn": arn,
            "ExportStatus": "COMPLETED",
            "ExportType": "FULL_EXPORT",
            "S3Prefix": prefix,
        }

    def add(self, at: int, prefix: str) -> str:
        self.exports.append(self._export(at, prefix))
        self.exports.sort(key=lambda each: str(each["ExportArn"]), reverse=True)
        return str(self._export(at)["ExportArn"])

    def _page(self, name: str, member: str, rows: list[Any], token: str | None) -> dict[str, Any]:
        self.calls[name] += 1
        first = int(token or 0)
        self.trouble(first // 25 + 1)
        more = {"NextToken": "25" if self.repeats else str(first + 25)}
        return {member: rows[first : first + 25], **(more if first + 25 < len(rows) else {})}

    def list_exports(self, **request: Any) -> dict[str, Any]:
        rows = [{k: v for k, v in each.items() if k != "S3Prefix"} for each in self.exports]
        return self._page("ListExports", "ExportSummaries", rows, request.get("NextToken"))

    def list_imports(self, **request: Any) -> dict[str, Any]:
        rows = [{"ImportArn": "i", "ImportStatus": "COMPLETED"}] * len(self.exports)
        return self._page("ListImports", "ImportSummaryList", rows, request.get("NextToken"))

    def list_tags_of_resource(self, **request: Any) -> dict[str, Any]:
        rows = [{"Key": f"k{n:03}", "Value": "v"} for n in range(60)]
        return self._page("ListTagsOfResource", "Tags", rows, request.get("NextToken"))

    def describe_export(self, **request: Any) -> dict[str, Any]:
        self.calls["DescribeExport"] += 1
        (found,) = (e for e in self.exports if e["ExportArn"] == request["ExportArn"])
        return {"ExportDescription": found}


def finder(client: LongLists) -> TableExports:
    return TableExports(Calls(Side.SOURCE, "Role exporter"), client)


def refuse(code: str, *pages: int, times: int = 99) -> Callable[[int], None]:
    left = [times]

    def trouble(page: int) -> None:
        if page in pages and left[0]:
            left[0] -= 1
            raise client_error("ListExports", code, "it is refused")

    return trouble


def test_an_export_among_thousands_is_found_by_its_time_with_few_calls() -> None:
    client = LongLists()
    day_ago = NOW - 86_400
    ours = client.add(day_ago + 60, "orders/run/1")
    facts = finder(client).find(SOURCE_ARN, "orders/run/1", begin_window(day_ago))
    assert facts is not None
    assert facts.arn == ours
    # A day of exports every 15 minutes is four pages; some nine hours may hold ours.
    assert client.calls["ListExports"] <= 4
    assert client.calls["DescribeExport"] <= 4 * 9 + 1


def test_an_export_that_never_began_is_missed_without_reading_90_days() -> None:
    client = LongLists()
    assert finder(client).find(SOURCE_ARN, "orders/run/1", begin_window(NOW - 86_400)) is None
    assert client.calls["ListExports"] <= 5
    assert client.calls["DescribeExport"] <= 4 * 9 + 1


def test_exports_whose_ids_tell_no_time_or_come_in_another_order_are_all_looked_at() -> None:
    client = LongLists(60)
    client.exports.reverse()
    client.exports.append(
        {**LongLists._export(NOW - 5_000, "ours"), "ExportArn": f"{SOURCE_ARN}/export/odd"}
    )
    facts = finder(client).find(SOURCE_ARN, "ours", begin_window(NOW))
    assert facts is not None
    client = LongLists(60)
    client.exports.reverse()
    client.exports[59]["S3Prefix"] = "ours"  # the newest, and the last of the list
    facts = finder(client).find(SOURCE_ARN, "ours", begin_window(NOW))
    assert facts is not None


@pytest.mark.parametrize("code", ["ValidationException", "ExpiredTokenException", "ExpiredToken"])
def test_a_listing_whose_second_page_is_refused_begins_anew(code: str) -> None:
    client = LongLists(60)
    client.add(NOW - 40 * QUARTER + 1, "ours")
    client.trouble = refuse(code, 2, times=1)
    assert finder(client).find(SOURCE_ARN, "ours") is not None
    assert client.calls["ListExports"] == 4


@pytest.mark.parametrize("code", ["ValidationException", "ExpiredTokenException", "ExpiredToken"])
def test_an_export_that_the_pages_before_a_refused_one_do_not_settle_is_unknown(code: str) -> None:
    client = LongLists(60)
    client.trouble = refuse(code, 2)
    with pytest.raises(BrokenListingError, match="what follows is unknown"):
        finder(client).find(SOURCE_ARN, "ours")
    # Nothing on the second page could be ours.
    assert finder(client).find(SOURCE_ARN, "ours", begin_window(NOW)) is None


def test_a_listing_that_repeats_its_pages_ends() -> None:
    client = LongLists(90)
    client.repeats = True
    with pytest.raises(BrokenListingError, match="repeats a page"):
        finder(client).find(SOURCE_ARN, "ours")
    assert client.calls["ListExports"] <= 6
    with pytest.raises(BrokenListingError, match="repeats a page"):
        Tables(Calls(Side.SOURCE, "Role exporter"), client).tags(SOURCE_ARN)


def test_credentials_that_expire_are_no_trouble_of_the_listing() -> None:
    client = LongLists(60)
    client.trouble = refuse("ExpiredToken", 1, 2)
    with pytest.raises(AccountError, match="no usable credentials"):
        finder(client).find(SOURCE_ARN, "ours")


@pytest.mark.parametrize("trouble", ["", "ValidationException", "AccessDeniedException", "repeats"])
def test_how_many_jobs_run_is_unknown_where_the_list_is_long_or_unreadable(trouble: str) -> None:
    client = LongLists()
    client.repeats = trouble == "repeats"
    if trouble not in ("", "repeats"):
        client.trouble = refuse(trouble, 2)
    source = AwsSource(Calls(Side.SOURCE, "Role exporter"), client, None, None)
    target = AwsTarget(Calls(Side.TARGET, "Role importer"), client, None)
    assert source.running_exports() is None
    assert target.running_imports() is None
    assert client.calls["ListExports"] <= MOST_PAGES
    assert client.calls["ListImports"] <= MOST_PAGES
    assert client.calls["DescribeExport"] == 0


def test_jobs_in_progress_are_counted_over_all_pages() -> None:
    client = LongLists(60)
    for n in (0, 30, 59):
        client.exports[n]["ExportStatus"] = "IN_PROGRESS"
    source = AwsSource(Calls(Side.SOURCE, "Role exporter"), client, None, None)
    assert source.running_exports() == 3


def test_tags_are_read_over_all_pages() -> None:
    assert len(Tables(Calls(Side.SOURCE, "Role exporter"), LongLists()).tags(SOURCE_ARN)) == 60
