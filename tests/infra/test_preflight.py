"""The program's checks before it declares anything."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pulumi
import pytest

from bootstrap.core.journal_rows import to_json
from bootstrap.core.state import State
from bootstrap.cutover.promotion.items import OPEN
from bootstrap.journal.switch_records import AfterSwitch, Promoted
from infra import preflight
from infra.dry_run import stand_in_archive
from infra.local import program
from infra.local.program import STACK_OUTPUTS, TABLE
from infra.package import PackageError
from infra.refused_changes import RefusedChangeError
from infra.stack_config import ConfigError
from tests.support.infra.recording_engine import (
    CONFIG,
    SOURCE,
    STATE,
    TABLE_ITEM,
    TARGET,
)


class Deployed(pulumi.runtime.Mocks):
    """An engine with the outputs of a last `up`, these source tables, and states of runs."""

    def __init__(
        self,
        outputs: Mapping[str, Any],
        tables: set[str],
        states: Mapping[str, str] | None = None,
        *,
        unreadable: str = "",
        held: Sequence[str] = (),
    ) -> None:
        self.held = held
        self.outputs, self.tables = outputs, tables
        self.states, self.unreadable = states or {}, unreadable
        self.records: dict[str, str] = {}
        """Of each row of the journal."""
        self.created: list[str] = []
        self.deletion_protection: dict[str, bool] = {}

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        if args.typ.startswith("aws:"):
            self.created.append(args.name)
        if args.typ == "aws:dynamodb/table:Table":
            self.deletion_protection[args.name] = args.inputs["deletionProtectionEnabled"]
        known = {"arn": f"arn:{args.name}", "name": args.name, "bucket": args.name, "uuid": "u"}
        return args.name, {**known, **args.inputs}

    def call(
        self, args: pulumi.runtime.MockCallArgs
    ) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        if args.token == STACK_OUTPUTS:
            assert args.args["name"] == "organization/dynamodb-replication/prod"
            return {"outputs": dict(self.outputs)}, []
        if args.token == STATE:
            assert args.args["stackName"] == "organization/dynamodb-replication/prod"
            return {"outputs": {urn: {} for urn in self.held}}, []
        if args.token == TABLE_ITEM:
            return self.journal_row(args)
        assert args.token == TABLE
        assert "::source::" in args.provider
        if args.args["name"] not in self.tables:
            return {}, [("name", f"reading DynamoDB Table ({args.args['name']}): couldn't find it")]
        return {"name": args.args["name"]}, []

    def journal_row(
        self, args: pulumi.runtime.MockCallArgs
    ) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        assert "::target::" in args.provider
        assert args.args["tableName"] == "journal-1"
        key = json.loads(args.args["key"])
        assert key["sk"] == {"S": "run"}
        if self.unreadable:
            return {}, [("item", self.unreadable)]
        state = self.states.get(key["pk"]["S"])
        if state is None:
            return {}, [("item", "reading DynamoDB Table Item (journal-1): empty result")]
        row = {"state": state, **self.records}
        return {"item": json.dumps({name: {"S": text} for name, text in row.items()})}, []


def run(engine: Deployed, config: Mapping[str, Any], folder: Path) -> None:
    archive = folder / "archive"
    stand_in_archive(archive)
    program.run(engine, {"lambdaArchive": str(archive), **config}, stack="prod")


BEFORE: dict[str, Any] = {"source": SOURCE, "target": TARGET, "tables": [{"sourceTable": "orders"}]}


def test_a_source_table_that_is_not_there_stops_the_run_before_anything_is_made(
    tmp_path: Path,
) -> None:
    engine = Deployed({}, {"orders"})
    tables = [{"source": "orders"}, {"source": "ordrs"}, {"source": "custmers"}]
    with pytest.raises(pulumi.RunError) as raised:
        run(engine, {**CONFIG, "tables": tables}, tmp_path)
    text = str(raised.value)
    assert 'tables[1].source: "ordrs" in account 111111111111, eu-west-1' in text
    assert "tables[2].source" in text and "tables[0]" not in text
    assert "couldn't find it" in text
    assert "Try: aws dynamodb list-tables --region eu-west-1" in text
    assert engine.created == []


def test_a_source_table_that_has_gone_since_the_last_up_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warnings: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", warnings.append)
    engine = Deployed(BEFORE, set())
    run(engine, CONFIG, tmp_path)
    assert engine.created
    [warning] = warnings
    assert "The source table orders was looked up in account 111111111111, eu-west-1" in warning


@pytest.mark.parametrize(
    ("side", "key", "value"),
    [
        ("source", "accountId", "333333333333"),
        ("source", "region", "eu-central-1"),
        ("target", "accountId", "333333333333"),
        ("target", "region", "us-east-1"),
    ],
)
def test_another_account_or_region_is_refused_for_a_stack_that_exists(
    side: str, key: str, value: str, tmp_path: Path
) -> None:
    engine = Deployed(BEFORE, {"orders"})
    changed = {**CONFIG, side: {**CONFIG[side], key: value}}
    with pytest.raises(pulumi.RunError) as raised:
        run(engine, changed, tmp_path)
    assert f'{side}.{key}: got "{value}"; the stack is in "{CONFIG[side][key]}"' in str(
        raised.value
    )
    assert "Another account is another stack" in str(raised.value)
    assert engine.created == []


def test_another_profile_is_accepted_because_operators_have_their_own(tmp_path: Path) -> None:
    engine = Deployed(BEFORE, {"orders"})
    run(engine, {**CONFIG, "target": {**TARGET, "profile": "mine"}}, tmp_path)
    assert engine.created


def test_a_mistake_of_the_configuration_is_shown_by_its_text_alone(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        run(Deployed({}, set()), {**CONFIG, "retentionHours": 12, "protected": True}, tmp_path)
    assert isinstance(raised.value, pulumi.RunError)
    assert len(raised.value.mistakes) == 2


def test_a_missing_archive_is_shown_by_its_text_alone(tmp_path: Path) -> None:
    config = {**CONFIG, "lambdaArchive": str(tmp_path / "nothing")}
    with pytest.raises(PackageError, match="There is no built Lambda archive") as raised:
        run(Deployed({}, {"orders"}), config, tmp_path)
    assert isinstance(raised.value, pulumi.RunError)


GONE = {
    "sourceTable": "customers",
    "streamArn": "arn:aws:kinesis:eu-west-1:111111111111:stream/replicate-customers-1",
    "mappingUuid": "7d2",
}
TWO_TABLES = {**BEFORE, "journalTable": "journal-1", "tables": [*BEFORE["tables"], GONE, None]}


@pytest.mark.parametrize("state", [*State, "SOMETHING_NEWER"])
def test_a_table_may_leave_only_once_its_run_is_abandoned(state: str, tmp_path: Path) -> None:
    engine = Deployed(TWO_TABLES, {"orders"}, {"customers": state})
    if state == State.ABANDONED:
        run(engine, CONFIG, tmp_path)
        return
    leads_out = {
        State.SWITCHING: "status",
        State.SWITCHED: "switch --finish",
        State.PROMOTED: "promote --yes",
    }.get(State(state) if state in list(State) else State.PLANNED, "abandon")
    with pytest.raises(pulumi.RunError) as raised:
        run(engine, CONFIG, tmp_path)
    text = str(raised.value)
    assert f"customers: its run is {state} (journal table journal-1, pk customers, sk run)" in text
    assert GONE["streamArn"] in text and "mapping 7d2" in text
    assert f"python -m bootstrap {leads_out} --stack prod --table customers" in text
    assert engine.created == []


@pytest.mark.parametrize(
    ("state", "record", "leaves"),
    [
        (State.SWITCHED, AfterSwitch(finished_at=1.0), True),
        (State.SWITCHED, AfterSwitch(done=("open-target",), opened_at=1.0), False),
        (State.PROMOTED, Promoted("n", 1.0, closed_at=2.0, done=("target-open",)), True),
        (State.PROMOTED, Promoted("n", 1.0, closed_at=2.0, done=("target-deny",)), False),
        (State.PROMOTED, Promoted("n", 1.0), False),
        (State.REPLICATING, AfterSwitch(finished_at=1.0), False),
    ],
)
def test_a_table_leaves_after_a_switch_that_is_finished_or_a_promotion_that_let_writers_in(
    state: State, record: AfterSwitch | Promoted, leaves: bool, tmp_path: Path
) -> None:
    engine = Deployed(TWO_TABLES, {"orders"}, {"customers": state})
    engine.records = {f"record:{record.key}": to_json(record)}
    if leaves:
        run(engine, CONFIG, tmp_path)
        assert engine.created
        return
    with pytest.raises(pulumi.RunError, match=f"its run is {state}"):
        run(engine, CONFIG, tmp_path)


def test_a_promotions_item_that_lets_writers_in_keeps_its_name() -> None:
    assert OPEN == "target-open"


def test_a_table_that_never_had_a_run_may_leave(tmp_path: Path) -> None:
    engine = Deployed(TWO_TABLES, {"orders"})
    run(engine, CONFIG, tmp_path)
    assert engine.created


@pytest.mark.parametrize("outputs", [TWO_TABLES, {**TWO_TABLES, "journalTable": None}])
def test_a_table_whose_journal_cannot_be_read_may_not_leave(
    outputs: Mapping[str, Any], tmp_path: Path
) -> None:
    engine = Deployed(outputs, {"orders"}, unreadable="AccessDeniedException: not authorized")
    with pytest.raises(pulumi.RunError, match="a run that cannot be looked up"):
        run(engine, CONFIG, tmp_path)
    assert engine.created == []


def test_an_up_stops_where_the_switch_of_a_table_cannot_be_looked_up(tmp_path: Path) -> None:
    outputs = {**BEFORE, "journalTable": "journal-1"}
    engine = Deployed(outputs, {"orders"}, unreadable="AccessDeniedException: not authorized")
    with pytest.raises(pulumi.RunError, match=r"(?s)orders: .*AccessDenied.*Try: .*GetItem"):
        run(engine, CONFIG, tmp_path)
    assert engine.created == []


def test_a_journal_that_is_gone_is_made_anew(tmp_path: Path) -> None:
    outputs = {**BEFORE, "journalTable": "journal-1"}
    gone = "reading DynamoDB Table Item (journal-1): couldn't find resource"
    engine = Deployed(outputs, {"orders"}, unreadable=gone)
    run(engine, CONFIG, tmp_path)
    assert "replication-journal" in engine.created


IMPORT_BEGUN = {"record:import": '{"token": "orders-1-import-1", "failure": "it broke"}'}
IMPORT_REFUSED = {
    "record:import": '{"token": "orders-1-import-1", "no_table": "LimitExceededException"}'
}
MAKES = {"record:load-target": '{"adopted": false, "mark": "orders-1-1"}'}
ADOPTED = {"record:load-target": '{"adopted": true, "table_id": "t-1"}'}
BULK = {"load": "bulk"}
ADOPT = {"load": "bulk", "adopt": True}


@pytest.mark.parametrize(
    ("state", "records", "wanted", "refused"),
    [
        (None, {}, ADOPT, ""),
        ("EXPORTING", {}, BULK, ""),
        ("FAILED", {}, ADOPT, ""),  # before its load
        ("IMPORTING", {"record:import": '{"token": ""}'}, BULK, ""),
        ("FAILED", IMPORT_BEGUN, BULK, "load: got bulk; the run of .orders. has begun with import"),
        ("FAILED", IMPORT_REFUSED, BULK, ""),
        ("FAILED", IMPORT_REFUSED, ADOPT, ""),
        ("REPLICATING", IMPORT_BEGUN, {}, ""),
        ("IMPORTING", MAKES, {}, "load: got import; the run of .orders. has begun with bulk"),
        ("IMPORTING", MAKES, ADOPT, "adopt: got true; the run of .orders. makes its target"),
        ("REPLICATING", ADOPTED, BULK, "adopt: got false; the run of .orders. has adopted its"),
        ("ABANDONING", ADOPTED, {}, "load: got import"),
        ("REPLICATING", ADOPTED, ADOPT | {"maxWriteRequestUnits": 2048}, ""),
        ("ABANDONED", {}, ADOPT, ""),
    ],
)
def test_a_load_that_has_begun_ends_the_way_it_began(
    state: str | None,
    records: dict[str, str],
    wanted: Mapping[str, Any],
    refused: str,
    tmp_path: Path,
) -> None:
    engine = Deployed(
        {**BEFORE, "journalTable": "journal-1"}, {"orders"}, {"orders": state} if state else {}
    )
    engine.records = records
    config = {**CONFIG, "tables": [{**CONFIG["tables"][0], **wanted}]}
    if not refused:
        run(engine, config, tmp_path)
        assert engine.created
        return
    way_out = "abandon --stack prod --table orders"
    with pytest.raises(RefusedChangeError, match=rf"(?s){refused}.*Try: .*{way_out}"):
        run(engine, config, tmp_path)
    assert engine.created == []


def test_a_switched_tables_load_can_only_be_put_back(tmp_path: Path) -> None:
    engine = Deployed(
        {**BEFORE, "journalTable": "journal-1"}, {"orders"}, {"orders": "SWITCHED"}, held=[HELD]
    )
    engine.records = MAKES
    with pytest.raises(RefusedChangeError, match=r"Try: put the values back, then pulumi up$"):
        run(engine, CONFIG, tmp_path)


def test_all_that_a_stack_cannot_take_is_named_by_one_run(tmp_path: Path) -> None:
    of_keys = {**BEFORE, "keptKeyArn": "arn:aws:kms:eu-west-1:222222222222:key/kept"}
    before = {**of_keys, "journalTable": "journal-1"}
    before["tables"] = [{"sourceTable": "orders", "streamArn": "s", "mappingUuid": "u"}]
    engine = Deployed(before, set(), {"orders": "REPLICATING"})
    changed = {**CONFIG, "tables": [{"source": "ordrs"}], "buckets": {"blockPublicAccess": False}}
    with pytest.raises(RefusedChangeError) as raised:
        run(engine, changed, tmp_path)
    refusals = str(raised.value).split("\n\n")
    assert [text.partition(":")[0] for text in refusals] == [
        "These source tables were looked up, and not found",
        "These tables cannot leave the stack prod while their runs last",
        "A key that encrypts what is kept stays",
        "buckets.blockPublicAccess",
    ]
    assert all("Try: " in text for text in refusals)
    assert engine.created == []


DESTINATION = "replicate-orders-buffer-destination"
HELD = (
    "urn:pulumi:prod::dynamodb-replication::replication:index:Buffer$aws:dynamodb/"
    f"kinesisStreamingDestination:KinesisStreamingDestination::{DESTINATION}"
)


@pytest.mark.parametrize(
    ("state", "finished", "held", "declared"),
    [
        (None, False, False, True),
        ("REPLICATING", False, False, True),  # changes must not be lost
        ("SWITCHING", False, False, True),
        ("SWITCHED", False, True, True),
        ("SWITCHED", False, False, False),
        ("SWITCHED", True, True, False),
        ("SWITCHED", True, False, False),
        ("PROMOTED", False, True, True),
        ("PROMOTED", False, False, False),
    ],
)
def test_a_destination_that_has_gone_since_a_switch_is_not_made_again(
    state: str | None, finished: bool, held: bool, declared: bool, tmp_path: Path
) -> None:
    outputs = {**BEFORE, "journalTable": "journal-1"}
    states = {"orders": state} if state else {}
    urns = [HELD] if held else []
    engine = Deployed(outputs, {"orders"}, states, held=urns)
    after = AfterSwitch(done=("open-target",), finished_at=1.0 if finished else 0)
    engine.records = {f"record:{after.key}": to_json(after)}
    run(engine, CONFIG, tmp_path)
    assert (DESTINATION in engine.created) is declared
    assert "replicate-orders-consumer-mapping" in engine.created


def test_a_table_of_its_own_may_be_unprotected_and_the_rest_stays(tmp_path: Path) -> None:
    engine = Deployed({}, {"orders", "customers"})
    tables = [{"source": "orders"}, {"source": "customers", "protect": False}]
    run(engine, {**CONFIG, "tables": tables}, tmp_path)
    deletable = {n for n, on in engine.deletion_protection.items() if not on}
    assert deletable == {"replicate-customers-ledger"}
    assert engine.deletion_protection.keys() > deletable


def test_a_state_that_the_engine_is_writing_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[Any] = [
        Exception("failed to load checkpoint: EOF"),
        SimpleNamespace(value={"outputs": {"stack": "dev"}}),
    ]

    def invoke(*_: Any) -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(pulumi.runtime, "invoke", invoke)
    monkeypatch.setattr(preflight, "STATE_WAITS", (0.0,))
    assert preflight.last_outputs() == {"stack": "dev"}
    answers[:] = [Exception("failed to load checkpoint: EOF")] * 2
    with pytest.raises(Exception, match="checkpoint"):
        preflight.last_outputs()
