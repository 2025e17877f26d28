"""The command line of `switch`: options that contradict each other change nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from bootstrap.cli import switch
from bootstrap.cli.main import main
from tests.support.bootstrap.fake_aws import OUTPUTS_JSON

pytestmark = pytest.mark.promise("C9")


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--dry-run", "--cancel"), "--dry-run and --cancel do not go together"),
        (("--dry-run", "--finish"), "--dry-run and --finish do not go together"),
        (("--cancel", "--finish"), "--cancel and --finish do not go together"),
        (("--fence", "--open-source"), "--open-source is a part of --finish"),
        (("--fence", "--writes-stopped"), "one of them"),
        ((), "--fence or --writes-stopped"),
    ],
)
def test_options_that_contradict_each_other_change_nothing(
    options: tuple[str, ...], why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "outputs.json"
    file.write_text(json.dumps(OUTPUTS_JSON))
    # Without clients, whatever went on to an account would fail otherwise than by this message.
    monkeypatch.setattr(switch, "clients_of", lambda *_: None)
    result = CliRunner().invoke(main, ["switch", "--outputs", str(file), *options])
    assert result.exit_code == 2, result.output
    assert why in result.stderr
