"""One crash of a promotion, the command that is typed then, and the verdict of an application."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from infra.local.cloud import SOURCE, TARGET
from infra.local.workload.server_writes import read_server_writes
from tests.crash.hooks import Line
from tests.crash.process_pool import Ended
from tests.crash.switch_case import (
    ATTEMPTS,
    FENCE,
    GATE_CLOSED,
    KEYS,
    PATIENCE,
    WRITE_SECONDS,
    Operator,
    SwitchCase,
    killed,
    words,
)
from tests.crash.switch_lane import SwitchLane

PROMOTE = ("promote", "--yes", "--drain", "2s", "--json")
STILL_REFUSES = 4
ITEMS = ["target-deny", "target-open", "mapping", "target-expiry"]
BATCHES = 3
"""The invocations of a consumer that was switched on again, until it is believed."""


class Survivors(threading.Thread):
    """Applications of both accounts that know nothing of each other: each writes the same keys into
    its own table, as far as that takes them.
    """

    def __init__(self, ready: SwitchLane) -> None:
        super().__init__(daemon=True)
        self._lane = ready.lane
        self._asked = threading.Event()
        self.acknowledged: dict[str, str] = {}
        """The last value of each key that the target has taken."""
        self.written = 0
        """Writes that the target has taken."""

    def run(self) -> None:
        lane, count = self._lane, 0
        while not self._asked.wait(WRITE_SECONDS):
            count += 1
            key = f"moving-{count % KEYS}"
            _put(lane.source, lane.name, key, f"{count}")
            if _put(lane.target, lane.replica, key, f"-{count}"):
                self.acknowledged[key] = f"-{count}"
                self.written += 1

    def writes_on(self) -> bool:
        """Whether the target takes writes now, and until when it was waited for."""
        known, deadline = self.written, time.monotonic() + PATIENCE
        while self.written < known + 3 and time.monotonic() < deadline:
            time.sleep(0.1)
        return self.written >= known + 3

    def __enter__(self) -> Survivors:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._asked.set()
        self.join()


def promotion(ready: SwitchLane) -> tuple[str, ...]:
    """The command; its last argument is the report's file."""
    directory, name = ready.lane.write_log.parent, ready.lane.name
    return (*PROMOTE, "--report", str(directory / f"{name}-promotion.json"))


def _put(dynamodb: Any, table: str, key: str, value: str) -> bool:
    try:
        dynamodb.put_item(TableName=table, Item={"pk": {"S": key}, "v": {"N": value}})
    except ClientError as error:
        if error.response["Error"]["Code"] != "AccessDeniedException":
            raise
        return False
    return True


def promotion_trial(ready: SwitchLane, case: SwitchCase) -> list[str]:
    """Play a case on a table that is ready to be promoted; return what was wrong."""
    began = time.monotonic()
    problems: list[str] = []
    with Survivors(ready) as applications:
        problems += _played(ready, case)
        if not applications.writes_on():
            return [*problems, "the target takes no writes in the end"]
        problems += _promoted(ready)
        problems += _woken(ready)
    problems += _only_writer(ready, began)
    there = ready.items(target=True)
    lost = [
        key
        for key, value in applications.acknowledged.items()
        if there.get(key, {}).get("v") != {"N": value}
    ]
    if lost:
        problems.append(f"{len(lost)} keys of the target were changed: {sorted(lost)[:5]}")
    return problems


def _played(ready: SwitchLane, case: SwitchCase) -> Iterator[str]:
    lane, takes_over = ready.lane, case.operator is Operator.TAKING_OVER
    if case.operator is Operator.VOIDING:
        yield from killed(lane.start(GATE_CLOSED, *FENCE).wait(), GATE_CLOSED)
    command = promotion(ready)
    file = Path(command[-1])
    file.unlink(missing_ok=True)
    first = lane.start(case.case, *command, elsewhere=takes_over).wait()
    yield from killed(first, case.case)
    recorded = lane.row().get("promoted")
    more = ("--take-over",) if takes_over else ()
    calls = [*first.calls]
    for _ in range(ATTEMPTS):
        again = lane.start(None, *command, *more).wait()
        calls += again.calls
        if again.code != STILL_REFUSES:
            break  # on a busy machine a policy may come too late: then it is typed again
    yield from _source_roles(ready, calls)
    if again.code != 0:
        yield f"again: {words(again)}"
        return
    yield from _report(ready, again, file)
    if recorded is not None and _nonce(recorded) != _nonce(lane.row()["promoted"]):
        yield "a recorded promotion was not continued, but begun anew"


def _nonce(record: Any) -> Any:
    return record["M"]["nonce"] if "M" in record else json.loads(record["S"])["nonce"]


def _report(ready: SwitchLane, again: Ended, file: Path) -> Iterator[str]:
    shown = json.loads(again.out)
    if shown != json.loads(file.read_text()):
        yield "the report's file is not what was printed"
    if shown["open"] or shown["done"] != ITEMS:
        yield f"it is left open: {shown['open']}"
    settings = ready.lane.settings()
    if settings.get("closed") != {"S": shown["nonce"]}:
        yield f"the gate is not the promotion's: {settings.get('closed')}"
    if "primary" not in settings:
        yield "the ledger does not know since when the target is the primary"


def _source_roles(ready: SwitchLane, calls: list[Line]) -> Iterator[str]:
    source = SOURCE.account_id
    asked = {line.role for line in calls if f"::{source}:" in line.role}
    if asked:
        yield f"roles of the source were asked for: {sorted(asked)}"
    if not any(line.role for line in calls):
        yield "no role was asked for: the list of calls says nothing"


def _promoted(ready: SwitchLane) -> Iterator[str]:
    lane, state = ready.lane, ready.state()
    if state != "PROMOTED":
        yield f"it ends in {state}"
    if holder := lane.row()["holder"]["S"]:
        yield f"the lease is still held by {holder}"
    states = [mapping["State"] for mapping in lane.mappings()]
    if any(each not in ("Disabled", "Disabling") for each in states):
        yield f"the event source mapping is {states}"


def _woken(ready: SwitchLane) -> Iterator[str]:
    """Let the source take writes again, and the consumer see them, by another hand."""
    lane, began = ready.lane, datetime.now(UTC)
    with contextlib.suppress(lane.source.exceptions.PolicyNotFoundException):
        lane.source.delete_resource_policy(ResourceArn=lane.values["sourceTableArn"])
    uuid, deadline = lane.mapping, time.monotonic() + PATIENCE
    lane.functions.update_event_source_mapping(UUID=uuid, Enabled=True)
    while _invocations(ready, began) < BATCHES:
        if time.monotonic() > deadline:
            yield "the consumer that was switched on again was given nothing"
            return
        time.sleep(0.2)


def _invocations(ready: SwitchLane, began: datetime) -> float:
    answer = ready.lane.cloudwatch.get_metric_statistics(
        Namespace="AWS/Lambda",
        MetricName="Invocations",
        Dimensions=[{"Name": "FunctionName", "Value": ready.lane.values["functionName"]}],
        StartTime=began,
        EndTime=began + timedelta(hours=1),
        Period=3600,
        Statistics=["Sum"],
    )
    return float(sum(each["Sum"] for each in answer["Datapoints"]))


def _only_writer(ready: SwitchLane, began: float) -> Iterator[str]:
    """By the local cloud's own log: nothing of the stack wrote once an application did."""
    writes = [
        each
        for each in read_server_writes(ready.lane.write_log)
        if each.at >= began
        and (each.account, each.table) == (TARGET.account_id, ready.lane.replica)
    ]
    own = [each.at for each in writes if each.caller.endswith(":root")]
    others = [each for each in writes if not each.caller.endswith(":root")]
    late = [each for each in others if own and each.at > min(own)]
    if late:
        yield f"{len(late)} writes followed the application's first, by {late[-1].caller}"
