"""Options of an interpreter that let a child end with its parent."""

from __future__ import annotations

import signal
import sys

# 1 is PR_SET_PDEATHSIG, which survives an execve (prctl(2), Linux). The kernel sends the signal
# when the thread that started the child ends.
LEASH = (
    (
        "-c",
        f"import ctypes, os, sys; ctypes.CDLL(None).prctl(1, {int(signal.SIGKILL)}); "
        "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])",
    )
    if sys.platform == "linux"
    else ()
)
