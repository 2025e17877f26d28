"""Does everything to the bootstrap that can be done to it, or one thing again.

python -m tests.crash --all [--buffer streams] [--lanes 4] [--minutes 60] [--only export/]
python -m tests.crash --case export/dynamodb:ImportTable#1/kill-after
python -m tests.crash --case bulk:import/dynamodb:StartBulkPutItems#1/kill-after
python -m tests.crash --case streams:buffer/lambda:CreateEventSourceMapping#1/kill-after
python -m tests.crash --case bulk:runs_when_a_repeat_has_finished
python -m tests.crash --list
python -m tests.crash --bulk all
python -m tests.crash --switch all [--buffer streams] [--minutes 60]
python -m tests.crash --switch again:seal/dynamodb:PutResourcePolicy#1/kill-after
"""

from __future__ import annotations

import argparse
import random
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from replicator.buffers import BUFFERS, KINESIS, STREAMS
from tests.crash.bulk_cases import BULK_CASES, SLOW, of_bulk, play
from tests.crash.crash_points import Case
from tests.crash.emulated_stacks import BULK, lanes
from tests.crash.matrix import cases, sample
from tests.crash.run_matrix import BULK_PREFIX, STREAMS_PREFIX, Campaign, record
from tests.crash.switch_case import SwitchCase
from tests.crash.switch_lane import SwitchLane
from tests.crash.switch_matrix import SwitchCampaign, record_switch


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.crash", description=__doc__.splitlines()[0]
    )
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--all", action="store_true", help="every case of a recorded clean run")
    which.add_argument("--sample", type=int, metavar="N", help="so many of them")
    which.add_argument("--case", action="append", help="this one; may be repeated")
    which.add_argument("--list", action="store_true", help="record a clean run, and list all cases")
    which.add_argument("--bulk", choices=["all", "list"], help="those of tables loaded by bulk put")
    which.add_argument("--switch", metavar="all|CASE", help="a switch's: every case, or this one")
    parser.add_argument("--buffer", choices=BUFFERS, help="of --all, --list, --switch: one")
    parser.add_argument("--only", default="", metavar="REGEX", help="of them, those that match")
    parser.add_argument("--seed", type=int, help="of the order (default: drawn, and printed)")
    parser.add_argument("--lanes", type=int, default=4, help="cases at a time (default: 4)")
    parser.add_argument("--minutes", type=float, help="begin no further case after these")
    given = parser.parse_args()
    seed = given.seed if given.seed is not None else random.SystemRandom().randrange(10**6)
    with tempfile.TemporaryDirectory(prefix="crash-") as directory:
        place = Path(directory)
        bulk = [each.removeprefix(BULK_PREFIX) for each in given.case or () if _is_bulk(each)]
        if bulk or given.bulk:
            return _bulk(place, bulk, given, seed)
        if given.switch:
            return _switch(place, given, seed)
        return max(_runs(place / buffer, buffer, given, seed) for buffer in _buffers(given))


def _buffers(given: argparse.Namespace) -> Sequence[str]:
    """The buffers of the cases that are named, or that which is asked for; otherwise both."""
    if given.case:
        found = {STREAMS if each.startswith(STREAMS_PREFIX) else KINESIS for each in given.case}
        return sorted(found)
    return [given.buffer] if given.buffer else BUFFERS


def _runs(place: Path, buffer: str, given: argparse.Namespace, seed: int) -> int:
    """Crash runs with one kind of buffer: at every call, at a sample, or at what is named."""
    own, prefix = buffer == STREAMS, STREAMS_PREFIX if buffer == STREAMS else ""
    every = [
        Case.parse(each.removeprefix(STREAMS_PREFIX))
        for each in given.case or ()
        if each.startswith(STREAMS_PREFIX) == own
    ]
    if not given.case:
        recorded = record(place / "clean", own_stream=own)
        every = [case for case in cases(recorded) if re.search(given.only, str(case))]
    if given.list:
        print("\n".join(f"{prefix}{case}" for case in every))
        return 0
    if not given.case:
        print(f"Seed {seed}, buffer {buffer}", flush=True)
        every = sample(every, seed, given.sample or len(every))
    return Campaign(place, every, given.lanes, given.minutes, own_stream=own).run()


def _is_bulk(text: str) -> bool:
    return text.startswith(BULK_PREFIX)


def _bulk(place: Path, named: Sequence[str], given: argparse.Namespace, seed: int) -> int:
    """Crash bulk puts: at every call, and in every other way; or what is named."""
    ways = [each for each in named if each in BULK_CASES]
    every = [Case.parse(each) for each in named if each not in BULK_CASES]
    if not named:
        ways = list(BULK_CASES)
        every = [
            case
            for case in cases(record(place / "clean", BULK))
            if of_bulk(case) and re.search(given.only, str(case))
        ]
    if given.bulk == "list":
        print("\n".join([*(f"{BULK_PREFIX}{each}" for each in (*ways, *every))]))
        return 0
    print(f"Seed {seed}", flush=True)
    problems: dict[str, list[str]] = {}
    if ways:
        with lanes(place / "ways", min(given.lanes, len(ways)), bulk=SLOW) as there:
            problems = play(there, ways)
    random.Random(seed).shuffle(every)
    campaign = Campaign(place, every, given.lanes, given.minutes, BULK)
    return (campaign.run() if every else 0) or int(bool(problems))


def _switch(place: Path, given: argparse.Namespace, seed: int) -> int:
    """Crash a switch: at everything, in an order that the seed draws, or at one moment."""
    own = given.buffer == STREAMS
    if given.switch != "all":
        with lanes(place, 1, switch=True, own_stream=own) as there:
            return SwitchCampaign([SwitchCase.parse(given.switch)]).serve(there)
    with lanes(place / "clean", 1, switch=True, own_stream=own) as (lane,):
        every = record_switch(SwitchLane.prepare(lane))
    random.Random(seed).shuffle(every)
    print(f"Seed {seed}: {len(every)} cases of a switch", flush=True)
    with lanes(place / "cloud", given.lanes, switch=True, own_stream=own) as there:
        return SwitchCampaign(every, given.minutes).serve(there)


if __name__ == "__main__":
    sys.exit(main())
