"""The demo as a user runs it, with small numbers: everything real, from program to report."""

from __future__ import annotations

import base64
import gzip
import importlib.util
import json
import re
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from infra.local.workload.plan import KINDS
from tests.end_to_end.commands import copy_with, listens, running

pytestmark = [pytest.mark.slow, pytest.mark.promise("C1", "C3")]

QUICK = ("--rate", "40", "--min-changes", "300", "--steady", "3", "--patience", "180")
SMALL = ("--items", "600", *QUICK)


def report(directory: Path) -> dict[str, Any]:
    return dict(json.loads((directory / "report.json").read_text()))


def endpoint(output: str) -> str:
    found = re.search(r"http://127\.0\.0\.1:\d+", output)
    assert found, output
    return found.group()


def test_c1_the_target_equals_the_source_after_everything_with_writers_all_the_time(
    tmp_path: Path,
) -> None:
    with running("demo", *SMALL, "--directory", str(tmp_path)) as demo:
        status = demo.wait()
    assert status == 0, demo.output

    written = report(tmp_path)
    assert written["ok"] is True
    assert written["differences"] == 0
    assert written["options"]["items"] == written["items_seeded"] == 600
    assert written["options"]["switch"] == "off" and written["switch"] is None
    assert written["items_compared"] > 600
    assert set(written["changes_by_kind"]) == set(KINDS)
    assert written["changes_by_expiry"] > 0
    assert written["changes_received"] >= written["changes_captured"] >= 300
    done = written["changes_applied"] + written["changes_superseded"]
    assert done >= written["changes_captured"]
    assert written["changes_quarantined"] == 0
    for phase in ("EXPORTING", "IMPORTING", "CATCHING_UP", "REPLICATING"):
        assert written["phases"][phase]["changes_made"] > 0, f"nothing was written while {phase}"
    assert written["phases"]["DRAINING"]["changes_made"] == 0
    lag = written["lag_ms_replicating"]
    assert 0 < lag["p50"] <= lag["p99"] <= lag["max"]
    assert demo.left_behind() == []
    assert not listens(endpoint(demo.output))


def test_c1_a_table_with_local_indexes_is_loaded_by_bulk_put_while_it_changes(
    tmp_path: Path,
) -> None:
    """Verified by the stack's job, where this Python has Spark."""
    engine = "spark" if importlib.util.find_spec("pyspark") else "process"
    options = ("--lsi", "on", "--engine", engine, "--directory", str(tmp_path))
    with running("demo", *SMALL, *options) as demo:
        status = demo.wait()
    assert status == 0, demo.output
    assert "make the table orders-replica, with all indexes of the source" in demo.output

    written = report(tmp_path)
    assert written["ok"] is True
    assert (written["options"]["lsi"], written["options"]["engine"]) == ("on", engine)
    assert ("Comparing on AWS Glue by run" in demo.output) is (engine == "spark")
    assert written["differences"] == 0
    assert written["verification"]["judged"] == 1
    load = written["load"]
    assert (load["mode"], load["imports"], load["late_puts"]) == ("bulk", 0, 0)
    assert load["puts"] >= 500, "the snapshot of 600 items, some of which have expired"
    assert written["phases"]["IMPORTING"]["changes_made"] > 0, "nothing was written in the load"
    indexes = {each["name"]: each for each in written["indexes"]}
    assert [name for name, each in indexes.items() if each["local"]] == [
        "within-by-time",
        "within-by-status",
    ]
    assert "by-status-and-customer" in indexes, "the global one with a key of several attributes"
    for each in indexes.values():
        assert 0 < each["items"] < written["items_compared"], "some items lack the attribute"
        assert each["queries"] > 0
        assert (each["wrong_items"], each["wrong_answers"]) == (0, 0)
    assert demo.left_behind() == []


def test_c4_duplicates_disorder_overlap_throttling_kills_and_poison_change_no_data_of_the_users_own(
    tmp_path: Path,
) -> None:
    data = tmp_path / "export.json.gz"
    lines = []
    for n in range(300):
        # The last one comes twice; its second line is what the table holds.
        key = {"customer": {"N": str(n % 299)}, "at": {"B": base64.b64encode(b"\xff").decode()}}
        lines.append(json.dumps({"Item": {**key, "name": {"S": f"é{n}"}, "line": {"N": str(n)}}}))
    data.write_bytes(gzip.compress("\n".join(lines).encode()))

    directory = tmp_path / "demo"
    options = ("--data", str(data), "--key", "customer,at", "--directory", str(directory))
    chaos = ("--chaos", "on,poison=0.01")
    with running("demo", *QUICK, *options, *chaos) as demo:
        status = demo.wait(480)
    assert status == 0, demo.output

    written = report(directory)
    assert written["items_seeded"] == 299
    assert written["differences"] == 0
    assert set(written["changes_by_kind"]) == set(KINDS) - {"large"}
    assert "1 lines have a key that occurs again later" in demo.output
    assert written["changes_received"] > written["changes_captured"], "nothing was delivered twice"
    assert written["quarantine_objects"] == written["records_poisoned"] > 0
    assert "deliveries were duplicates" in demo.output


def test_a_malformed_line_stops_the_demo_before_anything_starts(tmp_path: Path) -> None:
    data = tmp_path / "data.json"
    data.write_text('{"Item": {"pk": {"S": "a"}}}\n{"Item": {"pk": {"S": 1}}}\n')
    directory = tmp_path / "demo"

    with running("demo", "--data", str(data), "--directory", str(directory)) as demo:
        status = demo.wait(30)

    assert status == 2
    assert f"{data}, line 2: attribute pk (S) is a number" in demo.output
    assert "Try: " in demo.output
    assert not directory.exists()


@pytest.mark.parametrize(
    ("moment", "number"),
    [
        ("Local cloud", signal.SIGINT),
        ("Writers", signal.SIGTERM),
        ("EXPORTING", signal.SIGINT),
    ],
)
def test_an_interrupted_demo_leaves_no_process_and_no_listening_port(
    tmp_path: Path, moment: str, number: signal.Signals
) -> None:
    with running("demo", *SMALL, "--directory", str(tmp_path)) as demo:
        demo.wait_for(moment)
        assert listens(endpoint(demo.output))
        demo.signal(number)
        status = demo.wait(60)

    assert status == 128 + number, demo.output
    assert demo.left_behind() == []
    assert not listens(endpoint(demo.output))
    assert "everything it started is stopped" in demo.output
    assert "resumes from here" not in demo.output, "the cloud that it would resume in is gone"


@pytest.mark.skipif(sys.platform != "linux", reason="no other system ends children so")
def test_a_killed_demo_takes_everything_along(tmp_path: Path) -> None:
    with running("demo", *SMALL, "--directory", str(tmp_path)) as demo:
        demo.wait_for("EXPORTING")
        assert any("bootstrap run" in each for each in demo.left_behind())
        demo.signal(signal.SIGKILL)
        demo.wait(10)
        deadline = time.monotonic() + 60
        while demo.left_behind() and time.monotonic() < deadline:
            time.sleep(0.2)
        assert demo.left_behind() == []


REMOVED = [
    (
        *("infra/shared_actions.py", '"dynamodb:DeleteItem", '),
        *("dynamodb:DeleteItem", "table/orders-replica"),
    ),
    ("infra/consumer.py", '["kms:Decrypt"]', "kms:Decrypt", ":key/"),
]


@pytest.mark.parametrize(("file", "text", "action", "resource"), REMOVED)
def test_c8_a_permission_taken_from_the_consumers_role_is_named(
    tmp_path: Path, file: str, text: str, action: str, resource: str
) -> None:
    replaced = text.replace(action, "dynamodb:DescribeTable")
    tree = copy_with(tmp_path / "copy", file, text, replaced)

    with running("demo", *SMALL, "--directory", str(tmp_path / "demo"), tree=tree) as demo:
        status = demo.wait()

    assert status == 1, demo.output
    named = [line for line in demo.output.splitlines() if f"{action} on " in line]
    assert named, demo.output
    assert resource in named[0]
    assert "Try: " in demo.output
    assert demo.left_behind() == []
