"""A process that has imported an archive's packages, and forks into its execution environments.

`environments` runs this file as a script, one process for each archive. It imports no code of the
function, and nothing of this repository.
"""

from __future__ import annotations

import gc
import importlib
import importlib.util
import json
import os
import runpy
import select
import signal
import socket
import sys
from pathlib import Path
from typing import Any

# What functions import of the archive, which may have any of these, and of Lambda's own runtime.
ARCHIVES_PACKAGES = ("aws_lambda_powertools.metrics", "aws_kinesis_agg.deaggregator")
PACKAGES = ("boto3", "botocore.session", *ARCHIVES_PACKAGES)
# A client of each is made once, which reads the models and imports what only clients need.
SERVICES = ("dynamodb", "s3", "kinesis", "cloudwatch")

LARGEST_REQUEST = 1 << 20
PIPES = 4
"""Standard input, output and error of the new process, and where its number and end are written."""

Json = dict[str, Any]


def has_packages(code: Path) -> bool:
    """Return whether an archive has packages. One without starts as fast by itself."""
    return any((code / name.partition(".")[0]).exists() for name in ARCHIVES_PACKAGES)


def main() -> None:
    """Serve requests until the emulator's end of the socket is closed."""
    control = socket.socket(fileno=int(sys.argv[1]))
    interpreters_path = list(sys.path)
    os.environ["AWS_CONFIG_FILE"] = os.devnull  # of the user, for whom nothing is called here
    sys.path[:] = import_path(sys.argv[2], sys.argv[3])
    import_packages()
    gc.collect()
    gc.freeze()  # forked processes share what they do not write to, and collecting writes
    sys.path[:] = interpreters_path
    request, pipes = _serve(control)
    _become(request, pipes)


def import_path(code: str, runtime: str) -> list[str]:
    """Return the import path that an environment has: `workers.PREAMBLE` says the same."""
    kept = [
        each for each in sys.path if "site-packages" not in each and "dist-packages" not in each
    ]
    return [code, *kept[1:], runtime]


def import_packages() -> None:
    """Import what the path has of `PACKAGES`, and keep botocore's models as they were read."""
    for name in PACKAGES:
        if importlib.util.find_spec(name.partition(".")[0]) is not None:
            importlib.import_module(name)
    _keep_models()
    session = sys.modules["botocore.session"].Session()
    for service in SERVICES:
        session.create_client(
            service,
            region_name="eu-west-1",
            aws_access_key_id="none",
            aws_secret_access_key="none",
            endpoint_url="http://127.0.0.1:9",
        )


def _keep_models() -> None:
    """Read each of botocore's data files once: a session does so for all of its clients."""
    loader = importlib.import_module("botocore.loaders").JSONFileLoader
    read, contents = loader.load_file, {}

    def load_file(self: Any, path: str) -> Any:
        if path not in contents:
            contents[path] = read(self, path)
        return contents[path]

    loader.load_file = load_file


def _serve(control: socket.socket) -> tuple[Json, list[int]]:
    """Fork for each request. Returns in the new process only, with its request and its pipes."""
    ended, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    reports: dict[int, int] = {}
    while True:
        ready, _, _ = select.select([control.fileno(), ended], [], [])
        if ended in ready:
            os.read(ended, 4096)
            _report_ends(reports)
        if control.fileno() not in ready:
            continue
        message, pipes, _flags, _address = socket.recv_fds(control, LARGEST_REQUEST, PIPES)
        if not message:
            os._exit(0)
        request = json.loads(message)
        if "kill" in request:
            if request["kill"] in reports:  # its number is not another's: it has not been reaped
                os.kill(request["kill"], request["signal"])
            continue
        child = os.fork()
        if child == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for each in (ended, wake, *reports.values(), pipes.pop()):
                os.close(each)
            control.close()
            return request, pipes
        for each in pipes[:-1]:
            os.close(each)
        reports[child] = pipes[-1]
        _write(pipes[-1], child)


def _report_ends(reports: dict[int, int]) -> None:
    while reports:
        child, status = os.waitpid(-1, os.WNOHANG)
        if child == 0:
            return
        report = reports.pop(child)
        _write(report, os.waitstatus_to_exitcode(status))
        os.close(report)


def _write(report: int, number: int) -> None:
    try:
        os.write(report, f"{number}\n".encode())
    except BrokenPipeError:
        return  # the emulator no longer asks for this process


def _become(request: Json, pipes: list[int]) -> None:
    """Run the script as an interpreter would that had been started for it."""
    for standard, pipe in enumerate(pipes):
        os.dup2(pipe, standard)
        os.close(pipe)
    os.chdir(request["directory"])
    os.environ.clear()
    os.environ.update(request["environment"])
    script = request["script"]
    sys.argv[:] = [script]
    sys.path[0] = str(Path(script).parent)
    runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    main()
