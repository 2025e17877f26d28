"""How a stack's roles are assumed: as the stack file says, before and after the deployment."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from bootstrap.app.account_clients import AccountClients
from bootstrap.app.command_options import CommandOptions
from bootstrap.app.process import this_process
from bootstrap.core.errors import Side
from bootstrap.core.stack_outputs import parse
from bootstrap.plan.replication import of_file
from tests.support.bootstrap.fake_aws import OUTPUTS_JSON
from tests.support.bootstrap.sts import FakeSts, sts_server

pytestmark = pytest.mark.promise("C6", "C8")

FILE = """
config:
  dynamodb-replication:source:
    accountId: "111111111111"
    region: eu-south-2
    roleArn: arn:aws:iam::111111111111:role/deploy
    externalId: of-the-source
    sessionName: pipeline
    stsRegion: eu-west-1
  dynamodb-replication:target:
    accountId: "222222222222"
    region: eu-west-1
    roleArn: arn:aws:iam::222222222222:role/deploy
    externalId: of-the-target
  dynamodb-replication:operators: {source: [account], target: [account]}
  dynamodb-replication:tables: [{source: orders}]
"""


@pytest.fixture
def sts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeSts]:
    with sts_server() as service:
        for name in ("AWS_SESSION_TOKEN", "AWS_PROFILE"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
        monkeypatch.setenv("AWS_ENDPOINT_URL", service.url)
        yield service


def assume_both(clients: AccountClients) -> None:
    """Assume the role of each account, as the first call does."""
    for side in Side:
        clients._session(side)._session.get_credentials().get_frozen_credentials()


def before_the_deployment(tmp_path: Path, options: CommandOptions) -> AccountClients:
    path = tmp_path / "Pulumi.prod.yaml"
    path.write_text(FILE)
    stack = of_file(path)
    return AccountClients(stack.source, stack.target, this_process(), options)


def test_a_plan_of_a_stack_file_assumes_each_role_as_the_file_says(
    sts: FakeSts, tmp_path: Path
) -> None:
    # Of the operators' roles, which are not made yet.
    options = CommandOptions("bootstrap plan", external_id="of-the-environment")
    assume_both(before_the_deployment(tmp_path, options))
    assert sts.asked == [
        ("eu-west-1", "of-the-source", "pipeline"),
        ("eu-west-1", "of-the-target", "dynamodb-replication-bootstrap"),
    ]


def test_an_external_id_that_is_typed_is_the_one_that_is_presented(
    sts: FakeSts, tmp_path: Path
) -> None:
    options = CommandOptions("bootstrap plan", external_id="typed", external_id_typed=True)
    assume_both(before_the_deployment(tmp_path, options))
    assert [word for _, word, _ in sts.asked] == ["typed", "typed"]


def test_the_roles_of_a_deployed_stack_are_assumed_through_the_same_region(sts: FakeSts) -> None:
    source = {**OUTPUTS_JSON["source"], "stsRegion": "eu-central-1"}
    outputs = parse(json.dumps({**OUTPUTS_JSON, "source": source}), "outputs.json")
    options = CommandOptions("bootstrap run", external_id="of-the-operators")
    assume_both(AccountClients(outputs.source, outputs.target, this_process(), options))
    assert sts.asked == [
        ("eu-central-1", "of-the-operators", "dynamodb-replication-bootstrap"),
        (outputs.target.region, "of-the-operators", "dynamodb-replication-bootstrap"),
    ]


def test_no_external_id_is_in_what_an_account_prints(tmp_path: Path) -> None:
    path = tmp_path / "Pulumi.prod.yaml"
    path.write_text(FILE)
    assert "of-the-source" not in repr(of_file(path))
