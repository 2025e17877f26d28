"""Early ends of a run: missing permissions of the consumer, writers that have died."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from infra.local.bootstrap_process import BootstrapFailedError, BootstrapProcess
from infra.local.stall_detector import (
    LogTail,
    PermissionMissingError,
    StallDetector,
    refusals_in_log,
)
from infra.local.workload.process import WritersError
from infra.local.workload.writers import Writers, WriterSettings

LANE = {
    "consumerRegion": "eu-west-1",
    "functionName": "consumer-" + "x" * 70,
    "logGroup": "group",
}
STREAM_ARN = "arn:aws:kinesis:eu-west-1:111111111111:stream/s"


class Cloud:
    """The part of a local cloud that the stall detector reads."""

    target = None

    def __init__(self, directory: Path, result: str = "OK") -> None:
        self.log = directory / "emulator.log"
        self.log.touch()
        self._result = result

    def check(self) -> None:
        """Do nothing: the cloud is alive."""

    def client(self, service: str, *_: Any) -> Any:
        return self

    def list_event_source_mappings(self, **_: Any) -> dict[str, Any]:
        mapping = {"EventSourceArn": STREAM_ARN, "LastProcessingResult": self._result}
        return {"EventSourceMappings": [mapping]}

    def get_paginator(self, _: str) -> Any:
        return self

    def paginate(self, **_: Any) -> list[dict[str, Any]]:
        return [{"events": []}]


def watch(cloud: Any) -> StallDetector:
    return StallDetector(cloud, LANE)


def refused(session: str) -> str:
    who = f"arn:aws:sts::222222222222:assumed-role/role/{session}"
    what = "dynamodb:PutItem on resource: arn:t because no identity-based policy allows it"
    return f"2026 WARNING User: {who} is not authorized to perform: {what}\n"


def test_a_refusal_of_the_consumer_ends_the_run_and_names_action_and_resource(
    tmp_path: Path,
) -> None:
    cloud = Cloud(tmp_path)
    cloud.log.write_text(refused(LANE["functionName"][:64]))

    with pytest.raises(PermissionMissingError, match="dynamodb:PutItem on arn:t") as caught:
        watch(cloud)()
    assert str(caught.value).splitlines()[-1].startswith("Try: ")


def test_another_callers_refusal_does_not(tmp_path: Path) -> None:
    cloud = Cloud(tmp_path)
    cloud.log.write_text(refused("someone"))

    watch(cloud)()

    assert [str(each) for each in refusals_in_log(cloud.log)] == ["dynamodb:PutItem on arn:t"]


def test_a_mapping_that_may_not_read_its_stream_ends_the_run(tmp_path: Path) -> None:
    cloud = Cloud(tmp_path, "PROBLEM: the role is not authorized to perform: kinesis:GetRecords")

    with pytest.raises(PermissionMissingError, match=r"kinesis:GetRecords on arn:aws:kinesis"):
        watch(cloud)()


def test_a_log_is_read_as_it_grows_and_by_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("one\ntw")
    tail = LogTail(path)
    assert tail.new_lines() == ["one"]

    path.write_text("one\ntwo\n")
    assert tail.new_lines() == ["two"]
    assert tail.new_lines() == []


def settings(tmp_path: Path, item_source: dict[str, Any]) -> WriterSettings:
    counts = str(tmp_path / "counts.jsonl")
    return WriterSettings("orders", item_source, counts, seed=1, rate=10, threads=1)


@pytest.mark.slow
def test_writers_that_die_are_noticed_with_the_reason(tmp_path: Path) -> None:
    writers = Writers(settings(tmp_path, {"no": "item_source"}), tmp_path, {})
    try:
        with pytest.raises(WritersError, match=r"exit status 1.*TypeError") as caught:
            for _ in range(200):
                writers.check()
                time.sleep(0.1)
    finally:
        writers.close()
    assert str(caught.value).splitlines()[-1].startswith("Try: ")


class Bootstrap(BootstrapProcess):
    """Another program in the bootstrap's place."""

    def __init__(self, directory: Path, program: str) -> None:
        self._outputs = directory / "outputs.json"
        self._environment = {}
        self._log = directory / "emulator.log"
        self._program = program

    def command(self, name: str, *options: str) -> list[str]:
        return ["-c", self._program]


def test_the_bootstraps_exit_status_is_told_with_its_meaning(tmp_path: Path) -> None:
    with pytest.raises(BootstrapFailedError, match="exit status 4: a problem in the target"):
        Bootstrap(tmp_path, "raise SystemExit(4)").run(lambda: None, 60)


def test_a_bootstrap_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(BootstrapFailedError, match="did not finish within --patience"):
        Bootstrap(tmp_path, "import time; time.sleep(60)").run(lambda: None, 0.3)
    assert time.monotonic() - began < 30


def test_what_the_watch_raises_ends_the_bootstrap(tmp_path: Path) -> None:
    started: list[int] = []
    program = f"open({str(tmp_path / 'pid')!r}, 'w').write(str(__import__('os').getpid()))\n"

    def alarm() -> None:
        if (tmp_path / "pid").exists() and (tmp_path / "pid").read_text():
            started.append(int((tmp_path / "pid").read_text()))
            raise PermissionMissingError([])

    with pytest.raises(PermissionMissingError):
        Bootstrap(tmp_path, program + "import time; time.sleep(60)").run(alarm, 60)
    assert subprocess.run([sys.executable, "-c", f"import os; os.kill({started[0]}, 0)"],
                          capture_output=True, check=False).returncode != 0  # fmt: skip


def test_the_history_is_read_from_status(tmp_path: Path) -> None:
    text = '{"history": [{"state": "PLANNED", "at": "2026-11-23T10:00:00.500Z"}]}'

    assert Bootstrap(tmp_path, f"print('{text}')").history() == [("PLANNED", 1795428000.5)]
    with pytest.raises(BootstrapFailedError, match="shows no history"):
        Bootstrap(tmp_path, "print('{}')").history()
