"""The local cloud with an example table and its replica, kept running to try things out."""

from __future__ import annotations

import json
import shlex
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import botocore
from rich.console import Console
from rich.table import Table
from rich.text import Text

from infra.local import setup
from infra.local.bootstrap_process import BootstrapProcess
from infra.local.cloud import SECRET, LocalCloud
from infra.local.data.items import Item, KeyAttribute, KeySchema, SecondaryIndex, TableShape
from infra.local.stall_detector import StallDetector
from replicator.buffers import KINESIS

PATIENCE = 600.0
CHECK_SECONDS = 1.0

# A key that can be typed on a command line.
ORDERS = TableShape(
    name="orders",
    keys=KeySchema(KeyAttribute("id", "S")),
    indexes=(
        SecondaryIndex(
            "by-status", (KeyAttribute("status", "S"),), (KeyAttribute("placed_at", "N"),)
        ),
    ),
    expiry="expires_at",
)
EXAMPLES = 200
EXAMPLE_KEY = {"id": {"S": "hello"}}


def run(directory: Path, console: Console, streams: str = "", buffer: str = KINESIS) -> bool:
    """Set everything up, print how to use it, and wait until interrupted.

    `streams` is the text of LOCAL_STREAMS; `buffer`: where the table's changes wait.

    Raises:
        The error that stopped it, after everything that it started has been stopped.
    """
    with ExitStack() as stack:
        place = stack.enter_context(setup.locked_directory(directory.resolve()))
        archive = setup.build_archive()
        cloud = stack.enter_context(LocalCloud(place, streams=streams))
        dynamodb = cloud.client("dynamodb", cloud.source)
        setup.create_table(dynamodb, ORDERS)
        setup.seed(dynamodb, ORDERS.name, examples(), ORDERS.keys)
        outputs_file = place / "outputs.json"
        outputs = setup.deploy_stack(cloud, ORDERS.name, archive, outputs_file, buffer=buffer)
        table = outputs["tables"][0]
        BootstrapProcess(cloud, outputs_file).run(StallDetector(cloud, table), PATIENCE)
        environment = write_environment(cloud, place / "env.sh")
        _print_instructions(cloud, table, outputs_file, environment, console)
        while True:
            time.sleep(CHECK_SECONDS)
            cloud.check()


def examples() -> Iterator[Item]:
    """Yield a few orders to begin with."""
    for n in range(EXAMPLES):
        yield {
            "id": {"S": f"order-{n:04d}"},
            "status": {"S": ("placed", "paid", "sent")[n % 3]},
            "placed_at": {"N": str(1_700_000_000 + n * 60)},
            "total": {"N": f"{n * 7 % 100}.50"},
        }


def write_environment(cloud: LocalCloud, path: Path) -> Path:
    """Write a file for a shell to source: profiles `source` and `target`, no other AWS."""
    values = {
        name: value
        for name, value in cloud.environment({}).items()
        # --profile selects the credentials.
        if name not in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    }
    unwanted = ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    lines = [f"unset {' '.join(unwanted)}"]
    lines += [f"export {name}={shlex.quote(value)}" for name, value in sorted(values.items())]
    lines += ["export AWS_PAGER="]
    path.write_text("\n".join(lines) + "\n")
    return path


@dataclass(frozen=True)
class ExampleCall:
    """A DynamoDB call to try out, for a shell with the AWS CLI, or for one without."""

    side: str
    operation: str
    """As boto3 spells it."""
    request: Mapping[str, Any]

    def for_the_cli(self) -> str:
        """Return the call for `aws`, whichever version is installed."""
        options = [
            f"--{botocore.xform_name(name, '-')} "
            f"{value if isinstance(value, str) else shlex.quote(json.dumps(value))}"
            for name, value in self.request.items()
        ]
        operation = self.operation.replace("_", "-")
        return f"aws --profile {self.side} dynamodb {operation} {' '.join(options)}"

    def for_python(self) -> str:
        """Return the call for the boto3 of this project."""
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.request.items())
        session = f"boto3.Session(profile_name={self.side!r})"
        code = f"import boto3; print({session}.client('dynamodb').{self.operation}({arguments}))"
        return f".venv/bin/python -c {_in_double_quotes(code)}"


def _in_double_quotes(text: str) -> str:
    assert not set(text) & set('"$`\\!'), text
    return f'"{text}"'


def calls(table: Mapping[str, Any]) -> list[tuple[str, Sequence[ExampleCall]]]:
    """Return calls to try out, with their purpose."""
    item = {**EXAMPLE_KEY, "status": {"S": "placed"}, "total": {"N": "9.99"}}
    source, target = ({"TableName": table[f"{side}Table"]} for side in ("source", "target"))
    key = {"Key": EXAMPLE_KEY}
    count = {"Select": "COUNT"}
    return [
        ("write into the source", [ExampleCall("source", "put_item", {**source, "Item": item})]),
        ("see it in the target", [ExampleCall("target", "get_item", {**target, **key})]),
        ("delete it from the source", [ExampleCall("source", "delete_item", {**source, **key})]),
        (
            "count both tables",
            [
                ExampleCall("source", "scan", {**source, **count}),
                ExampleCall("target", "scan", target | count),
            ],
        ),
    ]


def commands(table: Mapping[str, Any], outputs: Path, *, with_cli: bool) -> list[tuple[str, str]]:
    """Return commands to type, with their purpose; `with_cli` where `aws` is installed."""
    typed = [
        (purpose, " && ".join(c.for_the_cli() if with_cli else c.for_python() for c in made))
        for purpose, made in calls(table)
    ]
    status = (
        f".venv/bin/python -m bootstrap status --outputs {shlex.quote(setup.short(outputs))} "
        "--source-profile source --target-profile target"
    )
    return [*typed, ("show the state of the replication", status)]


def _print_instructions(
    cloud: LocalCloud,
    table: Mapping[str, Any],
    outputs: Path,
    environment: Path,
    console: Console,
) -> None:
    accounts = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("profile", "account", "Region", "access key id", "secret access key", "table"):
        accounts.add_column(heading, no_wrap=True)
    for name, account, replicated in (
        ("source", cloud.source, table["sourceTable"]),
        ("target", cloud.target, table["targetTable"]),
    ):
        accounts.add_row(
            name, account.account_id, account.region, account.account_id, SECRET, replicated
        )
    console.print()
    console.print(Text(f"Running at {cloud.endpoint}", style="bold green"))
    console.print(f"Outputs of the stack: {setup.short(outputs)}")
    console.print()
    console.print(accounts)
    console.print()
    console.print(Text("In another shell, in this folder:", style="bold"))
    console.print()
    console.print(Text(f"  . {setup.short(environment)}", style="cyan"))
    for purpose, command in commands(table, outputs, with_cli=shutil.which("aws") is not None):
        console.print()
        console.print(Text(f"  # {purpose}", style="dim"))
        console.print(Text(f"  {command}", style="cyan"))
    console.print()
    console.print("Ctrl-C stops everything; no data is kept.")
