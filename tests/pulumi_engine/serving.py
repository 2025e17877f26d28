"""A plugin's process: it serves on a free port of this machine until the engine ends."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from pulumi.runtime._grpc_settings import _GRPC_CHANNEL_OPTIONS

THREADS = 32
CHECK_SECONDS = 0.5


def serve(register: Callable[[Any], None]) -> None:
    """Serve what `register` adds to a server, and print the port, as the engine expects.

    Returns when the engine sends SIGINT. Ends the process when the engine was killed.
    """
    server = grpc.server(ThreadPoolExecutor(THREADS), options=_GRPC_CHANNEL_OPTIONS)
    register(server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    print(port, flush=True)
    try:
        server.wait_for_termination()
    except KeyboardInterrupt:  # the engine ends its plugins so, sometimes twice
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        server.stop(0)


def _end_with_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(CHECK_SECONDS)
    os._exit(1)
