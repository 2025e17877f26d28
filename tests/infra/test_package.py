"""The Lambda archive: built from what is in the tree, once, and the same everywhere."""

from __future__ import annotations

import ast
import base64
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from infra import package
from infra.dry_run import stand_in_archive
from infra.package import PackageError
from tests.support.infra.recording_engine import CONFIG, record

# Lambda's Python runtimes bring boto3 and what it needs; nothing else may be assumed.
OF_THE_RUNTIME = ("boto3", "botocore", "s3transfer", "urllib3", "jmespath", "dateutil", "six")


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A consumer of two files, which stands in for replicator/."""
    folder = tmp_path / "replicator"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "handler.py").write_text("def handler(event, context): ...\n")
    (folder / "requirements.txt").write_text("six==1.17.0\n")
    monkeypatch.setattr(package, "SOURCES", folder)
    return folder


@pytest.fixture
def installs(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Path]]:
    """Stands in for pip: installs a package with all that pip leaves, and notes where."""
    calls: list[Path] = []

    def install(platform: package.Platform, folder: Path) -> None:
        calls.append(folder)
        info = folder / "six-1.17.0.dist-info"
        for directory in (info, folder / "bin", folder / "six" / "__pycache__"):
            directory.mkdir(parents=True)
        (folder / "six.py").write_text("")
        (folder / "six" / "__pycache__" / "x.pyc").write_text("")
        (folder / "bin" / "six").write_text(f"#!{sys.executable}")
        (info / "METADATA").write_text("Name: six")
        (info / "RECORD").write_text(str(len(calls)))

    monkeypatch.setattr(package, "_install", install)
    yield calls


def test_an_unchanged_tree_is_not_built_again(
    sources: Path, installs: list[Path], tmp_path: Path
) -> None:
    first = package.build("lambda", folder=tmp_path / "lambda")
    assert package.build("lambda", folder=tmp_path / "lambda") == first
    assert len(installs) == 1


@pytest.mark.parametrize("name", ["handler.py", "requirements.txt", "new.py"])
def test_any_change_of_the_consumer_or_its_requirements_makes_a_build_stale(
    sources: Path, installs: list[Path], tmp_path: Path, name: str
) -> None:
    folder = tmp_path / "lambda"
    package.build("lambda", folder=folder)
    (sources / name).write_text("# changed\n")
    with pytest.raises(PackageError, match=r"(?s)stale.*Try: python -m infra.package --for lambda"):
        package.require(folder)
    package.build("lambda", folder=folder)
    assert package.require(folder)
    assert (folder / "replicator" / name).read_text() == "# changed\n"


def test_what_the_interpreter_leaves_behind_makes_no_build_stale(
    sources: Path, installs: list[Path], tmp_path: Path
) -> None:
    folder = tmp_path / "lambda"
    package.build("lambda", folder=folder)
    for root in (sources, folder):
        (root / "__pycache__").mkdir()
        (root / "__pycache__" / "handler.cpython-311.pyc").write_text("")
    assert package.require(folder)


def test_the_same_sources_give_the_same_files_whatever_pip_notes_about_itself(
    sources: Path, installs: list[Path], tmp_path: Path
) -> None:
    one = package.build("lambda", folder=tmp_path / "one")
    two = package.build("lambda", folder=tmp_path / "two")
    assert (one.inputs, one.contents) == (two.inputs, two.contents)


def test_tests_scripts_and_bytecode_do_not_ship(
    sources: Path, installs: list[Path], tmp_path: Path
) -> None:
    (sources / "__pycache__").mkdir()
    (sources / "__pycache__" / "handler.pyc").write_text("")
    folder = package.build("lambda", folder=tmp_path / "lambda").folder
    shipped = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert shipped == {
        "replicator/__init__.py",
        "replicator/handler.py",
        "replicator/requirements.txt",
        "six.py",
        "six-1.17.0.dist-info/METADATA",
    }


def test_the_tools_description_of_dynamodb_for_the_sdk_does_not_ship(
    installs: list[Path], tmp_path: Path
) -> None:
    folder = package.build("lambda", folder=tmp_path / "lambda").folder
    assert (folder / "replicator" / "handler.py").exists()
    assert not list(folder.rglob("*-extras*")) and not (folder / "bootstrap").exists()


def test_a_missing_build_is_an_error_that_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match=r"(?s)no built.*Try: python -m infra.package"):
        record({**CONFIG, "lambdaArchive": str(tmp_path / "nothing")}, tmp_path / "archive")


def test_a_build_that_somebody_edited_is_not_deployed(tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    stand_in_archive(archive)
    (archive / "handler.py").write_text("print('hello')")
    with pytest.raises(PackageError, match="changed since it was built"):
        package.require(archive)


def test_a_build_that_was_interrupted_is_no_build(
    sources: Path, installs: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(folder: Path) -> None:
        raise KeyboardInterrupt

    folder = tmp_path / "lambda"
    monkeypatch.setattr(package, "_prune", die)
    with pytest.raises(KeyboardInterrupt):
        package.build("lambda", folder=folder)
    with pytest.raises(PackageError):
        package.require(folder)
    monkeypatch.undo()


def test_a_release_that_does_not_exist_is_told_with_what_pip_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = subprocess.CompletedProcess([], 1, "", "No matching distribution found for six==0.0")
    monkeypatch.setattr("infra.package.subprocess.run", lambda *args, **options: failed)
    with pytest.raises(PackageError, match=r"(?s)six==0.0.*Try: "):
        package.build("local", folder=tmp_path / "local")


def test_every_release_that_ships_is_pinned_by_hash_and_is_the_one_that_is_tested() -> None:
    plain = (package.SOURCES / "requirements.txt").read_text()
    hashed = (package.SOURCES / "requirements.hashed.txt").read_text()
    assert pins(hashed) == pins(plain)
    for requirement in hashed.replace("\\\n", " ").splitlines():
        assert requirement.startswith("#") or "--hash=sha256:" in requirement


@pytest.mark.slow
def test_a_package_whose_hash_is_another_does_not_ship(
    sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the real pip; the release is a file of this test's own."""
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    digest = wheel(tmp_path / "six-1.17.0-py3-none-any.whl")
    hashed = sources / "requirements.hashed.txt"
    hashed.write_text(f"six==1.17.0 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(PackageError, match=r"(?s)DO NOT MATCH THE HASHES.*Try: "):
        package.build("local", folder=tmp_path / "local")
    hashed.write_text("six==1.17.0\n")
    with pytest.raises(PackageError, match="Hashes are required"):
        package.build("local", folder=tmp_path / "local")
    hashed.write_text(f"six==1.17.0 --hash=sha256:{digest}\n")
    assert (package.build("local", folder=tmp_path / "local").folder / "six.py").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("platform", "machine"),
    [("lambda", b"\xb7\x00"), ("lambda-x86_64", b"\x3e\x00")],  # EM_AARCH64, EM_X86_64
)
def test_an_archive_for_lambda_holds_binaries_of_its_processor_only(
    platform: package.Platform, machine: bytes
) -> None:
    folder = package.build(platform).folder
    assert {path.read_bytes()[18:20] for path in folder.rglob("*.so")} == {machine}
    assert not list(folder.rglob("boto3"))


@pytest.mark.slow
def test_two_builds_of_the_same_sources_are_the_same(tmp_path: Path) -> None:
    one = package.build("lambda", folder=tmp_path / "one" / "lambda")
    two = package.build("lambda", folder=tmp_path / "two" / "lambda")
    assert one.contents == two.contents


@pytest.mark.slow
def test_the_archive_handles_an_event_with_nothing_but_itself_and_the_lambda_runtime(
    tmp_path: Path,
) -> None:
    """`-I -S`: no site-packages, no working directory, no PYTHONPATH; only what is put there.

    The event holds a KPL-aggregated record, and an AWS that agrees to everything stands behind it:
    so the consumer goes all the way, through every package it needs, to the write.
    """
    runtime = tmp_path / "runtime"
    copy_runtime_packages(runtime)
    built = package.build("local").folder
    script = f"""
import json, sys
sys.path[:0] = [{str(built)!r}, {str(runtime)!r}]
from replicator.handler import handler
class Context:
    function_name = "consumer"
    memory_limit_in_mb = 1769
    invoked_function_arn = "arn:aws:lambda:eu-west-1:222222222222:function:consumer"
    aws_request_id = "one"
    def get_remaining_time_in_millis(self):
        return 60000
print("ANSWER", json.dumps(handler(json.loads({json.dumps(aggregated_event())!r}), Context())))
outside = sorted(
    module.__file__ for name, module in sys.modules.items()
    if getattr(module, "__file__", None) and "site-packages" in module.__file__
)
print("OUTSIDE", json.dumps(outside))
"""
    environment = {
        "STACK": "test",
        "SOURCE_TABLE": "orders",
        "SOURCE_ACCOUNT": "111111111111",
        "AWS_LAMBDA_FUNCTION_NAME": "consumer",
        "TARGET_TABLE": "orders-replica",
        "TARGET_REGION": "eu-west-1",
        "LEDGER_TABLE": "ledger",
        "QUARANTINE_BUCKET": "quarantine",
        "ORDERING": "ledger",
        "AWS_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
        "PATH": os.environ["PATH"],
    }
    with agreeable_aws() as endpoint:
        ran = subprocess.run(
            [sys.executable, "-I", "-S", "-c", script],
            env={**environment, "AWS_ENDPOINT_URL": endpoint},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert ran.returncode == 0, ran.stderr
    said = dict(line.split(" ", 1) for line in ran.stdout.splitlines() if line[:1].isupper())
    assert json.loads(said["ANSWER"]) == {"batchItemFailures": []}
    [metrics] = [line for line in ran.stdout.splitlines() if line.startswith('{"_aws"')]
    assert json.loads(metrics)["ChangesApplied"] == [1.0], ran.stdout
    assert json.loads(said["OUTSIDE"]) == []


@pytest.mark.slow
def test_everything_the_consumer_imports_ships_or_is_the_runtimes(tmp_path: Path) -> None:
    """Also what it imports late, inside functions, where importing the module would not show it."""
    built = package.build("local").folder
    available = {path.name.removesuffix(".py") for path in built.iterdir()} | set(OF_THE_RUNTIME)
    imported = {
        name.partition(".")[0]
        for path in (built / "replicator").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        for name in imported_names(node)
    }
    assert imported - available - sys.stdlib_module_names == set()


def imported_names(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        return [node.module]
    return []


def copy_runtime_packages(folder: Path) -> None:
    folder.mkdir()
    for name in OF_THE_RUNTIME:
        spec = importlib.util.find_spec(name)
        assert spec and spec.origin
        origin = Path(spec.origin)
        if origin.name == "__init__.py":
            shutil.copytree(origin.parent, folder / name, ignore=lambda *_: ["__pycache__"])
        else:
            shutil.copyfile(origin, folder / origin.name)


def pins(requirements: str) -> set[str]:
    return {line.split()[0] for line in requirements.splitlines() if line[:1].isalpha()}


def wheel(path: Path) -> str:
    """Writes a package of one empty module; returns the file's SHA-256."""
    info = "six-1.17.0.dist-info"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("six.py", "")
        file.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: six\nVersion: 1.17.0\n")
        file.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        file.writestr(f"{info}/RECORD", "")
    return hashlib.sha256(path.read_bytes()).hexdigest()


@contextmanager
def agreeable_aws() -> Iterator[str]:
    """A server that answers every call with success and nothing; yields its URL."""

    class Agree(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Agree) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def aggregated_event() -> dict[str, Any]:
    """One Kinesis record of KPL's making, with one change in it."""
    from aws_kinesis_agg.aggregator import RecordAggregator

    change = {
        "eventName": "INSERT",
        "eventID": "a",
        "tableName": "orders",
        "dynamodb": {
            "ApproximateCreationDateTime": 1_700_000_000_000_000,
            "ApproximateCreationDateTimePrecision": "MICROSECOND",
            "Keys": {"pk": {"S": "a"}},
            "NewImage": {"pk": {"S": "a"}},
        },
    }
    aggregator = RecordAggregator()
    aggregator.add_user_record("key", json.dumps(change).encode())
    _, _, data = aggregator.clear_and_get().get_contents()
    return {
        "Records": [
            {
                "eventID": "shardId-000000000000:7",
                "eventSource": "aws:kinesis",
                "eventSourceARN": "arn:aws:kinesis:eu-west-1:111111111111:stream/orders",
                "kinesis": {
                    "partitionKey": "key",
                    "sequenceNumber": "7",
                    "data": base64.b64encode(data).decode(),
                    "approximateArrivalTimestamp": 1_700_000_000.5,
                },
            }
        ]
    }
