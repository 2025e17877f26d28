"""A stack that replicates on the local cloud, and the operator's command line."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from infra import package
from infra.local.cloud import REPOSITORY, SOURCE, TARGET, LocalCloud
from infra.local.program import run
from tests.infra.least_privilege.declared import Created
from tests.infra.least_privilege.recorded_run import NotingProvider
from tests.support.infra.clouds import make_table, until

Item = dict[str, Any]


@dataclass
class Stack:
    """Source table `orders`, replicating into `orders-replica`."""

    cloud: LocalCloud
    outputs: dict[str, Any]
    directory: Path
    said: list[str] = field(default_factory=list)
    created: Sequence[Created] = ()
    """All that the program declared, with the ARNs it got."""

    @property
    def lane(self) -> dict[str, Any]:
        return dict(self.outputs["tables"][0])

    # Making a client takes as long as dozens of calls.
    @cached_property
    def source(self) -> Any:
        return self.cloud.client("dynamodb", SOURCE)

    @cached_property
    def target(self) -> Any:
        return self.cloud.client("dynamodb", TARGET)

    def command(self, *arguments: str) -> list[str]:
        return [
            *(sys.executable, "-m", "bootstrap", *arguments),
            *("--outputs", str(self.directory / "outputs.json")),
            *("--source-profile", "source", "--target-profile", "target"),
        ]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments),
            cwd=REPOSITORY,
            env=self.cloud.environment(),
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )

    def verify(self, *options: str, code: int = 0) -> dict[str, Any]:
        """The result, which has to come with this exit code."""
        spool = ("--spool", str(self.directory / "spool"))
        ran = self.run("verify", "--json", *spool, *options)
        self.said = ran.stderr.splitlines()
        assert ran.returncode == code, ran.stdout + ran.stderr
        found: dict[str, Any] = json.loads(ran.stdout)
        return found

    def put(self, item: Item) -> None:
        self.source.put_item(TableName="orders", Item=item)

    def arrived(self, names: Iterable[str]) -> None:
        """Waits until the target has items that it did not have before."""
        missing = set(names)

        def all_there() -> bool:
            for name in list(missing):
                found = self.target.get_item(
                    TableName=self.lane["targetTable"], Key={"pk": {"S": name}}
                )
                if "Item" in found:
                    missing.discard(name)
            return not missing

        until(all_there, f"{missing} in the target", seconds=120)


def order(name: str, **more: Any) -> Item:
    return {"pk": {"S": name}, "n": {"N": "1"}, **more}


@contextmanager
def replicating(
    directory: Path,
    items: int = 300,
    chaos: str = "",
    recording: Path | None = None,
    **config_too: Any,
) -> Iterator[Stack]:
    """Deployed, bootstrapped and caught up. `chaos`: as in LOCAL_CHAOS. `recording`: a file for
    every call and its caller.
    """
    with LocalCloud(directory / "cloud", chaos=chaos, recording=recording) as cloud:
        source = cloud.client("dynamodb", SOURCE)
        make_table(source, "orders", "pk:S")
        for n in range(items):
            source.put_item(TableName="orders", Item=order(f"seed-{n}"))
        config = {
            "source": {"accountId": SOURCE.account_id, "region": SOURCE.region},
            "target": {"accountId": TARGET.account_id, "region": TARGET.region},
            "tables": [{"source": "orders", "target": "orders-replica"}],
            "operators": {"source": ["account"], "target": ["account"], "readItems": True},
            **config_too,
        }
        provider = NotingProvider(cloud, "local")
        archive = str(package.build("local").folder)
        outputs = run(provider, {"lambdaArchive": archive, **config}, stack="local")
        (directory / "outputs.json").write_text(json.dumps(outputs))
        stack = Stack(cloud, outputs, directory, created=provider.created)
        ran = stack.run("run")
        assert ran.returncode == 0, ran.stdout + ran.stderr
        yield stack


@contextmanager
def writing(stack: Stack, pause: float = 0.03) -> Iterator[None]:
    """Keys of their own are written, changed and deleted meanwhile."""
    stop = threading.Event()

    def write() -> None:
        n = 0
        while not stop.wait(pause):
            n += 1
            stack.put(order(f"live-{n % 500}", v={"N": str(n)}))
            if n % 5 == 0:
                stack.source.delete_item(
                    TableName="orders", Key={"pk": {"S": f"live-{(n - 7) % 500}"}}
                )

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
