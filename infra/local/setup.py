"""The user's table and the stack beside it, before anything is replicated."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from infra import glue_package, package
from infra.local.cloud import LocalCloud
from infra.local.data.compare import fingerprint
from infra.local.data.items import Item, KeySchema, TableShape
from infra.local.deploy import deploy
from infra.local.results.load_check import Load
from infra.local.workload.calls import write_batch
from replicator.buffers import KINESIS

BATCH = 25
"""Items in a BatchWriteItem, at most."""
SEEDERS = 3


class SetupError(Exception):
    """The setup failed; has a line that begins `Try: `."""


@contextmanager
def locked_directory(directory: Path) -> Iterator[Path]:
    """Make the directory and lock it for this process.

    Raises:
        StageError: another process has it.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SetupError(
                f"{directory} is used by another local cloud.\n"
                "Try: stop that one, or choose another folder with --directory"
            ) from None
        (directory / "emulator.log").unlink(missing_ok=True)
        yield directory


def create_table(dynamodb: Any, shape: TableShape) -> None:
    """Create the user's table: on demand, with an index and time to live."""
    dynamodb.create_table(**shape.creation())
    dynamodb.get_waiter("table_exists").wait(
        TableName=shape.name, WaiterConfig={"Delay": 1, "MaxAttempts": 30}
    )
    set_time_to_live(dynamodb, shape, on=True)


def set_time_to_live(dynamodb: Any, shape: TableShape, *, on: bool) -> None:
    """Switch the table's time to live on or off."""
    dynamodb.update_time_to_live(
        TableName=shape.name,
        TimeToLiveSpecification={"Enabled": on, "AttributeName": shape.expiry},
    )


def seed(
    dynamodb: Any, table: str, items: Iterable[Item], keys: KeySchema, *, in_order: bool = False
) -> None:
    """Write all items; `in_order` where a key may occur twice and the last one counts."""
    with ThreadPoolExecutor(1 if in_order else SEEDERS) as pool:
        running: set[Future[None]] = set()
        for batch in batches(items, keys):
            requests = [{"PutRequest": {"Item": item}} for item in batch]
            running.add(pool.submit(write_batch, dynamodb, table, requests))
            if len(running) > 2 * SEEDERS:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for each in done:
                    each.result()
        for each in running:
            each.result()


def batches(items: Iterable[Item], keys: KeySchema) -> Iterator[list[Item]]:
    """Yield up to 25 items at a time, with no key twice, which BatchWriteItem refuses."""
    batch: dict[bytes, Item] = {}
    for item in items:
        key = fingerprint(keys.key_of(item))
        if len(batch) == BATCH or key in batch:
            yield list(batch.values())
            batch = {}
        batch[key] = item
    if batch:
        yield list(batch.values())


def build_archive() -> Path:
    """Return the Lambda archive for this machine; build it if it is missing or stale."""
    return package.build("local").folder


def deploy_stack(
    cloud: LocalCloud,
    table: str,
    archive: Path,
    outputs: Path,
    load: Load = "import",
    buffer: str = KINESIS,
    engine: str = "process",
) -> dict[str, Any]:
    """Apply the Pulumi program for one table; write the outputs file and return the outputs."""
    sides = {
        name: {"accountId": account.account_id, "region": account.region}
        for name, account in (("source", cloud.source), ("target", cloud.target))
    }
    config = {
        **sides,
        "tables": [
            {"source": table, "target": f"{table}-replica", **_load(load), **_buffer(buffer)}
        ],
        "lambdaArchive": str(archive),
        "switch": True,
        **_verification(engine),
    }
    values = deploy(cloud, config)
    outputs.write_text(json.dumps(values, indent=2) + "\n")
    return values


def _load(load: Load) -> Mapping[str, str]:
    """Return what the stack file says of the load; an import is the default."""
    return {} if load == "import" else {"load": load}


def _verification(engine: str) -> Mapping[str, Any]:
    """Return what the stack file says of verifications; processes are the default."""
    if engine == "process":
        return {}
    folder = glue_package.build("glue-local").folder
    return {"verification": {"engine": "glue", "workers": 2, "package": str(folder)}}


def _buffer(buffer: str) -> Mapping[str, str]:
    """Return what the stack file says of the buffer; Kinesis is the default."""
    return {} if buffer == KINESIS else {"buffer": buffer}


def short(path: Path) -> str:
    """Return a path as the user would write it here."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
