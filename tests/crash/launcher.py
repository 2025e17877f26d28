"""The bootstrap's own command line, in a process that something is done to.

python -m tests.crash.launcher LIST CASE|none run --outputs FILE …
"""

from __future__ import annotations

import sys
from pathlib import Path

from bootstrap import cli
from tests.crash.hooks import Hooks
from tests.crash.moments import Case


def main() -> None:
    path, case, *arguments = sys.argv[1:]
    Hooks(Path(path), None if case == "none" else Case.parse(case)).install()
    cli.main(arguments, prog_name="bootstrap")


if __name__ == "__main__":
    main()
