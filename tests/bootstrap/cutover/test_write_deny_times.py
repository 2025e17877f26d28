"""The moments at which a Deny with two dates closes a table."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bootstrap.cutover.write_deny_times import (
    SEAL_MARGIN_SECONDS,
    SETTLE_SECONDS,
    SPREAD_SECONDS,
    WriteDenyTimes,
)

pytestmark = pytest.mark.promise("C9")


@given(st.floats(1.7e9, 2.5e9), st.floats(60, 86_400))
def test_the_policy_has_spread_before_it_closes_the_table(now: float, timeout: float) -> None:
    times = WriteDenyTimes.after(now, timeout)
    assert SPREAD_SECONDS <= times.closes - now < SPREAD_SECONDS + 60
    assert times.mark == times.closes + SETTLE_SECONDS
    assert (times.mark + 1) % 60 == 0
    assert times.reopens >= times.closes + 2 * timeout


def test_a_deny_that_ends_soon_is_not_sealed() -> None:
    times = WriteDenyTimes.after(1.8e9, 1200)
    assert times.may_seal(times.reopens - SEAL_MARGIN_SECONDS)
    assert not times.may_seal(times.reopens - SEAL_MARGIN_SECONDS + 1)
