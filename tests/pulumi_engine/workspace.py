"""A project folder with a backend of its own, and the environment to type `pulumi` in."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra import package
from infra.local.cloud import LocalCloud
from tests.pulumi_engine import plugin_log
from tests.pulumi_engine.cli import REPOSITORY, PulumiCli
from tests.pulumi_engine.plugin_log import PluginLog
from tests.pulumi_engine.provider import VERSION
from tests.pulumi_engine.resources.events import SCHEDULES

PROJECT = "dynamodb-replication"
PLUGINS = Path(__file__).resolve().parent / "plugins"
PLUGIN = f"resource-aws-v{VERSION}"
"""The folder in which Pulumi looks for AWS's provider, as if it had installed it there."""


class Workspace:
    """A copy of the project's folder, a backend in a folder, and a local cloud.

    Without `schedules` no watchdog runs: on the local cloud's clock it would, every few seconds.
    """

    def __init__(
        self, cli: PulumiCli, cloud: LocalCloud, folder: Path, *, schedules: bool = False
    ) -> None:
        self.cloud, self.folder = cloud, folder.resolve()
        self._cli, self._schedules = cli, schedules
        self.project = self.folder / "project"
        for name in ("state", "home", "stand-in", "project"):
            (self.folder / name).mkdir(parents=True)
        shutil.copytree(PLUGINS / "provider", self.folder / "home" / "plugins" / PLUGIN)
        self.log = PluginLog(self.folder / "stand-in")
        # A copy: the CLI writes stack files beside the project's file.
        shutil.copy(REPOSITORY / "Pulumi.yaml", self.project)
        for name in ("infra", ".venv"):
            (self.project / name).symlink_to(REPOSITORY / name)
        self.archive = package.build("local").folder

    def environment(self) -> dict[str, str]:
        """Return the environment of an operator's shell: the local cloud, and no other AWS.

        No backend of Pulumi's but the one in this folder, and none of its plugins.
        """
        folders = [self._cli.executable.parent, REPOSITORY / ".venv" / "bin"]
        if not self._cli.python_host:
            folders.append(PLUGINS / "python_host")
        own = {name: value for name, value in os.environ.items() if not _OTHERS.match(name)}
        inherited = self.cloud.environment(own)
        return {
            **inherited,
            "PATH": os.pathsep.join([*map(str, folders), inherited["PATH"]]),
            "PYTHONPATH": str(REPOSITORY),
            "PULUMI_BACKEND_URL": f"file://{self.folder}/state",
            "PULUMI_CONFIG_PASSPHRASE": "local",
            "PULUMI_HOME": str(self.folder / "home"),
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            plugin_log.VARIABLE: str(self.folder / "stand-in"),
            SCHEDULES: "on" if self._schedules else "off",
        }

    def config(self, *tables: Mapping[str, Any], **values: Any) -> dict[str, Any]:
        """Return a stack's configuration for these tables."""
        return {
            "source": {"accountId": "111111111111", "region": "eu-west-1", "profile": "source"},
            "target": {"accountId": "222222222222", "region": "eu-west-1", "profile": "target"},
            "operators": {"source": ["account"], "target": ["account"]},
            "lambdaArchive": str(self.archive),
            "tables": list(tables),
            **values,
        }


_OTHERS = re.compile(r"PULUMI_|BASH_ENV$|ENV$|PYTHON|VIRTUAL_ENV$")
"""Variables that would lead to another backend, another plugin or another Python."""
