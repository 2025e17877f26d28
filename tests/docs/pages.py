"""The documents of the repository: their text, headings and links."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
DOCS = ROOT / "docs"

_FENCE = re.compile(r"^(```|~~~).*?^\1\s*$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.MULTILINE)
_LINK = re.compile(r"(?<!\!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")


@cache
def tracked(*patterns: str) -> tuple[Path, ...]:
    """List the files that git tracks or would track, by pattern."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns]
    names = subprocess.check_output(command, cwd=ROOT, text=True).splitlines()
    return tuple(ROOT / name for name in sorted(set(names)) if (ROOT / name).exists())


def documents() -> tuple[Path, ...]:
    return tracked("*.md")


def document_names() -> list[str]:
    """List the documents' paths from the root of the repository."""
    return [path.relative_to(ROOT).as_posix() for path in documents()]


def prose(text: str) -> str:
    """Take the code blocks out of a page."""
    return _FENCE.sub("", text)


def links(text: str) -> Iterator[str]:
    """List the targets of a page's links and images."""
    for found in _LINK.finditer(re.sub(r"`[^`\n]*`", "", prose(text))):
        yield found[1] or found[2]


def anchors(text: str) -> set[str]:
    """List a page's anchors as GitHub makes them from headings."""
    seen: Counter[str] = Counter()
    found = set()
    for heading in _HEADING.findall(prose(text)):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return found


def section(text: str, heading: str) -> str:
    """Cut out what stands under a heading, up to the next one of the same level or higher."""
    level = heading.partition(" ")[0]
    _, found, rest = text.partition(f"{heading}\n")
    assert found, f"there is no {heading!r}"
    return re.split(rf"^#{{1,{len(level)}}} ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def rows(text: str, heading: str) -> Mapping[str, list[str]]:
    """Read the tables under a heading: cells by the first one, its backticks taken off."""
    found = {}
    for line in section(text, heading).splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if len(cells) > 1:
            found[cells[0].strip("`")] = cells[1:]
    return found
