"""The design page's truth table and condition are those of the code."""

from __future__ import annotations

import pytest

from replicator.change import Entry, Version, stream_order
from replicator.consumer import ledger_entry
from replicator.consumer.ordering import Verdict, decide
from tests.docs.pages import DOCS, rows

DESIGN = (DOCS / "design.md").read_text(encoding="utf-8")
THEN, NOW, LATER = (Version(micros, "u") for micros in (1_000, 2_000, 3_000))
OLD, NEW, OTHER, ANOTHER = b"old", b"new", b"other", b"another"
CHANGE = Entry(NOW, image=NEW, previous=OLD)

# One entry for each row of the table, in its order.
CASES = {
    "no entry": (None, Verdict.NEWER),
    "older": (Entry(THEN, OTHER, ANOTHER), Verdict.NEWER),
    "newer": (Entry(LATER, OTHER, ANOTHER), Verdict.OLDER),
    "image = my new image, previous = my old image": (Entry(NOW, NEW, OLD), Verdict.SAME),
    "image = my old image, previous ≠ my new image": (Entry(NOW, OLD, OTHER), Verdict.SUCCESSOR),
    "image = my old image, previous = my new image": (Entry(NOW, OLD, NEW), Verdict.DOUBTFUL),
    "previous = my new image, image ≠ my old image": (Entry(NOW, OTHER, NEW), Verdict.PREDECESSOR),
    "none of these": (Entry(NOW, OTHER, ANOTHER), Verdict.AMBIGUOUS),
}


def numbered(number: int, second: int, *, restored: bool = False) -> Entry:
    micros = second * 1_000_000 + (500 if restored else 0)
    order = stream_order("2026-01-01T00:00:00.000", str(number))
    return Entry(Version(micros, "u" if restored else "s", order), image=OTHER, previous=ANOTHER)


# The change has number 5 and was made in second 5.
NUMBERED = [
    (("of the stream", "the same number"), numbered(5, 5), Verdict.SAME),
    (("of the stream", "a higher number"), numbered(4, 6), Verdict.NEWER),
    (
        ("of the stream or restored", "a lower number, of no later second"),
        numbered(6, 5),
        Verdict.OLDER,
    ),
    (
        ("of the stream or restored", "a lower number, of a later second"),
        numbered(6, 4, restored=True),
        Verdict.CONTRADICTED,
    ),
    (
        ("restored", "a higher number, of a later second"),
        numbered(4, 4, restored=True),
        Verdict.NEWER,
    ),
    (
        ("restored", "a higher number, of an earlier second"),
        numbered(4, 6, restored=True),
        Verdict.OLDER,
    ),
]


def test_the_table_of_a_tables_own_stream_is_that_of_the_code() -> None:
    lines = DESIGN.partition("### A table's own stream")[2].partition("###")[0].splitlines()
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line[:1] == "|"]
    *shown, by_images = cells[2:]
    assert [((row[0], row[1]), row[2].strip("`")) for row in shown] == [
        (name, verdict.name) for name, _, verdict in NUMBERED
    ]
    assert by_images[2] == "by the images, as for one timestamp"
    change = numbered(5, 5)
    for _, entry, verdict in NUMBERED:
        assert decide(entry, change) is verdict
    by_image = numbered(4, 5, restored=True)
    assert decide(by_image, change) is Verdict.SAME


def table() -> list[list[str]]:
    lines = DESIGN.partition("### Truth table")[2].partition("###")[0].splitlines()
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line[:1] == "|"]
    return cells[2:]


def test_the_truth_table_has_every_case_with_its_verdict() -> None:
    shown = [(row[1] if row[0] == "same" else row[0], row[2].strip("`")) for row in table()]
    assert shown == [(name, verdict.name) for name, (_, verdict) in CASES.items()]
    numbered = {verdict for _, _, verdict in NUMBERED}
    assert {verdict for _, verdict in CASES.values()} | numbered == set(Verdict)


@pytest.mark.parametrize("name", CASES)
def test_the_code_decides_as_the_table_says(name: str) -> None:
    entry, verdict = CASES[name]
    assert decide(entry, CHANGE) is verdict


def test_the_clauses_of_the_condition_are_those_of_the_code() -> None:
    shown = rows(DESIGN, "### The condition").keys() - {"clause", "---"}
    assert all(isinstance(getattr(ledger_entry, name), str) for name in shown)
    admitted = ledger_entry.NEWER
    assert all(getattr(ledger_entry, name) in admitted for name in shown - {"EXACTLY"})
