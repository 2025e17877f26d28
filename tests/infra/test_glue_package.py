"""The package of a verification's job: equal bytes for equal sources, and never a stale one."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from infra import glue_package
from infra.package import PackageError


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of four modules, of which the job imports three."""
    root = tmp_path / "project"
    files = {
        "bootstrap/__init__.py": "",
        "bootstrap/job.py": "def main():\n    from replicator import canonical\n",
        "bootstrap/other.py": "",
        "replicator/__init__.py": "",
        "replicator/canonical.py": "import json\n",
    }
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(glue_package, "PROJECT_ROOT", root)
    monkeypatch.setattr(glue_package, "ENTRY", "bootstrap.job")
    return root


def test_it_holds_what_the_job_imports_and_nothing_else(sources: Path, tmp_path: Path) -> None:
    package = glue_package.build("glue-local", folder=tmp_path / "glue-local")
    with zipfile.ZipFile(package.modules) as archive:
        assert archive.namelist() == [
            "bootstrap/__init__.py",
            "bootstrap/job.py",
            "replicator/__init__.py",
            "replicator/canonical.py",
        ]
    assert package.wheels == []
    assert "bootstrap.job" in package.script.read_text()


def test_the_same_sources_give_the_same_bytes(sources: Path, tmp_path: Path) -> None:
    first, second = (
        glue_package.build("glue-local", folder=tmp_path / name / "glue-local") for name in "ab"
    )
    assert first.modules.read_bytes() == second.modules.read_bytes()
    assert first.contents == second.contents


def test_a_change_of_a_module_makes_it_stale_and_one_of_another_does_not(
    sources: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "glue-local"
    built = glue_package.build("glue-local", folder=folder)
    (sources / "bootstrap/other.py").write_text("# changed\n")
    assert glue_package.require(folder) == built
    (sources / "replicator/canonical.py").write_text("# changed\n")
    with pytest.raises(
        PackageError, match=r"(?s)stale.*Try: python -m infra\.glue_package --for local"
    ):
        glue_package.require(folder)
    assert glue_package.build("glue-local", folder=folder).contents != built.contents


def test_a_package_that_was_changed_after_its_build_is_refused(
    sources: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "glue"
    package = glue_package.build("glue-local", folder=folder)
    package.script.write_text("")
    with pytest.raises(PackageError, match=r"(?s)changed since it was built.*Try: rm -r"):
        glue_package.require(folder)


def test_none_is_refused_with_the_command_that_builds_it(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match=r"(?s)no built package.*Try: python -m infra.glue_pack"):
        glue_package.require(tmp_path / "glue")


def test_the_wheels_are_pinned_to_the_release_that_the_tests_run_with() -> None:
    pinned = {
        line.split()[0]
        for line in glue_package.REQUIREMENTS.read_text().splitlines()
        if "==" in line and not line.startswith("#")
    }
    tested = (Path(__file__).resolve().parents[2] / "requirements.txt").read_text()
    assert pinned
    assert all(f"\n{each} " in tested for each in pinned)
