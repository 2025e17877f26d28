"""The environment and the settings row."""

from __future__ import annotations

import pytest

from replicator.settings import ConfigurationError, ConsumerConfig, ConsumerSettings, from_item
from tests.support.replicator.environment import ENVIRONMENT


def test_defaults() -> None:
    config = ConsumerConfig.from_environment(ENVIRONMENT)
    assert (config.ledger_retention_days, config.quarantine_burst) == (30, 10)


@pytest.mark.parametrize("name", [name for name in ENVIRONMENT if name != "ORDERING"])
def test_a_missing_variable_is_named(name: str) -> None:
    rest = {key: value for key, value in ENVIRONMENT.items() if key != name}
    with pytest.raises(ConfigurationError, match=rf"{name}(?s:.)*\nTry: "):
        ConsumerConfig.from_environment(rest)


@pytest.mark.parametrize(
    "bad",
    [
        {"ORDERING": "none"},
        {"LEDGER_RETENTION_DAYS": "7"},
        {"LEDGER_RETENTION_DAYS": "month"},
        {"QUARANTINE_BURST": ""},
    ],
)
def test_what_would_break_the_ordering_is_refused(bad: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="Try: "):
        ConsumerConfig.from_environment(ENVIRONMENT | bad)


def test_an_empty_row_means_nothing_special() -> None:
    assert from_item({}) == ConsumerSettings()


def test_a_row_is_read() -> None:
    row = {
        "k": {"B": b"settings"},
        "floor": {"N": "5"},
        "armed": {"S": "attempt-1"},
        "mark": {"N": "6"},
        "closed": {"S": "attempt-1"},
        "parks": {"SS": ["s:1"]},
        "expire": {"BOOL": True},
        "snapshot": {"S": "arn"},
    }
    assert from_item(row) == ConsumerSettings(
        5, frozenset({"s:1"}), True, armed="attempt-1", mark=6, closed="attempt-1"
    )
