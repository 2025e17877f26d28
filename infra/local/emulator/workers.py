"""Lambda's execution environments: their import path, and one invocation.

ministack runs a function in a subprocess of this interpreter. Corrected here: only the archive and
the packages of Lambda's own Python runtime can be imported; every log line of an invocation belongs
to it; an exception leaves the environment alive, a time-out kills it.
"""

from __future__ import annotations

import contextvars
import importlib.util
import json
import queue
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from infra.local.emulator.environments import forking
from infra.local.emulator.function_code import sharing
from infra.local.emulator.patching import EmulatorMismatchError, Json, Ministack

# The packages of Lambda's Python runtime (developer guide, lambda-python.html: the AWS SDK).
RUNTIME_PACKAGES = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six")

END_OF_LOG = "\x00end of invocation "
LOG_SECONDS = 2.0

MOST_AT_ONCE = 16
"""Invocations of all functions at one time; more wait, and their time limit does not run yet."""
MOST_PROCESSES = 24
"""Processes of all functions, idle ones included. Each takes about 80 MB."""

# How many AWS calls an invocation may make before its process ends; None for no limit.
kill_after: contextvars.ContextVar[int | None] = contextvars.ContextVar("kill_after", default=None)

PREAMBLE = """
import http.client as _local_http
import os as _local_os
import sys as _local_sys

_local_os.environ.pop("LOG_LEVEL", None)  # the emulator's own, and powertools would go by it

_local_left = None
_local_putrequest = _local_http.HTTPConnection.putrequest

def _local_counted(self, *args, **kwargs):
    global _local_left
    if _local_left is not None:
        if _local_left <= 0:
            _local_os.kill(_local_os.getpid(), 9)
        _local_left -= 1
    return _local_putrequest(self, *args, **kwargs)

_local_http.HTTPConnection.putrequest = _local_counted

def _local_arm(calls):
    global _local_left
    _local_left = calls

def _local_path(code_dir):
    kept = [p for p in _local_sys.path if "site-packages" not in p and "dist-packages" not in p]
    _local_sys.path[:] = [code_dir, *kept[1:], RUNTIME]

def _local_marked(function):
    def call(event, context):
        try:
            return function(event, context)
        finally:
            _local_sys.stdout.flush()
            _local_sys.stderr.write(END_OF_LOG + context.aws_request_id + "\\n")
            _local_sys.stderr.flush()
    return call
"""

# Places in ministack's worker script, each of which must occur exactly once.
INSERTIONS = (
    ("    sys.path.insert(0, code_dir)\n", "    _local_path(code_dir)\n"),
    (
        "        handler_fn = getattr(mod, handler_name)\n",
        "        handler_fn = _local_marked(getattr(mod, handler_name))\n",
    ),
    (
        '        event = _ms_msg["event"]\n',
        '        event = _ms_msg["event"]\n        _local_arm(_ms_msg.get("kill_after"))\n',
    ),
)


def corrected_script(script: str, runtime: Path) -> str:
    """Return ministack's worker script with the corrections. Raise `EmulatorMismatchError`."""
    preamble = PREAMBLE.replace("RUNTIME", repr(str(runtime)))
    preamble = preamble.replace("END_OF_LOG", repr(END_OF_LOG))
    for old, new in INSERTIONS:
        if script.count(old) != 1:
            raise EmulatorMismatchError(
                f"ministack's Lambda worker script no longer has the line {old.strip()!r}, which "
                "the local cloud corrects.\nTry: pip install -r requirements.txt"
            )
        script = script.replace(old, new)
    return preamble + script


def runtime_directory(parent: Path) -> Path:
    """Make a directory with links to the packages of Lambda's runtime, and nothing else."""
    directory = parent / "lambda-runtime"
    directory.mkdir(exist_ok=True)
    for name in RUNTIME_PACKAGES:
        specification = importlib.util.find_spec(name)
        if specification is None or specification.origin is None:
            continue
        origin = Path(specification.origin)
        target = origin.parent if origin.name == "__init__.py" else origin
        link = directory / target.name
        link.unlink(missing_ok=True)
        link.symlink_to(target)
    return directory


class FunctionWorkers:
    """Corrects ministack's Lambda worker, and bounds the number of processes."""

    def __init__(self, ministack: Ministack) -> None:
        self._ministack = ministack
        self._slots = threading.BoundedSemaphore(MOST_AT_ONCE)
        self._lock = threading.Lock()
        self._started: list[Any] = []

    def install(self) -> None:
        """Replace the worker's script and its `invoke`."""
        runtime = self._ministack.lambda_runtime
        directory = runtime_directory(Path(tempfile.gettempdir()))
        code = Path(tempfile.gettempdir()) / "lambda-code"
        code.mkdir(exist_ok=True)
        self._ministack.replace("lambda_runtime", "zipfile", sharing(code))
        self._ministack.replace("lambda_runtime", "subprocess", forking(directory))
        script = corrected_script(runtime._PYTHON_WORKER_SCRIPT, directory)
        self._ministack.replace("lambda_runtime", "_PYTHON_WORKER_SCRIPT", script)
        runtime.Worker.invoke = _method(self)

    def invoke(self, worker: Any, event: Any, request_id: str, options: Json) -> Json:
        """Run one invocation; starts the environment first, which does not count as its time."""
        with self._slots, worker._lock:
            if not _is_alive(worker):
                self._start(worker)
            timeout = float(worker.config.get("Timeout", 3))
            arn = options.get("invoked_function_arn") or worker.config.get("FunctionArn", "")
            envelope = {
                "event": event,
                "kill_after": kill_after.get(),
                "ctx": {
                    "request_id": request_id,
                    "invoked_function_arn": arn,
                    "timeout_ms": int(timeout * 1000),
                    "trace_id": options.get("trace_id"),
                    "depth": options.get("depth"),
                    "durable": options.get("durable") or {},
                },
            }
            answer = _exchange(worker._proc, envelope, timeout)
            if answer is None:
                self._kill(worker)
                failure = f"Task timed out after {timeout:.2f} seconds"
                return {"status": "error", "error": failure, "log": worker._drain_stderr()}
            if not answer:
                process, worker._proc = worker._proc, None
                process.wait()
                failure = f"Runtime exited with error: exit status {process.returncode}"
                return {"status": "error", "error": failure, "log": worker._drain_stderr()}
            answer["log"] = _log_of(worker._stderr_queue, request_id)
            return answer

    def _start(self, worker: Any) -> None:
        """Start the worker's process; end idle ones of others first where there are too many."""
        with self._lock:
            counted = [each for each in self._started if each is not worker and _counts(each)]
            for idle in sorted(counted, key=lambda each: float(each.last_used)):
                if len(counted) < MOST_PROCESSES:
                    break
                # One that starts or works holds its lock; one that is leased now starts again.
                if idle._lock.acquire(blocking=False):
                    try:
                        if _is_alive(idle):
                            self._kill(idle)
                    finally:
                        idle._lock.release()
                    counted.remove(idle)
            self._started = [*counted, worker]
        worker._spawn()

    def _kill(self, worker: Any) -> None:
        process, worker._proc = worker._proc, None
        process.kill()
        process.wait()


def _is_alive(worker: Any) -> bool:
    return worker._proc is not None and worker._proc.poll() is None


def _counts(worker: Any) -> bool:
    """Return whether the worker has a process, or is about to have one."""
    return bool(worker._lock.locked()) or _is_alive(worker)


def _method(workers: FunctionWorkers) -> Any:
    def invoke(worker: Any, event: Any, request_id: str, **options: Any) -> Json:
        return workers.invoke(worker, event, request_id, options)

    return invoke


def _exchange(process: Any, envelope: Json, timeout: float) -> Json | None:
    """Return the answer of the process, {} when it has died, None when its time is up."""
    answers: queue.Queue[Json] = queue.Queue()

    def exchange() -> None:
        try:
            process.stdin.write(json.dumps(envelope) + "\n")
            process.stdin.flush()
            for line in process.stdout:
                if line.startswith('{"status"'):
                    answers.put(json.loads(line))
                    return
        except (OSError, ValueError):
            pass
        answers.put({})

    threading.Thread(target=exchange, name="lambda-exchange", daemon=True).start()
    try:
        return answers.get(timeout=timeout)
    except queue.Empty:
        return None


def _log_of(lines: queue.Queue[str], request_id: str) -> str:
    """Return the lines that the invocation wrote, up to its mark."""
    kept: list[str] = []
    deadline = time.monotonic() + LOG_SECONDS
    while True:
        try:
            line = lines.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            return "\n".join(kept)
        if line == END_OF_LOG + request_id:
            return "\n".join(kept)
        if not line.startswith(END_OF_LOG):
            kept.append(line)
