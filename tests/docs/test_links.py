"""Links between documents, to files and to headings, resolve; lines are short enough to read."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.pages import DOCS, README, ROOT, anchors, document_names, links, prose, section

LINE = 120


def _anchors(page: Path) -> set[str]:
    return anchors(page.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", document_names())
def test_every_internal_link_leads_to_a_file_and_a_heading(name: str) -> None:
    page = ROOT / name
    broken = []
    for link in links(page.read_text(encoding="utf-8")):
        if link.startswith(("http://", "https://", "mailto:")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in _anchors(target)):
            broken.append(link)
    assert not broken, f"{name} links to what is not there"


@pytest.mark.parametrize("name", document_names())
def test_lines_of_prose_fit_a_screen(name: str) -> None:
    text = prose((ROOT / name).read_text(encoding="utf-8"))
    long = [line for line in text.splitlines() if len(line) > LINE and not line.startswith("|")]
    assert not long, f"{name} has lines of over {LINE} characters"


def test_the_readme_is_short() -> None:
    assert README.stat().st_size < 9_000


def test_every_page_can_be_reached_from_the_readme() -> None:
    seen: set[Path] = set()
    ahead = [README]
    while ahead:
        page = ahead.pop()
        if page in seen or page.suffix != ".md":
            continue
        seen.add(page)
        for link in links(page.read_text(encoding="utf-8")):
            if not link.startswith("http") and link.partition("#")[0]:
                ahead.append((page.parent / link.partition("#")[0]).resolve())
    assert set(DOCS.rglob("*.md")) <= seen


def test_a_heading_becomes_the_anchor_that_a_browser_knows() -> None:
    text = "# A `b` (c): d\n```\n# no heading\n```\n## A b c d\n## E [f](g.md)\n"
    assert anchors(text) == {"a-b-c-d", "a-b-c-d-1", "e-f"}


def test_a_section_ends_at_the_next_heading_of_its_level() -> None:
    assert section("# a\nb\n## c\nd\n# e\nf\n", "# a") == "b\n## c\nd\n"
