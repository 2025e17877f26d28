"""A script that knows `status --json` alone, and types whatever its `next` says (C6)."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from infra.local.cloud import REPOSITORY, SOURCE, TARGET
from tests.support.bootstrap.local_stack import PATIENCE, Stack, Writer, deployed

pytestmark = [pytest.mark.slow, pytest.mark.promise("C6")]

STEPS = 12
"""More commands than a way to a replica with two interruptions takes."""
GOES_ON = (0, 6, 128 + signal.SIGINT, -signal.SIGKILL)


@dataclass
class Script:
    """Types commands where the operator's shell would find `python`; `interrupt` may end one."""

    stack: Stack
    interrupt: Callable[[subprocess.Popen[str], str], None] = lambda process, line: None
    typed: list[str] = field(default_factory=list)

    def status(self) -> dict[str, Any]:
        command = shlex.join(["python", *self.stack.command("status", "--json")[1:]])
        value: dict[str, Any] = json.loads(self._run(command, lambda process, line: None)[1])
        return value

    def go(self) -> dict[str, Any]:
        """Until there is nothing to type."""
        for _ in range(STEPS):
            shown = self.status()
            if shown["next"] is None:
                return shown
            self.typed.append(shown["next"])
            code, said = self._run(shown["next"], self.interrupt)
            assert code in GOES_ON, said
        pytest.fail(f"It does not end: {self.typed}")

    def _run(
        self, command: str, watch: Callable[[subprocess.Popen[str], str], None]
    ) -> tuple[int, str]:
        environment = self.stack.cloud.environment()
        path = f"{Path(sys.executable).parent}{os.pathsep}{environment.get('PATH', '')}"
        said = []
        with subprocess.Popen(
            shlex.split(command),
            cwd=REPOSITORY,
            env={**environment, "PATH": path},
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            try:
                for line in process.stdout:
                    said.append(line)
                    watch(process, line)
                process.wait(PATIENCE)
            finally:
                process.kill()
        return process.returncode, "".join(said)


def interruptions(*wanted: tuple[str, signal.Signals]) -> Callable[..., None]:
    """Ends the process with a signal when it prints the words, once each and in this order."""
    left: Iterator[tuple[str, signal.Signals]] = iter(wanted)
    words, number = next(left)

    def watch(process: subprocess.Popen[str], line: str) -> None:
        nonlocal words, number
        if words and words in line:
            process.send_signal(number)
            words, number = next(left, ("", signal.SIGTERM))

    return watch


def equal(stack: Stack) -> bool:
    return stack.items(TARGET, "orders-replica") == stack.items(SOURCE, "orders")


def test_whatever_next_says_leads_from_nothing_to_a_replica_though_interrupted_twice(
    tmp_path: Path,
) -> None:
    with deployed(tmp_path, "orders") as stack:
        script = Script(
            stack,
            interruptions(
                ("waiting for the export", signal.SIGINT), ("CATCHING_UP", signal.SIGKILL)
            ),
        )
        assert script.status()["state"] == "PLANNED", "nothing is journaled"
        with Writer(stack, "orders"):
            shown = script.go()
            assert (shown["state"], shown["mappingEnabled"]) == ("REPLICATING", True)
        run = f"python -m bootstrap run --outputs {stack.outputs}"
        assert script.typed == [f"{run} --source-profile source --target-profile target"] * 3
        deadline = time.monotonic() + PATIENCE
        while not equal(stack):
            assert time.monotonic() < deadline, "the last changes do not arrive"
            time.sleep(0.5)
        assert sum("of" in item for item in stack.items(TARGET, "orders-replica").values()) > 100
        assert script.status()["safeToSwitch"] is True
        source, target = (stack.cloud.client("dynamodb", side) for side in (SOURCE, TARGET))
        assert len(source.list_exports()["ExportSummaries"]) == 1
        assert len(target.list_imports()["ImportSummaryList"]) == 1

        # A pause is ended by the operator's decision alone.
        script.interrupt = lambda process, line: None
        assert stack.end("pause").returncode == 0
        assert script.status()["next"] is None
        assert " resume " in script.status()["decision"]
        assert stack.end("resume").returncode == 0
        assert script.status()["state"] == "REPLICATING"
