"""Rows of the journal that a newer version has written."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from bootstrap.aws.calls import Calls
from bootstrap.aws.journal_table import AwsJournal
from bootstrap.core.errors import BlockedError, Side

pytestmark = pytest.mark.promise("C6")

DATE = {"ResponseMetadata": {"HTTPHeaders": {"date": "Thu, 01 Jan 2026 00:00:00 GMT"}}}


def journal(row: dict[str, Any]) -> AwsJournal:
    answer = {"Item": row, "Items": [{"at": {"N": "1"}, "text": {"S": ""}, **row}], **DATE}
    dynamodb = SimpleNamespace(get_item=lambda **request: answer, query=lambda **request: answer)
    return AwsJournal(Calls(Side.TARGET, "the role"), dynamodb, "journal")


def test_a_state_of_a_newer_version_is_refused_by_name() -> None:
    newer = journal({"state": {"S": "MIRRORED"}})
    with pytest.raises(BlockedError, match="MIRRORED") as refused:
        newer.read("orders")
    assert "version" in refused.value.fix
    with pytest.raises(BlockedError, match="MIRRORED"):
        newer.history("orders", "run")


def test_members_of_a_newer_version_are_ignored() -> None:
    failure = '{"step": "export", "what": "w", "fix": "f", "resumable": true, "since": 1}'
    waiting = '{"what": "w", "since": 1, "of": 2}'
    row, _ = journal({"failure": {"S": failure}, "waiting": {"S": waiting}}).read("orders")
    assert row is not None
    assert row.failure is not None
    assert row.failure.step == "export"
    assert row.waiting is not None
    assert row.waiting.what == "w"
