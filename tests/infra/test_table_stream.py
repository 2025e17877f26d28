"""A table whose own stream is the buffer: the tool makes the stream's policy and the mapping."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from infra.kept_buffers import find_other_buffers
from infra.review.key_statements import statements_by_key
from infra.run_rows import RunRow
from infra.stack_config import ConfigError, StackConfig
from tests.support.infra.recording_engine import CONFIG, Deployment, record, role_statements

SOURCE_KEY = "arn:aws:kms:eu-west-1:111111111111:key/of-the-table"
PLACE_KEY = "arn:aws:kms:eu-west-1:111111111111:key/of-the-place"
TABLE = {"source": "orders", "buffer": "streams", "sourceKeyArn": SOURCE_KEY, "batchSize": 100}
KINESIS = {"source": "parts"}
ARN = "arn:aws:dynamodb:eu-west-1:111111111111:table/orders"
MAPPINGS = "arn:aws:lambda:eu-west-1:222222222222:event-source-mapping:*"
READS = ("DescribeStream", "GetRecords", "GetShardIterator")
LIVING = {"sourceTable": "orders", "functionName": "f", "stackOwnsTargetDeny": False}


def up(
    folder: Path,
    *tables: Mapping[str, Any],
    before: Mapping[str, Any] | None = None,
    **more: Any,
) -> Deployment:
    last = {"tables": [before]} if before else None
    values = {**CONFIG, "tables": list(tables), **more}
    return record(values, folder / "archive", before=last)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    folder = tmp_path_factory.mktemp("streams")
    return up(folder, TABLE, switch=True, keys={"source": PLACE_KEY})


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    return up(tmp_path_factory.mktemp("mixed"), TABLE, KINESIS)


def granted(stack: Deployment, role: str, action: str) -> list[dict[str, Any]]:
    return [each for each in role_statements(stack, role) if action in each["Action"]]


def resources(stack: Deployment, role: str, action: str) -> set[str]:
    return {arn for each in granted(stack, role, action) for arn in each["Resource"]}


@pytest.mark.promise("C8")
def test_nothing_of_kinesis_is_made_or_may_be_used(stack: Deployment) -> None:
    for kind in ("Stream", "Key", "ResourcePolicy", "KinesisStreamingDestination"):
        assert stack.of(kind) == []
    assert stack.of("EventSourceMapping") == []
    for role in ("consumer", "observer", "exporter", "operator-source", "watchdog"):
        actions = {a for each in role_statements(stack, role) for a in each["Action"]}
        assert actions, role
        assert not [a for a in actions if a.startswith("kinesis:")]
        assert "kms:GenerateDataKey" not in {
            a for each in role_statements(stack, "observer") for a in each["Action"]
        }


@pytest.mark.promise("C8")
def test_the_consumer_reads_the_streams_of_its_table_and_decrypts_through_dynamodb(
    stack: Deployment,
) -> None:
    for action in (*READS, "ListStreams"):
        assert resources(stack, "consumer", f"dynamodb:{action}") == {f"{ARN}/stream/*"}
    [decrypts] = [
        each for each in granted(stack, "consumer", "kms:Decrypt") if SOURCE_KEY in each["Resource"]
    ]
    through = {"kms:ViaService": "dynamodb.eu-west-1.amazonaws.com"}
    assert decrypts["Condition"] == {"StringEquals": through}


@pytest.mark.promise("C8")
def test_the_owner_of_the_tables_key_is_asked_to_let_the_consumer_decrypt() -> None:
    found = statements_by_key({**CONFIG, "tables": [TABLE]}, stack="test")[SOURCE_KEY]
    [asked] = [each for each in found if "222222222222" in each["Principal"]["AWS"]]
    assert asked["Action"] == ["kms:Decrypt"]
    through = {"kms:ViaService": "dynamodb.eu-west-1.amazonaws.com"}
    role = "arn:aws:iam::222222222222:role/replicate-*-consumer-role-*"
    like = {"aws:PrincipalArn": [role]}
    assert asked["Condition"] == {"StringEquals": through, "ArnLike": like}


@pytest.mark.promise("C5")
def test_the_exporter_may_switch_this_tables_stream_on_and_set_its_policy(
    mixed: Deployment,
) -> None:
    assert resources(mixed, "replication-exporter", "dynamodb:UpdateTable") == {ARN}
    policies = ("DeleteResourcePolicy", "PutResourcePolicy")
    for action in (*READS, *policies):
        found = resources(mixed, "replication-exporter", f"dynamodb:{action}")
        assert found == {f"{ARN}/stream/*"}, action
    for role in ("operator-source", "observer", "watchdog"):
        for action in ("UpdateTable", "GetRecords", *policies):
            assert resources(mixed, role, f"dynamodb:{action}") == set(), (role, action)


@pytest.mark.promise("C8")
def test_mappings_are_made_and_changed_for_this_tables_function_alone(mixed: Deployment) -> None:
    [function] = [f for f in mixed.of("Function") if "orders" in f.name and "consumer" in f.name]
    condition = {"ArnEquals": {"lambda:FunctionArn": [mixed.arn(function)]}}
    of = "replication-importer"
    [makes] = granted(mixed, of, "lambda:CreateEventSourceMapping")
    assert (makes["Resource"], makes["Condition"]) == (["*"], condition)
    [deletes] = granted(mixed, of, "lambda:DeleteEventSourceMapping")
    assert (deletes["Resource"], deletes["Condition"]) == ([MAPPINGS], condition)
    for role in (of, "operator-target", "orders-watchdog"):
        sees = granted(mixed, role, "lambda:GetEventSourceMapping")
        [made] = [each for each in sees if each["Resource"] == [MAPPINGS]]
        assert "Condition" not in made, "a deleted mapping is of no function any more"
    assert resources(mixed, of, "lambda:ListEventSourceMappings") == {"*"}
    [other] = granted(mixed, "parts-watchdog", "lambda:GetEventSourceMapping")
    assert other["Resource"] == [mixed.arn(mixed.one("EventSourceMapping"))]


def test_both_functions_know_the_buffer_and_an_older_stack_sees_no_new_variable(
    mixed: Deployment,
) -> None:
    found = {f.name: f.inputs["environment"]["variables"] for f in mixed.of("Function")}
    assert found["replicate-orders-consumer"]["BUFFER"] == "streams"
    watchdog = found["replicate-orders-watchdog"]
    assert (watchdog["BUFFER"], watchdog["RETENTION_HOURS"]) == ("streams", "24")
    of_kinesis = {"STREAM_NAME", "STREAM_ARN", "MAPPING_UUID", "PARALLELIZATION_FACTOR"}
    assert not (of_kinesis | {"MAX_RECORD_KIB"}) & watchdog.keys()
    for name in ("replicate-parts-consumer", "replicate-parts-watchdog"):
        assert "BUFFER" not in found[name]
    assert of_kinesis <= found["replicate-parts-watchdog"].keys()


def test_the_outputs_say_what_the_tool_needs_to_make_the_mapping(mixed: Deployment) -> None:
    orders, parts = mixed.outputs["tables"]
    assert orders["buffer"] == "streams"
    assert orders["mappingSettings"] == {"batchSize": 100, "batchWindowSeconds": 0}
    assert orders["retentionHours"] == 24
    assert orders["functionArn"]
    of_kinesis = {"streamName", "streamArn", "mappingUuid", "streamMode", "maxRecordKib"}
    assert not of_kinesis & orders.keys()
    assert of_kinesis <= parts.keys()
    assert not {"buffer", "mappingSettings"} & parts.keys(), "as an older program wrote them"


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"startAt": "2026-11-23T10:00:00Z"}, "only the oldest loses nothing"),
        ({"startAt": "TRIM_HORIZON"}, "only the oldest loses nothing"),
        ({"streamMode": "ON_DEMAND"}, "DynamoDB sizes"),
        ({"shards": 4}, "DynamoDB sizes"),
        ({"streamKeyArn": SOURCE_KEY}, "the table's key encrypts its stream"),
        (
            {"streamArn": "arn:aws:kinesis:eu-west-1:111111111111:stream/changes"},
            "switches the table's own stream on",
        ),
        ({"makeDestination": False}, "needs no streaming destination"),
        ({"parallelizationFactor": 2}, "the order within it"),
    ],
)
def test_a_setting_of_kinesis_is_refused_with_its_reason(
    settings: Mapping[str, Any], why: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        StackConfig.parse({**CONFIG, "tables": [{**TABLE, **settings}]})
    [mistake] = raised.value.mistakes
    [name] = settings
    assert mistake.key == f"tables[0].{name}"
    assert "for buffer: streams" in mistake.allowed
    assert why in mistake.allowed
    assert mistake.fix == f"remove {name}, or set buffer to kinesis"


def test_another_buffer_is_a_mistake() -> None:
    with pytest.raises(ConfigError) as raised:
        StackConfig.parse({**CONFIG, "tables": [{"source": "orders", "buffer": "sqs"}]})
    [mistake] = raised.value.mistakes
    assert (mistake.key, mistake.got) == ("tables[0].buffer", '"sqs"')


@pytest.mark.promise("C3")
@pytest.mark.parametrize(
    ("before", "table", "said"),
    [
        (LIVING, TABLE, 'got streams; "orders" has kinesis'),
        (
            {**LIVING, "buffer": "streams"},
            {"source": "orders"},
            'got kinesis; "orders" has streams',
        ),
    ],
    ids=["to streams", "to kinesis"],
)
@pytest.mark.parametrize("state", ["BUFFERING", "ABANDONED"])
def test_a_table_keeps_its_buffer_once_a_run_has_begun(
    before: Mapping[str, Any], table: Mapping[str, Any], said: str, state: str
) -> None:
    config = StackConfig.parse({**CONFIG, "tables": [table]})
    last, runs = {"tables": [before]}, {"orders": RunRow(state)}
    [text] = find_other_buffers(config, last, runs)
    assert text.startswith("A table keeps its buffer once a run has begun")
    assert said in text
    assert "Try: put the values back, then pulumi up" in text
    assert list(find_other_buffers(config, last, {})) == [], "nothing has been applied"
    assert list(find_other_buffers(config, {}, {})) == [], "a new table"


def test_a_buffer_that_stays_is_no_change(tmp_path: Path, mixed: Deployment) -> None:
    again = up(tmp_path, TABLE, KINESIS, before={**LIVING, "buffer": "streams"})
    assert {r.name for r in again.aws} == {r.name for r in mixed.aws}
