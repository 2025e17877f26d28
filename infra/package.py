"""Builds the folder that becomes the Lambda archive: the consumer and what it imports, no more.

`python -m infra.package` builds for Lambda (Python 3.13; arm64, or `--architecture x86_64`), `--for
local` for the local cloud, whose functions run on this interpreter. Next to the folder lies a
manifest with a hash of everything that went in, so that an unchanged tree is not built again and a
stale one is never deployed.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

PROJECT_ROOT = Path(__file__).resolve().parent.parent
BUILDS = PROJECT_ROOT / "build"
SOURCES = PROJECT_ROOT / "replicator"

Platform = Literal["lambda", "lambda-x86_64", "local"]
"""Where an archive runs: `lambda` is Lambda on arm64. Each has a folder of its own."""

LAMBDA_PLATFORMS: Mapping[str, Platform] = {"arm64": "lambda", "x86_64": "lambda-x86_64"}
"""By the functions' architecture."""
WHEELS = {"lambda": "manylinux2014_aarch64", "lambda-x86_64": "manylinux2014_x86_64"}
"""What pip calls the platform."""
NOT_SHIPPED = ("__pycache__", "bin", "tests")
PIP_BOOKKEEPING = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")
"""What pip notes about the installation in each .dist-info: it differs by machine."""


class PackageError(RuntimeError):
    """There is no archive to deploy, or not one of the present sources."""


@dataclass(frozen=True)
class Archive:
    """A built folder, and the hash of what it was built from."""

    folder: Path
    platform: Platform
    inputs: str
    contents: str


def build(platform: Platform, *, folder: Path | None = None) -> Archive:
    """Builds `build/<platform>` unless it is there and current; takes a few seconds when not.

    Raises:
        PackageError: pip could not install what `replicator/requirements.hashed.txt` pins.
    """
    folder = folder or BUILDS / platform
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        try:
            return require(folder)
        except PackageError:
            return _build(platform, folder)


def require(folder: Path) -> Archive:
    """The archive in `folder`, if it is one and was built from the sources as they are now.

    Raises:
        PackageError: naming the command that fixes it.
    """
    command = _command(folder)
    try:
        archive = Archive(**{**json.loads(_manifest(folder).read_text()), "folder": folder})
    except (OSError, ValueError, TypeError):
        raise PackageError(
            f"There is no built Lambda archive in {folder}.\nTry: {command}"
        ) from None
    if archive.inputs != inputs_hash(archive.platform):
        raise PackageError(
            f"The Lambda archive in {folder} is stale: replicator/ has changed since then.\n"
            f"Try: {command}"
        )
    if archive.contents != tree_hash(folder):
        raise PackageError(
            f"The Lambda archive in {folder} has been changed since it was built.\n"
            f"Try: rm -r {folder} && {command}"
        )
    return archive


def refuse_another_architecture(archive: Archive, architecture: str) -> None:
    """Refuse an archive whose libraries are for another processor than the functions'.

    One for the local cloud has none.

    Raises:
        PackageError: naming the command that builds the other one.
    """
    wanted = LAMBDA_PLATFORMS[architecture]
    if archive.platform not in (wanted, "local"):
        built = next(each for each, name in LAMBDA_PLATFORMS.items() if name == archive.platform)
        raise PackageError(
            f"The Lambda archive in {archive.folder} is for {built}, and the stack's functions are "
            f"for {architecture}.\nTry: python -m infra.package --architecture {architecture}, and "
            "leave lambdaArchive out of the stack file"
        )


def _command(folder: Path) -> str:
    if folder.name == "local":
        return "python -m infra.package --for local"
    architectures = {str(name): each for each, name in LAMBDA_PLATFORMS.items()}
    architecture = architectures.get(folder.name, "arm64")
    return "python -m infra.package --for lambda" + (
        "" if architecture == "arm64" else f" --architecture {architecture}"
    )


def _pip_options(platform: Platform) -> tuple[str, ...]:
    if platform not in WHEELS:
        return ()
    return (
        *("--platform", WHEELS[platform]),
        *("--implementation", "cp"),
        *("--python-version", "3.13"),
    )


def inputs_hash(platform: Platform) -> str:
    """A hash of the consumer's files, its requirements, and the way of building."""
    digest = hashlib.sha256()
    interpreter = f"{sys.version_info.major}.{sys.version_info.minor}-{sys.platform}"
    how = _pip_options(platform) or (interpreter,)
    digest.update(repr((platform, how, NOT_SHIPPED, PIP_BOOKKEEPING)).encode())
    for path in _shipped(SOURCES):
        _add_file(digest, path, SOURCES)
    return digest.hexdigest()


def tree_hash(folder: Path) -> str:
    """A hash of every file under `folder`, by name and content."""
    digest = hashlib.sha256()
    for path in _shipped(folder):
        _add_file(digest, path, folder)
    return digest.hexdigest()


def _build(platform: Platform, folder: Path) -> Archive:
    fresh = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    _install(platform, fresh)
    for path in _shipped(SOURCES):
        copy = fresh / SOURCES.name / path.relative_to(SOURCES)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    _prune(fresh)
    archive = Archive(folder, platform, inputs_hash(platform), tree_hash(fresh))
    # The manifest goes first and comes last: a build that is interrupted leaves none.
    _manifest(folder).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)
    _manifest(folder).write_text(json.dumps(asdict(archive), default=str, indent=1) + "\n")
    return archive


def _install(platform: Platform, folder: Path) -> None:
    options = _pip_options(platform)
    requirements = SOURCES / "requirements.hashed.txt"
    # No dependencies: the requirements name every package that ships, and pin each by its hash.
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += ["--require-hashes", "--only-binary", ":all:"]
    command += ["--no-deps", "--no-compile", *options, "--target", str(folder)]
    ran = subprocess.run(
        [*command, "--requirement", str(requirements)], capture_output=True, text=True, check=False
    )
    if ran.returncode:
        raise PackageError(
            f"pip could not install {requirements} for {platform}:\n{ran.stderr.strip()}\n"
            "Try: check that the package index can be reached, and that every pinned release "
            "exists for that platform with a hash in replicator/requirements.hashed.txt"
        )


def _prune(folder: Path) -> None:
    for name in NOT_SHIPPED:
        for path in sorted(folder.rglob(name)):
            if path.is_dir() and (name == "__pycache__" or path.parent == folder):
                shutil.rmtree(path)
    for info in folder.glob("*.dist-info"):
        for name in PIP_BOOKKEEPING:
            (info / name).unlink(missing_ok=True)


def _shipped(folder: Path) -> list[Path]:
    """The files under `folder` that count, in an order that is the same everywhere."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.relative_to(folder).parts
    )


def _add_file(digest: hashlib._Hash, path: Path, root: Path) -> None:
    content = path.read_bytes()
    digest.update(f"{path.relative_to(root).as_posix()}\0{len(content)}\0".encode())
    digest.update(content)


def _manifest(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.manifest.json")


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One build of a folder at a time, among all processes."""
    with folder.with_name(f".{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m infra.package", description=__doc__)
    parser.add_argument(
        "--for",
        dest="platform",
        choices=("lambda", "local"),
        default="lambda",
        help="where the archive will run",
    )
    parser.add_argument(
        "--architecture",
        choices=tuple(LAMBDA_PLATFORMS),
        default="arm64",
        help="the processor of Lambda's functions, as the stack file has it; default arm64",
    )
    given = parser.parse_args()
    is_local = given.platform == "local"
    platform: Platform = "local" if is_local else LAMBDA_PLATFORMS[given.architecture]
    try:
        archive = build(platform)
    except PackageError as error:
        sys.exit(str(error))
    print(f"{archive.folder.relative_to(PROJECT_ROOT)}  inputs {archive.inputs[:12]}")


if __name__ == "__main__":
    main()
