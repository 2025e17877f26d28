"""Commands of the operator's, run in a shell while leases are kept."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping

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
    child = subprocess.Popen(command, shell=True, env={**os.environ, **variables})
    try:
        while (code := child.poll()) is None:
            clock.sleep(POLL_SECONDS)
            meanwhile()
    except BaseException:
        child.terminate()
        try:
            child.wait(TERMINATE_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        raise
    return code
