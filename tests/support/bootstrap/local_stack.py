"""A deployed stack on the local cloud, the operator's command line and a writer."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from infra.local.cloud import REPOSITORY, SOURCE, TARGET, LocalCloud
from infra.local.deploy import deploy

ITEMS = 200


PATIENCE = 120.0


@dataclass
class Stack:
    """A deployed stack of two tables, and the operator's command line for it."""

    cloud: LocalCloud
    outputs: Path
    values: dict[str, Any]

    def command(self, name: str, *options: str) -> list[str]:
        profiles = ("--source-profile", "source", "--target-profile", "target")
        return [
            *(sys.executable, "-m", "bootstrap", name, "--outputs", str(self.outputs)),
            *(*profiles, *options),
        ]

    def start(self, name: str, *options: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(name, *options),
            cwd=REPOSITORY,
            env=self.cloud.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def end(self, name: str, *options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(name, *options),
            cwd=REPOSITORY,
            env=self.cloud.environment(),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def status(self, table: str) -> dict[str, Any]:
        ended = self.end("status", "--json", "--table", table)
        assert ended.returncode == 0, ended.stderr
        value: dict[str, Any] = json.loads(ended.stdout)
        return value

    def killed_at(self, words: str, *options: str) -> None:
        """Runs until a line with these words is printed, and kills the process at once."""
        process = self.start("run", *options)
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if words in line:
                    break
            else:
                pytest.fail(f"No line said {words!r}: {process.stderr and process.stderr.read()}")
            process.send_signal(signal.SIGKILL)
        finally:
            process.kill()
            process.communicate()

    def items(self, account: Any, table: str) -> dict[str, Any]:
        pages = self.cloud.client("dynamodb", account).get_paginator("scan")
        found = pages.paginate(TableName=table, ConsistentRead=True)
        return {item["pk"]["S"]: item for page in found for item in page["Items"]}


TABLES = ("orders", "customers")


@contextmanager
def deployed(
    directory: Path,
    *tables: str,
    own_stream: Sequence[str] = (),
    recording: Path | None = None,
    adopt: Callable[[LocalCloud], Sequence[Mapping[str, Any]]] | None = None,
    **config: Any,
) -> Iterator[Stack]:
    """A local cloud of its own, with these tables filled and the stack deployed.

    `own_stream`: those of them whose own stream is the buffer. `recording`: a file that gets a line
    for each distinct call. `config` are further members of the stack's configuration. `adopt`: what
    is there before the stack; it returns the tables of the configuration.
    """
    with LocalCloud(directory, recording=recording) as cloud:
        dynamodb = cloud.client("dynamodb", SOURCE)
        for table in tables:
            dynamodb.create_table(
                TableName=table,
                KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
                BillingMode="PAY_PER_REQUEST",
            )
            for n in range(ITEMS):
                dynamodb.put_item(TableName=table, Item={"pk": {"S": f"{n}"}, "v": {"N": "0"}})
        entries = (
            [
                {
                    "source": name,
                    "target": f"{name}-replica",
                    **({"buffer": "streams"} if name in own_stream else {}),
                }
                for name in tables
            ]
            if adopt is None
            else list(adopt(cloud))
        )
        values = deploy(
            cloud,
            {
                "source": {"accountId": SOURCE.account_id, "region": SOURCE.region},
                "target": {"accountId": TARGET.account_id, "region": TARGET.region},
                "tables": entries,
                "protect": False,
                **config,
            },
        )
        outputs = directory / "outputs.json"
        outputs.write_text(json.dumps(values))
        yield Stack(cloud, outputs, values)


class Writer(threading.Thread):
    """Writes to the source until it is stopped."""

    def __init__(self, stack: Stack, table: str) -> None:
        super().__init__(daemon=True)
        self._dynamodb = stack.cloud.client("dynamodb", SOURCE)
        self._table = table
        self._stop_asked = threading.Event()

    def run(self) -> None:
        n = 0
        while not self._stop_asked.wait(0.02):
            n += 1
            key = {"pk": {"S": f"{n % (ITEMS + 50)}"}}
            if n % 7 == 0:
                self._dynamodb.delete_item(TableName=self._table, Key=key)
            else:
                item = {**key, "v": {"N": f"{n}"}, "of": {"S": self._table}}
                self._dynamodb.put_item(TableName=self._table, Item=item)

    def __exit__(self, *_: object) -> None:
        self._stop_asked.set()
        self.join()

    def __enter__(self) -> Writer:
        self.start()
        return self
