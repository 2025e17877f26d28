"""The time scale may shrink margins on this machine, and nowhere else."""

from __future__ import annotations

import pytest

from bootstrap.core.durations import Timing, is_loopback, timing_from
from bootstrap.core.errors import UsageError


@pytest.mark.parametrize(
    "environment",
    [
        {"REPLICATION_TIME_SCALE": "0.01"},
        {"REPLICATION_TIME_SCALE": "0.99", "AWS_ENDPOINT_URL": "https://dynamodb.amazonaws.com"},
        {"REPLICATION_TIME_SCALE": "0.01", "AWS_ENDPOINT_URL": "http://10.0.0.1:4566"},
        {"REPLICATION_TIME_SCALE": "0.01", "AWS_ENDPOINT_URL": "http://127.0.0.1.evil.org"},
        {"REPLICATION_TIME_SCALE": "0", "AWS_ENDPOINT_URL": "http://127.0.0.1:4566"},
        {"REPLICATION_TIME_SCALE": "2", "AWS_ENDPOINT_URL": "http://127.0.0.1:4566"},
        {"REPLICATION_TIME_SCALE": "nan", "AWS_ENDPOINT_URL": "http://127.0.0.1:4566"},
        {"REPLICATION_TIME_SCALE": "fast", "AWS_ENDPOINT_URL": "http://127.0.0.1:4566"},
    ],
)
def test_a_shrunk_margin_is_refused_away_from_this_machine(environment: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="REPLICATION_TIME_SCALE"):
        timing_from(environment)


@pytest.mark.parametrize(
    "endpoint", ["http://127.0.0.1:4566", "http://[::1]:1", "http://localhost"]
)
def test_the_local_cloud_may_run_faster(endpoint: str) -> None:
    environment = {"REPLICATION_TIME_SCALE": "0.01", "AWS_ENDPOINT_URL": endpoint}
    assert timing_from(environment).export_margin == pytest.approx(1.2)


@pytest.mark.parametrize("environment", [{}, {"REPLICATION_TIME_SCALE": "1"}])
def test_margins_are_not_scaled_on_aws(environment: dict[str, str]) -> None:
    timing = timing_from(environment)
    assert (timing.export_margin, timing.floor_margin, timing.metric_period) == (120, 300, 60)


def test_a_metric_period_is_never_under_a_second() -> None:
    assert Timing(0.001).metric_period == 1


@pytest.mark.parametrize("endpoint", [None, "", "127.0.0.1:4566", "nonsense", "http://"])
def test_other_addresses_are_not_taken_for_this_machines(endpoint: str | None) -> None:
    assert not is_loopback(endpoint)
