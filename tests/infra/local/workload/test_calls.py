"""The writers' calls: what is retried, what is refused, and what is left of a step then."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ClientError

from infra.local.workload.calls import CallExecutor
from infra.local.workload.plan import Way, Write, WriteStep
from infra.local.workload.writers import dynamodb_client

Answer = tuple[int, dict[str, Any]]

REFUSED: Answer = (400, {"__type": "AccessDeniedException", "message": "User: … explicit deny …"})
THROTTLED: Answer = (400, {"__type": "ThrottlingException", "message": "Throughput exceeds …"})
DONE: Answer = (200, {})


class Body:
    """The body of an answer, as urllib3 has it."""

    def __init__(self, text: bytes) -> None:
        self._text = text

    def stream(self, **options: Any) -> Any:
        yield self._text

    def read(self, *args: Any) -> bytes:
        return self._text


class Client:
    """The writers' own client, whose requests are answered by a function of their number."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, answer: Callable[[int], Answer]) -> None:
        monkeypatch.setattr("botocore.endpoint.time.sleep", lambda seconds: None)
        for name, value in {
            "AWS_ACCESS_KEY_ID": "111111111111",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_REGION": "eu-west-1",
            "AWS_DEFAULT_REGION": "eu-west-1",
        }.items():
            monkeypatch.setenv(name, value)
        self.requests: list[dict[str, Any]] = []
        self._answer = answer
        self.dynamodb = dynamodb_client()
        self.dynamodb.meta.events.register("before-send.dynamodb", self._send)

    def _send(self, request: Any, **_: Any) -> AWSResponse:
        self.requests.append(json.loads(request.body))
        status, body = self._answer(len(self.requests) - 1)
        text = json.dumps(body).encode()
        return AWSResponse(request.url, status, {}, Body(text))


def step(way: Way, count: int = 1) -> WriteStep:
    writes = tuple(
        Write({"pk": {"S": str(n)}}, None, {"pk": {"S": str(n)}, "v": {"S": "x"}})
        for n in range(count)
    )
    return WriteStep("insert", way, writes)


@pytest.mark.parametrize(
    ("way", "count"), [("single", 1), ("count", 1), ("transaction", 3), ("batch", 3)]
)
def test_a_refused_call_is_not_retried(
    way: Way, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Client(monkeypatch, lambda n: REFUSED)
    asked = step(way, count)
    outcome = CallExecutor(client.dynamodb, "orders").run(asked)
    assert len(client.requests) == 1
    assert outcome.refused == asked.writes
    assert (outcome.writes, outcome.changes, outcome.unsent) == (0, 0, ())


def test_a_throttled_call_is_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client(monkeypatch, lambda n: THROTTLED if n < 3 else DONE)
    outcome = CallExecutor(client.dynamodb, "orders").run(step("single"))
    assert len(client.requests) == 4
    assert (outcome.writes, outcome.refused) == (1, ())


def test_a_call_that_is_throttled_for_long_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client(monkeypatch, lambda n: THROTTLED)
    with pytest.raises(ClientError, match="ThrottlingException"):
        CallExecutor(client.dynamodb, "orders").run(step("single"))
    assert len(client.requests) == 8


def test_after_a_refusal_the_rest_of_a_step_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client(monkeypatch, lambda n: DONE if n == 0 else REFUSED)
    asked = step("single", 3)
    outcome = CallExecutor(client.dynamodb, "orders").run(asked)
    assert len(client.requests) == 2
    assert (outcome.writes, outcome.changes) == (1, 1)
    assert outcome.refused == asked.writes[1:2]
    assert outcome.unsent == asked.writes[2:]


def test_what_a_batch_had_written_before_its_refusal_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = step("batch", 3)
    last = {"PutRequest": {"Item": asked.writes[2].after}}
    left: Answer = (200, {"UnprocessedItems": {"orders": [last]}})
    client = Client(monkeypatch, lambda n: left if n == 0 else REFUSED)
    outcome = CallExecutor(client.dynamodb, "orders").run(asked)
    assert client.requests[1]["RequestItems"]["orders"] == [last]
    assert (outcome.writes, outcome.changes) == (2, 2)
    assert outcome.refused == asked.writes[2:]
