"""`python -m infra.local serve`: printed commands work as printed."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from infra.local.serve import commands
from tests.end_to_end.commands import REPOSITORY, Command, listens, running

pytestmark = pytest.mark.slow

ROOTS = {"source": "111111111111", "target": "222222222222"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("serve")


@pytest.fixture(scope="module")
def serve(place: Path) -> Iterator[Command]:
    with running("serve", "--directory", str(place)) as command:
        command.wait_for("Ctrl-C stops everything")
        yield command


@pytest.fixture
def endpoint(serve: Command) -> str:
    found = re.search(r"Running at (\S+)", serve.output)
    assert found
    return found.group(1)


def printed(serve: Command, containing: str) -> str:
    return next(line.strip() for line in serve.output.splitlines() if containing in line)


def typed(place: Path, command: str) -> str:
    """Run a printed command in a shell that has sourced the printed file."""
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


def until(condition: Any, seconds: float = 20) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found


def test_what_is_printed_is_for_the_cli_only_where_there_is_one(serve: Command) -> None:
    there = shutil.which("aws") is not None
    assert ("aws --profile source dynamodb put-item" in serve.output) == there
    assert (".put_item(" in serve.output) != there


CLI = pytest.param(
    True, id="aws", marks=pytest.mark.skipif(not shutil.which("aws"), reason="no AWS CLI here")
)


@pytest.mark.parametrize("with_cli", [CLI, pytest.param(False, id="python")])
def test_an_item_written_with_the_command_arrives_in_the_target(
    serve: Command, place: Path, with_cli: bool
) -> None:
    outputs = place / "outputs.json"
    (table,) = json.loads(outputs.read_text())["tables"]
    put, get, delete, count, _ = (made for _, made in commands(table, outputs, with_cli=with_cli))

    typed(place, put)
    until(lambda: "9.99" in typed(place, get))
    typed(place, delete)
    until(lambda: "9.99" not in typed(place, get))
    before, after = re.findall(r"\bCount\W+(\d+)", typed(place, count))
    assert before == after == "200"


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
    (table,) = json.loads((place / "outputs.json").read_text())["tables"]
    client("kinesis", "source", endpoint).put_record(
        StreamName=table["streamName"], Data=b"\xff no change", PartitionKey="x"
    )

    s3 = client("s3", "target", endpoint)
    bucket = table["quarantineBucket"]
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
