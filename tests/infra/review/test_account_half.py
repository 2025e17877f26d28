"""One account's half of a stack, printed for its owner: all of it, and nothing of the other's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from infra.dry_run import DryRun
from infra.resource_names import SUFFIX
from infra.review import account_half
from infra.review.__main__ import main
from infra.review.boundary import SIDES
from infra.stack_config import PROJECT
from tests.docs import crossing_calls
from tests.infra.least_privilege.crossings import granted
from tests.support.infra.recording_engine import SOURCE, TARGET

pytestmark = [pytest.mark.slow, pytest.mark.promise("C8")]

ACCOUNTS = {"source": SOURCE["accountId"], "target": TARGET["accountId"]}


@pytest.mark.parametrize("side", SIDES)
def test_every_resource_and_every_policy_of_the_side_is_printed_and_none_of_the_other(
    side: str,
) -> None:
    text = account_half.account_half(crossing_calls.STACK, side, stack="prod")
    resources, policies = text.split("\nPolicies:\n")
    ran = DryRun.of(crossing_calls.STACK, stack="prod").resources
    listed = {line.split()[-1] for line in resources.splitlines() if line.startswith("  ")}
    assert {each.name for each in ran if each.side == side} <= listed
    assert not {each.name for each in ran if each.side not in ("", side)} & listed
    documents = [
        json.dumps(json.loads(each.values[argument]), indent=1).replace(SUFFIX, account_half.ENDS)
        for each in ran
        if each.side == side
        for argument in account_half.POLICIES
        if argument in each.values
    ]
    assert documents
    assert [one for one in documents if one not in policies] == []


@pytest.mark.parametrize("side", SIDES)
def test_what_the_other_account_may_do_is_what_crosses_the_accounts(side: str) -> None:
    text = account_half.account_half(crossing_calls.STACK, side, stack="prod")
    said = text.split("may do here:\n")[1].split("\n\n")[0].splitlines()
    crossing = [c for c in granted(crossing_calls.declared()) if c.caller != ACCOUNTS[side]]
    assert crossing
    assert len(said) == len(crossing)
    for each in crossing:
        [line] = [line for line in said if f", {each.actions[0]}" in line.replace(": ", ", ")]
        assert each.principal.replace(SUFFIX, account_half.ENDS) in line
        assert all(action in line for action in each.actions)


def test_it_is_printed_for_a_stack_file_without_credentials(tmp_path: Path) -> None:
    file = tmp_path / "Pulumi.prod.yaml"
    values = {f"{PROJECT}:{key}": value for key, value in crossing_calls.STACK.items()}
    file.write_text(yaml.safe_dump({"config": values}))
    printed = CliRunner().invoke(main, ["half", "--config", str(file), "--side", "source"])
    assert printed.exit_code == 0
    assert printed.stdout.startswith("Stack prod in the source account 111111111111")
    file.write_text(yaml.safe_dump({"config": {f"{PROJECT}:sources": {}}}))
    refused = CliRunner().invoke(main, ["half", "--config", str(file), "--side", "source"])
    assert refused.exit_code == 1
    assert "sources" in refused.stderr
