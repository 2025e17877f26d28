"""One crash of a switch, the commands that are typed then, and the verdict of an application."""

from __future__ import annotations

import re
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from botocore.exceptions import ClientError

from infra.local.cloud import SOURCE, TARGET
from infra.local.workload.server_writes import read_server_writes
from tests.crash.crash_points import Case
from tests.crash.process_pool import Ended
from tests.crash.switch_lane import SwitchLane

FENCE = ("switch", "--fence", "--timeout", "90s")
CANCEL = ("switch", "--cancel")
CANCELLED = 7
ATTEMPTS = 3
KEYS = 20
WRITE_SECONDS = 0.05
PATIENCE = 60.0
"""Seconds until the table that is open takes the application's next write."""
GATE_CLOSED = Case.parse("gate/dynamodb:UpdateItem#1/kill-after")
COMMITTED = Case.parse("commit/dynamodb:TransactWriteItems#1/kill-after")


class Operator(StrEnum):
    """Who is killed, and what is typed then."""

    AGAIN = "again"
    """A switch is killed; the same command again."""
    CANCEL = "cancel"
    """A switch is killed; it is cancelled, unless it is committed."""
    CANCELLING = "cancelling"
    """A switch has died with both tables closed; its cancellation is killed, and typed again."""
    CONTINUING = "continuing"
    """A switch has died once it was committed; what continues it is killed, and typed again."""
    PROMOTING = "promoting"
    """A promotion is killed; the same command again."""
    TAKING_OVER = "taking-over"
    """A promotion is killed on another machine; a second operator takes over."""
    VOIDING = "voiding"
    """A switch has died with both tables closed; the promotion is killed, and typed again."""

    @property
    def promotes(self) -> bool:
        """Whether a promotion is what is killed."""
        return self in (Operator.PROMOTING, Operator.TAKING_OVER, Operator.VOIDING)


@dataclass(frozen=True, order=True)
class SwitchCase:
    """What is done to which operator."""

    operator: Operator
    case: Case

    @classmethod
    def parse(cls, text: str) -> SwitchCase:
        """Raises ValueError for what is no such case."""
        operator, _, case = text.partition(":")
        return cls(Operator(operator), Case.parse(case))

    def __str__(self) -> str:
        return f"{self.operator}:{self.case}"


class Application(threading.Thread):
    """Writes into the source, and into the target where the source refuses it."""

    def __init__(self, ready: SwitchLane) -> None:
        super().__init__(daemon=True)
        self._lane = ready.lane
        self._asked = threading.Event()
        self._count = 0
        self.acknowledged: dict[str, str] = {}
        """The last value of each key that a table has taken."""
        self.written = 0

    def run(self) -> None:
        lane = self._lane
        while not self._asked.wait(WRITE_SECONDS):
            self._count += 1
            key, value = f"moving-{self._count % KEYS}", str(self._count)
            item = {"pk": {"S": key}, "v": {"N": value}}
            for dynamodb, table in ((lane.source, lane.name), (lane.target, lane.replica)):
                try:
                    dynamodb.put_item(TableName=table, Item=item)
                except ClientError as error:
                    if error.response["Error"]["Code"] != "AccessDeniedException":
                        raise
                    continue
                self.acknowledged[key] = value
                self.written += 1
                break

    def writes_on(self) -> bool:
        """Whether a table takes writes now, and until when it was waited for."""
        known, deadline = self.written, time.monotonic() + PATIENCE
        while self.written < known + 3 and time.monotonic() < deadline:
            time.sleep(0.1)
        return self.written >= known + 3

    def __enter__(self) -> Application:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._asked.set()
        self.join()


def trial(ready: SwitchLane, case: SwitchCase) -> list[str]:
    """Play a case on a table that is ready to be switched; return what was wrong."""
    began = time.monotonic()
    with Application(ready) as application:
        problems = [*_played(ready, case)]
        if not application.writes_on():
            problems.append("no table takes writes in the end")
    return [*problems, *_state(ready, application, began)]


def _played(ready: SwitchLane, case: SwitchCase) -> Iterator[str]:
    lane = ready.lane
    first = {Operator.CANCELLING: GATE_CLOSED, Operator.CONTINUING: COMMITTED}.get(case.operator)
    if first is not None:
        yield from killed(lane.start(first, *FENCE).wait(), first)
    cancels = case.operator is Operator.CANCELLING
    yield from killed(lane.start(case.case, *(CANCEL if cancels else FENCE)).wait(), case.case)
    if cancels or case.operator is Operator.CANCEL:
        cancelled = lane.run(*CANCEL)
        # Refused: there is nothing to cancel, or nothing leads back.
        if cancelled.code == 0 or ready.state() == "REPLICATING":
            return
        if ready.state() != "SWITCHED":
            yield f"was not cancelled: {words(cancelled)}"
            return
    for _ in range(ATTEMPTS):
        again = lane.run(*FENCE)
        if again.code != CANCELLED:
            break  # on a busy machine a policy may come too late: then it is typed again
    if again.code != 0:
        yield f"again: {words(again)}"


class MomentMissedError(Exception):
    """The command ended well before its moment came: how often is polled is chance."""


def killed(ended: Ended, case: Case) -> Iterator[str]:
    """Yield what is wrong about an end that is not this one.

    Raises:
        MomentMissedError: it made fewer such calls than the recorded one.
    """
    if ended.code == 0:
        raise MomentMissedError(str(case))
    if ended.code != -signal.SIGKILL or not any(line.deed == case.deed for line in ended.calls):
        yield f"was not killed at {case}: {words(ended)}"


def words(ended: Ended) -> str:
    return f"exit {ended.code}: {ended.err.strip() or ended.out.strip()[-300:]}"


def _state(ready: SwitchLane, application: Application, began: float) -> Iterator[str]:
    lane, state = ready.lane, ready.state()
    holder = lane.row()["holder"]["S"]
    if holder:
        yield f"the lease is still held by {holder}"
    if state not in ("REPLICATING", "SWITCHED"):
        yield f"it ends in {state}"
        return
    yield from _one_writer(ready, state, began)
    if state == "REPLICATING" and (left := lane.settled()):
        yield f"{left} keys differ"
    there = ready.items(target=state == "SWITCHED")
    lost = [
        key
        for key, value in application.acknowledged.items()
        if there.get(key, {}).get("v") != {"N": value}
    ]
    if lost:
        yield f"{len(lost)} keys do not hold what was acknowledged last: {sorted(lost)[:5]}"


def _one_writer(ready: SwitchLane, state: str, began: float) -> Iterator[str]:
    """By the local cloud's own log: the source took nothing once the target took a write."""
    writes = [
        each
        for each in read_server_writes(ready.lane.write_log)
        if each.at >= began and re.search(r":root$", each.caller)
    ]
    source = [
        each.at
        for each in writes
        if (each.account, each.table) == (SOURCE.account_id, ready.lane.name)
    ]
    target = [
        each.at
        for each in writes
        if (each.account, each.table) == (TARGET.account_id, ready.lane.replica)
    ]
    if target and source and max(source) >= min(target):
        yield f"both tables took writes: the source up to {max(source) - min(target):.3f} s later"
    if target and state == "REPLICATING":
        yield f"the target of a replica took {len(target)} writes"
    if not target and state == "SWITCHED":
        yield "the primary took no write"
