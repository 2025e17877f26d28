"""Bulk operations that outlive their caller, are started twice, cancelled, or refuse an item.

A bulk put has no condition: one that lands after the consumer has begun takes a newer item's place.
So each of these is judged by the local cloud's own log of writes too, while writers change the same
keys.
"""

from __future__ import annotations

import gzip
import json
import signal
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.crash.crash_points import Case
from tests.crash.emulated_stacks import KEYS, Lane, Writer
from tests.crash.process_pool import Child, Ended
from tests.crash.run_case import Paid, state

START = "import/dynamodb:StartBulkPutItems#1"
AFTER_START = Case.parse(f"{START}/kill-after")
BEFORE_START = Case.parse(f"{START}/kill-before")
TARGET_ACCOUNT = 4
"""The exit code."""
PATIENCE = 120.0
SLOW = "seconds=3"
"""LOCAL_BULK where an operation has to outlive its caller."""
AT_THE_GATE = "waiting for bulk operation"
"""What a run says that does not enable the consumer beside one."""
Operation = Mapping[str, Any]


def outlives_its_caller(lane: Lane) -> Iterator[str]:
    """The caller dies with the answer; the same command follows the operation that runs."""
    known = Paid.of(lane)
    with Writer(lane) as writer:
        yield from _died(lane.launch(AFTER_START))
        if len(lane.running()) != 1:
            yield f"{len(lane.running())} operations outlived their caller"
        yield from _succeeded(lane.run())
    yield from state(lane, known, writer)


def is_started_twice(lane: Lane) -> Iterator[str]:
    """Another caller loads the same snapshot when ours is half done, until the run waits for it."""
    known = Paid.of(lane)
    with Writer(lane) as writer:
        yield from _died(lane.launch(AFTER_START))
        (own,) = lane.running()
        again = lane.start(None)
        others = yield from _keep_others_running(lane, own, again)
        yield from _succeeded(again.wait())
        yield from _outlasted(lane, own, others)
    yield from state(lane, known, writer, operations=1 + len(others))


def runs_when_a_repeat_has_finished(lane: Lane) -> Iterator[str]:
    """Ours is cancelled and repeated; another caller's runs when the repeat has finished."""
    known = Paid.of(lane)
    with Writer(lane) as writer:
        first = lane.start(None)
        _until(lambda: bool(lane.running()))
        (own,) = lane.running()
        lane.target.cancel_bulk_operation(BulkOperationArn=own)
        yield from _refused(first.wait(), "Cancelled")
        again = lane.start(None)
        _until(lambda: len(Paid.of(lane).since(known).operations) == 2)
        (repeat,) = Paid.of(lane).since(known).operations - {own}
        others = yield from _keep_others_running(lane, repeat, again)
        yield from _succeeded(again.wait())
        yield from _outlasted(lane, repeat, others)
    if _operation(lane, own)["BulkOperationStatus"] != "CANCELLED":
        yield "the first operation was not cancelled"
    yield from state(lane, known, writer, operations=2 + len(others))


def refuses_an_item(lane: Lane) -> Iterator[str]:
    """An item that does not fit the local index is refused, and named; then the object is right."""
    known = Paid.of(lane)
    with Writer(lane) as writer:
        yield from _died(lane.launch(BEFORE_START))
        key, right = _spoil_an_item(lane)
        failed = lane.run()
        yield from _refused(failed, "were refused", "key ")
        (operation,) = set(Paid.of(lane).since(known).operations)
        if _operation(lane, operation)["FailedItemCount"] != 1:
            yield f"not one item was refused: {_operation(lane, operation)}"
        lane.s3.put_object(Bucket=lane.bucket, Key=key, Body=right)
        yield from _succeeded(lane.run())
    yield from state(lane, known, writer, operations=2)


BULK_CASES: Mapping[str, Callable[[Lane], Iterator[str]]] = {
    each.__name__: each
    for each in (
        outlives_its_caller,
        is_started_twice,
        runs_when_a_repeat_has_finished,
        refuses_an_item,
    )
}


def of_bulk(case: Case) -> bool:
    """Whether a case is at a call that an import does not make, or makes otherwise."""
    return case.moment.step == "import" or "Bulk" in case.moment.operation


def play(there: Sequence[Lane], names: Sequence[str]) -> dict[str, list[str]]:
    """Play each of these on a lane of its own, several at a time; return the problems by name."""
    found: dict[str, list[str]] = {}
    left = deque(names)

    def work(lane: Lane) -> None:
        while left:
            name, began = left.popleft(), time.monotonic()
            try:
                found[name] = list(BULK_CASES[name](lane))
            except Exception as error:
                found[name] = [f"could not be tried: {error!r}"]
            word = "FAILED" if found[name] else "ok"
            print(f"{time.monotonic() - began:5.1f} s  {word:6} {name}", flush=True)
            for problem in found[name]:
                print(f"       {problem}\nTry: make soak CRASH=bulk:{name}", flush=True)
            if found[name]:
                return  # whatever is wrong with this lane is not to be the next case's
            lane.reset()

    with ThreadPoolExecutor(len(there)) as pool:
        for done in [pool.submit(work, lane) for lane in there]:
            done.result()
    return {name: found.get(name, ["was not tried"]) for name in names if found.get(name) != []}


def _died(ended: Ended) -> Iterator[str]:
    if ended.code != -signal.SIGKILL:
        yield f"was not killed: exit {ended.code}: {ended.err}"


def _succeeded(ended: Ended) -> Iterator[str]:
    if ended.code != 0:
        yield f"run again: exit {ended.code}: {ended.err or ended.out[-300:]}"


def _refused(ended: Ended, *words: str) -> Iterator[str]:
    """What is wrong with the end of a run whose load failed."""
    if ended.code != TARGET_ACCOUNT:
        yield f"a failed load ended with exit {ended.code}: {ended.err or ended.out[-300:]}"
    if "Traceback" in ended.err:
        yield f"a traceback: {ended.err}"
    yield from (
        f"does not say {text!r}: {ended.err}"
        for text in (*words, "\nTry: ")
        if text not in ended.err
    )


def _operation(lane: Lane, arn: str) -> Operation:
    found: Operation = lane.target.describe_bulk_operation(BulkOperationArn=arn)[
        "BulkOperationDescription"
    ]
    return found


def _outlasted(lane: Lane, own: str, others: Sequence[str]) -> Iterator[str]:
    """What was not so: all have ended, and the last of the others later than the run's own."""
    ours, *later = (_operation(lane, arn).get("EndTime") for arn in (own, *others))
    if ours is None or None in later or not later or ours >= later[-1]:
        yield f"the other operations did not outlast ours: they ended at {later} and {ours}"


def _keep_others_running(lane: Lane, own: str, run: Child) -> Generator[str, None, list[str]]:
    """Start operations for the same objects, as another caller, each before the last one ends.

    From when the run's own is half done until the run says that it waits for one of them. Yields
    what was not so, and returns their ARNs.
    """
    _until(lambda: _is_half_done(lane, own))
    like = _operation(lane, own)
    started: list[str] = []
    deadline = time.monotonic() + PATIENCE
    while AT_THE_GATE not in run.said():
        if [each["State"] for each in lane.mappings()] != ["Disabled"]:
            yield "the consumer was switched on while an operation ran"
            break
        if time.monotonic() > deadline:
            yield f"the run never said {AT_THE_GATE!r}"
            break
        if not started or _is_half_done(lane, started[-1]):
            answer = lane.target.start_bulk_put_items(
                TableName=lane.replica,
                InputS3Configuration=like["InputS3Configuration"],
                OutputS3Configuration=like["OutputS3Configuration"],
            )
            started.append(str(answer["BulkOperationDescription"]["BulkOperationArn"]))
        time.sleep(0.05)
    return started


def _is_half_done(lane: Lane, arn: str) -> bool:
    return int(_operation(lane, arn)["ProcessedItemCount"]) > KEYS // 2


def _spoil_an_item(lane: Lane) -> tuple[str, bytes]:
    """Give an item of the exported objects a value that the index refuses.

    Returns the object's key and its content before.
    """
    for key in lane.objects(lane.bucket, f"{lane.values['snapshotPrefix']}/"):
        if not key.endswith(".json.gz"):
            continue
        right = lane.s3.get_object(Bucket=lane.bucket, Key=key)["Body"].read()
        lines = gzip.decompress(right).decode().splitlines()
        for n, line in enumerate(lines):
            record = json.loads(line)
            if "v" in record.get("Item", {}):
                record["Item"]["v"] = {"S": "no number"}
                lines[n] = json.dumps(record)
                spoiled = gzip.compress("".join(f"{each}\n" for each in lines).encode())
                lane.s3.put_object(Bucket=lane.bucket, Key=key, Body=spoiled)
                return key, right
    raise AssertionError("no exported object has an item of the local index")


def _until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError("The bulk operation never came to that.")
        time.sleep(0.05)
