"""The options of the demo's command, checked before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from infra.local.__main__ import USAGE, main


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--items", "500", "--data", "orders.json"), "use only one of them"),
        (("--key", "pk:S"), "--key describes the items of --data FILE"),
        (("--chaos", "tornado"), "tornado"),
    ],
)
def test_options_that_would_be_ignored_are_refused_before_anything_starts(
    options: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    ran = CliRunner().invoke(main, ["demo", "--directory", str(tmp_path / "demo"), *options])
    assert ran.exit_code == USAGE
    assert said in ran.output
    assert not (tmp_path / "demo").exists()
