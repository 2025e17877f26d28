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


def test_policies_take_as_long_as_on_aws_on_the_same_clock() -> None:
    settings = EmulatorSettings.from_environment({"REPLICATION_TIME_SCALE": "0.01"})
    assert settings.policy_seconds == pytest.approx(3)
    assert settings.policy_quiet_seconds == pytest.approx(0.15)


@pytest.mark.parametrize(
    ("chaos", "seconds"), [("policy_spread=0", 0), ("on,policy_spread=45", 45), ("on", 300)]
)
def test_the_spread_of_policies_can_be_chosen(chaos: str, seconds: float) -> None:
    settings = EmulatorSettings.from_environment({"LOCAL_CHAOS": chaos})
    assert settings.policy_seconds == seconds


def test_a_spread_that_is_none_is_refused() -> None:
    for text in ("-1", "soon", "nan"):
        with pytest.raises(ValueError, match=r"(?s)policy_spread is .*Try: "):
            EmulatorSettings.from_environment({"LOCAL_CHAOS": f"policy_spread={text}"})
