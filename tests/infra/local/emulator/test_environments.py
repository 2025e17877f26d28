"""Execution environments that are forked: each as if an interpreter had been started for it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.local.emulator import environments, workers

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is forked")

# Its import writes the number of the process that does it.
PACKAGE = "import os\nimported_by = os.getpid()\n"
FUNCTION = "import os\nimported_by = os.getpid()\n"
SCRIPT = (
    workers.PREAMBLE.replace("END_OF_LOG", "''")
    + """
import json, os, sys
began = sys.path[0], list(sys.argv), __name__, os.getcwd(), dict(os.environ)
_local_path(os.getcwd())
import aws_lambda_powertools.metrics as package, function, boto3
print(json.dumps({
    "began": began, "path": sys.path[1:], "pid": os.getpid(), "boto3": boto3.__file__,
    "package": [package.__file__, package.imported_by],
    "function": [function.__file__, function.imported_by],
}), flush=True)
for line in sys.stdin:
    print(line, file=sys.stderr, flush=True)
    exec(line)
"""
)

Start = Callable[..., Any]


class Places:
    """An archive, Lambda's own packages, and the script of an environment."""

    def __init__(self, folder: Path) -> None:
        self.archive = folder / "archive"
        package = self.archive / "aws_lambda_powertools"
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
        (package / "metrics.py").write_text(PACKAGE)
        (self.archive / "function.py").write_text(FUNCTION)
        self.runtime = workers.runtime_directory(folder)
        self.script = folder / "script.py"
        self.script.write_text(SCRIPT.replace("RUNTIME", repr(str(self.runtime))))

    def run(self, start: Start, **environment: str) -> tuple[Any, dict[str, Any]]:
        """Start an environment; return its process and what it says of itself."""
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        process = start(
            [sys.executable, str(self.script)],
            cwd=str(self.archive),
            env={**os.environ, "STACK": "local", **environment},
            text=True,
            bufsize=1,
            **pipes,
        )
        return process, json.loads(process.stdout.readline())


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Places:
    return Places(tmp_path_factory.mktemp("places"))


@pytest.fixture(scope="module")
def start(places: Places) -> Iterator[Start]:
    servers = environments.ForkServers(places.runtime)
    yield servers.start
    servers.close()


def tell(process: Any, statement: str) -> None:
    process.stdin.write(statement + "\n")


def end(process: Any) -> tuple[int, str, str]:
    """Return the exit status of a process that ends, and what more it has written."""
    process.stdin.close()
    with process.stdout, process.stderr:
        return process.wait(10), process.stdout.read(), process.stderr.read()


def test_what_a_fork_begins_with_is_what_an_interpreter_begins_with(
    places: Places, start: Start
) -> None:
    forked, seen = places.run(start)
    plain, expected = places.run(subprocess.Popen)
    assert isinstance(forked, environments.ForkedProcess)
    for each in ("began", "path", "boto3"):
        assert seen[each] == expected[each]
    assert [seen[each][0] for each in ("package", "function")] == [
        expected[each][0] for each in ("package", "function")
    ]
    assert end(forked) == end(plain) == (0, "", "")


def test_the_packages_of_the_archive_are_imported_once_and_its_function_in_each_fork(
    places: Places, start: Start
) -> None:
    (first, one), (second, two) = places.run(start), places.run(start)
    assert one["pid"] == first.pid != second.pid == two["pid"]
    assert one["package"] == two["package"] == [one["package"][0], two["package"][1]]
    assert one["package"][1] not in (first.pid, second.pid)
    assert one["function"][1] == first.pid
    assert two["function"][1] == second.pid
    end(first)
    end(second)


@pytest.mark.parametrize(
    ("statement", "status"),
    [
        ("os._exit(3)", 3),
        ("os.kill(os.getpid(), 9)", -9),
        ("raise ValueError", 1),
        ("sys.exit()", 0),
    ],
)
def test_the_end_of_a_fork_is_known_with_its_exit_status(
    places: Places, start: Start, statement: str, status: int
) -> None:
    process, _ = places.run(start)
    assert process.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.01)
    tell(process, statement)
    ended, output, errors = end(process)
    assert (ended, process.poll(), output) == (status, status, "")
    assert errors.startswith(statement + "\n")
    process.kill()  # nothing: its number may be another process's by now


def test_a_fork_can_be_killed_while_others_work(places: Places, start: Start) -> None:
    (one, _), (other, _) = places.run(start), places.run(start)
    tell(one, "import time; time.sleep(100)")
    one.kill()
    assert end(one)[0] == -signal.SIGKILL
    assert other.poll() is None
    other.terminate()
    assert end(other)[0] == -signal.SIGTERM


def test_what_is_read_at_the_start_of_an_interpreter_gets_an_interpreter(
    places: Places, start: Start
) -> None:
    process, _ = places.run(start, PYTHONHASHSEED="1")
    assert isinstance(process, subprocess.Popen)
    end(process)


def test_an_archive_starts_without_a_fork_server_that_has_died(places: Places) -> None:
    servers = environments.ForkServers(places.runtime)
    forked, _ = places.run(servers.start)
    (server,) = servers._servers.values()
    server._process.kill()
    assert forked.wait(10) == -signal.SIGKILL
    process, _ = places.run(servers.start)
    assert isinstance(process, subprocess.Popen)
    for each in (forked, process):
        end(each)
    servers.close()


def test_a_fork_server_ends_with_the_emulator(places: Places) -> None:
    servers = environments.ForkServers(places.runtime)
    process, _ = places.run(servers.start)
    (server,) = servers._servers.values()
    server._control.close()
    assert server._process.wait(10) == 0
    end(process)
