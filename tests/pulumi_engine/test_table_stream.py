"""A stack of two buffers under the real engine: made, without a change after, and no way across."""

from __future__ import annotations

from typing import Any

import pytest

from tests.pulumi_engine.engine import OPEN_COROUTINES, Engine, EngineStack, RefusedError

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings(*OPEN_COROUTINES)]

ORDERS: dict[str, Any] = {"source": "orders", "target": "orders-replica"}
CUSTOMERS: dict[str, Any] = {"source": "customers"}
STREAMS = {"buffer": "streams"}


@pytest.fixture(scope="module")
def stack(engine: Engine) -> EngineStack:
    """A stack of `orders`, with its own stream for a buffer, and `customers`, with Kinesis."""
    stack = engine.stack("buffers")
    stack.configure(engine.config({**ORDERS, **STREAMS}, CUSTOMERS))
    stack.up()
    return stack


def test_the_table_with_its_own_stream_has_nothing_of_kinesis_and_no_mapping(
    stack: EngineStack,
) -> None:
    names = [each["urn"].rpartition("::")[2] for each in stack.resources()]
    orders = [name for name in names if name.startswith("replicate-orders-")]
    assert "replicate-orders-consumer" in orders
    assert [name for name in orders if "buffer" in name or name.endswith("-mapping")] == []
    assert "replicate-customers-buffer-stream" in names
    assert "replicate-customers-consumer-mapping" in names


def test_a_second_up_changes_nothing(stack: EngineStack) -> None:
    assert stack.up().unchanged


@pytest.mark.promise("C3")
def test_another_buffer_is_refused_before_anything_is_deleted(
    engine: Engine, stack: EngineStack
) -> None:
    for table in ("orders", "customers"):
        engine.record_state(stack.outputs()["journalTable"], table, "REPLICATING")
    swapped = ({**ORDERS, "protect": False}, {**CUSTOMERS, **STREAMS, "protect": False})
    stack.configure(engine.config(*swapped))
    engine.log.forget()
    with pytest.raises(RefusedError, match="A table keeps its buffer") as raised:
        stack.up()
    text = " ".join(str(raised.value).split())
    assert 'tables[0].buffer: got kinesis; "orders" has streams.' in text
    assert 'tables[1].buffer: got streams; "customers" has kinesis.' in text
    assert "docs/operate.md, Change the buffer of a table" in text
    assert "Traceback" not in text
    assert engine.log.calls() == []
