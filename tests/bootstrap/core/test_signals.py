"""An interruption ends a command, even if Python drops its exception."""

from __future__ import annotations

import gc
import signal
import sys
import weakref
from collections.abc import Iterator

import pytest

from bootstrap.cli.options import run_command
from bootstrap.core import signals
from bootstrap.core.signals import InterruptibleClock


@pytest.fixture(autouse=True)
def _listening(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(sys, "unraisablehook", sys.__unraisablehook__)
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signals.listen()
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


class Something:
    pass


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_that_a_finalizer_swallows_ends_the_next_wait(
    number: int, capsys: pytest.CaptureFixture[str]
) -> None:
    something = Something()
    weakref.finalize(something, signal.raise_signal, number)
    del something  # the signal's exception is raised in the finalizer, where no caller sees it
    gc.collect()
    with pytest.raises(KeyboardInterrupt):
        InterruptibleClock().sleep(0)
    assert capsys.readouterr().err == ""


def test_other_errors_in_a_finalizer_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    something = Something()
    weakref.finalize(something, int, "of ours")
    del something
    gc.collect()
    assert "of ours" in capsys.readouterr().err


@pytest.mark.parametrize(("number", "by_hand"), [(signal.SIGINT, True), (signal.SIGTERM, False)])
def test_only_an_interruption_by_keyboard_is_answered_with_how_to_resume(
    number: int, by_hand: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted() -> int:
        signal.raise_signal(number)
        return 0

    with pytest.raises(SystemExit) as ended:
        run_command(interrupted, None, "The same command resumes.")
    assert ended.value.code == 130
    assert ("The same command resumes." in capsys.readouterr().err) is by_hand


def test_without_an_interruption_a_wait_only_waits() -> None:
    clock = InterruptibleClock()
    before = clock.monotonic()
    clock.sleep(0.01)
    assert clock.monotonic() - before >= 0.01


def test_an_interruption_of_an_earlier_command_does_not_end_this_one() -> None:
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    signals.listen()
    clock = InterruptibleClock()
    before = clock.monotonic()
    try:
        clock.sleep(0.01)
    except KeyboardInterrupt:
        pytest.fail("the interruption of the earlier command ended this one")
    assert clock.monotonic() - before >= 0.01
