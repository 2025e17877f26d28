"""The witness of a switch, given the histories of a few writes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import pytest

from infra.local.workload.attempts import Outcome, WriteAttempt
from infra.local.workload.place import Side
from infra.local.workload.server_writes import ServerWrite
from infra.local.workload.witness import Contents, Evidence, judge

pytestmark = pytest.mark.promise("C9")

SIDES: tuple[Side, ...] = ("source", "target")
MOVING, STAYING, EARLY = "moving", "staying", "early"
CONSUMER = "consumer"


def attempt(
    at: float, writer: str, side: Side, outcome: Outcome, *, key: str = "", count: int = 1
) -> WriteAttempt:
    """An attempt that takes a tenth of a second; its content is named after its count."""
    key = key or writer
    return WriteAttempt(writer, side, key, count, f"{key}/{count}", at, at + 0.1, outcome)


CLEAN = (
    attempt(1.0, MOVING, "source", "acknowledged"),
    attempt(1.2, STAYING, "source", "acknowledged"),
    attempt(1.4, EARLY, "target", "refused"),
    attempt(2.0, MOVING, "source", "refused", count=2),
    attempt(2.2, STAYING, "source", "refused", count=2),
    attempt(5.0, MOVING, "target", "acknowledged", count=2),
    attempt(5.2, EARLY, "target", "acknowledged"),
)
TARGET = {MOVING: f"{MOVING}/2", STAYING: f"{STAYING}/1", EARLY: f"{EARLY}/1", "seeded": "s"}
SOURCE = {MOVING: f"{MOVING}/1", STAYING: f"{STAYING}/1", "seeded": "s"}


def write(at: float, side: Side, key: str, caller: str = "") -> ServerWrite:
    return ServerWrite(at, side, "orders", caller or f"{key}'s user", key)


def server_writes(attempts: Iterable[WriteAttempt], side: Side) -> list[ServerWrite]:
    """The writes behind acknowledged attempts, each in the middle of its call."""
    made = [each for each in attempts if (each.side, each.outcome) == (side, "acknowledged")]
    return [ServerWrite(e.start + 0.05, side, "orders", f"{e.writer}'s user", e.key) for e in made]


def evidence(
    *more: WriteAttempt,
    attempts: Sequence[WriteAttempt] = CLEAN,
    writes: Sequence[ServerWrite] = (),
    source: Contents = SOURCE,
    target: Contents = TARGET,
) -> Evidence:
    """The evidence of a clean switch, with something added or replaced."""
    every = (*attempts, *more)
    taken = {side: server_writes(every, side) for side in SIDES}
    return Evidence(
        attempts=every,
        moving=frozenset({MOVING}),
        writes={
            side: sorted([*found, *(w for w in writes if w.account == side)], key=lambda w: w.at)
            for side, found in taken.items()
        },
        callers=frozenset(f"{writer}'s user" for writer in (MOVING, STAYING, EARLY)),
        contents={"source": source, "target": target},
    )


def test_a_clean_switch_has_no_findings_and_its_times() -> None:
    verdict = judge(evidence())
    assert verdict.findings == ()
    assert verdict.acknowledged == {"source": 2, "target": 2}
    assert verdict.outcomes == {"acknowledged": 4, "refused": 3}
    assert verdict.source_closed == pytest.approx(1.25)
    assert verdict.target_opened == pytest.approx(5.05)
    assert verdict.refused_since == 2.0
    assert verdict.all_moved == pytest.approx(5.1)
    assert verdict.longest_seconds == pytest.approx(3.1)


def found(given: Evidence) -> str:
    """Return the one finding."""
    (finding,) = judge(given).findings
    return finding


@pytest.mark.parametrize("there", [None, f"{STAYING}/0", "something else"])
def test_an_acknowledged_write_that_the_target_does_not_have_is_lost(there: str | None) -> None:
    target = {key: item for key, item in {**TARGET, STAYING: there}.items() if item is not None}
    assert "lost: 1 keys of staying" in found(evidence(target=target))


def test_an_acknowledged_deletion_that_the_target_does_not_have_is_lost() -> None:
    gone = replace(CLEAN[1], count=2, content="", start=1.6, end=1.7)
    assert "lost: 1 keys of staying" in found(evidence(gone))
    target = {key: item for key, item in TARGET.items() if key != STAYING}
    assert judge(evidence(gone, target=target)).findings == ()


def test_a_write_without_an_answer_may_be_there_or_not() -> None:
    unknown = attempt(1.6, STAYING, "source", "unknown", count=3)
    for there in (f"{STAYING}/1", f"{STAYING}/3"):
        assert judge(evidence(unknown, target={**TARGET, STAYING: there})).findings == ()


def test_a_refused_write_that_is_there_is_found() -> None:
    target = {**TARGET, STAYING: f"{STAYING}/2"}
    assert "Refused writes took effect: 1 keys" in found(evidence(target=target))


def test_a_content_that_was_never_written_is_found() -> None:
    refused = attempt(1.6, EARLY, "target", "refused", key="other")
    target = {**TARGET, "other": "?"}
    assert "1 keys hold in the target what" in found(evidence(refused, target=target))


def test_a_write_in_the_source_after_the_first_in_the_target_is_found() -> None:
    late = attempt(6.0, STAYING, "source", "acknowledged", count=2)
    findings = judge(evidence(late)).findings
    assert "the source took 1, up to 1.000 s" in findings[1]
    assert "began 0.900 s after one of the target was acknowledged" in findings[2]
    assert "lost: 1 keys of staying" in findings[0]
    assert len(findings) == 3


def test_overlapping_calls_are_judged_by_the_instants_of_the_server() -> None:
    slow = replace(CLEAN[1], start=4.9, end=6.0)
    given = evidence(attempts=[slow if each is CLEAN[1] else each for each in CLEAN])
    for at, findings in ((5.0, 0), (5.9, 1)):
        source = [given.writes["source"][0], write(at, "source", STAYING)]
        verdict = judge(replace(given, writes={**given.writes, "source": source}))
        assert len(verdict.findings) == findings, verdict.findings


def test_a_write_that_took_effect_without_an_acknowledgement_counts_too() -> None:
    unknown = attempt(6.0, STAYING, "source", "unknown", count=2)
    given = evidence(unknown, writes=[write(6.05, "source", STAYING)])
    assert "Both tables took writes" in found(given)


def test_an_acknowledged_write_that_the_table_did_not_take_is_found() -> None:
    given = evidence()
    given = replace(given, writes={**given.writes, "target": given.writes["target"][:1]})
    assert found(given) == "The target did not take 1 of the writes that were acknowledged there."


def test_a_consumer_that_writes_after_the_application_is_found() -> None:
    before, after = (write(at, "target", "seeded", CONSUMER) for at in (4.0, 6.0))
    assert judge(evidence(writes=[before])).findings == ()
    assert "consumer wrote 1 items" in found(evidence(writes=[after]))


def test_an_item_that_the_application_has_not_written_must_be_equal() -> None:
    assert "1 items that" in found(evidence(target={**TARGET, "seeded": "other"}))
    assert "1 items that" in found(evidence(target={**TARGET, "extra": "x"}))


@pytest.mark.parametrize(
    ("left_out", "sentence"),
    [
        (0, "No moving writer wrote into the source."),
        (3, "No moving writer was ever refused in the source."),
        (5, "No moving writer wrote into the target."),
        (4, "No write was tried in the source once it was closed."),
        (2, "No write was tried in the target while it was closed."),
    ],
)
def test_what_was_not_tried_is_not_proved(left_out: int, sentence: str) -> None:
    attempts = [each for n, each in enumerate(CLEAN) if n != left_out]
    target = TARGET if left_out != 5 else {**TARGET, MOVING: f"{MOVING}/1"}
    assert f"Not proved. {sentence}" in judge(evidence(attempts=attempts, target=target)).findings


def test_where_writes_were_stopped_no_refusal_is_needed_in_the_source() -> None:
    attempts = [each for each in CLEAN if (each.side, each.outcome) != ("source", "refused")]
    verdict = judge(replace(evidence(attempts=attempts), fenced=False))
    assert verdict.findings == ()
    assert verdict.refused_since == pytest.approx(1.1)
    assert verdict.longest_seconds == pytest.approx(4.0)


def test_a_switch_that_was_taken_back_before_is_not_counted() -> None:
    before = (
        attempt(0.0, MOVING, "source", "refused"),
        attempt(0.9, MOVING, "source", "acknowledged"),
    )
    verdict = judge(evidence(attempts=[*before, *CLEAN]))
    assert verdict.refused_since == 2.0
    assert verdict.longest_seconds == pytest.approx(3.1)
