"""Every error, exit code, state, quarantine reason, loss detector and alarm has its runbook."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator

import pytest

import bootstrap
from bootstrap.core.errors import AccountError, BootstrapError, Side
from bootstrap.core.state import State
from infra.local.emulator.chaos.rates import NOT_RATES, Chaos
from infra.monitoring.definition import Alarm
from replicator.consumer.outcome import Reason
from replicator.watchdog import detectors
from tests.contracts.names import exit_codes
from tests.docs import alarm_pages
from tests.docs.pages import DOCS, anchors, rows, section

OPERATE = (DOCS / "operate.md").read_text(encoding="utf-8")


def errors() -> Iterator[type[BootstrapError]]:
    """List every class of error of the operator's tool, in whichever module it is."""
    for module in pkgutil.walk_packages(bootstrap.__path__, "bootstrap."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    ahead = [BootstrapError]
    while ahead:
        for kind in ahead.pop().__subclasses__():
            if kind.__module__.startswith("bootstrap."):
                yield kind
                ahead.append(kind)


def test_every_error_has_a_row_with_its_exit_code_and_a_first_action() -> None:
    shown = rows(OPERATE, "## A run stopped")
    known = {kind.__name__: kind for kind in errors()}
    assert known.keys() == {name for name in shown if name.endswith("Error")}
    sides = " or ".join(str(side.value) for side in Side)
    for name, kind in known.items():
        code, means, first = shown[name]
        assert code == (sides if issubclass(kind, AccountError) else str(kind.exit_code)), name
        assert means, name
        assert first, name


def test_the_exit_codes_are_those_of_the_contract() -> None:
    shown = {int(name) for name in rows(OPERATE, "## A run stopped") if name.isdigit()}
    assert shown == {int(line.split()[0]) for line in exit_codes()}


def test_every_state_has_a_row() -> None:
    shown = rows(OPERATE, "## Read `status`")
    assert [str(state) for state in State] == [name for name in shown if name.isupper()]


def test_every_quarantine_reason_has_a_row() -> None:
    shown = rows(OPERATE, "## Quarantine")
    for reason in [*Reason, "event"]:
        assert len([cell for cell in shown[str(reason)] if cell]) == 2, reason


def test_every_loss_detector_has_a_runbook() -> None:
    shown = rows(OPERATE, "## Every loss detector")
    assert {each.metric for each in detectors.ALL} == shown.keys() - {"detector", "---"}
    assert all(runbook for (runbook,) in shown.values())


@pytest.mark.parametrize("alarm", alarm_pages.every_alarm(), ids=lambda alarm: alarm.name)
def test_every_alarm_has_a_heading_and_a_first_action(alarm: Alarm) -> None:
    page = (DOCS / "alarms.md").read_text(encoding="utf-8")
    assert alarm.name in anchors(page)
    assert "**First:**" in section(page, f"### `{alarm.name}`")


def test_every_rate_of_chaos_has_a_row() -> None:
    page = (DOCS / "local-cloud.md").read_text(encoding="utf-8")
    assert rows(page, "## Chaos").keys() - {"rate", "---"} == vars(Chaos()).keys() - NOT_RATES
