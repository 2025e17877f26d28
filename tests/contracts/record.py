"""Recording of the outward contracts: `python -m tests.contracts.record [--drop]`.

Additions are written. A line that is gone is a contract that is broken: it stays an error, unless
`--drop` says that it is meant.
"""

from __future__ import annotations

import sys

from tests.contracts.observed import OBSERVERS, observed
from tests.contracts.recorded import path, recorded


def main(arguments: list[str]) -> int:
    """Write every list; return 1 and leave a list as it is where lines are gone from it."""
    broken = 0
    for name in OBSERVERS:
        now = observed(name)
        gone = sorted(set(recorded(name)) - set(now))
        if gone and "--drop" not in arguments:
            broken = 1
            print(f"{name}: not recorded, because it lacks what was promised:")
            print("\n".join(f"  - {line}" for line in gone))
            print("Try: restore it; if it is meant: python -m tests.contracts.record --drop")
            continue
        path(name).write_text("".join(f"{line}\n" for line in now), encoding="utf-8")
    return broken


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
