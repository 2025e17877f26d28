"""`LocalCloud`: the emulated AWS as a child process, and clients for it."""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

REPOSITORY = Path(__file__).resolve().parents[2]
SECRET = "local"
START_SECONDS = 60.0
STOP_SECONDS = 5.0
TAIL_LINES = 20


@dataclass(frozen=True)
class LocalAccount:
    """An emulated account and the Region it works in."""

    account_id: str
    region: str


SOURCE = LocalAccount("111111111111", "eu-west-1")
TARGET = LocalAccount("222222222222", "eu-west-1")


class LocalCloudError(RuntimeError):
    """The emulator did not start, or has died. The message carries the end of its log."""


class LocalCloud:
    """A running emulator, as a context manager.

    `directory` receives its log, its temporary files and the AWS configuration of its accounts
    (profiles `source` and `target`). `time_scale` multiplies AWS's delays; `chaos` is the text of
    LOCAL_CHAOS, `bulk` that of LOCAL_BULK, `streams` that of LOCAL_STREAMS; `recording` is a file
    that gets a line for each distinct call, `write_log` one that gets a line for each write of an
    item. The child ends with this process, however that ends.
    """

    def __init__(
        self,
        directory: Path,
        *,
        source: LocalAccount = SOURCE,
        target: LocalAccount = TARGET,
        time_scale: float = 0.01,
        auth: bool = True,
        chaos: str = "",
        bulk: str = "",
        streams: str = "",
        recording: Path | None = None,
        write_log: Path | None = None,
        port: int = 0,
    ) -> None:
        self.directory = directory.resolve()
        self.source = source
        self.target = target
        self.time_scale = time_scale
        self._auth = auth
        self._chaos = chaos
        self._bulk = bulk
        self._streams = streams
        self._recording = recording
        self._write_log = write_log
        self._port = port
        self._endpoint = ""
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """The emulator's log."""
        return self.directory / "emulator.log"

    @property
    def endpoint(self) -> str:
        """The URL of the emulator. Raises `LocalCloudError` when it does not run."""
        self.check()
        return self._endpoint

    @property
    def process_group(self) -> int:
        """The process group of the emulator and of the functions it runs."""
        self.check()
        assert self._process is not None
        return self._process.pid

    # -- life ------------------------------------------------------------------------------------

    def start(self) -> Self:
        """Start the emulator and wait until it answers. Raises `LocalCloudError`."""
        if self._process is not None:
            return self
        self._clear_temporary_files()
        (self.directory / "tmp").mkdir(parents=True)
        ready = self.directory / "endpoint"
        ready.unlink(missing_ok=True)
        command = [sys.executable, "-m", "infra.local.emulator"]
        command += ["--port", str(self._port), "--ready", str(ready), "--lifeline"]
        if threading.current_thread() is threading.main_thread():
            # Linux sends the signal when the *thread* that started the child ends.
            command.append("--die-with-parent")
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=REPOSITORY,
                env=self._emulator_environment(),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for this process, which then stops the child
            )
        atexit.register(self.stop)
        try:
            self._endpoint = self._await_endpoint(ready)
            self._write_config()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop the emulator: SIGTERM, then SIGKILL. Idempotent."""
        process, self._process = self._process, None
        atexit.unregister(self.stop)
        if process is None:
            return
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        # Functions that are at work outlive the emulator: they are of its process group.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        if process.stdin is not None:
            with contextlib.suppress(OSError):
                process.stdin.close()
        self._clear_temporary_files()

    def check(self) -> None:
        """Raise `LocalCloudError` unless the emulator runs."""
        if self._process is None:
            raise LocalCloudError(
                "The local cloud is not running.\nTry: use LocalCloud as a context manager"
            )
        status = self._process.poll()
        if status is not None:
            raise self._death(f"The emulator ended with exit status {status}")

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    # -- use -------------------------------------------------------------------------------------

    def client(self, service: str, account: LocalAccount, region: str | None = None) -> Any:
        """Return a boto3 client with the account's root credentials, in its Region or another."""
        import boto3
        from botocore.config import Config
        from botocore.session import Session

        # Neither the user's profile nor the files that it is looked up in.
        own: dict[str, Any] = {
            "profile": (None, [], None, None),
            "config_file": (None, None, os.devnull, None),
            "credentials_file": (None, None, os.devnull, None),
        }
        core = Session(session_vars={**Session.SESSION_VARIABLES, **own})
        core.register_component("data_loader", _loader())
        session = boto3.session.Session(
            botocore_session=core,
            aws_access_key_id=account.account_id,
            aws_secret_access_key=SECRET,
            region_name=region or account.region,
        )
        config = Config(
            retries={"total_max_attempts": 3, "mode": "standard"},
            max_pool_connections=32,
            s3={"addressing_style": "path"},
        )
        return session.client(service, endpoint_url=self.endpoint, config=config)

    def environment(self, base: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the environment of a subprocess that uses this cloud and no other AWS.

        The default credentials are the source account's; profiles `source` and `target` name both.
        """
        self.check()
        values = _without_aws(os.environ if base is None else base)
        return values | {
            "AWS_ENDPOINT_URL": self._endpoint,
            "AWS_CONFIG_FILE": str(self.directory / "aws-config"),
            "AWS_SHARED_CREDENTIALS_FILE": str(self.directory / "aws-credentials"),
            "AWS_ACCESS_KEY_ID": self.source.account_id,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": self.source.region,
            "AWS_DEFAULT_REGION": self.source.region,
            "AWS_EC2_METADATA_DISABLED": "true",
            "REPLICATION_TIME_SCALE": str(self.time_scale),
        }

    # -- helpers ---------------------------------------------------------------------------------

    def _clear_temporary_files(self) -> None:
        shutil.rmtree(self.directory / "tmp", ignore_errors=True)

    def _emulator_environment(self) -> dict[str, str]:
        values = _without_aws(os.environ)
        return values | {
            "AUTH": "true" if self._auth else "false",
            "REPLICATION_TIME_SCALE": str(self.time_scale),
            "LOCAL_CHAOS": self._chaos,
            "LOCAL_BULK": self._bulk,
            "LOCAL_STREAMS": self._streams,
            "LOCAL_RECORDING": str(self._recording.resolve()) if self._recording else "",
            "LOCAL_WRITE_LOG": str(self._write_log.resolve()) if self._write_log else "",
            "TMPDIR": str(self.directory / "tmp"),
            "PYTHONUNBUFFERED": "1",
        }

    def _await_endpoint(self, ready: Path) -> str:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            self.check()
            if ready.exists():
                endpoint = ready.read_text().strip()
                if _answers(f"{endpoint}/_ministack/health"):
                    return endpoint
            time.sleep(0.05)
        raise self._death(f"The emulator did not answer within {START_SECONDS:.0f} seconds")

    def _write_config(self) -> None:
        config, credentials = [], []
        for name, account in (("source", self.source), ("target", self.target)):
            config += [f"[profile {name}]", f"region = {account.region}"]
            config += [f"endpoint_url = {self._endpoint}", "s3 =", "  addressing_style = path", ""]
            credentials += [f"[{name}]", f"aws_access_key_id = {account.account_id}"]
            credentials += [f"aws_secret_access_key = {SECRET}", ""]
        (self.directory / "aws-config").write_text("\n".join(config))
        (self.directory / "aws-credentials").write_text("\n".join(credentials))

    def _death(self, what: str) -> LocalCloudError:
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        tail = "\n".join(lines[-TAIL_LINES:])
        advice = next((line for line in reversed(lines) if line.startswith("Try: ")), "")
        advice = advice or f"Try: read {self.log}"
        return LocalCloudError(f"{what}. The end of its log:\n{tail}\n{advice}")


@functools.cache
def _loader() -> Any:
    """Return what reads botocore's models, each once: a session of its own reads them again."""
    from botocore.loaders import create_loader

    return create_loader()


def _without_aws(environment: Mapping[str, str]) -> dict[str, str]:
    unwanted = re.compile(
        r"AWS_|MINISTACK_|LOCAL_(CHAOS|BULK|STREAMS|RECORDING|WRITE_LOG)$|"
        r"REPLICATION_TIME_SCALE$|GATEWAY_PORT$"
    )
    return {name: value for name, value in environment.items() if not unwanted.match(name)}


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False
