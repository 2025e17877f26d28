"""`python -m infra.local serve`: what it prints works as printed."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.end_to_end.commands import REPOSITORY, Command, listens, running

pytestmark = pytest.mark.slow

ROOTS = {"source": "111111111111", "target": "222222222222"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("serve")


@pytest.fixture(scope="module")
def serve(place: Path) -> Iterator[Command]:
    with running("serve", "--directory", str(place)) as command:
        command.wait_for("Ctrl-C stops it")
        yield command


@pytest.fixture
def endpoint(serve: Command) -> str:
    found = re.search(r"Running at (\S+)", serve.output)
    assert found
    return found.group(1)


def printed(serve: Command, containing: str) -> str:
    return next(line.strip() for line in serve.output.splitlines() if containing in line)


def typed(place: Path, command: str) -> str:
    """Runs a printed command in a shell that has sourced the printed file."""
    script = f". {place}/env.sh && {command}"
    ran = subprocess.run(
        ["sh", "-c", script], cwd=REPOSITORY, capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def client(service: str, side: str, endpoint: str) -> Any:
    return boto3.session.Session().client(
        service,
        endpoint_url=endpoint,
        region_name="eu-west-1",
        aws_access_key_id=ROOTS[side],
        aws_secret_access_key="local",
    )


def by_boto3(command: str, endpoint: str) -> dict[str, Any]:
    """What the `aws` command does, where there is no `aws`."""
    words = shlex.split(command)
    options = dict(zip(words[1::2], words[2::2], strict=False))
    assert words[0] == "aws"
    operation = words[4].replace("-", "_")
    names = {"--table-name": "TableName", "--item": "Item", "--key": "Key"}
    found = {names[word]: words[index + 1] for index, word in enumerate(words) if word in names}
    arguments = {
        name: json.loads(value) if value.startswith("{") else value for name, value in found.items()
    }
    dynamodb = client("dynamodb", options["--profile"], endpoint)
    return dict(getattr(dynamodb, operation)(**arguments))


def call(place: Path, command: str, endpoint: str) -> dict[str, Any]:
    if shutil.which("aws"):
        text = typed(place, command)
        return dict(json.loads(text)) if text.strip() else {}
    return by_boto3(command, endpoint)


def until(condition: Any, seconds: float = 20) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found


def test_an_item_written_with_the_printed_command_arrives_in_the_target(
    serve: Command, place: Path, endpoint: str
) -> None:
    put, get = printed(serve, "put-item"), printed(serve, "get-item")
    delete = printed(serve, "delete-item")

    call(place, put, endpoint)
    item = until(lambda: call(place, get, endpoint).get("Item"))
    assert item["id"] == {"S": "hello"}
    assert item["total"] == {"N": "9.99"}

    call(place, delete, endpoint)
    until(lambda: "Item" not in call(place, get, endpoint))


def test_the_printed_status_command_works(serve: Command, place: Path) -> None:
    assert "REPLICATING" in typed(place, printed(serve, "bootstrap status"))


def test_both_tables_have_the_same_number_of_items(serve: Command, endpoint: str) -> None:
    counts = {
        side: client("dynamodb", side, endpoint).scan(TableName=table, Select="COUNT")["Count"]
        for side, table in (("source", "orders"), ("target", "orders-replica"))
    }
    assert counts["source"] == counts["target"] > 0


def test_c3_a_record_that_cannot_be_read_is_kept_in_quarantine(
    serve: Command, place: Path, endpoint: str
) -> None:
    (lane,) = json.loads((place / "outputs.json").read_text())["tables"]
    client("kinesis", "source", endpoint).put_record(
        StreamName=lane["streamName"], Data=b"\xff no change", PartitionKey="x"
    )

    s3 = client("s3", "target", endpoint)
    bucket = lane["quarantineBucket"]
    (entry,) = until(lambda: s3.list_objects_v2(Bucket=bucket).get("Contents"))
    kept = json.loads(s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read())
    assert kept["reason"] == "unreadable"
    assert kept["data"] == "/yBubyBjaGFuZ2U="


def test_it_stops_in_order(serve: Command, endpoint: str) -> None:
    assert listens(endpoint)
    serve.signal(signal.SIGINT)

    assert serve.wait(60) == 130
    assert serve.left_behind() == []
    assert not listens(endpoint)
