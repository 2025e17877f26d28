"""The importer's calls about bulk loads against the local cloud."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from bootstrap.aws.bulk_loads import AwsBulkLoads
from bootstrap.aws.calls import Calls
from bootstrap.aws.tables import Tables
from bootstrap.aws.target import AwsTarget
from bootstrap.core.bulk_facts import BulkFacts, BulkFailure, BulkRequest
from bootstrap.core.errors import AccountError, Side
from bootstrap.plan.table_parameters import table_parameters
from infra.local.cloud import SOURCE, TARGET, LocalCloud
from replicator.canonical import key_digest
from tests.support.infra.bulk_puts import INPUT, Line, item, keys_in, offer
from tests.support.infra.clouds import bulk_client, make_bucket, make_table, until

pytestmark = [pytest.mark.slow, pytest.mark.promise("C6")]

LINES = [item(f"k{n:03}", text={"S": "x" * 200}) for n in range(60)]


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    with LocalCloud(tmp_path_factory.mktemp("cloud"), bulk="seconds=2") as running:
        make_bucket(running, TARGET, INPUT)
        yield running


@pytest.fixture(scope="module")
def dynamodb(cloud: LocalCloud) -> Any:
    return bulk_client(cloud, TARGET)


@pytest.fixture(scope="module")
def loads(cloud: LocalCloud, dynamodb: Any) -> AwsBulkLoads:
    return AwsBulkLoads(Calls(Side.TARGET, "root"), dynamodb, cloud.client("s3", TARGET))


def begin(
    cloud: LocalCloud, dynamodb: Any, loads: AwsBulkLoads, table: str, *objects: Sequence[Line]
) -> tuple[BulkRequest, BulkFacts]:
    arn = make_table(dynamodb, table)
    offer(cloud, table, *objects)
    output = f"{table}/bulk-output/{table}-token/"
    request = BulkRequest(f"{table}-token", arn, INPUT, TARGET.account_id, f"{table}/data/", output)
    return request, loads.start(request)


def ended(loads: AwsBulkLoads, arn: str) -> BulkFacts:
    def look() -> BulkFacts | None:
        found = loads.describe(arn)
        return found if found is not None and found.terminal else None

    return until(look, "the operation's end")


def test_a_load_is_found_again_while_it_runs_and_after_it(
    cloud: LocalCloud, dynamodb: Any, loads: AwsBulkLoads
) -> None:
    request, begun = begin(cloud, dynamodb, loads, "found", LINES)
    assert begun.started is not None
    assert begun.measure.of_bytes is None
    again = loads.find(request.token, request.table_arn, begun.started)
    assert again is not None and again.arn == begun.arn
    assert [each.arn for each in loads.on_table(request.table_arn)] == [begun.arn]
    assert loads.start(request).arn == begun.arn
    done = ended(loads, begun.arn)
    assert (done.status, done.loaded_items, done.token) == ("COMPLETED", 60, request.token)
    assert (done.output_bucket, done.output_prefix) == (INPUT, request.output_prefix)
    assert loads.on_table(request.table_arn) == []
    assert loads.on_table(request.table_arn, begun.started) == [done]
    assert loads.find(request.token, request.table_arn, begun.started) == done
    assert loads.find("another", request.table_arn, begun.started) is None
    assert loads.failures(done, ["pk"], 5).first == ()


def index(name: str, hashes: Sequence[str], ranges: Sequence[str]) -> dict[str, Any]:
    kinds = [*((each, "HASH") for each in hashes), *((each, "RANGE") for each in ranges)]
    return {
        "IndexName": name,
        "KeySchema": [{"AttributeName": each, "KeyType": kind} for each, kind in kinds],
        "Projection": {"ProjectionType": "KEYS_ONLY"},
    }


def test_a_table_is_made_with_the_sources_indexes_and_then_loaded(
    cloud: LocalCloud, dynamodb: Any, loads: AwsBulkLoads
) -> None:
    source = bulk_client(cloud, SOURCE)
    local, parts = index("by-at", ["pk"], ["at"]), index("by-parts", ["at", "word"], ["sk", "pk"])
    source.create_table(
        TableName="indexed",
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": "N" if name == "at" else "S"}
            for name in ("pk", "sk", "at", "word")
        ],
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        LocalSecondaryIndexes=[local],
        GlobalSecondaryIndexes=[parts],
        BillingMode="PAY_PER_REQUEST",
        TableClass="STANDARD_INFREQUENT_ACCESS",
    )
    facts = Tables(Calls(Side.SOURCE, "root"), source).describe("indexed")
    assert facts is not None
    target = AwsTarget(Calls(Side.TARGET, "root"), dynamodb, None)
    made = target.create_table(table_parameters(facts, "indexed-replica"))
    there = target.table("indexed-replica")
    assert there is not None and there.table_id == made.table_id != facts.table_id
    for mine, theirs in (
        (there.local_indexes, facts.local_indexes),
        (there.global_indexes, facts.global_indexes),
    ):
        kept = ("IndexName", "KeySchema", "Projection")
        assert [{n: each[n] for n in kept} for each in mine] == [
            {n: each[n] for n in kept} for each in theirs
        ]
    assert there.table_class == "STANDARD_INFREQUENT_ACCESS"
    lines = [item("p", sk={"S": str(n)}, at={"N": str(9 - n)}, word={"S": "w"}) for n in range(3)]
    offer(cloud, "indexed", lines)
    request = BulkRequest(
        "indexed", made.arn, INPUT, TARGET.account_id, "indexed/data/", "indexed/output/"
    )
    assert ended(loads, loads.start(request).arn).status == "COMPLETED"
    found = dynamodb.query(
        TableName="indexed-replica",
        IndexName="by-at",
        KeyConditionExpression="pk = :p",
        ExpressionAttributeValues={":p": {"S": "p"}},
    )["Items"]
    assert [each["at"]["N"] for each in found] == ["7", "8", "9"]


def test_a_token_with_another_request_is_refused(
    cloud: LocalCloud, dynamodb: Any, loads: AwsBulkLoads
) -> None:
    request, _ = begin(cloud, dynamodb, loads, "mismatch", LINES[:1])
    with pytest.raises(AccountError) as refused:
        loads.start(replace(request, max_write_request_units=2048))
    assert refused.value.code == "IdempotentParameterMismatchException"


def test_a_cancelled_load_writes_until_it_is_cancelled(
    cloud: LocalCloud, dynamodb: Any, loads: AwsBulkLoads
) -> None:
    request, begun = begin(cloud, dynamodb, loads, "cancelled", LINES)
    loads.cancel(begun.arn)
    [running] = loads.on_table(request.table_arn)
    assert (running.status, running.terminal) == ("CANCELLING", False)
    done = ended(loads, begun.arn)
    assert done.status == "CANCELLED"
    assert len(keys_in(dynamodb, "cancelled")) == done.loaded_items < 60
    loads.cancel(begun.arn)


def test_refused_items_are_listed_without_their_content(
    cloud: LocalCloud, dynamodb: Any, loads: AwsBulkLoads
) -> None:
    large = item("large", text={"S": "secret" * 70_000})
    bad = json.dumps({"Item": {"pk": {"S": "b"}}})[:-1]
    _, begun = begin(cloud, dynamodb, loads, "refused", [item("a"), large], [bad, item("lost")])
    done = ended(loads, begun.arn)
    assert (done.status, done.failed_items) == ("COMPLETED_WITH_ERRORS", 2)
    found = loads.failures(done, ["pk"], 5)
    assert found.first == (
        BulkFailure(
            key_digest({"pk": {"S": "large"}}).hex(),
            "ValidationException: the item is too large",
        ),
        BulkFailure("", "ValidationException: the line is not a record of DynamoDB's JSON"),
    )
    assert (found.more, found.unreadable) == (False, 0)
    assert loads.failures(done, ["pk"], 1).more
    assert keys_in(dynamodb, "refused") == ["a"], "a line that is no item ends its object"
