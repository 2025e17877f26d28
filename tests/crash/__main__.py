"""Does everything to the bootstrap that can be done to it, or one thing again.

python -m tests.crash --all [--lanes 4] [--minutes 60] [--only export/]
python -m tests.crash --case export/dynamodb:ImportTable#1/kill-after
python -m tests.crash --list
"""

from __future__ import annotations

import argparse
import random
import re
import sys
import tempfile
from pathlib import Path

from tests.crash.crash_points import Case
from tests.crash.matrix import cases, sample
from tests.crash.run_matrix import Campaign, record


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.crash", description=__doc__.splitlines()[0]
    )
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--all", action="store_true", help="every case of a recorded clean run")
    which.add_argument("--sample", type=int, metavar="N", help="so many of them")
    which.add_argument("--case", action="append", type=Case.parse, help="this one; may be repeated")
    which.add_argument("--list", action="store_true", help="record a clean run, and list all cases")
    parser.add_argument("--only", default="", metavar="REGEX", help="of them, those that match")
    parser.add_argument("--seed", type=int, help="of the order (default: drawn, and printed)")
    parser.add_argument("--lanes", type=int, default=4, help="cases at a time (default: 4)")
    parser.add_argument("--minutes", type=float, help="begin no further case after these")
    given = parser.parse_args()
    seed = given.seed if given.seed is not None else random.SystemRandom().randrange(10**6)
    with tempfile.TemporaryDirectory(prefix="crash-") as directory:
        place = Path(directory)
        every = given.case or [
            case for case in cases(record(place / "clean")) if re.search(given.only, str(case))
        ]
        if given.list:
            print("\n".join(map(str, every)))
            return 0
        if not given.case:
            print(f"Seed {seed}", flush=True)
            every = sample(every, seed, given.sample or len(every))
        return Campaign(place, every, given.lanes, given.minutes).run()


if __name__ == "__main__":
    sys.exit(main())
