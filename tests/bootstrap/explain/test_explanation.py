"""`explain`: what is known of one item, and nothing of its content unless asked for."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bootstrap.app.command_options import CommandOptions
from bootstrap.cli import explain
from bootstrap.cli.main import main
from bootstrap.core.errors import UsageError
from bootstrap.core.facts import TableFacts
from bootstrap.explain import explanation, keys
from replicator.canonical import digest, key_digest
from replicator.consumer.outcome import Reason
from tests.support.bootstrap.quarantine_harness import QuarantineHarness
from tests.support.replicator.consumer_harness import LEDGER, START, TARGET, document, item

SECRET = "a secret value"
FACTS = TableFacts(
    arn="arn",
    table_id="target-1",
    status="ACTIVE",
    items=1,
    size_bytes=1,
    deletion_protection=True,
    keys=[{"AttributeName": "pk", "KeyType": "HASH"}],
    attributes=[{"AttributeName": "pk", "AttributeType": "S"}],
)
Run = Callable[..., Result]


@pytest.fixture
def world() -> QuarantineHarness:
    return QuarantineHarness()


@pytest.fixture
def facts() -> list[TableFacts | None]:
    return [FACTS]


@pytest.fixture
def run(
    world: QuarantineHarness, facts: list[TableFacts | None], monkeypatch: pytest.MonkeyPatch
) -> Run:
    def context_of(options: CommandOptions) -> explain.ExplainContext:
        return explain.ExplainContext(
            world.quarantine_context(), lambda: facts[0], lambda key: read(world, key)
        )

    monkeypatch.setattr(explain, "context_of", context_of)
    return lambda *arguments: CliRunner().invoke(main, ["explain", *arguments])


def read(world: QuarantineHarness, key: explanation.Item) -> explanation.Item | None:
    found: explanation.Item | None = world.dynamodb.get_item(TableName=TARGET, Key=key).get("Item")
    return found


def explained(run: Run, key: str = "pk=a", *options: str) -> dict[str, Any]:
    ended = run(key, "--json", *options)
    assert ended.exit_code == 0, ended.output
    value: dict[str, Any] = json.loads(ended.output)
    return value


def apply(world: QuarantineHarness, *documents: Any) -> None:
    assert world.handle(*documents) is None


def test_an_applied_change_is_told_by_version_and_digests(
    world: QuarantineHarness, run: Run
) -> None:
    apply(world, document(None, item("a", s={"S": SECRET})))
    shown = explained(run)
    assert shown["keyDigest"] == key_digest({"pk": {"S": "a"}}).hex()
    ledger = shown["ledger"]
    assert (ledger["micros"], ledger["expires"]) == (START, None)
    assert (
        ledger["imageDigest"]
        == digest(item("a", s={"S": SECRET})).hex()
        == shown["target"]["digest"]
    )
    assert ledger["previousDigest"] == digest(None).hex()
    assert shown["asTheLedgerSays"] is True


def test_an_item_that_somebody_else_wrote_is_told_from_the_ledgers(
    world: QuarantineHarness, run: Run
) -> None:
    apply(world, document(None, item("a")))
    world.dynamodb.put_item(TableName=TARGET, Item=item("a", s={"S": SECRET}))
    assert explained(run)["asTheLedgerSays"] is False
    assert "NOT as the last applied change left it" in run("pk=a").output


def test_a_deleted_item_is_as_the_ledger_says(world: QuarantineHarness, run: Run) -> None:
    apply(world, document(None, item("a")))
    apply(world, document(item("a"), None, START + 1))
    shown = explained(run)
    assert (shown["asTheLedgerSays"], shown["ledger"]["imageIsAbsence"]) == (True, True)
    assert shown["target"]["present"] is False
    assert "no such item" in run("pk=a").output


def test_an_item_of_the_snapshot_has_no_entry(world: QuarantineHarness, run: Run) -> None:
    world.dynamodb.put_item(TableName=TARGET, Item=item("a"))
    shown = explained(run)
    assert (shown["ledger"], shown["asTheLedgerSays"]) == (None, None)
    assert shown["target"]["present"] is True


def test_an_expiry_is_told(world: QuarantineHarness, run: Run) -> None:
    world.replicating()
    apply(world, document(None, item("a")))
    assert explained(run)["ledger"]["expires"] == "2026-01-31T00:00:31Z"


def test_only_what_is_about_the_key_is_named_of_the_quarantine(
    world: QuarantineHarness, run: Run
) -> None:
    mine = world.keep(document(None, item("a")))
    world.keep(document(None, item("b")))
    whole = world.fail(document(None, item("b")), document(None, item("a")))
    world.keep(b"garbage", Reason.UNREADABLE)
    shown = explained(run)
    assert {hit["key"] for hit in shown["quarantine"]} == {mine, whole}
    assert shown["quarantineUnreadable"] == 1
    assert "unreadable objects, which may concern this key too: 1" in run("pk=a").output


def test_content_is_shown_only_when_it_is_asked_for(world: QuarantineHarness, run: Run) -> None:
    apply(world, document(None, item("a", s={"S": SECRET})))
    world.keep(document(None, item("a", s={"S": SECRET})))
    for options in ((), ("--json",)):
        assert SECRET not in run("pk=a", *options).output
        assert SECRET in run("pk=a", "--show-values", *options).output


def test_nothing_is_written(world: QuarantineHarness, run: Run) -> None:
    apply(world, document(None, item("a")))
    world.keep(document(None, item("a")))
    before = _everything(world)
    explained(run)
    assert before == _everything(world)


def _everything(world: QuarantineHarness) -> tuple[Any, ...]:
    tables = [world.dynamodb.scan(TableName=table)["Items"] for table in (TARGET, LEDGER)]
    return (*tables, world.quarantine())


def test_a_change_between_the_two_readings_is_no_difference(world: QuarantineHarness) -> None:
    apply(world, document(None, item("a")))
    late = [document(item("a"), item("a", 2), START + 1)]

    def slow(key: explanation.Item) -> explanation.Item | None:
        seen = read(world, key)
        if late:
            apply(world, late.pop())
        return seen

    found = explanation.explain_item(world.quarantine_context(), {"pk": {"S": "a"}}, slow)
    assert found.matches_entry is True


def test_before_the_import_there_is_nothing_to_explain(
    run: Run, facts: list[TableFacts | None]
) -> None:
    facts[0] = None
    ended = run("pk=a")
    assert ended.exit_code == 1
    assert "does not exist" in ended.output


# -- keys ----------------------------------------------------------------------------------------

TYPES = {"pk": "S", "n": "N", "b": "B"}


@pytest.mark.parametrize(
    "text",
    ['{"n":{"N":"7"},"pk":{"S":"a=1"},"b":{"B":"AP8="}}', "pk=a=1,n=7,b=AP8=", "n=7,pk=a=1,b=AP8="],
)
def test_a_key_is_json_or_pairs_typed_by_the_schema(text: str) -> None:
    expected = {"pk": {"S": "a=1"}, "n": {"N": "7"}, "b": {"B": b"\x00\xff"}}
    assert keys.parse_key(text, TYPES) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        SECRET,
        "pk=a",
        "pk=a,n=7,b=AP8=,more=1",
        "pk=a,pk=b,n=7,b=AP8=",
        f"pk=a,n={SECRET},b=AP8=",
        f"pk=a,n=7,b={SECRET}!",
        "pk=,n=7,b=AP8=",
        "{",
        '{"pk":"a"}',
        '{"pk":{"N":"1"},"n":{"N":"7"},"b":{"B":"AP8="}}',
        '{"pk":{"S":["a"]},"n":{"N":"7"},"b":{"B":"AP8="}}',
    ],
)
def test_a_bad_key_is_refused_naming_the_schema_and_not_the_text(text: str) -> None:
    with pytest.raises(
        UsageError, match=r"The table's key is pk \(S\), n \(N\), b \(B\)"
    ) as caught:
        keys.parse_key(text, TYPES)
    assert SECRET not in str(caught.value)


def test_the_partition_key_comes_first_in_the_schema() -> None:
    turned = TableFacts(
        **{
            **FACTS.__dict__,
            "keys": [
                {"AttributeName": "sk", "KeyType": "RANGE"},
                {"AttributeName": "pk", "KeyType": "HASH"},
            ],
            "attributes": [
                {"AttributeName": "sk", "AttributeType": "N"},
                {"AttributeName": "other", "AttributeType": "S"},
                {"AttributeName": "pk", "AttributeType": "B"},
            ],
        }
    )
    assert list(keys.key_types(turned).items()) == [("pk", "B"), ("sk", "N")]


def test_help_has_an_example(run: Run) -> None:
    assert "python -m bootstrap explain --stack" in run("--help").output
