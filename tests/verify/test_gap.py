"""`status` names the gap that a loss detector tells of, and the command that closes it (C7)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest

from bootstrap.journal import Row
from bootstrap.progress import Snapshot, snapshot
from bootstrap.states import CaughtUp, State
from bootstrap.verify.gap import Gap, gap
from bootstrap.verify.records import Verified
from replicator.detectors import (
    ALL,
    BUFFER,
    DESTINATION,
    QUARANTINE,
    SKIPPED,
    Detector,
    Finding,
    Level,
)

NOW = 1_767_225_600.0
COMMAND = "python -m bootstrap {} --stack prod --table orders"
EQUAL = Verified(
    round="1",
    at=NOW - 900,
    source_time=NOW - 1800,
    target_time=NOW - 1000,
    sample=1,
    source_items=9,
    target_items=9,
    equal=9,
    changed_since=0,
    missing=0,
    extra=0,
    different=0,
    foreign=0,
)


def shown(*findings: Finding) -> Snapshot:
    row = Row(generation=1, run_id="run", state=State.REPLICATING, since=NOW - 9000)
    made = snapshot(
        "orders", "replica", row, (), at=NOW, holder="", command=COMMAND, findings=findings
    )
    return replace(made, caught_up=CaughtUp(NOW - 7200, "probe", 1, 1.0))


def lost(detector: Detector, value: float = 0.0) -> Finding:
    return Finding(detector, detector.level, value)


def found(*findings: Finding, verified: Verified | None = None) -> Gap:
    made = gap(shown(*findings), verified, COMMAND)
    assert made is not None
    return made


def test_a_gap_begins_where_everything_was_last_known_to_be_applied() -> None:
    made = found(lost(DESTINATION))
    assert (made.begin, made.end) == (NOW - 7260, NOW)
    assert found(lost(SKIPPED, 3), verified=EQUAL).begin == NOW - 1860


@pytest.mark.parametrize(
    "proves_nothing",
    [{"sample": 0.5}, {"changed_since": 1}, {"missing": 1}, {"foreign": 2, "repaired": 1}],
)
def test_a_verification_that_left_something_open_does_not_shorten_a_gap(
    proves_nothing: dict[str, float],
) -> None:
    verified = replace(EQUAL, **proves_nothing)  # type: ignore[arg-type]
    assert found(lost(SKIPPED), verified=verified).begin == NOW - 7260


def test_the_command_can_be_typed_as_it_stands() -> None:
    made = found(lost(DESTINATION))
    words = made.command.split()
    assert words[:4] == ["python", "-m", "bootstrap", "backfill"]
    for option, moment in (("--from", made.begin), ("--to", made.end)):
        assert datetime.fromisoformat(words[words.index(option) + 1]).timestamp() == moment
    assert made.command in made.line
    assert made.json["try"] == made.command


def test_a_gap_that_still_grows_is_stopped_first() -> None:
    assert "enable the streaming destination again, then" in found(lost(DESTINATION)).line
    assert "enable" not in found(lost(SKIPPED, 3)).line


def test_what_is_fine_unknown_or_kept_elsewhere_is_no_gap() -> None:
    fine = [Finding(each, Level.FINE, 0.0) for each in ALL]
    unread = [Finding(each, Level.UNKNOWN, None) for each in ALL]
    assert gap(shown(*fine), EQUAL, COMMAND) is None
    assert gap(shown(*unread), EQUAL, COMMAND) is None
    assert gap(shown(lost(QUARANTINE, 3)), EQUAL, COMMAND) is None
    assert gap(shown(lost(BUFFER, 0.99)), EQUAL, COMMAND) is None
    assert found(lost(BUFFER, 1.0)).detectors == (BUFFER,)
