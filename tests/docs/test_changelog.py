"""The changelog has an entry for the version in pyproject.toml."""

from __future__ import annotations

import re
import tomllib

from tests.docs.pages import ROOT


def test_the_newest_entry_of_the_changelog_is_this_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    entries = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert entries[0] == project["tool"]["dynamodb-replication"]["version"]


def test_nothing_can_be_installed_by_accident() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert not {"project", "build-system"} & set(project)
