"""`status` names the gap that a loss detector tells of, and the command that closes it (C7)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest

from bootstrap.core.formatting import instant
from bootstrap.journal.records import Exported, Skipped
from bootstrap.journal.verification_records import LastVerification, Verified
from bootstrap.status.backfill_suggestion import Gap, find_gap
from bootstrap.status.inputs import StatusInputs
from replicator.watchdog.detectors import (
    ALL,
    BUFFER,
    DESTINATION,
    QUARANTINE,
    SKIPPED,
    Detector,
    Level,
)
from replicator.watchdog.finding import Finding
from replicator.watchdog.readings import Outage, Readings, Unread
from tests.support.bootstrap.status_inputs import NOW, inputs

pytestmark = pytest.mark.promise("C7")

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
    complete_until=NOW - 1920,
)


def gap(given: StatusInputs, verified: Verified | None = None) -> Gap | None:
    return find_gap(replace(given, verification=LastVerification(verified, NOW)))


def lost(detector: Detector, value: float = 0.0) -> Finding:
    return Finding(detector, detector.level, value)


def found(*findings: Finding, verified: Verified | None = None) -> Gap:
    made = gap(inputs(*findings), verified)
    assert made is not None
    return made


def test_a_gap_begins_where_everything_was_last_known_to_be_applied() -> None:
    made = found(lost(DESTINATION))
    assert (made.begin, made.end) == (NOW - 7260, NOW)
    assert found(lost(SKIPPED, 3), verified=EQUAL).begin == NOW - 1980


def test_what_was_lost_before_a_catch_up_is_not_taken_for_caught_up() -> None:
    noted = inputs(lost(SKIPPED, 3), records=[Skipped(3, NOW - 8000, NOW - 7100)])
    made = gap(noted)
    assert made is not None
    assert made.begin == NOW - 8060
    made = gap(noted, EQUAL)
    assert made is not None
    assert made.begin == NOW - 1980


def test_the_command_can_be_typed_as_it_stands() -> None:
    made = found(lost(SKIPPED, 3))
    words = made.command.split()
    assert words[:4] == ["python", "-m", "bootstrap", "backfill"]
    for option, moment in (("--from", made.begin), ("--to", made.end)):
        assert datetime.fromisoformat(words[words.index(option) + 1]).timestamp() == moment
    assert made.command in made.lines[1]
    assert made.json["try"] == made.command


def test_a_gap_that_still_grows_is_stopped_first() -> None:
    made = found(lost(DESTINATION))
    assert "enable the streaming destination again, then" in made.lines[1]
    assert made.command.split()[3] == "status"
    assert "--to" not in made.lines[1]
    assert "enable" not in found(lost(SKIPPED, 3)).lines[1]


def test_what_is_fine_unknown_or_kept_elsewhere_is_no_gap() -> None:
    fine = [Finding(each, Level.FINE, 0.0) for each in ALL]
    unread = [Finding(each, Level.UNKNOWN, None) for each in ALL]
    assert gap(inputs(*fine), EQUAL) is None
    assert gap(inputs(*unread), EQUAL) is None
    assert gap(inputs(lost(QUARANTINE, 3)), EQUAL) is None
    assert gap(inputs(lost(BUFFER, 0.99)), EQUAL) is None
    assert found(lost(BUFFER, 1.0)).detectors == (BUFFER,)


BEGAN, ENDED = NOW - 5000, NOW - 1400
"""Within what is known to be applied otherwise, and later than it."""


def after(outage: Outage, *findings: Finding, exported: float = NOW - 9000) -> StatusInputs:
    """It is on again."""
    nothing = [Unread("-")] * 14
    readings = Readings(NOW, *nothing, outage=outage)  # type: ignore[arg-type, misc]
    on = Finding(DESTINATION, Level.LOSS, 1.0)
    export = Exported(export_time=int(exported), done=True)
    return replace(inputs(on, *findings, records=[export]), readings=readings)


def test_the_gap_of_an_outage_that_is_over_has_both_its_ends() -> None:
    made = gap(after(Outage(BEGAN, ENDED)))
    assert made is not None
    assert (made.begin, made.end, made.open) == (BEGAN - 60, ENDED + 60, False)
    assert "enable" not in made.lines[1]
    assert (
        f"backfill --stack prod --table orders --from {instant(BEGAN - 60)} --to" in made.lines[1]
    )


def test_an_outage_from_before_the_replica_had_caught_up_is_not_cut_short() -> None:
    made = gap(after(Outage(NOW - 8000, NOW - 7500)))
    assert made is not None
    assert (made.begin, made.end) == (NOW - 8060, NOW - 7440)


def test_what_a_snapshot_or_a_verification_holds_is_cut_off_an_outage() -> None:
    by_snapshot = gap(after(Outage(NOW - 9999, ENDED)))
    assert by_snapshot is not None
    assert by_snapshot.begin == NOW - 9060
    by_verification = gap(after(Outage(BEGAN, ENDED)), EQUAL)
    assert by_verification is not None
    assert by_verification.begin == NOW - 1980


def test_beside_another_loss_the_gap_of_an_outage_reaches_up_to_now() -> None:
    made = gap(after(Outage(BEGAN, ENDED), lost(SKIPPED, 3)))
    assert made is not None
    assert (made.begin, made.end) == (NOW - 7260, NOW)
