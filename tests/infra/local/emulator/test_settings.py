"""The time scale multiplies AWS's delays; some keep a floor so that they can be seen."""

from __future__ import annotations

import pytest

from infra.local.emulator.settings import EmulatorSettings


def test_at_scale_one_the_delays_are_those_of_aws() -> None:
    settings = EmulatorSettings.from_environment({})
    assert settings.restorable_lag == 300
    assert settings.metric_period == 60


def test_a_small_scale_shrinks_them_down_to_their_floors() -> None:
    settings = EmulatorSettings.from_environment({"REPLICATION_TIME_SCALE": "0.01"})
    assert settings.restorable_lag == 3
    assert settings.metric_period == 1
    assert settings.mapping_seconds == pytest.approx(0.3)


@pytest.mark.parametrize("scale", ["2", "-1", "fast"])
def test_a_scale_that_is_none_is_refused(scale: str) -> None:
    with pytest.raises(ValueError, match=r"REPLICATION_TIME_SCALE|fast"):
        EmulatorSettings.from_environment({"REPLICATION_TIME_SCALE": scale})
