"""Options of AWS CLI commands in texts."""

from __future__ import annotations

import re

import pytest

from replicator.aws_commands import table_option
from tests.docs.pages import ROOT


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("orders", "--table-name orders"),
        ("a-b_c.d", "--table-name a-b_c.d"),
        ("-orders", "--table-name=-orders"),
        ("--region", "--table-name=--region"),
    ],
)
def test_a_table_whose_name_begins_with_a_hyphen_is_no_option(name: str, option: str) -> None:
    assert table_option(name) == option


def test_every_command_in_a_text_uses_table_option() -> None:
    by_hand = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for package in ("bootstrap", "replicator")
        for path in (ROOT / package).rglob("*.py")
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.search(r"--table-name[ =\"]", line) and path.stem != "aws_commands"
    ]
    # A table of the stack's own: its name is Pulumi's, and begins with the resource's.
    assert [line.partition(":")[0] for line in by_hand] == ["bootstrap/core/unknown_resources.py"]
