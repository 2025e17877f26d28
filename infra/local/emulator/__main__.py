"""`python -m infra.local.emulator`: the server of the emulated AWS on 127.0.0.1.

The port is bound before ministack is imported, as ministack reads it from its environment; port 0
lets the system choose, without a race. `LocalCloud` is how the rest of the repository starts this.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import gc
import os
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

HOST = "127.0.0.1"
ROOT_SECRET = "local"
PR_SET_PDEATHSIG = 1

# Settings that ministack reads at import. No second port may open: MQTT and SFTP are off.
FIXED = {
    "BIND_HOST": HOST,
    "MINISTACK_HOST": HOST,
    "IOT_MTLS_ENABLED": "0",
    "SFTP_ENABLED": "0",
    "PERSIST_STATE": "0",
    "LAMBDA_EXECUTOR": "local",
    "DOCKER_HOST": "unix:///nonexistent",
    "AWS_SECRET_ACCESS_KEY": ROOT_SECRET,
}


KEPT = {
    *("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "PYTHONUNBUFFERED"),
    "JAVA_HOME",
    *("AUTH", "LOG_LEVEL", "REPLICATION_TIME_SCALE"),
    *("LOCAL_CHAOS", "LOCAL_BULK", "LOCAL_STREAMS", "LOCAL_RECORDING", "LOCAL_WRITE_LOG"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM, SIGINT, or the end of the parent's lifeline; returns the exit status."""
    options = _options(arguments)
    if options.lifeline:
        threading.Thread(target=_die_with_stdin, daemon=True).start()
    if options.die_with_parent and sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    listener = socket.create_server((HOST, options.port), backlog=512)
    port = listener.getsockname()[1]
    _set_environment(port)

    from infra.local.emulator import decimal_arithmetic, patching
    from infra.local.emulator.settings import EmulatorSettings

    decimal_arithmetic.use_38_digits()
    try:
        settings = EmulatorSettings.from_environment()
        ministack = patching.load()
        from infra.local.emulator.wiring import assemble

        assemble(ministack, settings)
    except (patching.EmulatorMismatchError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    if options.ready:
        _announce(options.ready, f"http://{HOST}:{port}")
    _collect_seldom()
    asyncio.run(_serve(ministack.app.app, listener))
    return 0


def _collect_seldom() -> None:
    """Keep Python's collector from walking all tables' items again and again: they stay."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m infra.local.emulator", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1 (0: any free one)")
    parser.add_argument("--ready", type=Path, help="file that gets the endpoint once it is bound")
    parser.add_argument("--lifeline", action="store_true", help="end when standard input ends")
    parser.add_argument(
        "--die-with-parent", action="store_true", help="end with the parent (Linux)"
    )
    return parser.parse_args(arguments)


def _set_environment(port: int) -> None:
    """Set what ministack reads, and nothing else: the functions it runs inherit this."""
    for name in set(os.environ) - KEPT:
        del os.environ[name]
    os.environ.update(FIXED)
    os.environ["GATEWAY_PORT"] = str(port)
    os.environ.setdefault("AUTH", "true")
    os.environ.setdefault("LOG_LEVEL", "WARNING")
    state = Path(tempfile.gettempdir()) / "ministack"
    os.environ["STATE_DIR"] = str(state)
    os.environ["S3_DATA_DIR"] = str(state / "s3")


def _announce(path: Path, endpoint: str) -> None:
    temporary = path.with_suffix(".part")
    temporary.write_text(endpoint + "\n")
    temporary.replace(path)


def _die_with_stdin() -> None:
    # Not through sys.stdin: its lock, held here, would abort an interpreter that is exiting.
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os._exit(0)


async def _serve(app: object, listener: socket.socket) -> None:
    from hypercorn.asyncio import serve
    from hypercorn.config import Config

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    config = Config()
    config.bind = [f"fd://{listener.detach()}"]
    config.keep_alive_timeout = 75
    config.graceful_timeout = 1
    config.loglevel = os.environ["LOG_LEVEL"]

    async def stopped() -> None:
        await stop.wait()

    await serve(app, config, shutdown_trigger=stopped)  # type: ignore[arg-type]


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads that run a function's batch would delay the interpreter's own exit.
    os._exit(status)
