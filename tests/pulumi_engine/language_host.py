"""A stand-in for Pulumi's host of Python programs, which is no published Go module.

It runs the program with Pulumi's own `pulumi-language-python-exec`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from google.protobuf import empty_pb2, json_format
from pulumi.runtime.proto import language_pb2, language_pb2_grpc, plugin_pb2

from tests.pulumi_engine.loopback import local_endpoint
from tests.pulumi_engine.serving import serve

RUNNER = "pulumi-language-python-exec"
ALREADY_TOLD = 32
"""The runner's exit status when it has told the user what is wrong."""

pb = language_pb2


class Host(language_pb2_grpc.LanguageRuntimeServicer):
    """Answers the engine for a program whose runtime is Python."""

    def __init__(self, engine: str) -> None:
        self._engine = engine

    def Handshake(self, request: Any, context: Any) -> Any:  # noqa: N802 (gRPC's name)
        return pb.LanguageHandshakeResponse()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:  # noqa: N802
        return plugin_pb2.PluginInfo(version="0.0.0")

    def GetRequiredPackages(self, request: Any, context: Any) -> Any:  # noqa: N802
        # The only plugin is on PATH: there is nothing to download.
        return pb.GetRequiredPackagesResponse()

    def About(self, request: Any, context: Any) -> Any:  # noqa: N802
        return pb.AboutResponse(executable=sys.executable, version=sys.version.split()[0])

    def Cancel(self, request: Any, context: Any) -> Any:  # noqa: N802
        return empty_pb2.Empty()

    def Run(self, request: Any, context: Any) -> Any:  # noqa: N802
        info = request.info
        python = _interpreter(info)
        if not python.exists():
            return pb.RunResponse(error=f"there is no virtual environment at {python.parents[1]}")
        runner = shutil.which(RUNNER)
        assert runner is not None, f"{RUNNER} is not on PATH"
        command = [str(python), "-u", runner, *_options(request, self._engine)]
        environment = {
            **os.environ,
            "PULUMI_CONFIG": json.dumps(dict(request.config)),
            "PULUMI_CONFIG_SECRET_KEYS": json.dumps(list(request.configSecretKeys)),
        }
        ran = subprocess.run(
            [*command, info.entry_point, *request.args], check=False, env=environment
        )
        if ran.returncode == ALREADY_TOLD:
            return pb.RunResponse(bail=True)
        if ran.returncode:
            status = f"Program exited with non-zero exit code: {ran.returncode}"
            return pb.RunResponse(error=status)
        return pb.RunResponse()


def _interpreter(info: Any) -> Path:
    """Return the Python that Pulumi.yaml's `virtualenv` names, or this one."""
    environment = json_format.MessageToDict(info.options).get("virtualenv")
    if not environment:
        return Path(sys.executable)
    return Path(info.root_directory, environment, "bin", "python")


def _options(request: Any, engine: str) -> list[str]:
    values = {
        "monitor": request.monitor_address,
        "engine": engine,
        "project": request.project,
        "stack": request.stack,
        "root_directory": request.info.root_directory,
        "pwd": request.info.program_directory,
        "organization": request.organization,
        "dry_run": "true" if request.dryRun else "false",
        "parallel": request.parallel,
    }
    return [part for name, value in values.items() if value for part in (f"--{name}", str(value))]


def main() -> None:
    """Serve until the engine ends it. The engine's address is the last argument."""
    local_endpoint(os.environ)
    host = Host(sys.argv[-1])
    serve(lambda server: language_pb2_grpc.add_LanguageRuntimeServicer_to_server(host, server))


if __name__ == "__main__":
    main()
