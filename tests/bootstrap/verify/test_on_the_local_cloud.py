"""`verify` as a process, on the deployed stack with its roles enforced, while writes continue."""

from __future__ import annotations

import contextlib
import json
import shlex
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from infra.local.cloud import REPOSITORY
from tests.support.infra.clouds import capture, destination, until
from tests.support.verify.stack import Stack, order, replicating, writing

pytestmark = [pytest.mark.slow, pytest.mark.promise("C1", "C2", "C5", "C7")]

PRESENT = {
    "missing": order("missing"),
    "binary": order("binary", b={"B": b"\x00\x01"}),
    "nested": order("nested", m={"M": {"a": {"N": "1"}}}),
    "empty": order("empty", s={"S": ""}),
    "large": order("large", s={"S": "x" * 300_000}),
    "scale": order("scale", v={"N": "1.0"}),
    "set": order("set", v={"SS": ["a", "b"]}),
}
WRONG: dict[str, Any] = {
    "binary": order("binary", b={"B": b"\x00\x03"}),
    "nested": order("nested", m={"M": {"a": {"S": "1"}}}),
    "empty": order("empty"),
    "large": order("large", s={"S": "x" * 299_999 + "y"}),
    "scale": order("scale", v={"N": "1"}),
    "set": order("set", v={"SS": ["b", "a"]}),
    "extra": order("extra"),
}
DIFFER = {"binary": ["b"], "nested": ["m"], "empty": ["s"], "large": ["s"]}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with replicating(tmp_path_factory.mktemp("stack")) as stack:
        yield stack


def plant(stack: Stack) -> None:
    """Writes to the target what no consumer wrote there."""
    for item in PRESENT.values():
        stack.put(item)
    stack.arrived(PRESENT)
    table = stack.lane["targetTable"]
    stack.target.delete_item(TableName=table, Key={"pk": {"S": "missing"}})
    for item in WRONG.values():
        stack.target.put_item(TableName=table, Item=item)


def lines(report: str) -> dict[str, dict[str, Any]]:
    found = [json.loads(line) for line in Path(report).read_text().splitlines()]
    return {each["key"]["pk"]["S"]: each for each in found}


def test_planted_differences_of_every_kind_are_found_and_no_others_and_mended_while_a_writer_runs(
    stack: Stack,
) -> None:
    """C1, C2, C5."""
    with writing(stack):
        plant(stack)
        found = stack.verify(code=5)
        said = lines(found["report"])
        assert set(said) == {*DIFFER, "missing", "extra"}
        assert {name: said[name]["attributes"] for name in DIFFER} == DIFFER
        assert said["missing"]["kind"] == "missing"
        assert said["extra"]["kind"] == "extra"
        assert all(said[name]["foreign"] for name in (*DIFFER, "missing"))
        assert "source" not in said["binary"]
        assert found["counts"]["changedSince"] > 0
        assert found["judged"] > 0.5
        shown = stack.run("status")
        assert "6 differences" in shown.stdout, shown.stdout
        assert stack.verify("--repair")["counts"]["repaired"] == 6
        assert stack.verify()["equal"] is not False, "a writer runs: not every key is judged"
    assert stack.verify()["equal"] is True
    missing = stack.target.get_item(
        TableName=stack.lane["targetTable"], Key={"pk": {"S": "missing"}}
    )
    assert missing["Item"] == PRESENT["missing"]


def remembered(stack: Stack) -> Any:
    """The outage in the watchdog's book: when it began, and when it was over."""
    key = {"k": {"B": b"watchdog"}}
    row = stack.target.get_item(TableName=stack.lane["ledgerTable"], Key=key)
    return json.loads(row.get("Item", {}).get("book", {}).get("S", "{}")).get("outage")


def status(stack: Stack) -> dict[str, Any]:
    ran = stack.run("status", "--json")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return dict(json.loads(ran.stdout))


def test_status_names_the_backfill_of_a_gap_made_by_switching_the_streaming_destination_off_and_on(
    stack: Stack,
) -> None:
    """C7: what DynamoDB never handed over is in its own history."""
    assert stack.verify("--repair")["equal"] is True
    assert status(stack)["gap"] is None
    begin = datetime.now(UTC)
    stream = {"TableName": "orders", "StreamArn": stack.lane["streamArn"]}
    stack.source.disable_kinesis_streaming_destination(**stream)
    until(lambda: destination(stack.source, "orders")["DestinationStatus"] == "DISABLED", "off")
    for n in range(20):
        stack.put(order(f"seed-{n}", b={"B": b"\x00\xff"}))
        stack.source.delete_item(TableName="orders", Key={"pk": {"S": f"seed-{n + 20}"}})
    until(lambda: remembered(stack), "the watchdog to see that it is off")
    assert status(stack)["gap"]["open"] is True
    capture(stack.cloud, "orders", stack.lane["streamArn"])
    until(lambda: remembered(stack)[1], "the watchdog to see that it is on again")
    shown = status(stack)
    end = datetime.now(UTC)
    assert shown["safeToSwitch"] is False
    named = shlex.split(shown["gap"]["try"])
    assert named[:4] == ["python", "-m", "bootstrap", "backfill"]
    since, to = (
        datetime.fromisoformat(named[named.index(option) + 1]) for option in ("--from", "--to")
    )
    assert begin - timedelta(seconds=90) <= since <= begin
    assert begin <= to <= end, "a minute later than it ended, and not later than now"
    with writing(stack):
        ran = stack.run(
            *("backfill", "--json", "--from", since.isoformat(), "--to", to.isoformat()),
            *("--spool", str(stack.directory / "spool")),
        )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    reported = json.loads(ran.stdout)
    assert reported["backfill"]["applied"] == 40
    assert reported["verification"]["equal"] is not False, "a writer ran: not every key is judged"
    assert reported["verification"]["counts"]["changedSince"] > 0
    assert status(stack)["gap"] is None, "whatever changed since, nothing of the outage is missing"
    assert stack.verify()["equal"] is True


def test_keys_changed_since_are_read_from_the_source_where_it_is_asked_for(stack: Stack) -> None:
    """C5: with the permission that the configuration gives; and a lost change is found."""
    stack.put(order("quiet"))
    stack.arrived(["quiet"])
    with writing(stack):
        stack.target.delete_item(TableName=stack.lane["targetTable"], Key={"pk": {"S": "quiet"}})
        found = stack.verify("--read-source", "--repair")
    assert found["read"] > 0
    assert found["judged"] > 0.99
    assert set(lines(found["report"])) == {"quiet"}
    assert found["counts"]["repaired"] == 1


def test_a_repair_whose_process_is_killed_again_and_again_ends_with_equal_tables(
    stack: Stack,
) -> None:
    names = [f"seed-{n}" for n in range(100, 220)]
    for name in names:
        stack.put(order(name, b={"B": b"\x00\xff"}))
    until(lambda: stack.verify()["equal"] is True, "what was written to be applied")
    table = stack.lane["targetTable"]
    for n, name in enumerate(names):
        if n % 2:
            stack.target.delete_item(TableName=table, Key={"pk": {"S": name}})
        else:
            stack.target.put_item(TableName=table, Item=order(name, v={"S": "foreign"}))
    random, lines_said = Random(7), []
    for _ in range(5):
        process = subprocess.Popen(
            stack.command("verify", "--repair", "--spool", str(stack.directory / "spool")),
            cwd=REPOSITORY,
            env=stack.cloud.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.stdout is not None
        begun = process.stdout.readline()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(random.uniform(0, 8))
        process.kill()
        lines_said.append(begun + process.communicate()[0])
    assert any("Resuming verification" in said for said in lines_said), lines_said
    stack.verify("--repair")
    found = stack.verify()
    assert found["equal"] is True
    assert found["counts"]["foreign"] == 0
    restored = stack.target.get_item(TableName=table, Key={"pk": {"S": names[0]}})["Item"]
    assert restored == order(names[0], b={"B": b"\x00\xff"})
