"""An `up` that is killed while it makes a stream: what is left, and what names it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from infra.local.cloud import LocalCloud
from tests.pulumi_engine.cli import PulumiCli
from tests.pulumi_engine.engine import OPEN_COROUTINES
from tests.pulumi_engine.workspace import PROJECT, Workspace
from tests.support.infra.clouds import make_table, until

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings(*OPEN_COROUTINES)]

STREAM = "replicate-customers-buffer-stream"
OPTIONS = "--stack dev --source-profile source --target-profile target"
STATUS = f"python -m bootstrap status {OPTIONS}"


@pytest.fixture(scope="module")
def workspace(cli: PulumiCli, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """A deployed stack of one table, and a file that names two."""
    folder = tmp_path_factory.mktemp("killed")
    with LocalCloud(folder / "cloud") as cloud:
        for name in ("orders", "customers"):
            make_table(cloud.client("dynamodb", cloud.source), name)
        workspace = Workspace(cli, cloud, folder / "workspace")
        configure(workspace, "orders")
        typed(workspace, "pulumi stack init dev")
        typed(workspace, "pulumi up --yes")
        yield workspace


def configure(workspace: Workspace, *tables: str) -> None:
    """Write the stack's file, and keep what the CLI wrote into it."""
    file = workspace.project / "Pulumi.dev.yaml"
    content = yaml.safe_load(file.read_text()) if file.exists() else {}
    values = workspace.config(*({"source": t, "target": f"{t}-replica"} for t in tables))
    content["config"] = {f"{PROJECT}:{key}": value for key, value in values.items()}
    file.write_text(yaml.safe_dump(content))


def typed(workspace: Workspace, command: str) -> str:
    """Run a command that has to end well; return what it printed, errors included."""
    ran = subprocess.run(
        ["bash", "-c", command],
        cwd=workspace.project,
        env=workspace.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout
    return ran.stdout


def streams(workspace: Workspace) -> list[str]:
    """Return the names of the second table's streams."""
    kinesis = workspace.cloud.client("kinesis", workspace.cloud.source)
    return [name for name in kinesis.list_streams()["StreamNames"] if name.startswith(STREAM)]


def kill_up(workspace: Workspace, log: Path) -> None:
    """Begin an `up`, and kill the engine once the stream is there and before it knows."""
    workspace.log.order(linger=[STREAM])
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["pulumi", "up", "--yes", "--non-interactive"],
            cwd=workspace.project,
            env=workspace.environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        until(lambda: streams(workspace), "the stream", 120)
        until(lambda: stopped_with_a_whole_state(workspace, process.pid), "a whole state", 60)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    workspace.log.forget()


def stopped_with_a_whole_state(workspace: Workspace, pid: int) -> bool:
    """Stop the engine, unless it is writing its state: a folder's is not replaced at once."""
    [state] = (workspace.folder / "state").glob("**/stacks/**/dev.json")
    os.kill(pid, signal.SIGSTOP)
    try:
        json.loads(state.read_text())
    except ValueError:
        os.kill(pid, signal.SIGCONT)
        return False
    return True


def test_what_a_killed_up_was_making_is_named_until_the_state_is_cleared_of_it(
    workspace: Workspace, tmp_path: Path
) -> None:
    said = typed(workspace, STATUS)
    assert "warning" not in said and "note" not in said
    configure(workspace, "orders", "customers")
    kill_up(workspace, tmp_path / "up.log")
    [left] = streams(workspace)
    said = typed(workspace, STATUS)
    assert f"was killed, while it was creating aws:kinesis/stream:Stream {STREAM}" in said
    assert f"Look for {STREAM}-*" in said
    assert f"stream/{left} as one of stack dev, in the source account" in said
    # As the runbook has it.
    typed(workspace, "pulumi cancel --yes")
    state = json.loads(typed(workspace, "pulumi stack export"))
    # What was at work beside it is there as well.
    pending = state["deployment"]["pending_operations"]
    assert ("creating", STREAM) in {
        (each["type"], each["resource"]["urn"].rpartition("::")[2]) for each in pending
    }
    # The next `up` makes another, says nothing, and leaves the entry in its place.
    assert "pending" not in typed(workspace, "pulumi up --yes")
    [second] = set(streams(workspace)) - {left}
    assert STREAM in typed(workspace, STATUS)
    typed(workspace, "pulumi refresh --clear-pending-creates --yes")
    the_first_stream_is_named(workspace, left, second)
    look = f"Try: aws kinesis describe-stream-summary --stream-name {left} --region "
    assert look in typed(workspace, STATUS)
    kinesis = workspace.cloud.client("kinesis", workspace.cloud.source)
    kinesis.delete_stream(StreamName=left)
    until(lambda: streams(workspace) == [second], "the end of the first stream", 60)
    said = typed(workspace, STATUS)
    assert left not in said and "not looked for" not in said


def the_first_stream_is_named(workspace: Workspace, first: str, second: str) -> None:
    """By `status`, its read-only form and `plan`, on the screen and for scripts.

    What was made beside it is named as well, and nothing that the state knows.
    """
    state = typed(workspace, "pulumi stack export")
    for command in ("status", "status --operator", "plan"):
        said = typed(workspace, f"python -m bootstrap {command} {OPTIONS} || test $? = 1")
        assert f"stream/{first} as one of stack dev" in said and "not looked for" not in said
        printed = typed(
            workspace, f"python -m bootstrap {command} {OPTIONS} --json 2> errors || test $? = 1"
        )
        found = json.loads(printed)["stackCheck"]
        assert found["pendingOperations"] == [] and found["notes"] == []
        unknown = {each["arn"]: each["account"] for each in found["unknownResources"]}
        assert [unknown[arn] for arn in unknown if arn.endswith(f"stream/{first}")] == ["source"]
        names = [re.split("[:/]", arn)[-1] for arn in unknown]
        assert second not in names and [name for name in names if name in state] == []
        assert len(found["warnings"]) == said.count("warning: AWS lists ") == len(unknown)
