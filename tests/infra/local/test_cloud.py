"""LocalCloud: one port on the loopback, nothing inherited, nothing left behind."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from email.utils import parsedate_to_datetime
from pathlib import Path
from time import time

import boto3
import pytest
from botocore.exceptions import ClientError

from infra.local.cloud import REPOSITORY, SOURCE, TARGET, LocalCloud, LocalCloudError
from tests.support.infra.clouds import as_role, make_role, make_table, policy, until

pytestmark = pytest.mark.slow


def gone(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] == "Z"


def listening(pid: int) -> list[str]:
    """List the local addresses that a process listens on."""
    listed = subprocess.run(["ss", "-ltnuHp"], capture_output=True, text=True, check=True).stdout
    return [line.split()[4] for line in listed.splitlines() if f"pid={pid}," in line]


def test_only_one_port_is_open_and_only_on_the_loopback(tmp_path: Path) -> None:
    with LocalCloud(tmp_path) as cloud:
        cloud.client("iot", SOURCE).list_things()
        assert listening(cloud._process.pid) == [  # type: ignore[union-attr]
            cloud.endpoint.removeprefix("http://")
        ]
        assert cloud.endpoint.startswith("http://127.0.0.1:")


def test_two_accounts_do_not_see_each_other(tmp_path: Path) -> None:
    with LocalCloud(tmp_path) as cloud:
        make_table(cloud.client("dynamodb", SOURCE), "orders")
        assert cloud.client("dynamodb", SOURCE).list_tables()["TableNames"] == ["orders"]
        assert cloud.client("dynamodb", TARGET).list_tables()["TableNames"] == []
        assert cloud.client("dynamodb", SOURCE, "eu-west-2").list_tables()["TableNames"] == []


def test_answers_carry_the_clock(tmp_path: Path) -> None:
    with LocalCloud(tmp_path) as cloud:
        answer = cloud.client("dynamodb", SOURCE).list_tables()
        date = answer["ResponseMetadata"]["HTTPHeaders"]["date"]
        assert abs(parsedate_to_datetime(date).timestamp() - time()) < 5


def test_a_subprocess_inherits_no_aws_settings_and_finds_both_profiles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "secret")
    code = (
        "import boto3, sys\n"
        "for name in (None, 'source', 'target'):\n"
        "    session = boto3.session.Session(profile_name=name)\n"
        "    print(session.client('sts').get_caller_identity()['Account'])\n"
    )
    with LocalCloud(tmp_path) as cloud:
        environment = cloud.environment()
        assert "AWS_PROFILE" not in environment
        assert "AWS_SESSION_TOKEN" not in environment
        assert environment["REPLICATION_TIME_SCALE"] == "0.01"
        answer = subprocess.run(
            [sys.executable, "-c", code],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
    assert answer.stdout.split() == [SOURCE.account_id, SOURCE.account_id, TARGET.account_id]


def test_a_roles_wrong_secret_is_refused(tmp_path: Path) -> None:
    with LocalCloud(tmp_path) as cloud:
        role = make_role(cloud, SOURCE, "lister", policy((["dynamodb:ListTables"], ["*"])))
        assert as_role(cloud, SOURCE, role, "dynamodb").list_tables()["TableNames"] == []
        session = cloud.client("sts", SOURCE).assume_role(RoleArn=role, RoleSessionName="test")
        client = boto3.client(
            "dynamodb",
            region_name=SOURCE.region,
            endpoint_url=cloud.endpoint,
            aws_access_key_id=session["Credentials"]["AccessKeyId"],
            aws_secret_access_key="wrong",
            aws_session_token=session["Credentials"]["SessionToken"],
        )
        with pytest.raises(ClientError, match="signature"):
            client.list_tables()


def test_a_dead_emulator_is_reported_with_the_end_of_its_log(tmp_path: Path) -> None:
    with LocalCloud(tmp_path) as cloud:
        cloud.log.write_text("the last words\n")
        process = cloud._process
        assert process is not None
        process.kill()
        process.wait()
        with pytest.raises(LocalCloudError) as died:
            cloud.client("dynamodb", SOURCE)
    assert "exit status -9" in str(died.value)
    assert "the last words" in str(died.value)
    assert re.search(r"^Try: ", str(died.value), re.MULTILINE)


def test_an_emulator_that_cannot_start_says_why_at_once(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(LocalCloudError) as refused:
            LocalCloud(tmp_path, port=port).start()
    assert "Address already in use" in str(refused.value)
    with pytest.raises(LocalCloudError, match=r"(?m)^Try: REPLICATION_TIME_SCALE"):
        LocalCloud(tmp_path, time_scale=7).start()


def test_stopping_is_idempotent_and_leaves_no_process(tmp_path: Path) -> None:
    cloud = LocalCloud(tmp_path).start()
    process = cloud._process
    assert process is not None
    cloud.stop()
    cloud.stop()
    assert process.returncode == 0
    assert not (tmp_path / "tmp").exists()
    with pytest.raises(LocalCloudError, match="not running"):
        cloud.check()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("start", ["cloud.start()", "in_a_thread(cloud.start)"])
def test_the_emulator_ends_with_its_parent_and_not_before(
    tmp_path: Path, start: str, number: signal.Signals
) -> None:
    code = f"""
import sys, threading, time
from pathlib import Path
from infra.local.cloud import LocalCloud

def in_a_thread(run):
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()

cloud = LocalCloud(Path(sys.argv[1]))
{start}
time.sleep(0.2)
cloud.check()
print(cloud._process.pid, flush=True)
time.sleep(60)
"""
    parent = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert not gone(child)
    os.kill(parent.pid, number)
    parent.wait()
    parent.stdout.close()
    until(lambda: gone(child), "the emulator to be gone", 5)
