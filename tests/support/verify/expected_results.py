"""What a verification has to find, derived from what happened alone: no digest, no ledger entry."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from bootstrap.verify.repair import APPLIED
from bootstrap.verify.verify import VerifyResult
from tests.support.verify.images import differing, kind
from tests.support.verify.live_table import MINUTE, Live

QUIET = 5 * MINUTE
"""A key to which nothing happened from so long before a verification on has to be judged by it."""

Line = dict[str, Any]


class ViolationError(AssertionError):
    """A verification said something wrong, or left something out."""


@dataclass
class Attempt:
    """One process of a command: what it found (None: it was killed), and what its report says."""

    begun: int
    found: VerifyResult | None
    lines: list[Line] = field(default_factory=list)

    @property
    def by_name(self) -> dict[str, Line]:
        return {line["key"]["pk"]["S"]: line for line in self.lines}


@dataclass
class Command:
    """A command, and the processes it took until one of them ended well."""

    live: Live
    options: dict[str, Any]
    attempts: list[Attempt]
    begun: int
    """Or when those exports were begun that it was given."""
    ended: int

    @property
    def last(self) -> Attempt:
        return self.attempts[-1]

    @property
    def found(self) -> VerifyResult:
        found = self.last.found
        assert found is not None
        return found

    # -- what has happened -----------------------------------------------------------------------

    def rested(self, name: str) -> bool:
        """Whether nothing happened to a key but by the operator's own hand."""
        tables = (self.live.source, self.live.target)
        return not any(
            self.begun - QUIET < when <= self.ended and by != "operator"
            for table in tables
            for when, _, by in table.histories.get(name, ())
        )

    def was_spoilt(self, name: str) -> bool:
        return any(
            begin <= self.ended and (end is None or end >= self.begun - QUIET)
            for begin, end in self.live.spoilt.get(name, ())
        )

    def mended_before(self, name: str, attempt: Attempt) -> bool:
        """Whether an earlier process of this command has repaired a key."""
        return any(
            self.begun <= when < attempt.begun and by == "operator"
            for when, _, by in self.live.applied.get(name, ())
        )

    def expected(self, name: str) -> Line:
        """What the report has to say of a key that rested."""
        live = self.live
        ours, theirs = live.source.at(name, self.begun), live.target.at(name, self.begun)
        known = [image for when, image, _ in live.applied.get(name, ()) if when <= self.begun]
        return {
            "kind": kind(ours, theirs),
            "attributes": list(differing(ours, theirs)),
            # The consumer did its part, and what is there now is not that.
            "foreign": bool(known) and not differing(known[-1], ours),
        }

    def differs(self, name: str, moment: int) -> bool:
        live = self.live
        return bool(differing(live.source.at(name, moment), live.target.at(name, moment)))


def check(command: Command) -> None:
    """Raises ViolationError."""
    if command.live.masked:
        raise ViolationError(f"newer changes were refused: {command.live.masked}")
    for attempt in command.attempts:
        for name, line in attempt.by_name.items():
            _check_line(command, attempt, name, line)
    names = command.live.source.histories.keys() | command.live.target.histories.keys()
    for name in names:
        if command.rested(name) and command.differs(name, command.begun):
            _check_found(command, name)
    _check_counts(command)
    if command.options.get("source_export") is None:
        _check_share(command)


def _check_line(command: Command, attempt: Attempt, name: str, line: Line) -> None:
    if not command.was_spoilt(name):
        raise ViolationError(f"{name} was never spoilt, and is reported as {_brief(line)}")
    if not command.rested(name):
        return
    if command.mended_before(name, attempt):
        raise ViolationError(
            f"{name} was repaired by this command, and is reported: {_brief(line)}"
        )
    if not command.differs(name, command.begun):
        raise ViolationError(f"{name} was equal, and is reported as {_brief(line)}")
    expected = command.expected(name)
    if _brief(line) != expected:
        raise ViolationError(f"{name} is reported as {_brief(line)}, and it was {expected}")


def _check_found(command: Command, name: str) -> None:
    repairs = command.options.get("repair")
    line = command.last.by_name.get(name)
    if command.options.get("source_export") is not None and command.live.applied.get(name):
        return  # by exports that were there before, what has an entry cannot be judged
    if line is None:
        # A process that dies in its repair may have repaired it and not said so.
        if repairs and len(command.attempts) > 1 and not command.differs(name, command.ended):
            return
        raise ViolationError(f"{name} differed, and is not reported: {command.expected(name)}")
    if repairs:
        if line["repair"] != APPLIED:
            raise ViolationError(f"{name} rested, and was not repaired: {line['repair']}")
        if command.differs(name, command.ended):
            raise ViolationError(f"{name} is said to be repaired, and still differs")


def _check_counts(command: Command) -> None:
    done, lines = command.found.verified, command.last.lines
    if len(command.last.by_name) != len(lines):
        raise ViolationError("a key is reported twice")
    counted = Counter("foreign" if line["foreign"] else line["kind"] for line in lines)
    said = {name: getattr(done, name) for name in ("missing", "extra", "different", "foreign")}
    if said != {name: counted[name] for name in said}:
        raise ViolationError(f"the report holds {counted}, and the result says {said}")
    repaired = sum(line.get("repair") == APPLIED for line in lines)
    if done.repaired != repaired:
        raise ViolationError(f"{done.repaired} are said to be repaired, and it was {repaired}")


def _check_share(command: Command) -> None:
    """What is judged, equal and unjudged, by what the exports hold."""
    done = command.found.verified
    if done.judged < 0.95:
        raise ViolationError(f"only {done.judged:.1%} of the keys are judged")
    mended = any(command.mended_before(name, command.last) for name in command.live.applied)
    if mended or command.found.read:
        return
    left, keys = _never_equal(command)
    left -= command.last.by_name.keys()
    if done.changed_since != len(left):
        raise ViolationError(
            f"{done.changed_since} keys are said to be unjudged, and these are: {sorted(left)}"
        )
    if command.found.rounds == 1 and done.equal != keys - len(left) - done.differences:
        raise ViolationError(f"{done.equal} of {keys} keys are said to be equal")


def _never_equal(command: Command) -> tuple[set[str], int]:
    """The keys that differ in each round's exports, and how many the last round has."""
    taken = [
        {prefix.rsplit("/", 1)[0]: items for prefix, items in table.taken.items()}
        for table in (command.live.source, command.live.target)
    ]
    left: set[str] | None = None
    keys: set[str] = set()
    for run in list(taken[0])[-command.found.rounds :]:
        ours, theirs = (side[run] for side in taken)
        keys = ours.keys() | theirs.keys()
        differ = {name for name in keys if differing(ours.get(name), theirs.get(name))}
        left = differ if left is None else left & differ
    return left or set(), len(keys)


def _brief(line: Line) -> Line:
    return {name: line[name] for name in ("kind", "attributes", "foreign")}
