"""Builds the folder that becomes the job of a verification: script, modules and wheels.

`python -m infra.glue_package` builds `build/glue`, for AWS Glue 5 (Python 3.11 on x86-64, without a
package index); `--for local` builds it for the local cloud, whose jobs run on this interpreter and
need no wheels. The same sources give the same bytes on every machine.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from infra.package import BUILDS, PROJECT_ROOT, PackageError, tree_hash

GlueRuntime = Literal["glue", "glue-local"]
ENTRY = "bootstrap.app.glue_job"
"""The module that is the job's script."""
SCRIPT, MODULES, WHEELS = "job.py", "modules.zip", "wheels"
REQUIREMENTS = PROJECT_ROOT / "infra" / "glue-requirements.hashed.txt"
OWN_PACKAGES = ("bootstrap", "replicator")
PIP_OPTIONS = (
    *("--platform", "manylinux2014_x86_64"),
    *("--implementation", "cp"),
    *("--python-version", "3.11"),
)
EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest date that a zip file can have."""


@dataclass(frozen=True)
class GluePackage:
    """A built folder, and the hashes of what it was built from and of what is in it."""

    folder: Path
    runtime: GlueRuntime
    inputs: str
    contents: str

    @property
    def script(self) -> Path:
        return self.folder / SCRIPT

    @property
    def modules(self) -> Path:
        return self.folder / MODULES

    @property
    def wheels(self) -> list[Path]:
        return sorted((self.folder / WHEELS).glob("*.whl"))


def build(runtime: GlueRuntime, *, folder: Path | None = None) -> GluePackage:
    """Build `build/<runtime>` unless it is there and current.

    Raises:
        PackageError: pip could not download what `infra/glue-requirements.hashed.txt` pins.
    """
    folder = folder or BUILDS / runtime
    try:
        return require(folder)
    except PackageError:
        return _build(runtime, folder)


def require(folder: Path) -> GluePackage:
    """Return the package in `folder`, if it was built from the sources as they are now.

    Raises:
        PackageError: naming the command that fixes it.
    """
    local = " --for local" if folder.name == "glue-local" else ""
    command = f"python -m infra.glue_package{local}"
    try:
        found = GluePackage(**{**json.loads(_manifest(folder).read_text()), "folder": folder})
    except (OSError, ValueError, TypeError):
        raise PackageError(
            f"There is no built package of the verification's job in {folder}.\nTry: {command}"
        ) from None
    if found.inputs != inputs_hash(found.runtime):
        raise PackageError(
            f"The package of the verification's job in {folder} is stale: its modules have changed "
            f"since then.\nTry: {command}"
        )
    if found.contents != tree_hash(folder):
        raise PackageError(
            f"The package of the verification's job in {folder} has been changed since it was "
            f"built.\nTry: rm -r {folder} && {command}"
        )
    return found


def modules() -> list[Path]:
    """Return the files that the job imports of this project, itself among them.

    Every import statement counts, also one inside of a function.
    """
    found: dict[Path, None] = {}
    waiting = [ENTRY]
    while waiting:
        name = waiting.pop()
        path = _file(name)
        if path is None or path in found:
            continue
        found[path] = None
        waiting += _imported(path)
        waiting += [name.rpartition(".")[0]] if "." in name else []
    return sorted(found)


def inputs_hash(runtime: GlueRuntime) -> str:
    """Return a hash of the job's modules, its wheels' pins, and the way of building."""
    digest = hashlib.sha256(repr((runtime, PIP_OPTIONS, EPOCH)).encode())
    for path in [*modules(), *([REQUIREMENTS] if runtime == "glue" else [])]:
        content = path.read_bytes()
        name = path.relative_to(PROJECT_ROOT).as_posix()
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def write_modules(path: Path) -> None:
    """Write the zip file of the modules: the same bytes for the same files."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for module in modules():
            entry = zipfile.ZipInfo(module.relative_to(PROJECT_ROOT).as_posix(), EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, module.read_bytes())


def script_text() -> str:
    """Return the job's script, which only calls the module in the zip file."""
    return f"from {ENTRY} import main\n\nmain()\n"


def _build(runtime: GlueRuntime, folder: Path) -> GluePackage:
    fresh = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    (fresh / SCRIPT).write_text(script_text())
    write_modules(fresh / MODULES)
    if runtime == "glue":
        _download(fresh / WHEELS)
    package = GluePackage(folder, runtime, inputs_hash(runtime), tree_hash(fresh))
    # The manifest goes first and comes last: a build that is interrupted leaves none.
    _manifest(folder).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)
    write_manifest(package)
    return package


def write_manifest(package: GluePackage) -> None:
    """Write what `require` reads, beside the folder."""
    known = {name: getattr(package, name) for name in ("runtime", "inputs", "contents")}
    _manifest(package.folder).write_text(json.dumps(known, indent=1) + "\n")


def _download(folder: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--require-hashes", "--only-binary", ":all:", "--no-deps", *PIP_OPTIONS]
    ran = subprocess.run(
        [*command, "--dest", str(folder), "--requirement", str(REQUIREMENTS)],
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode:
        raise PackageError(
            f"pip could not download {REQUIREMENTS} for AWS Glue:\n{ran.stderr.strip()}\n"
            "Try: check that the package index can be reached, and that the pinned release exists "
            "for that platform with the hash in that file"
        )


def _imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{each.name}" for each in node.names)


def _file(module: str) -> Path | None:
    """Return the file of a module of this project; None for another name."""
    if module.partition(".")[0] not in OWN_PACKAGES:
        return None
    path = PROJECT_ROOT / module.replace(".", "/")
    for file in (path.with_suffix(".py"), path / "__init__.py"):
        if file.is_file():
            return file
    return None


def _manifest(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.manifest.json")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m infra.glue_package", description=__doc__)
    parser.add_argument(
        "--for",
        dest="runtime",
        choices=("glue", "local"),
        default="glue",
        help="where the job will run; default glue",
    )
    given = parser.parse_args()
    try:
        package = build("glue-local" if given.runtime == "local" else "glue")
    except PackageError as error:
        sys.exit(str(error))
    print(f"{package.folder.relative_to(PROJECT_ROOT)}  inputs {package.inputs[:12]}")


if __name__ == "__main__":
    main()
