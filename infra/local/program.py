"""The Pulumi program, run without the CLI as Pulumi's Python language host would run it."""

from __future__ import annotations

import asyncio
import json
import os
import runpy
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pulumi
from pulumi.runtime import mocks, resource, settings
from pulumi.runtime.proto import source_pb2
from pulumi.runtime.stack import run_pulumi_func

PROGRAM = Path(__file__).resolve().parent.parent
PROJECT = "dynamodb-replication"
STACK_OUTPUTS = "pulumi:pulumi:readStackOutputs"
STACK_STATE = "pulumi:pulumi:readStackResourceOutputs"
TABLE = "aws:dynamodb/getTable:getTable"
"""The look-ups of the program."""


def run(
    provider: pulumi.runtime.Mocks,
    config: Mapping[str, Any],
    *,
    stack: str,
    monitor: mocks.MockMonitor | None = None,
) -> dict[str, Any]:
    """Run `infra/` to its end with `provider` in AWS's place; return the stack's outputs.

    `config` holds the stack's values under their plain names. May be called again in the same
    process, from a thread that runs no event loop; what it changes of the process is put back.

    Raises:
        Whatever the program or the provider raised first.
    """

    workers = _Workers()

    async def main() -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(workers.executor)
        loop.set_exception_handler(_only_the_first_failure_counts)
        # An earlier run left its stack, and if it failed, calls on its closed loop.
        settings.set_root_resource(None)  # type: ignore[arg-type]
        settings.SETTINGS.rpc_manager.clear()
        settings.SETTINGS.outputs.clear()
        # Within the loop: this makes the root stack, and its calls belong to the loop.
        pulumi.runtime.set_mocks(
            provider, project=PROJECT, stack=stack, preview=False, monitor=monitor
        )
        pulumi.runtime.set_all_config(
            {
                f"{PROJECT}:{key}": value if isinstance(value, str) else json.dumps(value)
                for key, value in config.items()
            }
        )
        await run_pulumi_func(_program)
        root = settings.get_root_resource()
        assert root is not None
        outputs = pulumi.Output.all(**root.outputs)  # type: ignore[attr-defined]
        return await outputs.future() or {}

    with _as_the_language_host(), _without_positions():
        try:
            return asyncio.run(main())
        finally:
            workers.close()


async def _program() -> None:
    runpy.run_path(".", run_name="__main__")


@contextmanager
def _without_positions() -> Iterator[None]:
    """Leave out where in the program a resource was declared.

    Only Pulumi's engine shows it, and finding it, with all callers, took an eighth of a run.
    """
    found = resource._get_stack_trace
    resource._get_stack_trace = source_pb2.StackTrace
    try:
        yield
    finally:
        resource._get_stack_trace = found


class _Workers:
    """The threads that call the provider, each with its own event loop.

    Pulumi needs a loop in each such thread, and would make them without ever closing them.
    """

    def __init__(self) -> None:
        self._loops: list[asyncio.AbstractEventLoop] = []
        self.executor = ThreadPoolExecutor(16, "resource", initializer=self._begin)

    def _begin(self) -> None:
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        self._loops.append(loop)

    def close(self) -> None:
        self.executor.shutdown()
        for loop in self._loops:
            loop.close()


@contextmanager
def _as_the_language_host() -> Iterator[None]:
    """Set working directory `infra/` and the given configuration only; restore all at the end."""
    directory, path = Path.cwd(), list(sys.path)
    environment = {key: os.environ.pop(key) for key in list(os.environ) if key == "PULUMI_CONFIG"}
    os.chdir(PROGRAM)
    try:
        yield
    finally:
        os.chdir(directory)
        sys.path[:] = path
        os.environ.update(environment)


def _only_the_first_failure_counts(
    loop: asyncio.AbstractEventLoop, context: dict[str, Any]
) -> None:
    """Ignore failures that follow from the first: asyncio would print each of them."""
