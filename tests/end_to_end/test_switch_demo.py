"""The demo with a switch: an application is moved, and the witness has nothing to say."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.commands import running

pytestmark = [pytest.mark.slow, pytest.mark.promise("C9", "C10")]

PACE = ("--rate", "40", "--steady", "2", "--patience", "300")
SMALL = ("--items", "400", "--min-changes", "200", *PACE)


def switched(directory: Path, *options: str) -> dict[str, Any]:
    """Run the demo, which must succeed; return what its report says of the switch."""
    with running("demo", *SMALL, *options, "--directory", str(directory)) as demo:
        status = demo.wait(600)
    assert status == 0, demo.output
    assert demo.left_behind() == []
    found: dict[str, Any] = json.loads((directory / "report.json").read_text())["switch"]
    assert found["findings"] == []
    assert found["acknowledged"]["source"] > 50
    assert found["acknowledged"]["target"] > 20
    shown = re.search(r"([\d.,]+) s of our own", " ".join(demo.output.split()))
    assert shown is not None
    assert float(shown[1]) == pytest.approx(found["own_seconds"], abs=0.06)  # each is rounded
    return found


def test_a_switch_of_an_application_that_has_stopped_loses_nothing(tmp_path: Path) -> None:
    """Through the table's own stream; the other one goes through Kinesis."""
    found = switched(tmp_path, "--switch", "writes-stopped", "--buffer", "streams")
    assert found["mode"] == "writes-stopped"
    assert found["own_seconds"] > 0


def test_c4_a_fenced_switch_on_a_bad_day_moves_an_application_and_loses_nothing(
    tmp_path: Path,
) -> None:
    found = switched(tmp_path, "--switch", "on", "--chaos", "on,policy_spread=4")
    assert found["mode"] == "fence"
    assert found["outcomes"]["refused"] > 20
    assert found["fixed_seconds"] < found["refused_seconds"]
    assert found["own_seconds"] > 0
    assert 0 < found["first_let_in_seconds"] <= found["all_let_in_seconds"]
