"""The entry point as Lambda loads it."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from typing import Any

import pytest

from replicator import handler
from replicator.settings import ConfigurationError
from tests.support.replicator.consumer_harness import event, spread
from tests.support.replicator.environment import ENVIRONMENT


class Context:
    def __init__(self, millis: int) -> None:
        self.millis = millis

    def get_remaining_time_in_millis(self) -> int:
        return self.millis


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> Any:
    importlib.reload(handler)
    yield
    importlib.reload(handler)


def test_a_batch_without_time_is_reported_failed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No endpoint is listening: with too little time left, none is called."""
    for name, value in {
        **ENVIRONMENT,
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    }.items():
        monkeypatch.setenv(name, value)
    report = handler.handler(event(*spread([1, 2])), Context(5_000))
    assert report == {"batchItemFailures": [{"itemIdentifier": "1000"}]}
    metrics = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    assert metrics[-1]["ChangesRetried"] == [2.0]


def test_a_missing_variable_stops_the_function(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigurationError):
        handler.handler(event(), Context(60_000))


def test_importing_the_handler_imports_no_sdk() -> None:
    """The SDK is most of a cold start, and its part in it comes with the first client."""
    script = (
        "import sys, replicator.handler\n"
        "heavy = {'boto3', 'botocore', 'urllib3', 'aws_lambda_powertools', 'google.protobuf'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
