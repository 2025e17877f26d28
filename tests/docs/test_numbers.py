"""Numbers that the documents quote are those of the code."""

from __future__ import annotations

from bootstrap.plan import cost_model
from tests.docs.pages import ROOT


def said(document: str) -> str:
    """Read a document with its lines joined."""
    return " ".join((ROOT / document).read_text(encoding="utf-8").split())


def test_the_bill_has_its_date_and_what_fills_the_stream() -> None:
    text = said("docs/cost.md")
    assert cost_model.AS_OF in text
    assert f"about {cost_model.stream_gb_per_day(cost_model.EXAMPLE):.0f} GB a day" in text
