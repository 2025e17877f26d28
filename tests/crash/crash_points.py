"""What is done to a run, and at which of its calls; as words, so that a case can be typed again."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum


class Deed(StrEnum):
    """What happens at the moment. `once`: to the first attempt of the call alone, which botocore
    makes again by itself; `always`: to all its attempts, so that the bootstrap sees the failure.
    """

    KILL_BEFORE = "kill-before"
    """SIGKILL, and the request was never sent."""
    KILL_AFTER = "kill-after"
    """SIGKILL once the answer is there, which no process reads."""
    THROTTLE_ONCE = "throttle-once"
    THROTTLE = "throttle-always"
    LOST_ONCE = "lost-once"
    """500 after the work was done."""
    LOST = "lost-always"
    FAIL_ONCE = "fail-once"
    """500, and nothing was done."""
    FAIL = "fail-always"
    DENY = "deny"
    EXPIRE = "expire"
    """The credentials have expired."""
    FREEZE = "freeze"
    """SIGSTOP once the answer is there. Not part of the matrix: it takes a lease's minute."""

    @property
    def kills(self) -> bool:
        return self in (Deed.KILL_BEFORE, Deed.KILL_AFTER)

    @property
    def refuses(self) -> bool:
        """Whether the run is to end, with words for the operator."""
        return self in (Deed.DENY, Deed.EXPIRE)


KILLS = (Deed.KILL_BEFORE, Deed.KILL_AFTER)
FAULTS = tuple(deed for deed in Deed if not deed.kills and deed is not Deed.FREEZE)
MATRIX = (*KILLS, *FAULTS)


@dataclass(frozen=True, order=True)
class Moment:
    """A call of a run: the how manieth of its operation while its step was at work, from 1."""

    step: str
    operation: str
    """`service:OperationName`."""
    nth: int = 1

    def __str__(self) -> str:
        return f"{self.step}/{self.operation}#{self.nth}"


@dataclass(frozen=True, order=True)
class Case:
    """What is done at a moment."""

    moment: Moment
    deed: Deed

    @classmethod
    def parse(cls, text: str) -> Case:
        """Raises ValueError for what is no case."""
        found = re.fullmatch(r"([\w-]+)/([\w-]+:\w+)#(\d+)/([\w-]+)", text)
        if found is None:
            raise ValueError(
                f"{text!r} is no case. Try: export/dynamodb:ListExports#1/{Deed.KILL_BEFORE}"
            )
        step, operation, nth, deed = found.groups()
        return cls(Moment(step, operation, int(nth)), Deed(deed))

    def __str__(self) -> str:
        return f"{self.moment}/{self.deed}"
