"""The report: its counts, and the problems that make a run a failure."""

from __future__ import annotations

import dataclasses
import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from infra.local.data.compare import ItemDifference, TableComparison
from infra.local.results import report_view
from infra.local.results.consumer_logs import ConsumerCounts, LagPercentiles
from infra.local.results.load_check import LoadCheck
from infra.local.results.report import DemoReport, IndexCheck, Leftovers, Phase, phases_of
from infra.local.results.stream_records import StreamCounts
from infra.local.workload.stats import ChangeCounter, ChangeCounts, Window

BEGAN = 1_800_000_000.0


def window(second: float, **changes: int) -> Window:
    return Window(BEGAN + second, changes, changes)


def consumed(received: int = 100, applied: int = 80, superseded: int = 20) -> ConsumerCounts:
    counts = {
        "ChangesReceived": received,
        "ChangesApplied": applied,
        "ChangesSuperseded": superseded,
        "ChangesQuarantined": 0,
    }
    return ConsumerCounts(Counter(counts), [(BEGAN + 1, 9000.0), (BEGAN + 25, 40.0)])


def report(**changes: Any) -> DemoReport:
    good = DemoReport(
        items_seeded=10,
        min_changes=50,
        changes=ChangeCounts((window(1, insert=10), window(12, update=60), window(21, update=35))),
        phases=phases_of(
            BEGAN, [("PLANNED", BEGAN + 10), ("REPLICATING", BEGAN + 20)], BEGAN + 30, BEGAN + 32
        ),
        stream_counts=StreamCounts(by_users=95, by_expiry=5, first=BEGAN + 10.5),
        consumer_counts=consumed(),
        comparison=TableComparison(12, 12),
        leftovers=Leftovers(),
        indexes=(IndexCheck("by-status", 9, queries=12), IndexCheck("within", 4, local=True)),
    )
    return dataclasses.replace(good, **changes)


def test_a_good_run_is_ok_and_says_everything_that_is_promised() -> None:
    written = report().as_json()

    assert written["ok"] is True
    assert written["problems"] == written["remarks"] == []
    assert written["items_seeded"] == 10
    assert written["changes_made"] == 105
    assert written["changes_received"] == 100
    assert written["changes_applied"] == 80
    assert written["changes_superseded"] == 20
    assert written["changes_quarantined"] == 0
    assert written["lag_ms"] == {"p50": 9000.0, "p99": 9000.0, "max": 9000.0}
    assert written["lag_ms_replicating"] == {"p50": 40.0, "p99": 40.0, "max": 40.0}
    assert written["differences"] == 0
    assert written["phases"] == {
        "DEPLOYING": {"seconds": 10.0, "changes_made": 10},
        "PLANNED": {"seconds": 10.0, "changes_made": 60},
        "REPLICATING": {"seconds": 10.0, "changes_made": 35},
        "DRAINING": {"seconds": 2.0, "changes_made": 0},
    }


DIFFERENT = TableComparison(12, 12, (ItemDifference("missing", {"pk": {"S": "a"}}),))

FAILURES: list[tuple[dict[str, Any], str]] = [
    ({"comparison": DIFFERENT}, "1 difference among 12 items"),
    ({"comparison": DIFFERENT, "equal_later": 1}, "reported too early that it was caught up"),
    ({"comparison": TableComparison(0, 0)}, "nothing was compared"),
    ({"min_changes": 96}, "Only 95 changes were captured in the run"),
    (
        {"consumer_counts": consumed(received=99)},
        "1 of 100 changes on the stream were not received",
    ),
    ({"consumer_counts": consumed(applied=79)}, "1 received changes were neither applied"),
    ({"leftovers": Leftovers(quarantined=["unreadable"])}, "in quarantine: unreadable"),
    ({"leftovers": Leftovers(failures=2)}, "2 objects are in the on-failure bucket"),
    ({"load": LoadCheck(9, 2, 1.0, 0)}, "2 puts of the bulk put came after"),
    ({"indexes": [IndexCheck("by-status", 9, wrong_items=1)]}, "by-status does not hold"),
    (
        {"indexes": [IndexCheck("within", 9, local=True, queries=6, wrong_answers=2)]},
        "2 of 6 queries on the index within were answered otherwise",
    ),
]


@pytest.mark.parametrize(("changes", "problem"), FAILURES)
def test_a_bad_run_is_not_ok_and_says_why(changes: dict[str, Any], problem: str) -> None:
    bad = report(**changes)

    assert not bad.ok
    assert problem in " ".join(bad.problems())


def test_counts_that_do_not_agree_with_the_writers_are_remarked_on() -> None:
    few = report(stream_counts=StreamCounts(by_users=70, by_expiry=30, first=BEGAN + 10.5))

    assert "not consistent" in " ".join(few.remarks())


def test_changes_that_came_more_than_once_are_remarked_on_and_no_failure() -> None:
    again = report(consumer_counts=consumed(received=103, applied=83))

    assert again.ok
    assert "3 deliveries were duplicates" in " ".join(again.remarks())


POISON = StreamCounts(by_users=95, by_expiry=5, first=BEGAN + 10.5, broken=3)
KEPT = ("missing-image", "not-a-change", "unreadable")


def with_poison(**changes: Any) -> DemoReport:
    consumer_counts = consumed(received=103)
    consumer_counts.counts["ChangesQuarantined"] = 3
    kept = Leftovers(quarantined=KEPT)
    good = report(
        stream_counts=POISON, consumer_counts=consumer_counts, leftovers=kept, poisoned=True
    )
    return dataclasses.replace(good, **changes)


def test_poison_on_purpose_is_no_failure_when_all_of_it_is_kept() -> None:
    assert with_poison().problems() == []
    assert "3 records were poisoned on purpose" in " ".join(with_poison().remarks())


@pytest.mark.parametrize("kept", [KEPT[:2], (*KEPT, "unreadable"), (*KEPT[:2], "ambiguous-order")])
def test_poison_on_purpose_excuses_nothing_else(kept: tuple[str, ...]) -> None:
    bad = with_poison(leftovers=Leftovers(quarantined=kept))

    assert "3 records on the stream are not changes" in " ".join(bad.problems())


def test_poison_that_nobody_asked_for_is_a_failure() -> None:
    assert "in quarantine" in " ".join(with_poison(poisoned=False).problems())


def test_the_report_file_is_json(tmp_path: Path) -> None:
    report(consumer_counts=ConsumerCounts()).write(tmp_path / "report.json")

    written = json.loads((tmp_path / "report.json").read_text())
    assert written["lag_ms"] == {"p50": None, "p99": None, "max": None}


@pytest.mark.parametrize("width", [60, 160])
def test_the_summary_shows_the_figures_and_the_verdict_at_any_width(width: int) -> None:
    out = io.StringIO()
    report_view.show(report(comparison=DIFFERENT), Console(file=out, width=width))
    text = " ".join(out.getvalue().split())

    for figure in (
        "REPLICATING",
        "100 received",
        "p50 40 ms",
        "9.0 s",
        "1 difference among 12 items",
    ):
        assert figure in text
    assert DIFFERENT.differences[0].key_digest in text


def test_a_phase_that_was_entered_twice_is_told_once() -> None:
    phases = [
        Phase("DEPLOYING", BEGAN, BEGAN + 1),
        Phase("EXPORTING", BEGAN + 1, BEGAN + 2),
        Phase("EXPORTING", BEGAN + 2, BEGAN + 5),
    ]

    assert report(phases=phases).as_json()["phases"]["EXPORTING"]["seconds"] == 4.0


def test_percentiles_are_values_that_occurred() -> None:
    lags = LagPercentiles.of(float(n) for n in range(1, 101))

    assert lags == LagPercentiles(p50=51.0, p99=100.0, max=100.0)
    assert LagPercentiles.of([]) is None


def test_what_the_writers_count_is_read_back_while_they_write(tmp_path: Path) -> None:
    path = tmp_path / "counts.jsonl"
    writer = ChangeCounter(path)
    assert ChangeCounts.read(path).total == 0

    writer.add(BEGAN + 0.01, "insert", 2, 2)
    writer.add(BEGAN + 0.02, "unchanged", 1, 0)
    writer.add(BEGAN + 5.55, "insert", 3, 3)
    writer.flush()
    writer.add(BEGAN + 5.56, "insert", 1, 1)
    writer.flush()
    path.write_text(path.read_text() + '{"at": 18')

    counts = ChangeCounts.read(path)
    assert counts.by_kind == {"insert": 6, "unchanged": 0}
    assert counts.writes_by_kind == {"insert": 6, "unchanged": 1}
    assert counts.between(BEGAN + 1).total == 4
    assert counts.between(BEGAN, BEGAN + 1).total == 2


def test_refused_writes_are_counted_apart_from_failed_ones(tmp_path: Path) -> None:
    path = tmp_path / "counts.jsonl"
    writer = ChangeCounter(path)
    writer.add(BEGAN, "insert", 2, 2)
    writer.add_refused(BEGAN + 0.01, "insert", 1)
    writer.add_refused(BEGAN + 3, "delete", 4)
    writer.add_failed(BEGAN + 4, "batch", 25)
    writer.flush()

    counts = ChangeCounts.read(path)
    assert counts.total == 2
    assert counts.refused == {"insert": 1, "delete": 4}
    assert counts.failed == {"batch": 25}
    assert counts.between(BEGAN + 1).refused == {"delete": 4}


def test_refused_writes_are_a_problem_of_a_run() -> None:
    refused = Window(12, {"update": 60}, {"update": 60}, refused={"update": 2, "delete": 1})
    found = report(changes=ChangeCounts((window(1, insert=95), refused))).problems()
    assert any(problem.startswith("3 writes of the writers were refused") for problem in found)
    assert report().as_json()["writes_refused"] == 0


def verification(**counts: int) -> dict[str, Any]:
    nothing = {"missing": 0, "extra": 0, "different": 0, "foreign": 0}
    return {"judged": 1.0, "counts": {"sourceItems": 12, **nothing, **counts}}


def test_a_verification_that_agrees_is_no_problem_and_is_told() -> None:
    good = report(verification=verification())
    assert good.problems() == []
    assert good.as_json()["verification"] == verification()


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (verification(missing=1), "`verify` found 1 differences, and this comparison 0."),
        (verification(sourceItems=11), "`verify` saw 11 items in the source"),
        (
            {**verification(), "judged": 0.5},
            "`verify` judged only 50.00% of the keys",
        ),
    ],
)
def test_a_verification_that_says_something_else_than_the_comparison_fails_the_run(
    found: dict[str, Any], sentence: str
) -> None:
    assert any(sentence in each for each in report(verification=found).problems())


def test_a_difference_that_the_verification_overlooks_fails_the_run_twice() -> None:
    difference = ItemDifference("missing", {"pk": {"S": "a"}})
    overlooked = report(
        comparison=TableComparison(12, 11, (difference,)), verification=verification()
    ).problems()
    assert len(overlooked) == 2
