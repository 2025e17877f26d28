"""What a target table is made with: by an import, and for a bulk load."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import pytest

from bootstrap.aws.tables import facts_of
from bootstrap.core.facts import TableFacts
from bootstrap.plan.table_parameters import creation_parameters, table_parameters
from tests.support.bootstrap.fake_aws import SOURCE_ARN
from tests.support.fakes.requests import check_shape

KEY = "arn:aws:kms:eu-west-1:222222222222:key/a"
LATEST = {
    "IndexName": "latest",
    "KeySchema": [
        {"AttributeName": "pk", "KeyType": "HASH"},
        {"AttributeName": "at", "KeyType": "RANGE"},
    ],
    "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["state"]},
}
PARTS = [
    *({"AttributeName": f"h{n}", "KeyType": "HASH"} for n in range(4)),
    *({"AttributeName": f"r{n}", "KeyType": "RANGE"} for n in range(4)),
]
BY_PARTS = {
    "IndexName": "by-parts",
    "KeySchema": PARTS,
    "Projection": {"ProjectionType": "KEYS_ONLY"},
}


def described(**members: Any) -> Mapping[str, Any]:
    """Return a table as DescribeTable shows it, with every kind of index."""
    names = ("pk", "sk", "at", "left-over", *(each["AttributeName"] for each in PARTS))
    return {
        "TableArn": SOURCE_ARN,
        "TableName": "orders",
        "TableStatus": "ACTIVE",
        "KeySchema": [
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        "AttributeDefinitions": [
            {"AttributeName": name, "AttributeType": "N" if name == "at" else "S"} for name in names
        ],
        "ProvisionedThroughput": {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5},
        "LocalSecondaryIndexes": [
            {**LATEST, "IndexArn": f"{SOURCE_ARN}/index/latest", "IndexSizeBytes": 7}
        ],
        "GlobalSecondaryIndexes": [
            {
                **BY_PARTS,
                "IndexStatus": "ACTIVE",
                "IndexSizeBytes": 9,
                "ProvisionedThroughput": {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5},
                "OnDemandThroughput": {"MaxWriteRequestUnits": 10},
            },
            {**BY_PARTS, "IndexName": "going", "IndexStatus": "DELETING"},
        ],
        "VectorIndexes": [{"IndexName": "similar", "IndexStatus": "ACTIVE"}],
        "OnDemandThroughput": {"MaxReadRequestUnits": 10, "MaxWriteRequestUnits": 10},
        "TableClassSummary": {"TableClass": "STANDARD_INFREQUENT_ACCESS"},
        **members,
    }


def facts(**members: Any) -> TableFacts:
    return facts_of(dict(described(**members)))


def test_a_table_for_a_bulk_load_has_every_index_that_can_be_carried_and_the_class() -> None:
    made = table_parameters(facts(), "orders-replica")
    check_shape("dynamodb", "CreateTable", dict(made))
    assert made["LocalSecondaryIndexes"] == [LATEST]
    assert made["GlobalSecondaryIndexes"] == [BY_PARTS]
    assert made["TableClass"] == "STANDARD_INFREQUENT_ACCESS"
    assert {"VectorIndexes", "StreamSpecification", "Tags"}.isdisjoint(made)


def test_a_table_for_a_bulk_load_is_on_demand_without_a_maximum_whatever_the_source_has() -> None:
    made = table_parameters(facts(), "orders-replica")
    assert made["BillingMode"] == "PAY_PER_REQUEST"
    assert {"OnDemandThroughput", "ProvisionedThroughput"}.isdisjoint(made)


def test_the_types_of_exactly_the_attributes_that_keys_use_are_defined() -> None:
    def defined(made: Mapping[str, Any]) -> set[str]:
        return {each["AttributeName"] for each in made["AttributeDefinitions"]}

    parts = {each["AttributeName"] for each in PARTS}
    assert defined(table_parameters(facts(), "copy")) == {"pk", "sk", "at", *parts}
    # A definition that no key uses is refused, and an import makes no local index.
    assert defined(creation_parameters(facts(), "copy")) == {"pk", "sk", *parts}


def test_an_import_asks_for_no_local_index_and_no_class() -> None:
    made = creation_parameters(facts(), "orders-replica")
    assert {"LocalSecondaryIndexes", "TableClass", "VectorIndexes"}.isdisjoint(made)


@pytest.mark.parametrize("key", ["", KEY])
def test_both_ways_make_a_table_of_the_same_keys_and_encryption(key: str) -> None:
    encrypted = dataclasses.replace(facts(), encryption="KMS")
    made, imported = (way(encrypted, "c", key) for way in (table_parameters, creation_parameters))
    for name in ("KeySchema", "BillingMode", "GlobalSecondaryIndexes", "SSESpecification"):
        assert made[name] == imported[name]
    assert made["SSESpecification"].get("KMSMasterKeyId", "") == key


def test_a_table_without_indexes_asks_for_none() -> None:
    plain = facts(LocalSecondaryIndexes=[], GlobalSecondaryIndexes=[], VectorIndexes=[])
    made = table_parameters(plain, "copy")
    check_shape("dynamodb", "CreateTable", dict(made))
    assert {"LocalSecondaryIndexes", "GlobalSecondaryIndexes"}.isdisjoint(made)


def test_local_indexes_are_described_whole_and_vector_indexes_by_name() -> None:
    seen = facts()
    assert [index["KeySchema"] for index in seen.local_indexes] == [LATEST["KeySchema"]]
    assert list(seen.vector_indexes) == ["similar"]
