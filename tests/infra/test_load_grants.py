"""The rights of a bulk put exist where a table asks for one, and only there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.infra.recording_engine import CONFIG, Deployment, record, statements

pytestmark = [pytest.mark.slow, pytest.mark.promise("C8")]

IMPORTED = {"source": "orders"}
MADE = {"source": "parts", "load": "bulk"}
ADOPTED = {"source": "stock", "load": "bulk", "adopt": True}
TABLE = "arn:aws:dynamodb:eu-west-1:222222222222:table"
BULK = {
    "dynamodb:CancelBulkOperation",
    "dynamodb:CreateTable",
    "dynamodb:DescribeBulkOperation",
    "dynamodb:ListBulkOperations",
    "dynamodb:StartBulkPutItems",
}
IMPORTER, READER = "importer", "operator-target"


def up(folder: Path, *tables: Mapping[str, Any]) -> Deployment:
    return record({**CONFIG, "tables": list(tables)}, folder / "archive")


def allowed(stack: Deployment, role: str = "") -> dict[str, set[str]]:
    """What a role may do, or any of them: the resources of each action."""
    found: dict[str, set[str]] = {}
    for policy in stack.of("RolePolicy"):
        if role and policy.name != f"replication-{role}-grants":
            continue
        for each in statements(policy.inputs["policy"]):
            for action in each["Action"]:
                found.setdefault(action, set()).update(each["Resource"])
    return found


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    return up(tmp_path_factory.mktemp("mixed"), IMPORTED, MADE, ADOPTED)


def test_no_role_of_a_stack_of_imports_may_do_anything_of_a_bulk_put(tmp_path: Path) -> None:
    found = allowed(up(tmp_path, IMPORTED))
    assert not BULK & found.keys()
    assert not [arn for arns in found.values() for arn in arns if "bulk-o" in arn]


def test_a_bulk_put_is_allowed_on_the_tables_that_ask_for_it(mixed: Deployment) -> None:
    found = allowed(mixed, IMPORTER)
    bulk = {f"{TABLE}/parts", f"{TABLE}/stock"}
    operations = {f"{table}/bulk-operation/*" for table in bulk}
    snapshots = mixed.arn(mixed.one("Bucket", "snapshot"))
    assert found["dynamodb:StartBulkPutItems"] == bulk
    assert found["dynamodb:DescribeBulkOperation"] == operations
    assert found["dynamodb:CancelBulkOperation"] == operations
    assert found["dynamodb:ListBulkOperations"] == {"*"}
    assert found["dynamodb:CreateTable"] == {f"{TABLE}/parts"}
    assert found["dynamodb:ImportTable"] == {f"{TABLE}/orders", f"{TABLE}/orders/import/*"}
    # The export itself stays as it is: no upload may take an object's place there.
    assert found["s3:PutObject"] & {f"{snapshots}/*", f"{snapshots}/parts/*"} == set()
    folders = {f"{snapshots}/{name}/*/bulk-output/*" for name in ("parts", "stock")}
    assert folders < found["s3:PutObject"]


def test_an_adopted_table_can_be_neither_made_nor_deleted_nor_tagged(mixed: Deployment) -> None:
    found, mine = allowed(mixed, IMPORTER), f"{TABLE}/stock"
    owners = {"CreateTable", "DeleteTable", "ImportTable", "TagResource"}
    assert {action for action in owners if mine in found[f"dynamodb:{action}"]} == set()
    (count,) = (
        each
        for policy in mixed.of("RolePolicy")
        for each in statements(policy.inputs["policy"])
        if "dynamodb:Scan" in each["Action"]
    )
    assert (count["Action"], count["Resource"]) == (["dynamodb:Scan"], [mine])
    assert count["Condition"] == {"StringEquals": {"dynamodb:Select": "COUNT"}}
    assert found["dynamodb:DescribeKinesisStreamingDestination"] == {mine}
    assert mine in found["dynamodb:UpdateTable"]


def test_the_reader_sees_bulk_operations_and_ends_none(mixed: Deployment) -> None:
    found = allowed(mixed, READER)
    assert BULK & found.keys() == {
        "dynamodb:DescribeBulkOperation",
        "dynamodb:ListBulkOperations",
    }
    assert f"{TABLE}/orders/bulk-operation/*" not in found["dynamodb:DescribeBulkOperation"]


def test_no_other_role_may_do_anything_of_a_bulk_put(mixed: Deployment) -> None:
    named = {f"replication-{role}-grants" for role in (IMPORTER, READER)}
    others = [p for p in mixed.of("RolePolicy") if p.name not in named]
    assert len(others) >= 8
    actions = {a for p in others for s in statements(p.inputs["policy"]) for a in s["Action"]}
    assert not BULK & actions


def test_nothing_of_an_import_is_allowed_where_no_table_is_imported(tmp_path: Path) -> None:
    found = allowed(up(tmp_path, MADE, ADOPTED))
    assert "dynamodb:ImportTable" not in found
    assert not [action for action in found if action.startswith("logs:Describe")]
    log = "arn:aws:logs:eu-west-1:222222222222:log-group:/aws-dynamodb/*"
    assert not [action for action, arns in found.items() if log in arns]
    # An import that failed before the stack file said `bulk` can still be described.
    assert f"{TABLE}/parts/import/*" in found["dynamodb:DescribeImport"]


def test_the_key_of_an_adopted_table_is_used_and_no_grant_of_it_is_made(tmp_path: Path) -> None:
    key = "arn:aws:kms:eu-west-1:222222222222:key"
    made = MADE | {"targetKeyArn": f"{key}/made"}
    found = allowed(up(tmp_path, made, ADOPTED | {"targetKeyArn": f"{key}/theirs"}), IMPORTER)
    assert found["kms:CreateGrant"] == {f"{key}/made"}
    assert {f"{key}/made", f"{key}/theirs"} <= found["kms:Decrypt"]
