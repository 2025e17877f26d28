"""The stand-in for AWS's provider, apart from the engine."""

from __future__ import annotations

import json
from pathlib import Path

import pulumi
import pytest
from google.protobuf import json_format, struct_pb2
from pulumi.runtime import rpc

from infra.local.bindings import BINDINGS
from tests.pulumi_engine.loopback import local_endpoint
from tests.pulumi_engine.plugin_log import OrderedFaultError, PluginLog
from tests.pulumi_engine.resources import TYPES
from tests.pulumi_engine.resources.base import document
from tests.pulumi_engine.values import ARCHIVE, comparable, merged, plain

SECRET = {
    rpc._special_sig_key: rpc._special_secret_sig,
    "value": "hush",
}
URN = "urn:pulumi:dev::dynamodb-replication::a:b:C$aws:kinesis/stream:Stream::replicate-orders"


def struct(values: dict[str, object]) -> struct_pb2.Struct:
    made = struct_pb2.Struct()
    json_format.ParseDict(values, made)
    return made


def test_every_type_that_is_created_is_read_changed_and_deleted_too() -> None:
    assert TYPES.keys() == BINDINGS.keys()


@pytest.mark.parametrize(
    "endpoint", ["http://127.0.0.1:4566", "http://localhost:1", "http://[::1]:2"]
)
def test_an_endpoint_on_this_machine_is_served(endpoint: str) -> None:
    assert local_endpoint({"AWS_ENDPOINT_URL": endpoint}) == endpoint


@pytest.mark.parametrize(
    "endpoint", ["", "https://dynamodb.eu-west-1.amazonaws.com", "http://192.0.2.1:80"]
)
def test_any_other_endpoint_is_refused(endpoint: str) -> None:
    with pytest.raises(SystemExit, match="serves only the local cloud"):
        local_endpoint({"AWS_ENDPOINT_URL": endpoint})


def test_a_secret_is_used_in_clear_and_stays_a_secret_in_the_state() -> None:
    sent = struct({"policy": SECRET, "name": "a", "absent": None})
    assert plain(sent) == {"policy": "hush", "name": "a"}
    kept = json_format.MessageToDict(merged(sent, {"arn": "b"}))
    assert kept["policy"] == SECRET
    assert kept["arn"] == "b"


def test_an_archive_is_compared_by_its_hash_alone() -> None:
    from_program = {rpc._special_sig_key: ARCHIVE, "hash": "h", "path": "build/local"}
    from_state = {rpc._special_sig_key: ARCHIVE, "hash": "h"}
    assert comparable({"code": from_program}) == comparable({"code": from_state})
    assert isinstance(plain(from_program), pulumi.FileArchive)
    assert plain(from_state) == "h"


def test_the_log_has_every_call_and_orders_every_fault(tmp_path: Path) -> None:
    log = PluginLog.from_environment({"PULUMI_STAND_IN": str(tmp_path)})
    log.note("update", "111111111111", URN, ["retentionPeriod"])
    [call] = log.calls()
    assert (call.type, call.name, call.changed) == (
        "Stream",
        "replicate-orders",
        ("retentionPeriod",),
    )
    log.order(fail={"replicate-orders": "AccessDenied"})
    with pytest.raises(OrderedFaultError, match="AccessDenied"):
        log.fail_if_told(URN)
    log.forget()
    log.fail_if_told(URN)
    assert log.calls() == []


def test_without_a_folder_nothing_is_noted() -> None:
    log = PluginLog.from_environment({})
    log.note("create", "111111111111", URN)
    log.fail_if_told(URN)


def test_the_pinned_provider_is_the_one_that_the_stand_in_names() -> None:
    from tests.pulumi_engine.provider import VERSION

    pins = Path(__file__).resolve().parents[2].joinpath("requirements.txt").read_text()
    assert f"pulumi-aws=={VERSION}" in pins


def test_a_policy_is_the_same_whether_a_single_value_is_in_a_list_or_not() -> None:
    known = '{"Statement": [{"Action": ["a"], "Resource": ["b", "c"]}]}'
    shown = '{"Statement":[{"Action":"a","Resource":["b","c"]}]}'
    assert document(shown, {"policy": known}, "policy") == known
    other = '{"Statement":[{"Action":"a","Resource":["c","b"]}]}'
    assert json.loads(document(other, {"policy": known}, "policy")) == json.loads(other)
