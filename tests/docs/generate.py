"""Generated parts of the documents: `python -m tests.docs.generate` writes them.

A part is the text between `<!-- generated: NAME -->` and `<!-- end: NAME -->`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from bootstrap.plan import cost_model, setting
from tests.docs import (
    alarm_pages,
    commands,
    configuration,
    crossing_calls,
    deployer,
    promises,
    switch_tables,
)
from tests.docs.pages import ROOT, documents

COMMAND = "python -m tests.docs.generate"

PARTS: Mapping[str, Callable[[], str]] = {
    "common options": commands.common,
    "commands": commands.section,
    "commands for a review": commands.review_section,
    "alarms": alarm_pages.overview,
    "alarms one by one": alarm_pages.details,
    "loss detectors": alarm_pages.detectors_table,
    "configuration": configuration.tables,
    "example stack file": configuration.example,
    "deployer's policies": deployer.documents,
    "deployer's unseen actions": deployer.reasons,
    "calls that cross accounts": crossing_calls.crossing_table,
    "calls of services": crossing_calls.service_table,
    "bill": cost_model.table,
    "buffers": cost_model.buffer_table,
    "parity": setting.compared_table,
    "promises and tests": promises.table,
    "commands during a switch": switch_tables.commands_table,
    "detectors during a switch": switch_tables.detectors_table,
}
"""Each stands in exactly one document; a test holds that."""

_PART = re.compile(
    r"(?P<begin><!-- generated: (?P<name>[^>]+?) -->\n).*?(?P<end><!-- end: (?P=name) -->)",
    re.DOTALL,
)


def parts_of(text: str) -> list[str]:
    """List the names of the generated parts of a document."""
    return [found["name"] for found in _PART.finditer(text)]


def renewed(text: str, parts: Mapping[str, Callable[[], str]] = PARTS) -> str:
    """Replace every generated part of a document by the current one."""
    return _PART.sub(
        lambda found: f"{found['begin']}\n{parts[found['name']]().strip()}\n\n{found['end']}", text
    )


def stale() -> list[Path]:
    """List the documents whose generated parts are not current."""
    texts = {path: path.read_text(encoding="utf-8") for path in documents()}
    return [path for path, text in texts.items() if renewed(text) != text]


def main() -> None:
    for path in stale():
        path.write_text(renewed(path.read_text(encoding="utf-8")), encoding="utf-8")
        sys.stdout.write(f"{path.relative_to(ROOT)}\n")


if __name__ == "__main__":
    main()
