"""The design page's truth table and condition are those of the code."""

from __future__ import annotations

import pytest

from replicator.change import Entry, Version
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


def table() -> list[list[str]]:
    lines = DESIGN.partition("### Truth table")[2].partition("###")[0].splitlines()
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line[:1] == "|"]
    return cells[2:]


def test_the_truth_table_has_every_case_with_its_verdict() -> None:
    shown = [(row[1] if row[0] == "same" else row[0], row[2].strip("`")) for row in table()]
    assert shown == [(name, verdict.name) for name, (_, verdict) in CASES.items()]
    assert {verdict for _, verdict in CASES.values()} == set(Verdict)


@pytest.mark.parametrize("name", CASES)
def test_the_code_decides_as_the_table_says(name: str) -> None:
    entry, verdict = CASES[name]
    assert decide(entry, CHANGE) is verdict


def test_the_clauses_of_the_condition_are_those_of_the_code() -> None:
    shown = rows(DESIGN, "### The condition").keys() - {"clause", "---"}
    assert all(isinstance(getattr(ledger_entry, name), str) for name in shown)
    admitted = ledger_entry.NEWER
    assert all(getattr(ledger_entry, name) in admitted for name in shown - {"EXACTLY"})
