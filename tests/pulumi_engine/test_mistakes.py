"""An operator's mistakes, as the engine shows them: before anything is made."""

from __future__ import annotations

from typing import Any

import pytest

from tests.pulumi_engine.engine import OPEN_COROUTINES, Engine, EngineStack, RefusedError

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings(*OPEN_COROUTINES)]

ORDERS = {"source": "orders", "target": "orders-replica"}

MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"tables": [{"source": "ordrs"}]}, r'tables\[0\]\.source: "ordrs" in account 111111111111'),
    ({"tables": [{}]}, r"tables\[0\]\.source: got nothing"),
    ({"retentionHours": 12}, "got 12; allowed: a whole number of hours from 24 to 8760"),
    ({"retentionHour": 48}, "Try: rename it to retentionHours"),
    (
        {"target": {"accountId": 22222222222, "region": "eu-west-1"}},
        r"target\.accountId: got 22222222222; allowed: a quoted string of 12 digits",
    ),
    (
        {"target": {"accountId": "111111111111", "region": "eu-west-1", "profile": "target"}},
        r"AWS account ID not allowed: 222222222222",
    ),
    ({"lambdaArchive": "build/nothing"}, "There is no built Lambda archive"),
]


@pytest.fixture(scope="module")
def stack(engine: Engine) -> EngineStack:
    return engine.stack("mistakes")


@pytest.mark.parametrize(("values", "shown"), MISTAKES)
def test_a_mistake_is_shown_by_preview_with_its_text_alone(
    values: dict[str, Any], shown: str, engine: Engine, stack: EngineStack
) -> None:
    stack.configure({**engine.config(ORDERS), **values})
    with pytest.raises(RefusedError, match=shown) as raised:
        stack.preview()
    assert "Traceback" not in str(raised.value)


def test_a_prefix_that_makes_names_too_long_for_aws_is_refused_by_preview(
    engine: Engine,
) -> None:
    stack = engine.stack("long-names")
    stack.configure(engine.config(ORDERS))
    stack.name_by("acme-corporation-data-platform-replicas-${name}-${hex(7)}")
    with pytest.raises(RefusedError, match=r"pulumi:autonaming: got .*\n.*") as raised:
        stack.preview()
    assert "make the pattern" in str(raised.value)
    assert "Traceback" not in str(raised.value)


def test_a_mistyped_source_makes_nothing(engine: Engine, stack: EngineStack) -> None:
    stack.configure(engine.config({"source": "ordrs"}))
    with pytest.raises(RefusedError, match="couldn't find resource"):
        stack.up()
    assert engine.log.calls() == []
    assert [r["type"] for r in stack.resources() if r["type"].startswith("aws:")] == []
