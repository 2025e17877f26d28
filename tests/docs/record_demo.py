"""The picture of the demo in the README: `python -m tests.docs.record_demo` takes it again.

Runs the demo on a terminal and keeps its screen; arguments are those of `python -m infra.local
demo`. Left out: the table of changes by kind, lines about files, and the waits of the verification.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence

from tests.docs import screen
from tests.docs.pages import DOCS, ROOT

PICTURE = DOCS / "demo.svg"
TITLE = "make demo"
LEFT_OUT = re.compile(r"Report: |Comparing in |\S+Z (waiting|digested) ")


def main(arguments: Sequence[str]) -> int:
    command = [sys.executable, "-m", "infra.local", "demo", *arguments]
    written, code = screen.run(command, os.environ, ROOT)
    if code != 0:
        sys.stderr.write(f"{written}\nThe demo ended with exit status {code}.\n")
        return code
    lines = kept(screen.shown(written))
    PICTURE.write_text(screen.picture(lines, TITLE), encoding="utf-8")
    sys.stdout.write(f"{PICTURE.relative_to(ROOT)}: {len(lines)} lines\n")
    return 0


def kept(lines: Sequence[str]) -> list[str]:
    """Leave out what a reader of the picture does not need."""
    chosen: list[str] = []
    in_table = False
    for line in lines:
        text = screen.plain(line).rstrip()
        in_table = text.startswith("phase ") or (in_table and text != "")
        if in_table or LEFT_OUT.match(text):
            continue
        if text or (chosen and screen.plain(chosen[-1]).strip()):
            chosen.append(line)
    return chosen


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
