"""Metrics and log lines: everything that is promised, and nothing of an item."""

from __future__ import annotations

import base64
import io
import json
import traceback
from typing import Any

import pytest
from aws_lambda_powertools import Logger
from botocore.exceptions import ClientError

from replicator import names
from replicator.consumer.consumer import BatchFailedError, Consumer
from replicator.consumer.metrics import EmfEmitter, InvocationStats
from replicator.names import QUARANTINE_REFUSED
from replicator.runtime import ThreadExecutor
from replicator.settings import ConsumerConfig
from tests.support.fakes import errors
from tests.support.replicator.consumer_harness import (
    BUCKET,
    LEDGER,
    START,
    TABLE,
    TARGET,
    ConsumerHarness,
    document,
    item,
    probe,
    spread,
)

DIMENSIONS = names.dimensions("prod", "orders", "111111111111", "orders-consumer")


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_counts_are_emitted_with_the_dimensions_that_alarms_know(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "something")
    stats = InvocationStats(None)
    stats.counts.update({"ChangesReceived": 3, "ChangesApplied": 2, "ChangesRetried": 1})
    stats.lags.extend([12.5, 13.0])
    EmfEmitter(DIMENSIONS).emit(stats)
    (line,) = lines(capsys)
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == "DynamoDBReplication"
    assert directive["Dimensions"] == [["Stack", "Table", "SourceAccount", "Function"]]
    assert {name: line[name] for name in DIMENSIONS} == DIMENSIONS
    assert {metric["Name"]: metric["Unit"] for metric in directive["Metrics"]} == {
        "ChangesReceived": "Count",
        "ChangesApplied": "Count",
        "ChangesSuperseded": "Count",
        "ChangesQuarantined": "Count",
        "ChangesRetried": "Count",
        "TargetThrottles": "Count",
        "ReplicationLag": "Milliseconds",
    }
    assert line["ReplicationLag"] == [12.5, 13.0]
    assert line["ChangesReceived"] == [3.0]


def test_no_metric_has_more_than_a_hundred_values_in_a_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    stats = InvocationStats(None)
    stats.counts["ChangesApplied"] = 250
    stats.lags.extend(float(n) for n in range(250))
    EmfEmitter(DIMENSIONS).emit(stats)
    emitted = lines(capsys)
    assert [len(line["ReplicationLag"]) for line in emitted] == [100, 100, 50]
    assert sum(line.get("ChangesApplied", [0.0])[0] for line in emitted) == 250


def test_the_breaker_shows_only_when_it_trips(capsys: pytest.CaptureFixture[str]) -> None:
    stats = InvocationStats(None)
    EmfEmitter(DIMENSIONS).emit(stats)
    assert QUARANTINE_REFUSED not in lines(capsys)[0]
    stats.counts[QUARANTINE_REFUSED] = 12
    EmfEmitter(DIMENSIONS).emit(stats)
    assert lines(capsys)[0][QUARANTINE_REFUSED] == [12.0]


def test_lag_runs_from_the_version_to_the_moment_of_applying() -> None:
    world = ConsumerHarness()
    world.clock.advance(1.5)
    world.handle(document(None, item("a"), START), document(None, item("b"), START + 500_000))
    assert world.meter.all_stats[-1].lags == [1500.0, 1000.0]


def test_throttling_is_counted() -> None:
    world = ConsumerHarness()
    world.faults.fail(errors.throttled("TransactWriteItems"), operation="TransactWriteItems")
    world.faults.cancel({0: "ThrottlingError", 3: "ProvisionedThroughputExceeded"})
    world.handle(*spread([1, 2]))
    assert world.meter.last["TargetThrottles"] == 3


SECRET = "Tr0ub4dor"


def test_no_content_of_an_item_is_ever_printed(capfd: pytest.CaptureFixture[str]) -> None:
    """Every path is taken with secrets in keys, names and values; all output is searched."""
    world = ConsumerHarness()
    output = io.StringIO()
    logger = Logger(service="secrets", stream=output, level="DEBUG", logger_handler=None)
    world.consumer = Consumer.build(
        ConsumerConfig("test", TABLE, TARGET, "eu-west-1", LEDGER, BUCKET, quarantine_burst=100),
        dynamodb=world.dynamodb,
        s3=world.s3,
        runtime=world.runtime,
        logger=logger,
        meter=EmfEmitter(DIMENSIONS),
    )
    secret = item(f"{SECRET}-key", 1, **{f"{SECRET}-name": {"S": f"{SECRET}-value"}})
    other = item(f"{SECRET}-key", 2, **{f"{SECRET}-name": {"B": _twice(SECRET)}})
    rejected = item(f"{SECRET}-bad", f"{SECRET}-number")
    world.handle(document(None, secret))
    world.handle(document(secret, other))
    world.handle(document(other, secret))
    world.handle(document(None, {**secret, "more": {"S": SECRET}}))
    world.handle(document(None, rejected))
    world.handle(document(None, item(SECRET, b={"B": SECRET})))
    world.handle(SECRET.encode())
    world.handle(json.dumps({"tableName": TABLE, SECRET: SECRET}).encode()[:-3])
    world.handle({"tableName": TABLE, SECRET: SECRET})
    world.handle(document(None, secret, table=f"{SECRET} and more"))
    world.handle(document(secret, None), document(None, secret, START + 5))
    world.handle(*[document(None, item(f"{SECRET}{n}", SECRET)) for n in range(120)])
    known = [document(None, item(f"{SECRET}-{n}")) for n in range(20)]
    world.handle(*known, first=5000)
    for operation, code in (
        ("TransactWriteItems", "ValidationException"),
        ("TransactWriteItems", "InternalServerError"),
        ("TransactWriteItems", "ThrottlingException"),
        ("BatchGetItem", "ValidationException"),
        ("BatchGetItem", "InternalServerError"),
        ("PutItem", "ValidationException"),
        ("PutItem", "InternalServerError"),
        ("GetItem", "InternalServerError"),
        ("PutObject", "InternalError"),
    ):
        fault = errors.client_error(operation, code, f"{SECRET} is not a number", status=500)
        faults = world.s3_faults if operation == "PutObject" else world.faults
        faults.fail(fault, operation=operation, times=3)
        world.clock.advance(31)  # the settings are read again
        batch = [document(None, item(f"{SECRET}{code}")), document(None, rejected)]
        world.handle(*batch, SECRET.encode(), probe())
        world.handle(*known, first=5000)
    world.handle(document(None, rejected), probe())
    # What a rejection asks of the ledger, and a probe writes, is refused with the item in hand.
    refused = errors.client_error("PutItem", "InternalServerError", SECRET, status=500)
    for _ in range(2):
        world.faults.fail(refused, operation="PutItem", times=1_000)
        world.handle(document(None, rejected), probe(), millis=20_000)
    refused = errors.client_error("PutObject", "InternalError", SECRET, status=500)
    world.s3_faults.fail(refused, operation="PutObject", times=1_000)
    world.handle(SECRET.encode(), millis=20_000)
    for bug in (_stumble, _refuse, _refuse_in_a_thread):
        world.consumer.parts.writer.apply = bug  # type: ignore[method-assign, assignment]
        with pytest.raises(BatchFailedError) as raised:
            world.handle(document(None, secret, START + 9))
        traceback.print_exception(raised.value)
        logger.exception("as Lambda's own runtime would", exc_info=raised.value)
    printed = output.getvalue() + "".join(capfd.readouterr())
    assert "ambiguous-order" in printed
    assert "rejected-by-target" in printed
    for words in (
        "KeyError",
        "RuntimeError",
        "ValidationException",
        "BatchGetItem",
        "PutItem",
        "GetItem",
    ):
        assert words in printed
    assert "too many records for quarantine" in printed
    assert "quarantine cannot be written" in printed
    encoded = base64.b64encode(SECRET.encode()).decode().rstrip("=")
    for form in (SECRET, encoded, _twice(SECRET)[:12], SECRET.encode().hex()):
        assert form not in printed


def _stumble(*_: Any) -> Any:
    empty: dict[str, Any] = {}
    return empty[SECRET]


def _refuse(*_: Any) -> Any:
    """As a library would that wraps what botocore raised: in chains of causes and contexts."""
    quoted = f"Type mismatch: {SECRET}"
    try:
        raise errors.client_error("TransactWriteItems", "ValidationException", quoted)
    except ClientError as error:
        raise RuntimeError(f"{SECRET} was not written") from error


def _refuse_in_a_thread(*_: Any) -> Any:
    def refused() -> None:
        raise errors.client_error("TransactWriteItems", "ValidationException", SECRET)

    return ThreadExecutor(2).run_all([refused, refused])


def _twice(text: str) -> str:
    return base64.b64encode(base64.b64encode(text.encode())).decode()


def test_every_error_says_what_to_try() -> None:
    world = ConsumerHarness()
    world.faults.fail(errors.access_denied("TransactWriteItems"), operation="TransactWriteItems")
    world.handle(*spread([1]))
    world.handle(*([b"garbage"] * 11))
    text = world.output.getvalue()
    assert text.count("\nTry: ") == 2
