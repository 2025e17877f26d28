"""`plan` and `parity` of bulk loads with the stack's own roles."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from infra.local.cloud import SOURCE, TARGET, LocalCloud
from tests.support.bootstrap.local_stack import Stack, deployed

pytestmark = pytest.mark.slow

KEY = [
    {"AttributeName": "pk", "KeyType": "HASH"},
    {"AttributeName": "sk", "KeyType": "RANGE"},
]
LATEST = {
    "IndexName": "latest",
    "KeySchema": [KEY[0], {"AttributeName": "at", "KeyType": "RANGE"}],
    "Projection": {"ProjectionType": "KEYS_ONLY"},
}


def make(cloud: LocalCloud, account: Any, name: str, **more: Any) -> None:
    attributes = {"pk": "S", "sk": "S", "at": "N"}
    used = ("pk", "sk", "at") if "LocalSecondaryIndexes" in more else ("pk", "sk")
    cloud.client("dynamodb", account).create_table(
        TableName=name,
        KeySchema=KEY,
        AttributeDefinitions=[
            {"AttributeName": each, "AttributeType": attributes[each]} for each in used
        ],
        BillingMode="PAY_PER_REQUEST",
        **more,
    )


def tables(cloud: LocalCloud) -> Sequence[Mapping[str, Any]]:
    """Three tables with a local index: imported, loaded into one of ours, and into the user's."""
    for name in ("imported", "made", "adopted"):
        make(cloud, SOURCE, name, LocalSecondaryIndexes=[LATEST])
    make(cloud, TARGET, "theirs", LocalSecondaryIndexes=[LATEST])
    return [
        {"source": "imported", "target": "imported-replica"},
        {"source": "made", "target": "made-replica", "load": "bulk"},
        {"source": "adopted", "target": "theirs", "load": "bulk", "adopt": True},
    ]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with deployed(tmp_path_factory.mktemp("bulk"), adopt=tables) as found:
        yield found


def plan_of(stack: Stack, table: str) -> dict[str, Any]:
    ended = stack.end("plan", "--table", table, "--json")
    assert ended.returncode in (0, 1), ended.stderr
    value: dict[str, Any] = json.loads(ended.stdout)
    assert (ended.returncode == 1) == bool(value["blockers"])
    return value


def test_a_table_with_a_local_index_is_blocked_with_the_command_that_lets_it_be_loaded(
    stack: Stack,
) -> None:
    (blocker,) = plan_of(stack, "imported")["blockers"]
    assert "local secondary indexes (latest)" in blocker["what"]
    name = stack.values["stack"]
    assert blocker["try"].startswith(
        f"pulumi config set --path 'tables[0].load' bulk --stack {name}, then: pulumi up"
    )


def test_a_table_that_the_load_makes_is_planned_with_its_local_index(stack: Stack) -> None:
    made = plan_of(stack, "made")
    assert made["blockers"] == []
    (setting,) = (each for each in made["settings"] if each["setting"] == "local secondary indexes")
    assert (setting["target"], setting["when"]) == (
        "latest (pk HASH S, at RANGE N; KEYS_ONLY)",
        "load",
    )
    assert any("may hold 10 GB together" in note for note in made["notes"])


def test_an_adopted_table_is_asked_whether_it_is_empty_and_who_reads_it(stack: Stack) -> None:
    dynamodb = stack.cloud.client("dynamodb", TARGET)
    made = plan_of(stack, "adopted")
    assert made["blockers"] == []
    assert not any("unknown whether" in note for note in made["notes"])
    item = {"pk": {"S": "a"}, "sk": {"S": "b"}}
    dynamodb.put_item(TableName="theirs", Item=item)
    dynamodb.update_table(
        TableName="theirs",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"},
    )
    contents, reader = (each["what"] for each in plan_of(stack, "adopted")["blockers"])
    assert "has items" in contents
    assert "stream of theirs is on (KEYS_ONLY)" in reader
    assert stack.end("parity", "--table", "adopted").returncode == 0
