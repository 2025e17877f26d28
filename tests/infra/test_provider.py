"""The local cloud's provider: it cannot drift from the program without anybody noticing."""

from __future__ import annotations

import io
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pulumi
import pytest

from infra.dry_run import stand_in_archive
from infra.local import deploy as deploy_module
from infra.local.bindings import BINDINGS, BindingError, Created, Inputs, Request
from infra.local.bindings.lambda_ import zipped
from infra.local.cloud import LocalAccount
from infra.local.provider import LocalProvider
from infra.table_config import TableConfig
from tests.support.infra.recording_engine import CONFIG, record


class NoCloud:
    """Records which clients were asked for; no server answers them."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str | None]] = []

    def client(self, service: str, account: LocalAccount, region: str | None = None) -> Any:
        self.asked.append((service, account.account_id, region))
        return boto3.client(
            service,
            region_name=region or account.region,
            aws_access_key_id=account.account_id,
            aws_secret_access_key="local",
        )


THING = "aws:made/up:Thing"


def resource(
    inputs: dict[str, Any], *, type_: str = THING, provider: str = "urn:x::source::source"
) -> pulumi.runtime.MockResourceArgs:
    return pulumi.runtime.MockResourceArgs(
        type_, "thing", inputs, provider=provider, resource_id="", custom=True
    )


def provider(cloud: NoCloud, binding: Callable[[Request], Created]) -> LocalProvider:
    made = LocalProvider(cloud, "local", {THING: binding})
    region = {"allowedAccountIds": '["111111111111"]', "region": "eu-west-1"}
    made.new_resource(
        pulumi.runtime.MockResourceArgs("pulumi:providers:aws", "source", region, custom=True)
    )
    return made


def test_every_type_in_the_program_has_a_binding_and_every_binding_a_use(tmp_path: Path) -> None:
    emails = {"alarms": {"emails": ["team@example.com"]}}
    # More than an operators' role names in its inline policy.
    tables = [{"source": f"{n}".ljust(255, "x")} for n in range(5)]
    logs = {"buckets": {"accessLogs": {"consumer": "access-logs", "target": "access-logs"}}}
    keys = {"keys": {"target": "create"}, "verification": {"engine": "glue"}}
    values = {**CONFIG, **emails, **logs, **keys, "tables": tables, "switch": True}
    # And with the Deny that an older program made.
    before = {"tables": [{"sourceTable": tables[0]["source"]}]}
    prefix = TableConfig(tables[0]["source"], "").prefix
    policy = f"aws:dynamodb/resourcePolicy:ResourcePolicy::{prefix}-write-fence"
    held = [f"urn:pulumi:test::dynamodb-replication::replication:index:WriteFence${policy}"]
    stack = record(values, tmp_path / "archive", before=before, held=held)
    assert {r.type for r in stack.aws} == set(BINDINGS)


def test_a_type_without_a_binding_is_an_error_that_names_it() -> None:
    made = provider(NoCloud(), lambda request: Created("id"))
    with pytest.raises(BindingError, match=r"(?s)aws:sqs/queue:Queue.*Try: add one"):
        made.new_resource(resource({}, type_="aws:sqs/queue:Queue"))


def test_an_input_that_no_binding_uses_is_an_error_that_names_it() -> None:
    def binding(request: Request) -> Created:
        request.inputs.text("used")
        request.inputs.object("nested").text("known")
        request.inputs.not_emulated("tags", "they change nothing here")
        return Created("id")

    inputs = {"used": "x", "tags": {}, "nested": {"known": "x", "new": 1}, "colour": "red"}
    made = provider(NoCloud(), binding)
    with pytest.raises(BindingError, match=r"(?s)sets colour, nested\.new,.*Try: "):
        made.new_resource(resource(inputs))
    assert made.new_resource(resource({"used": "x", "nested": {"known": "x"}}))


def test_a_resource_without_an_account_is_an_error() -> None:
    made = provider(NoCloud(), lambda request: Created("id"))
    with pytest.raises(BindingError, match="has no provider"):
        made.new_resource(resource({}, provider=""))


def test_a_look_up_is_an_error() -> None:
    made = provider(NoCloud(), lambda request: Created("id"))
    with pytest.raises(BindingError, match="aws:index/getCallerIdentity"):
        made.call(pulumi.runtime.MockCallArgs("aws:index/getCallerIdentity", {}, ""))


def test_a_binding_works_in_its_resources_account_and_region() -> None:
    cloud = NoCloud()
    made = provider(cloud, lambda request: Created(str(id(request.client("s3")))))
    first, _ = made.new_resource(resource({}))
    again, _ = made.new_resource(resource({"region": "us-east-1"}))
    third, _ = made.new_resource(resource({}))
    assert cloud.asked == [
        ("s3", "111111111111", "eu-west-1"),
        ("s3", "111111111111", "us-east-1"),
    ]
    assert first == third != again


def test_a_request_beyond_a_limit_of_aws_is_not_sent() -> None:
    def binding(request: Request) -> Created:
        name = request.physical_name("name")
        request.client("events").put_rule(Name=name, ScheduleExpression="rate(5 minutes)")
        return Created(name)

    made = provider(NoCloud(), binding)
    with pytest.raises(BindingError, match=r"Name: 65 is long, and AWS allows 64"):
        made.new_resource(resource({"name": "n" * 65}))


def test_a_name_of_pulumis_making_is_as_long_as_pulumi_makes_it() -> None:
    def binding(request: Request) -> Created:
        return Created(request.physical_name("name"))

    name, _ = provider(NoCloud(), binding).new_resource(resource({}))
    assert name is not None
    assert len(name) == len("thing") + 8


def test_outputs_are_what_was_given_and_what_aws_adds() -> None:
    made = provider(
        NoCloud(),
        lambda request: Created("id", {"arn": "arn:1", **{"of": request.inputs.get("of")}}),
    )
    assert made.new_resource(resource({"of": "x"})) == ("id", {"of": "x", "arn": "arn:1"})


def test_a_secret_reaches_the_binding_as_its_value() -> None:
    secret = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "value": "x"}
    seen: list[Any] = []

    def binding(request: Request) -> Created:
        seen.append(request.inputs.get("word"))
        return Created("made")

    made = provider(NoCloud(), binding)
    made.new_resource(resource({"word": secret}))
    assert seen == ["x"]


def test_what_failed_is_told_with_the_resource_and_the_cause() -> None:
    def binding(request: Request) -> Created:
        raise RuntimeError("no such bucket")

    made = provider(NoCloud(), binding)
    with pytest.raises(
        BindingError, match=rf"(?s)could not create thing \({THING}\).*no such bucket"
    ):
        made.new_resource(resource({}))
    assert made.failure


def test_an_absent_input_and_one_of_another_form_are_told_by_their_path() -> None:
    inputs = Inputs({"nested": {}, "kind": "AES"})
    with pytest.raises(BindingError, match=r"nested\.name is missing"):
        inputs.object("nested").text("name")
    with pytest.raises(BindingError, match="kind is 'AES'"):
        inputs.must_be("kind", "KMS")


def test_physical_names_are_stable_and_differ_between_stacks_regions_and_accounts() -> None:
    def name(stack: str = "local", account: str = "1", region: str = "eu-west-1") -> str:
        request = Request("orders", Inputs({}), stack, account, region, lambda service: None)
        return request.physical_name("name")

    assert name() == name()
    assert len({name(), name(stack="two"), name(account="2"), name(region="us-east-1")}) == 4
    assert name().startswith("orders-")
    assert len(name()) == len("orders-") + 7


def test_a_deployment_that_fails_says_what_failed_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pulumi reports everything that waited for it as well; what is raised is the cause."""

    class Broken:
        def client(self, service: str, account: LocalAccount, region: str | None = None) -> Any:
            raise ConnectionError("the emulator is gone")

    stand_in_archive(tmp_path / "archive")
    config = {**CONFIG, "lambdaArchive": str(tmp_path / "archive")}
    with pytest.raises(BindingError, match="the emulator is gone"):
        deploy_module.deploy(Broken(), config)
    assert not [t for t in threading.enumerate() if t.name.startswith("resource")]


def test_a_rebuilt_archive_is_what_the_next_deployment_ships(tmp_path: Path) -> None:
    """One process deploys several times, in tests and while the consumer is being worked on."""

    def shipped() -> bytes:
        code = zipped(pulumi.FileArchive(str(tmp_path)))
        return zipfile.ZipFile(io.BytesIO(code)).read("handler.py")

    (tmp_path / "handler.py").write_text("old")
    assert shipped() == b"old"
    (tmp_path / "handler.py").write_text("new")
    assert shipped() == b"new"
