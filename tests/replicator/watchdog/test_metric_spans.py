"""How losses are counted over any span of time with the datapoints that CloudWatch still has."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicator.watchdog.metric_spans import DAY, HOUR, LOOK_BACK, MINUTE, metric_spans

pytestmark = pytest.mark.promise("C7")

NOW = 1_790_000_123.0


@given(st.floats(1, LOOK_BACK), st.sampled_from([1, MINUTE]))
def test_the_stretches_cover_everything_once_and_reach_back_no_further_than_one_period(
    age: float, finest: int
) -> None:
    since = NOW - age
    spans = metric_spans(since, NOW, finest)
    begins, ends = [each[0] for each in spans], [each[1] for each in spans]
    first = spans[0][2]
    assert since - first < begins[0] <= since
    assert ends[-1] == NOW
    assert begins[1:] == ends[:-1]


@given(st.floats(1, LOOK_BACK), st.sampled_from([1, MINUTE]))
def test_cloudwatch_has_the_datapoints_and_gives_them_in_one_answer(
    age: float, finest: int
) -> None:
    for begin, end, period in metric_spans(NOW - age, NOW, finest):
        assert (end - begin) / period <= 1440
        kept = {1: 15 * DAY, MINUTE: 15 * DAY, 5 * MINUTE: 63 * DAY}.get(period, 455 * DAY)
        assert NOW - begin <= kept
        assert begin % period == 0


@pytest.mark.parametrize(
    ("age", "periods"),
    [(30, [60]), (HOUR * 3, [60, HOUR]), (3 * DAY, [60, HOUR, DAY]), (90 * DAY, [HOUR, DAY])],
)
def test_the_periods_grow_coarser_with_time(age: float, periods: list[int]) -> None:
    assert [each[2] for each in metric_spans(NOW - age, NOW)] == periods
