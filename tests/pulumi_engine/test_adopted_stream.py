"""A stack on an adopted stream: made and destroyed, it leaves the stream as it was."""

from __future__ import annotations

import pytest

from replicator.stream import READING_ACTIONS
from tests.pulumi_engine.engine import OPEN_COROUTINES, Engine
from tests.support.infra.platform_stream import PlatformStream

pytestmark = [
    pytest.mark.slow,
    pytest.mark.promise("C8"),
    pytest.mark.filterwarnings(*OPEN_COROUTINES),
]


def test_a_stack_that_is_made_and_destroyed_leaves_stream_and_streaming_as_they_were(
    engine: Engine,
) -> None:
    stream = PlatformStream.made(engine.cloud, "orders")
    others = {
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::222222222222:root"},
        "Action": list(READING_ACTIONS),
        "Resource": stream.arn,
    }
    stream.share(others)
    before = stream.policy
    adopted = {"streamArn": stream.arn, "streamKeyArn": stream.key_arn}
    stack = engine.stack("adopted")
    tables = (
        {"source": "orders", "target": "orders-replica", **adopted},
        {"source": "customers", **adopted, "makeDestination": True},
    )
    stack.configure(engine.config(*tables, protect=False))
    stack.up()
    kinds = {each["type"] for each in stack.resources()}
    assert not {kind for kind in kinds if kind.startswith(("aws:kinesis", "aws:kms"))}
    assert stream.destinations("customers") == [(stream.arn, "ACTIVE")]
    assert stack.up().unchanged
    stack.destroy()
    assert stream.destinations("orders") == [(stream.arn, "ACTIVE")]
    assert [state for _, state in stream.destinations("customers")] != ["ACTIVE"]
    assert stream.policy == before
