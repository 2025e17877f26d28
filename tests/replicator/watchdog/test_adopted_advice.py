"""The advice about a stream holds where the stream, or the destination, is another owner's."""

from __future__ import annotations

import pytest

from infra.monitoring.lag_alarms import MORE_SHARDS
from replicator.watchdog.detectors import SOURCE, STREAM
from replicator.watchdog.probe_findings import THROTTLED


@pytest.mark.parametrize("text", [SOURCE.first, STREAM.first, THROTTLED, MORE_SHARDS])
def test_advice_that_changes_a_stream_says_who_changes_an_adopted_one(text: str) -> None:
    assert "pulumi up" in text
    assert "owner" in text
