"""Simulates until the time is up or a promise is broken; replays a seed with a trace.

python -m tests.simulation.soak --minutes 30 [--seed 1000000]
python -m tests.simulation.soak --replay 1234567
"""

from __future__ import annotations

import argparse
import random
import sys
import time

from tests.simulation.many import play_many
from tests.simulation.plan import plan
from tests.simulation.run import Summary, play


def soak(minutes: float, first: int) -> int:
    """0 if no history failed within these minutes."""
    print(f"Seeds from {first} on, for {minutes:g} minutes.", flush=True)
    started = reported = time.monotonic()
    summary = Summary()
    for summary in play_many(first, None, minutes * 60):
        if time.monotonic() - reported > 30:
            reported = time.monotonic()
            print(f"{summary.histories} histories, no failure", flush=True)
        if summary.failures:
            break
    print(f"{summary}\n{summary.histories / (time.monotonic() - started):.0f} histories a second")
    for story in summary.failures:
        print(f"Seed {story.seed}: {story.failure}\nTry: make soak REPLAY={story.seed}")
    return 1 if summary.failures else 0


def replay(seed: int) -> int:
    """Plays one seed again, exactly, and prints what happens. 0 if nothing fails."""
    planned = plan(seed)
    trace: list[str] = []
    story = play(seed, trace=trace)
    print(planned)
    print("\n".join(trace))
    print(story.failure or "Nothing failed.")
    return 1 if story.failure else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0, help="how long (default: 10)")
    parser.add_argument("--seed", type=int, help="the first seed (default: drawn)")
    parser.add_argument("--replay", type=int, metavar="SEED", help="play this seed with a trace")
    arguments = parser.parse_args()
    if arguments.replay is not None:
        return replay(arguments.replay)
    first = arguments.seed
    if first is None:
        first = random.SystemRandom().randrange(1_000_000, 1_000_000_000)
    return soak(arguments.minutes, first)


if __name__ == "__main__":
    sys.exit(main())
