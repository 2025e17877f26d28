"""Plays seeds of whole verifications and backfills, or one again with a trace.

python -m tests.support.verify.replay verify --first 1000 --count 200
python -m tests.support.verify.replay backfill 17
"""

from __future__ import annotations

import argparse
import sys

from tests.support.verify.gap_scenarios import Gap
from tests.support.verify.runs import Planned, Run, play, play_many

STORIES: dict[str, type[Run]] = {story.name: story for story in (Run, Gap)}


def replay(story: str, seed: int) -> int:
    """Plays one seed again, exactly, and prints what happens. 0 if nothing fails."""
    played = play(seed, STORIES[story])
    print(Planned.of(seed))
    print("\n".join(played.trace))
    print(played.failure or "Nothing failed.")
    return 1 if played.failure else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("story", choices=STORIES)
    parser.add_argument("seed", type=int, nargs="?", help="play this one with a trace")
    parser.add_argument("--first", type=int, default=0, help="the first seed (default: 0)")
    parser.add_argument("--count", type=int, default=200, help="how many (default: 200)")
    arguments = parser.parse_args()
    if arguments.seed is not None:
        return replay(arguments.story, arguments.seed)
    seeds = range(arguments.first, arguments.first + arguments.count)
    summary = play_many(seeds, STORIES[arguments.story])
    print(summary)
    return 1 if summary.failures else 0


if __name__ == "__main__":
    sys.exit(main())
