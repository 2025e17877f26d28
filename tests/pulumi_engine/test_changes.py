"""One stack from its first preview on: what each change of the configuration does."""

from __future__ import annotations

import pytest

from tests.pulumi_engine.engine import Engine, EngineStack

pytestmark = pytest.mark.slow
ORDERS = {"source": "orders", "target": "orders-replica"}


@pytest.fixture(scope="module")
def stack(engine: Engine) -> EngineStack:
    stack = engine.stack("changes")
    stack.configure(engine.config(ORDERS))
    stack.up()
    return stack


def test_a_second_up_changes_nothing(stack: EngineStack) -> None:
    assert stack.up().unchanged
