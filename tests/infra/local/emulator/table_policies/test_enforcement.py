"""A table's policy binds every caller, root too, in every call: on a running local cloud."""

from __future__ import annotations

import datetime
import functools
import itertools
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.local.cloud import SOURCE, TARGET, LocalAccount, LocalCloud
from tests.support.infra.clouds import (
    as_role,
    capture,
    changes,
    make_role,
    make_stream,
    make_table,
    policy,
    until,
)

pytestmark = pytest.mark.slow

NUMBERS = itertools.count(100)
ITEM = {"pk": {"S": "a"}}
WRITES = (
    "dynamodb:BatchWriteItem",
    "dynamodb:DeleteItem",
    "dynamodb:PartiQLDelete",
    "dynamodb:PartiQLInsert",
    "dynamodb:PartiQLUpdate",
    "dynamodb:PutItem",
    "dynamodb:UpdateItem",
)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    with LocalCloud(tmp_path_factory.mktemp("cloud"), chaos="policy_spread=0") as running:
        yield running


class Table:
    """A table of its own for each test, and its policy."""

    def __init__(self, cloud: LocalCloud, account: LocalAccount, name: str) -> None:
        self.cloud, self.account, self.name = cloud, account, name
        self.root = cloud.client("dynamodb", account)
        self.arn = make_table(self.root, name)

    def put_policy(self, *statements: dict[str, Any]) -> str:
        """Put the statements as the table's policy, once the quiet time is over."""
        document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})

        def put() -> str | None:
            try:
                answer = self.root.put_resource_policy(ResourceArn=self.arn, Policy=document)
            except ClientError as error:
                assert code(error) in ("ResourceInUseException", "ThrottlingException")
                return None
            return str(answer["RevisionId"])

        return until(put, "the policy put")

    def statement(self, *actions: str, **changes: Any) -> dict[str, Any]:
        return {
            "Effect": "Deny",
            "Principal": "*",
            "Action": list(actions or WRITES),
            "Resource": [self.arn, f"{self.arn}/index/*"],
        } | changes

    def as_role(self, name: str, *actions: str) -> Any:
        """A client of a new role of this account that may do these on every table."""
        permissions = policy((actions or ("dynamodb:*",), ("*",)))
        role = make_role(self.cloud, self.account, f"{self.name}-{name}", permissions)
        return as_role(self.cloud, self.account, role, "dynamodb")


@pytest.fixture
def table(cloud: LocalCloud) -> Table:
    return Table(cloud, SOURCE, f"t{next(NUMBERS)}")


@pytest.fixture(params=[SOURCE, TARGET], ids=["source", "target"])
def either(request: pytest.FixtureRequest, cloud: LocalCloud) -> Table:
    """A table in the one account, and a table in the other."""
    return Table(cloud, request.param, f"t{next(NUMBERS)}")


def code(error: ClientError) -> str:
    return str(error.response["Error"]["Code"])


def denied(call: Callable[..., Any], **request: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**request)
    assert code(caught.value) == "AccessDeniedException"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    return str(caught.value.response["Error"]["Message"])


def writing_calls(table: Table, client: Any) -> dict[str, Callable[[], Any]]:
    """Every call that writes into the table, by the action that it is authorized by."""
    name, key = table.name, {"TableName": table.name, "Key": ITEM}
    put = {"PutRequest": {"Item": ITEM}}
    update = {"UpdateExpression": "SET a = :a", "ExpressionAttributeValues": {":a": {"S": "b"}}}
    insert = f"INSERT INTO \"{name}\" VALUE {{'pk': 'p'}}"
    change = f"UPDATE \"{name}\" SET a = 'b' WHERE pk = 'p'"
    remove = f"DELETE FROM \"{name}\" WHERE pk = 'p'"

    def transaction(**member: Any) -> Callable[[], Any]:
        return lambda: client.transact_write_items(TransactItems=[member])

    def statement(text: str) -> Callable[[], Any]:
        return lambda: client.execute_statement(Statement=text)

    def statements(text: str) -> Callable[[], Any]:
        return lambda: client.execute_transaction(TransactStatements=[{"Statement": text}])

    return {
        "dynamodb:PutItem": lambda: client.put_item(TableName=name, Item=ITEM),
        "dynamodb:UpdateItem": lambda: client.update_item(**key, **update),
        "dynamodb:DeleteItem": lambda: client.delete_item(**key),
        "dynamodb:BatchWriteItem": lambda: client.batch_write_item(RequestItems={name: [put]}),
        "dynamodb:PutItem in a transaction": transaction(Put={"TableName": name, "Item": ITEM}),
        "dynamodb:UpdateItem in a transaction": transaction(Update={**key, **update}),
        "dynamodb:DeleteItem in a transaction": transaction(Delete=key),
        "dynamodb:PartiQLInsert": statement(insert),
        "dynamodb:PartiQLUpdate": statement(change),
        "dynamodb:PartiQLDelete": statement(remove),
        "dynamodb:PartiQLInsert in a transaction": statements(insert),
        "dynamodb:PartiQLUpdate in a transaction": statements(change),
        "dynamodb:PartiQLDelete in a transaction": statements(remove),
    }


def test_a_deny_of_writes_refuses_every_writing_call_of_every_caller(either: Table) -> None:
    table = either
    table.root.put_item(TableName=table.name, Item=ITEM)
    callers = (table.root, table.as_role("admin"))
    table.put_policy(table.statement())
    for caller in callers:
        for action, call in writing_calls(table, caller).items():
            message = denied(call)
            name = action.partition(" ")[0]
            assert f"is not authorized to perform: {name} on resource: {table.arn}" in message
            assert message.endswith("with an explicit deny in a resource-based policy")
        assert caller.scan(TableName=table.name)["Items"] == [ITEM], "reads are not denied"
    table.put_policy(table.statement("dynamodb:DeleteTable"))
    for call in writing_calls(table, callers[1]).values():
        call()


def test_a_batch_of_statements_is_refused_one_by_one(table: Table) -> None:
    table.root.put_item(TableName=table.name, Item=ITEM)
    table.put_policy(table.statement("dynamodb:PartiQLInsert"))
    answers = table.root.batch_execute_statement(
        Statements=[
            {"Statement": f"INSERT INTO \"{table.name}\" VALUE {{'pk': 'b'}}"},
            {"Statement": f"SELECT * FROM \"{table.name}\" WHERE pk = 'a'"},
        ]
    )["Responses"]
    assert answers[0]["Error"]["Code"] == "AccessDenied"
    assert answers[1]["Item"] == ITEM
    assert table.root.scan(TableName=table.name)["Count"] == 1


def test_each_table_of_a_call_is_checked(table: Table) -> None:
    free = Table(table.cloud, table.account, f"{table.name}-free")
    table.put_policy(table.statement())
    put = [{"PutRequest": {"Item": ITEM}}]
    denied(table.root.batch_write_item, RequestItems={free.name: put, table.name: put})
    items = [{"Put": {"TableName": each.name, "Item": ITEM}} for each in (free, table)]
    denied(table.root.transact_write_items, TransactItems=items)
    assert free.root.scan(TableName=free.name)["Count"] == 0
    table.root.batch_write_item(RequestItems={free.name: put})


def test_reads_and_the_control_plane_are_bound_too(table: Table) -> None:
    name = {"TableName": table.name}
    calls: dict[str, Callable[[], Any]] = {
        "dynamodb:GetItem": lambda: table.root.get_item(**name, Key=ITEM),
        "dynamodb:Scan": lambda: table.root.scan(**name),
        "dynamodb:DescribeTable": lambda: table.root.describe_table(**name),
        "dynamodb:UpdateTable": lambda: table.root.update_table(
            TableName=table.arn, DeletionProtectionEnabled=False
        ),
        "dynamodb:TagResource": lambda: table.root.tag_resource(
            ResourceArn=table.arn, Tags=[{"Key": "a", "Value": "b"}]
        ),
        "dynamodb:UpdateTimeToLive": lambda: table.root.update_time_to_live(
            **name, TimeToLiveSpecification={"Enabled": True, "AttributeName": "ttl"}
        ),
        "dynamodb:GetResourcePolicy": lambda: table.root.get_resource_policy(ResourceArn=table.arn),
        "dynamodb:DeleteTable": lambda: table.root.delete_table(**name),
    }
    table.put_policy(table.statement(*calls))
    for action, call in calls.items():
        assert f"to perform: {action} on" in denied(call)
    table.root.delete_resource_policy(ResourceArn=table.arn)
    del calls["dynamodb:GetResourcePolicy"]
    for call in calls.values():
        until(functools.partial(_succeeds, call), "allowed again")


def _succeeds(call: Callable[[], Any]) -> bool:
    try:
        call()
    except ClientError as error:
        assert code(error) == "ResourceInUseException"
        return False
    return True


def test_only_root_may_delete_a_policy_that_denies_it(table: Table) -> None:
    admin = table.as_role("admin")
    table.put_policy(table.statement("dynamodb:DeleteResourcePolicy"))
    time.sleep(0.3)
    denied(admin.delete_resource_policy, ResourceArn=table.arn)
    table.root.delete_resource_policy(ResourceArn=table.arn)


def test_a_role_is_excepted_by_its_arn_for_each_of_its_sessions(table: Table) -> None:
    consumer, other = table.as_role("consumer"), table.as_role("other")
    excepted = f"arn:aws:iam::{table.account.account_id}:role/{table.name}-consumer"
    table.put_policy(table.statement(Condition={"ArnNotEquals": {"aws:PrincipalArn": excepted}}))
    consumer.put_item(TableName=table.name, Item=ITEM)
    for client in (other, table.root):
        denied(client.put_item, TableName=table.name, Item=ITEM)
    named = table.statement(Principal={"AWS": excepted})
    table.put_policy(named)
    denied(consumer.put_item, TableName=table.name, Item=ITEM)
    for client in (other, table.root):
        client.put_item(TableName=table.name, Item=ITEM)


def test_dates_in_a_policy_take_hold_for_all_callers_at_one_instant(table: Table) -> None:
    callers = [table.root, *(table.as_role(f"app{n}") for n in range(3))]
    begin = time.time() + 1.5
    end = begin + 1.5
    condition = {
        "DateGreaterThan": {"aws:CurrentTime": _iso(begin)},
        "DateLessThan": {"aws:CurrentTime": _iso(end)},
    }
    table.put_policy(table.statement(Condition=condition))
    judged = 0
    while time.time() < end + 0.5:
        for caller in callers:
            before = time.time()
            allowed = _may_put(caller, table.name)
            after = time.time()
            if after < begin or before > end:
                assert allowed
            elif begin < before and after < end:
                assert not allowed
                judged += 1
    assert judged > len(callers)


def test_a_policy_may_allow_what_the_callers_own_policies_do_not(table: Table) -> None:
    reader = table.as_role("reader", "dynamodb:Query")
    role = f"arn:aws:iam::{table.account.account_id}:role/{table.name}-reader"
    assert "no identity-based policy" in denied(reader.put_item, TableName=table.name, Item=ITEM)
    allow = table.statement("dynamodb:PutItem", Effect="Allow", Principal={"AWS": role})
    table.put_policy(allow)
    reader.put_item(TableName=table.name, Item=ITEM)
    denied(reader.get_item, TableName=table.name, Key=ITEM)


def test_another_accounts_caller_needs_both_policies(either: Table) -> None:
    table = either
    other = TARGET if table.account is SOURCE else SOURCE
    role = make_role(
        table.cloud, other, f"{table.name}-abroad", policy((["dynamodb:*"], [table.arn]))
    )
    abroad = as_role(table.cloud, other, role, "dynamodb")
    root_abroad = table.cloud.client("dynamodb", other)
    for client in (abroad, root_abroad):
        message = denied(client.put_item, TableName=table.arn, Item=ITEM)
        assert "no resource-based policy allows" in message
    principals = [role, f"arn:aws:iam::{other.account_id}:root"]
    allow = table.statement("dynamodb:*", Effect="Allow", Principal={"AWS": principals})
    table.put_policy(allow)
    for client in (abroad, root_abroad):
        client.put_item(TableName=table.arn, Item=ITEM)
        put = [{"PutRequest": {"Item": {"pk": {"S": "b"}}}}]
        client.batch_write_item(RequestItems={table.arn: put})
        client.transact_write_items(
            TransactItems=[{"Delete": {"TableName": table.arn, "Key": {"pk": {"S": "b"}}}}]
        )
        denied(
            client.update_time_to_live,
            TableName=table.arn,
            TimeToLiveSpecification={"Enabled": True, "AttributeName": "ttl"},
        )
    assert table.root.scan(TableName=table.name)["Items"] == [ITEM]
    table.put_policy(allow, table.statement())
    for client in (abroad, root_abroad):
        assert "explicit deny" in denied(client.put_item, TableName=table.arn, Item=ITEM)


def test_a_table_of_the_same_name_made_later_is_free(table: Table) -> None:
    table.put_policy(table.statement())
    until(lambda: _succeeds(lambda: table.root.delete_table(TableName=table.name)), "deleted")
    make_table(table.root, table.name)
    table.root.put_item(TableName=table.name, Item=ITEM)


def test_the_services_own_deletions_are_not_bound_and_the_stream_goes_on(
    cloud: LocalCloud,
) -> None:
    table = Table(cloud, SOURCE, "expiring")
    stream = make_stream(cloud.client("kinesis", SOURCE), "expiring-changes")
    capture(cloud, table.name, stream)
    table.root.update_time_to_live(
        TableName=table.name,
        TimeToLiveSpecification={"Enabled": True, "AttributeName": "ttl"},
    )
    expired = {**ITEM, "ttl": {"N": str(int(time.time()) - 10)}}
    table.root.put_item(TableName=table.name, Item=expired)
    table.put_policy(table.statement("dynamodb:*", Condition=_others_than_root(table)))
    admin = table.as_role("admin")
    denied(admin.delete_item, TableName=table.name, Key=ITEM)
    kinesis = cloud.client("kinesis", SOURCE)
    events = until(lambda: _events(kinesis, stream), "the item expired", 15)
    assert events == ["INSERT", "REMOVE"]


def _others_than_root(table: Table) -> dict[str, Any]:
    root = f"arn:aws:iam::{table.account.account_id}:root"
    return {"ArnNotEquals": {"aws:PrincipalArn": root}}


def _events(kinesis: Any, stream: str) -> list[str] | None:
    found = [change["eventName"] for change in changes(kinesis, stream)]
    return found if len(found) == 2 else None


def _iso(at: float) -> str:
    return datetime.datetime.fromtimestamp(at, datetime.UTC).isoformat()


def _may_put(client: Any, name: str) -> bool:
    try:
        client.put_item(TableName=name, Item=ITEM)
    except ClientError as error:
        assert code(error) == "AccessDeniedException"
        return False
    return True


def test_a_change_binds_one_caller_after_the_other(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with LocalCloud(tmp_path_factory.mktemp("slow"), chaos="policy_spread=2,seed=3") as cloud:
        table = Table(cloud, SOURCE, "orders")
        callers = [table.as_role(f"app{n}") for n in range(6)]
        table.put_policy(table.statement())
        put = time.time()
        bound: set[int] = set()
        sweeps = []
        while len(bound) < len(callers):
            for n, caller in enumerate(callers):
                before = time.time()
                if _may_put(caller, table.name):
                    assert n not in bound, "a caller that is bound stays so"
                    assert before < put + 2.0, "all are bound within the spread"
                else:
                    bound.add(n)
            sweeps.append(len(bound))
        assert any(0 < count < len(callers) for count in sweeps), "unevenly"
