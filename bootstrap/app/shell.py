"""Commands of the operator's, run in a shell while leases are kept."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress

from replicator.runtime import Clock

POLL_SECONDS = 0.2
TERMINATE_SECONDS = 5.0


def run_in_shell(
    command: str,
    variables: Mapping[str, str],
    meanwhile: Callable[[], None],
    clock: Clock,
) -> int:
    """Run a command with further environment variables; return its exit code.

    Its output goes where this process's goes. `meanwhile` runs several times a second; if it
    raises, the command is ended.
    """
    # In a process group of its own, so that what it has started ends with it.
    child = subprocess.Popen(
        command, shell=True, env={**os.environ, **variables}, start_new_session=True
    )
    try:
        while (code := child.poll()) is None:
            clock.sleep(POLL_SECONDS)
            meanwhile()
    except BaseException:
        _end(child)
        raise
    return code


def _end(child: subprocess.Popen[bytes]) -> None:
    """End a command and what it has started: first with a request, then without."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGTERM)
        try:
            child.wait(TERMINATE_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
    child.wait()
