"""An adopted stream: the stack replicates through it, and owns nothing of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from infra.refused_changes import RefusedChangeError
from infra.stack_config import ConfigError, StackConfig
from replicator.settings import ConsumerConfig
from replicator.watchdog.watchdog_config import WatchdogConfig
from tests.support.infra.recording_engine import (
    CONFIG,
    Deployment,
    record,
    role_statements,
    statements,
)

STREAM = "arn:aws:kinesis:eu-west-1:111111111111:stream/changes"
KEY = "arn:aws:kms:eu-west-1:111111111111:key/of-streams"
ADOPTED = {"source": "orders", "target": "replica", "streamArn": STREAM, "streamKeyArn": KEY}
LIVING = {
    "sourceTable": "orders",
    "streamArn": STREAM,
    "streamKeyArn": KEY,
    "adoptsStream": True,
    "ownsDestination": False,
    "stackOwnsTargetDeny": False,
}


def up(
    folder: Path, *tables: Mapping[str, Any], before: Mapping[str, Any] | None = None, **more: Any
) -> Deployment:
    last = {"tables": [before]} if before else None
    return record({**CONFIG, "tables": list(tables), **more}, folder / "archive", before=last)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    return up(tmp_path_factory.mktemp("adopted"), ADOPTED, switch=True)


def granted(stack: Deployment, role: str, action: str) -> set[str]:
    return {
        arn
        for each in role_statements(stack, role)
        if action in each["Action"]
        for arn in each["Resource"]
    }


@pytest.mark.promise("C8")
def test_the_stack_makes_and_may_change_nothing_of_it(stack: Deployment) -> None:
    for kind in ("Stream", "Key", "ResourcePolicy", "KinesisStreamingDestination"):
        assert stack.of(kind) == []
    ways = ("Disable", "Enable", "Update")
    for policy in stack.of("RolePolicy"):
        for each in statements(policy.inputs["policy"]):
            assert not [
                a
                for a in each["Action"]
                if a.startswith("kinesis:") and "Policy" in a and a != "kinesis:GetResourcePolicy"
            ]
            for way in ways:
                assert f"dynamodb:{way}KinesisStreamingDestination" not in each["Action"]


@pytest.mark.promise("C8")
def test_everything_that_reads_or_probes_a_stream_uses_the_adopted_one(stack: Deployment) -> None:
    assert stack.one("EventSourceMapping").inputs["eventSourceArn"] == STREAM
    assert granted(stack, "consumer", "kinesis:GetRecords") == {STREAM}
    assert granted(stack, "consumer", "kms:Decrypt") == {KEY}
    for role in ("observer", "replication-exporter"):
        assert granted(stack, role, "kinesis:PutRecords") == {STREAM}
        assert KEY in granted(stack, role, "kms:GenerateDataKey")
    assert granted(stack, "replication-exporter", "kinesis:GetResourcePolicy") == {STREAM}
    [table] = stack.outputs["tables"]
    assert (table["streamArn"], table["streamName"]) == (STREAM, "changes")
    assert (table["adoptsStream"], table["ownsDestination"]) == (True, False)
    watched = {a.inputs["dimensions"].get("StreamName") for a in stack.of("MetricAlarm")}
    assert watched == {None, "changes"}


@pytest.mark.promise("C7")
def test_both_functions_know_that_other_tables_records_are_to_be_expected(
    stack: Deployment,
) -> None:
    consumer, watchdog = (
        next(f for f in stack.of("Function") if ("watchdog" in f.name) is wanted)
        for wanted in (False, True)
    )
    variables = consumer.inputs["environment"]["variables"]
    lambdas = {"AWS_LAMBDA_FUNCTION_NAME": "f"}
    assert ConsumerConfig.from_environment(variables | lambdas).adopted_stream
    watching = WatchdogConfig.from_environment(watchdog.inputs["environment"]["variables"])
    assert watching.adopted_stream
    assert watching.expected.adopted_stream


def test_the_destination_is_the_stacks_only_where_the_stack_file_says_so(tmp_path: Path) -> None:
    made = up(tmp_path, {**ADOPTED, "makeDestination": True}, switch=True)
    destination = made.one("KinesisStreamingDestination")
    assert destination.inputs["streamArn"] == STREAM
    assert destination.inputs["approximateCreationDateTimePrecision"] == "MICROSECOND"
    assert destination.protect
    assert destination.name in made.one("EventSourceMapping").depends_on
    assert made.outputs["tables"][0]["ownsDestination"] is True
    assert granted(made, "switch-source", "dynamodb:DisableKinesisStreamingDestination")
    assert made.of("Stream") == []


@pytest.mark.promise("C3")
def test_the_key_follows_its_owners_and_the_earlier_ones_are_still_read_with(
    tmp_path: Path,
) -> None:
    second, third = (f"{KEY}-{n}" for n in (2, 3))
    made = up(tmp_path, {**ADOPTED, "streamKeyArn": second}, before=LIVING)
    assert granted(made, "consumer", "kms:Decrypt") == {KEY, second}
    assert KEY not in granted(made, "observer", "kms:GenerateDataKey")
    [entry] = made.outputs["tables"]
    assert (entry["streamKeyArn"], entry["earlierStreamKeyArns"]) == (second, [KEY])
    # A later `up`, without a change or with another, keeps them.
    later = {**LIVING, "streamKeyArn": second, "earlierStreamKeyArns": [KEY]}
    same = up(tmp_path, {**ADOPTED, "streamKeyArn": second}, before=later)
    assert granted(same, "consumer", "kms:Decrypt") == {KEY, second}
    more = up(tmp_path, {**ADOPTED, "streamKeyArn": third}, before=later)
    assert granted(more, "consumer", "kms:Decrypt") == {KEY, second, third}


def test_tables_of_a_stack_may_share_a_stream(tmp_path: Path) -> None:
    both = up(tmp_path, ADOPTED, {**ADOPTED, "source": "customers", "target": "copies"})
    mappings = both.of("EventSourceMapping")
    assert {each.inputs["eventSourceArn"] for each in mappings} == {STREAM}
    assert len(mappings) == 2
    [streams] = [
        each["Resource"]
        for each in statements(both.one("RolePolicy", "exporter-grants").inputs["policy"])
        if each["Sid"] == "Streams"
    ]
    assert streams == [STREAM], "named once"


@pytest.mark.parametrize(
    ("table", "key", "fix"),
    [
        ({"streamArn": STREAM}, "tables[0].streamKeyArn", "set streamKeyArn"),
        ({**ADOPTED, "shards": 4, "streamMode": "PROVISIONED"}, "tables[0].shards", "remove"),
        ({**ADOPTED, "streamArn": "changes"}, "tables[0].streamArn", "arn:aws:kinesis:REGION"),
        (
            {**ADOPTED, "streamArn": STREAM.replace("1111", "3333")},
            "tables[0].streamArn",
            "source account and Region",
        ),
        (
            {**ADOPTED, "streamArn": STREAM.replace("west", "north")},
            "tables[0].streamArn",
            "source account and Region",
        ),
        ({"makeDestination": True}, "tables[0].makeDestination", "set streamArn"),
    ],
)
def test_half_an_adoption_is_a_mistake(table: dict[str, Any], key: str, fix: str) -> None:
    values = {**CONFIG, "tables": [{"source": "orders", **table}]}
    with pytest.raises(ConfigError) as caught:
        StackConfig.parse(values)
    [mistake] = [each for each in caught.value.mistakes if each.key == key]
    assert fix in mistake.fix


OWN = {"sourceTable": "orders", "streamArn": f"{STREAM}-own", "stackOwnsTargetDeny": False}


@pytest.mark.promise("C3")
@pytest.mark.parametrize(
    ("before", "table", "said"),
    [
        (OWN, ADOPTED, "through a stream of the stack's own"),
        (LIVING, {"source": "orders", "streamKeyArn": KEY}, "got a stream of the stack's own"),
        (LIVING, {**ADOPTED, "streamArn": f"{STREAM}-2"}, f'through "{STREAM}"'),
        (LIVING, {**ADOPTED, "makeDestination": True}, "makeDestination: got true"),
        ({**LIVING, "ownsDestination": True}, ADOPTED, "makeDestination: got false"),
    ],
)
def test_a_table_keeps_its_stream_and_the_owner_of_its_destination(
    tmp_path: Path, before: dict[str, Any], table: dict[str, Any], said: str
) -> None:
    with pytest.raises(RefusedChangeError, match="A table keeps its stream") as caught:
        up(tmp_path, table, before=before)
    assert said in str(caught.value)


def test_an_adopted_stream_that_stays_is_no_change(tmp_path: Path, stack: Deployment) -> None:
    again = up(tmp_path, ADOPTED, before=LIVING, switch=True)
    assert {r.name for r in again.aws} == {r.name for r in stack.aws}
