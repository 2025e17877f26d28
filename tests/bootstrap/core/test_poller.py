"""The one wait loop: what it reports, keeps alive, and gives up on."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bootstrap.core.durations import Timing
from bootstrap.core.errors import Side, UnavailableError
from bootstrap.core.outcome import Acted, Done, Outcome, Pending
from bootstrap.core.poller import SLICE_SECONDS, Poller
from tests.support.fakes.clock import VirtualClock


class Polled:
    """A poller on a virtual clock, and what it did."""

    def __init__(self, retries: Callable[[UnavailableError], bool] = lambda error: True) -> None:
        self.clock = VirtualClock()
        self.kept: list[float] = []
        self.messages: list[str] = []
        self.poller = Poller(
            self.clock,
            Timing(),
            keep_alive=lambda: self.kept.append(self.clock.monotonic()),
            tell=self.messages.append,
            retries=retries,
        )


def trouble(code: str = "Throttling") -> UnavailableError:
    return UnavailableError(Side.SOURCE, "throttled", fix="later", code=code)


def test_a_wait_ends_when_the_step_is_done_and_keeps_leases_in_every_slice() -> None:
    polled = Polled()
    answers: list[Outcome] = [Acted(), Pending("the export", 20), Done()]
    began = polled.clock.monotonic()
    polled.poller.wait(lambda: answers.pop(0))
    assert answers == []
    assert polled.clock.monotonic() - began == 20
    assert len(polled.kept) == 1 + 20 / SLICE_SECONDS
    assert polled.messages == ["waiting for the export"]


def test_the_same_wait_is_reported_once_an_interval() -> None:
    polled = Polled()
    answers: list[Outcome] = [*[Pending("the export", 20)] * 10, Done()]
    polled.poller.wait(lambda: answers.pop(0))
    assert len(polled.messages) == 1 + 180 // 60


def test_an_account_that_is_unavailable_for_a_while_is_retried() -> None:
    polled = Polled()
    calls = 0

    def advance() -> Outcome:
        nonlocal calls
        calls += 1
        if calls < 5:
            raise trouble()
        return Done()

    polled.poller.wait(advance)
    assert calls == 5
    assert polled.messages == ["waiting for the source account to answer: throttled"]


def test_an_account_that_stays_unavailable_ends_the_wait() -> None:
    polled = Polled()

    def advance() -> Outcome:
        raise trouble()

    began = polled.clock.monotonic()
    with pytest.raises(UnavailableError):
        polled.poller.wait(advance)
    assert Timing().patience < polled.clock.monotonic() - began <= Timing().patience + 20


def test_an_answer_ends_the_count_of_unavailable_seconds() -> None:
    polled = Polled()
    answers: list[Outcome | UnavailableError] = []
    for _ in range(3):
        answers += [trouble()] * 60  # ten minutes of it
        answers.append(Acted())
    answers.append(Done())

    def advance() -> Outcome:
        answer = answers.pop(0)
        if isinstance(answer, UnavailableError):
            raise answer
        return answer

    polled.poller.wait(advance)
    assert answers == []


def test_an_error_that_is_not_to_be_retried_is_raised_at_once() -> None:
    polled = Polled(retries=lambda error: bool(error.code))

    def advance() -> Outcome:
        raise trouble(code="")

    began = polled.clock.monotonic()
    with pytest.raises(UnavailableError):
        polled.poller.wait(advance)
    assert polled.clock.monotonic() == began


def test_a_sleep_ends_early_when_nothing_is_left_to_wait_for() -> None:
    polled = Polled()
    began = polled.clock.monotonic()
    polled.poller.sleep(600, enough=lambda: len(polled.kept) == 2)
    assert polled.clock.monotonic() - began == 2 * SLICE_SECONDS
