"""A switch or a promotion as `status` shows it: the journal's records, and what was read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bootstrap.core.journal_rows import Row
from bootstrap.core.ledger_settings import LedgerSettings
from bootstrap.core.state import State
from bootstrap.journal.switch_records import (
    AfterSwitch,
    Promoted,
    Switching,
    SwitchMode,
    SwitchStep,
)
from bootstrap.status.writer_access import WriterAccess

KEPT_SECONDS = 86_400.0
"""From the commit until `switch --finish` may stop the old source's stream."""
REQUIRED = (
    "open-target",
    "primary",
    "callers",
    "mapping",
    "capacity",
    "target-expiry",
    "source-expiry",
)
"""Names of what follows every commit, in `bootstrap.cutover`: each that is not done is open."""
EXEC = "exec"
"""The name of the operator's command there."""


@dataclass(frozen=True)
class AccessReadings:
    """Readings beside the journal. None: not read, or it could not be."""

    source: WriterAccess | None = None
    target: WriterAccess | None = None
    settings: LedgerSettings | None = None


@dataclass(frozen=True)
class SwitchView:
    """The last attempt of a switch and the promotion of a table, at a moment (epoch seconds)."""

    at: float
    state: State
    attempt: Switching | None = None
    after: AfterSwitch | None = None
    promoted: Promoted | None = None
    read: AccessReadings = AccessReadings()

    @property
    def step(self) -> str:
        """The step that the attempt is in; empty outside SWITCHING."""
        if self.state is not State.SWITCHING or self.attempt is None:
            return ""
        return "cancelling" if self.attempt.cancelled else self.attempt.step

    @property
    def fenced(self) -> bool:
        return self.attempt is not None and self.attempt.mode == SwitchMode.FENCE

    @property
    def sealed(self) -> bool:
        """True if the source stays closed until a command opens it, as far as is known."""
        attempt, read = self.attempt, self.read.source
        if attempt is None or not self.fenced:
            return False
        if read is not None and read.open is False:
            return read.until is None  # the journal has the intention alone
        return attempt.sealed_at > 0 or SwitchStep(attempt.step).order >= SwitchStep.SEAL.order

    @property
    def refused_seconds(self) -> float | None:
        """For how long the source's writers have had no table to write to; None: they have one."""
        attempt = self.attempt
        if attempt is None or not attempt.closes or self.at < attempt.closes:
            return None
        if self.state is State.SWITCHED:
            end = (self.after.opened_at if self.after else 0) or self.at
        elif self.state is State.SWITCHING:
            reopened = self.fenced and not self.sealed and attempt.reopens
            end = min(self.at, attempt.reopens) if reopened else self.at
        else:
            return None
        return max(0.0, end - attempt.closes)

    @property
    def reopens(self) -> float | None:
        """The time at which the source opens by itself; None: it does not."""
        attempt = self.attempt
        if self.state is not State.SWITCHING or attempt is None or not self.fenced or self.sealed:
            return None
        return attempt.reopens or None

    @property
    def open_items(self) -> tuple[str, ...]:
        """Items that are to be done yet: `name: reason`, or the name alone."""
        if self.state is State.PROMOTED and self.promoted is not None:
            waits = () if self.promoted.closed_at else ("gate: not closed yet",)
            return (*waits, *self.promoted.failed)
        if self.state is not State.SWITCHED:
            return ()
        after = self.after or AfterSwitch()
        tried = {each.partition(":")[0] for each in after.failed}
        waiting = (each for each in REQUIRED if each not in after.done and each not in tried)
        return (*after.failed, *waiting)

    @property
    def exec_failed(self) -> bool:
        return any(each.partition(":")[0] == EXEC for each in self.open_items)

    @property
    def finish_from(self) -> float | None:
        """From when on `switch --finish` may run; None: not in this state, or it is done."""
        if self.state is not State.SWITCHED or self.attempt is None or self.finished:
            return None
        return self.attempt.committed_at + KEPT_SECONDS

    @property
    def finished(self) -> bool:
        return self.after is not None and self.after.finished_at > 0

    @property
    def loss_window(self) -> Mapping[str, Any] | None:
        """The promotion's loss window, as its report has it; None: it has none, or is unreadable.

        The report's other members are those of `promote --json`.
        """
        report = self.promoted.report if self.promoted is not None else ""
        try:
            found = json.loads(report or "{}")
        except ValueError:
            return None
        window = found.get("lossWindow") if isinstance(found, dict) else None
        return window if isinstance(window, dict) else None


def view_switch(row: Row, at: float, read: AccessReadings | None = None) -> SwitchView | None:
    """Return the view; None where no switch and no promotion was ever begun."""
    attempt, promoted = row.record(Switching), row.record(Promoted)
    if attempt is None and promoted is None:
        return None
    after = row.record(AfterSwitch)
    return SwitchView(at, row.state, attempt, after, promoted, read or AccessReadings())
