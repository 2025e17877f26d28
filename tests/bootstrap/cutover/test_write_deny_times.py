"""The moments at which a Deny with two dates closes a table."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bootstrap.core.durations import Timing
from bootstrap.cutover.switch.write_deny_times import WriteDenyTimes

pytestmark = pytest.mark.promise("C9")
AWS = Timing()


@given(st.floats(1.7e9, 2.5e9), st.floats(60, 86_400))
def test_the_policy_has_spread_before_it_closes_the_table(now: float, timeout: float) -> None:
    times = WriteDenyTimes.after(now, timeout, AWS)
    assert AWS.policy_spread <= times.closes - now < AWS.policy_spread + 60
    assert times.mark == times.closes + AWS.write_settling
    assert (times.mark + 1) % 60 == 0
    assert times.reopens >= times.closes + 2 * timeout
    assert times.may_seal(times.closes + timeout, AWS)


def test_a_deny_that_ends_soon_is_not_sealed() -> None:
    times = WriteDenyTimes.after(1.8e9, 1200, AWS)
    assert times.may_seal(times.reopens - AWS.policy_spread, AWS)
    assert not times.may_seal(times.reopens - AWS.policy_spread + 1, AWS)


def test_a_deny_that_aws_took_late_is_not_counted_on() -> None:
    times = WriteDenyTimes.after(1.8e9, 1200, AWS)
    assert times.put_in_time(times.closes - AWS.policy_spread / 2, AWS)
    assert not times.put_in_time(times.closes - AWS.policy_spread / 2 + 1, AWS)
