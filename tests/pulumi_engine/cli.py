"""The Pulumi CLI: the machine's own, or one built from Go modules under build/.

`python -m tests.pulumi_engine.cli` finds or builds it and prints where it is.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
MODULE = Path(__file__).resolve().parent / "cli"
"""The Go module that pins the release, with the hash of everything that goes into it."""
BUILD = REPOSITORY / "build" / "pulumi"
HOST = Path(__file__).resolve().parent / "plugins" / "python_host" / "pulumi-language-python"
"""Stands in for Pulumi's host of Python programs beside a CLI that was built here."""
PACKAGE = "github.com/pulumi/pulumi/pkg/v3"
SDK = "github.com/pulumi/pulumi/sdk/v3"
VERSION_VARIABLE = f"{SDK}/go/common/version.Version"
OLDEST = (3, 250)
"""The oldest release on a machine that is used as it is. Older ones may not know what the pinned
SDK asks of an engine."""
REQUIRED = "REQUIRE_PULUMI_ENGINE"
"""Environment variable: set, a machine without the CLI fails the tests instead of skipping them."""


class PulumiCliError(Exception):
    """There is no CLI on the machine, and none can be built. The message says why."""


@dataclass(frozen=True)
class PulumiCli:
    """An executable, and its release as (major, minor)."""

    executable: Path
    release: tuple[int, int]
    python_host: bool
    """Whether a host for Python programs lies beside it."""


def find_cli() -> PulumiCli:
    """Return the machine's CLI, or the built one; build it (about three minutes) if need be.

    Raises:
        PulumiCliError: it is neither there nor can it be built.
    """
    return _installed() or _built()


def _installed() -> PulumiCli | None:
    found = shutil.which("pulumi")
    if found is None:
        return None
    cli = _describe(Path(found).resolve())
    return cli if cli is not None and cli.release >= OLDEST else None


def _describe(executable: Path) -> PulumiCli | None:
    environment = {**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"}
    ran = subprocess.run(
        [str(executable), "version"], capture_output=True, text=True, check=False, env=environment
    )
    release = re.match(r"v?(\d+)\.(\d+)\.", ran.stdout)
    if release is None:
        return None
    major, minor = (int(part) for part in release.groups())
    host = executable.with_name("pulumi-language-python")
    return PulumiCli(executable, (major, minor), host.exists())


def _built() -> PulumiCli:
    if shutil.which("go") is None:
        raise PulumiCliError(
            "There is no `pulumi` on this machine, and no `go` to build one with.\n"
            "Try: install either, and run the tests again"
        )
    BUILD.mkdir(parents=True, exist_ok=True)
    executable, stamp = BUILD / "pulumi", BUILD / "stamp"
    with _exclusive(BUILD / ".lock"):
        wanted = _stamp()
        if not (executable.exists() and stamp.exists() and stamp.read_text() == wanted):
            stamp.unlink(missing_ok=True)
            _build(executable)
            stamp.write_text(wanted)
    # Beside the executable the CLI finds it without a warning.
    _install(HOST, executable.with_name(HOST.name))
    cli = _describe(executable)
    if cli is None:
        raise PulumiCliError(f"{executable} was built, and does not tell its version.")
    return cli


def _stamp() -> str:
    digest = hashlib.sha256()
    for name in ("go.mod", "go.sum"):
        digest.update((MODULE / name).read_bytes())
    return f"{digest.hexdigest()} {_go('env', 'GOVERSION')}\n"


def _build(executable: Path) -> None:
    version = _go("list", "-m", "-f", "{{.Version}}", PACKAGE)
    _go(
        "build",
        "-mod=readonly",
        "-trimpath",
        *("-tags", "osusergo,grpcnotrace"),
        *("-ldflags", f"-s -w -X {VERSION_VARIABLE}={version}"),
        *("-o", str(executable), f"{PACKAGE}/cmd/pulumi"),
    )
    # What runs a Python program for a language host. The host itself is no published Go module.
    runner = "pulumi-language-python-exec"
    source = Path(_go("list", "-m", "-f", "{{.Dir}}", SDK), "python", "cmd", runner)
    _install(source, executable.with_name(runner))


def _install(source: Path, copy: Path) -> None:
    """Copy an executable file, all at once: another process may be running the old one."""
    made = copy.with_name(f".{copy.name}.{os.getpid()}")
    shutil.copyfile(source, made)
    made.chmod(0o755)
    made.replace(copy)


def _go(*arguments: str) -> str:
    environment = {**os.environ, "CGO_ENABLED": "0"}
    ran = subprocess.run(
        ["go", *arguments], cwd=MODULE, env=environment, capture_output=True, text=True, check=False
    )
    if ran.returncode:
        raise PulumiCliError(
            f"The Pulumi CLI could not be built: `go {' '.join(arguments[:2])}` answered\n"
            f"{ran.stderr.strip()[-2000:]}\n"
            "Try: install pulumi, or a Go that tests/pulumi_engine/cli/go.mod accepts"
        )
    return ran.stdout.strip()


@contextmanager
def _exclusive(lock: Path) -> Iterator[None]:
    """Let one process at a time build."""
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def main() -> None:
    """Print the path of the executable, or why there is none."""
    try:
        print(find_cli().executable)
    except PulumiCliError as error:
        print(f"The tests with the real Pulumi engine will not run.\n{error}", file=sys.stderr)
        sys.exit(1 if os.environ.get(REQUIRED) else 0)


if __name__ == "__main__":
    main()
