"""The call log: each distinct call once, without its content."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from infra.local.cloud import SOURCE, TARGET, LocalCloud
from infra.local.emulator.call_log import BEHIND, DIRECT, CallLog
from infra.local.emulator.patching import Ministack
from infra.local.emulator.settings import EmulatorSettings
from tests.support.infra.clouds import as_role, make_role, make_table, policy


def test_each_distinct_call_is_written_once(tmp_path: Path) -> None:
    file = tmp_path / "calls"
    recording = CallLog(Ministack("", {}), file)
    for _ in range(2):
        recording.note(DIRECT, "anna", "s3:PutObject", "arn:aws:s3:::b/a")
        recording.note(BEHIND, "anna", "s3:PutObject", "arn:aws:s3:::b/a")
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line["kind"] for line in lines] == [DIRECT, BEHIND]
    assert lines[0] == {
        "kind": DIRECT,
        "caller": "anna",
        "action": "s3:PutObject",
        "resource": "arn:aws:s3:::b/a",
    }


def test_without_a_file_nothing_is_kept() -> None:
    assert EmulatorSettings.from_environment({"LOCAL_RECORDING": ""}).recording is None
    CallLog(Ministack("", {}), None).note(DIRECT, "anna", "s3:PutObject", "*")


@pytest.mark.slow
def test_a_refused_call_is_written_too_and_no_item_is(tmp_path: Path) -> None:
    file = tmp_path / "calls"
    with LocalCloud(tmp_path / "cloud", recording=file) as cloud:
        arn = make_table(cloud.client("dynamodb", TARGET), "orders")
        role = make_role(cloud, TARGET, "reader", policy((["dynamodb:GetItem"], [arn])))
        dynamodb = as_role(cloud, TARGET, role, "dynamodb")
        with pytest.raises(dynamodb.exceptions.ClientError, match="dynamodb:PutItem"):
            dynamodb.put_item(TableName="orders", Item={"pk": {"S": "a secret"}})
        cloud.client("dynamodb", SOURCE).list_tables()
    calls = [json.loads(line) for line in file.read_text().splitlines()]
    mine = [call for call in calls if ":assumed-role/reader/" in call["caller"]]
    assert [(call["action"], call["resource"]) for call in mine] == [("dynamodb:PutItem", arn)]
    assert "secret" not in file.read_text()
