"""Worker processes on all cores, which end with the process that started them."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection
from typing import Any, TypeVar

from bootstrap.core.errors import BlockedError, BootstrapError

T = TypeVar("T")
R = TypeVar("R")

MOST_WORKERS = 4
"""More would exceed the memory limit of a verification; `workers` overrides it."""


def default_workers() -> int:
    """Return the number of workers unless the operator gives one."""
    return min(
        MOST_WORKERS,
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
    )


class _Failure:
    """A BootstrapError in a form that pickles, which its keyword arguments prevent."""

    def __init__(self, error: BootstrapError) -> None:
        self.kind, self.args, self.fields = type(error), error.args, dict(vars(error))

    def error(self) -> BootstrapError:
        error = self.kind.__new__(self.kind)
        error.args = self.args
        vars(error).update(self.fields)
        return error


class _Task:
    """A picklable call that returns its error."""

    def __init__(self, function: Callable[[T], R]) -> None:
        self._function = function

    def __call__(self, argument: Any) -> Any:
        try:
            return self._function(argument)
        except BootstrapError as error:
            return _Failure(error)


_task: _Task | None = None
"""A worker's task. It is sent once, because it may hold the manifests of all files."""


def _run_task(argument: Any) -> Any:
    assert _task is not None
    return _task(argument)


def run_all(function: Callable[[T], R], arguments: Iterable[T], workers: int) -> Iterator[R]:
    """Yield the results of a picklable function as they arrive; in order with one worker.

    The first error ends the other calls.

    Raises:
        BlockedError: a worker was killed (by the system, out of memory). Errors of the function are
            raised as they are.
    """
    todo = list(arguments)
    if workers <= 1 or len(todo) <= 1:
        yield from map(function, todo)
        return
    before = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(
        min(workers, len(todo)),
        multiprocessing.get_context("spawn"),
        initializer=_start_worker,
        initargs=(_Task(function),),
    )
    remaining = iter(todo)
    ended = False
    try:
        # A few at a time: waiting scans all pending futures.
        pending = {
            pool.submit(_run_task, each) for each in itertools.islice(remaining, 2 * workers)
        }
        while pending:
            done, pending = wait(pending, return_when=FIRST_COMPLETED)
            pending |= {
                pool.submit(_run_task, each) for each in itertools.islice(remaining, len(done))
            }
            for future in done:
                result = future.result()
                if isinstance(result, _Failure):
                    raise result.error()
                yield result
        ended = True
    except BrokenProcessPool as error:
        raise BlockedError(
            "A worker process of the verification was killed.",
            fix="check whether the machine ran out of memory; run again with the same --spool: "
            "finished parts are kept",
        ) from error
    finally:
        pool.shutdown(wait=ended, cancel_futures=True)
        if not ended:
            for process in set(multiprocessing.active_children()) - before:
                process.terminate()


def _start_worker(task: _Task) -> None:
    """Set up a new worker: it ignores Ctrl-C, and ends when its parent does."""
    global _task
    _task = task
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_exit_with, args=(parent.sentinel,), daemon=True).start()


def _exit_with(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)
