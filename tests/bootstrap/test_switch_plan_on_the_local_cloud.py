"""`switch --dry-run` as a process on the local cloud, on day one: what it asks of both accounts."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.support.bootstrap.local_stack import deployed

pytestmark = [pytest.mark.slow, pytest.mark.promise("C9", "C10")]

READING = re.compile(
    r"\w[\w-]*:(Get|Describe|List|Query|BatchGetItem|AssumeRole|GetCallerIdentity)"
)


def test_dry_run_on_day_one_reads_and_says_what_must_be_true_days_before(tmp_path: Path) -> None:
    recording = tmp_path / "calls"
    with deployed(tmp_path, "orders", recording=recording, switch=True) as stack:
        deployment = recording.read_text()
        ended = stack.end("switch", "--fence", "--dry-run", "--json")
    calls = [json.loads(line) for line in recording.read_text()[len(deployment) :].splitlines()]

    assert ended.returncode == 1, ended.stderr
    plan = json.loads(ended.stdout)
    (table,) = plan["tables"]
    found = {each["name"]: each["fulfilled"] for each in table["checks"]}
    assert (found["roles"], found["source-policy"]) == (True, True)
    assert (plan["ready"], found["state"], found["target-deny"]) == (False, False, False)
    readers = {each["kind"]: each["found"] for each in table["readers"]}
    assert (readers["dynamodb-stream"], readers["kinesis-destinations"]) == (False, False)
    assert table["daysBefore"][1]["done"] is False
    assert plan["settings"] == {}, "there is no target yet"

    assert [each for each in calls if "/replication-switch" in each["caller"]] == []
    by_roles = [each for each in calls if re.search("exporter|importer", each["caller"])]
    assert {each["action"] for each in by_roles} >= {
        *("dynamodb:DescribeTable", "dynamodb:GetResourcePolicy", "dynamodb:GetItem"),
    }
    assert [each for each in by_roles if not READING.match(each["action"])] == []
