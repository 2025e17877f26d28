"""The waiting of a switch: acts are repeated until they are done, and every look is shown."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

from bootstrap.core.errors import BlockedError, UnavailableError
from bootstrap.core.outcome import Done, Outcome, Pending
from bootstrap.core.poller import Poller
from bootstrap.core.suggestions import Command, suggest
from bootstrap.cutover.context import SwitchContext
from bootstrap.cutover.switch.progress import SwitchProgress
from bootstrap.cutover.switch.table_set import SwitchSet
from bootstrap.journal.switch_records import AfterSwitch, Switching, SwitchMode, SwitchStep

T = TypeVar("T")
Report = Callable[[SwitchProgress], None]
Advance = Callable[[SwitchContext], Outcome]


class SwitchLoop:
    """One process's work on a set of tables. It keeps their leases while it waits."""

    def __init__(self, group: SwitchSet, report: Report) -> None:
        self.group = group
        self.step: str = SwitchStep.PREPARE
        self.waiting = ""
        """What is waited for, to be shown."""
        self._report = report
        steps = group.first.steps
        self._poller = Poller(steps.clock, steps.timing, keep_alive=self.keep_alive)

    def once(self, work: Callable[[], object]) -> None:
        """Do something; do it again while an account is unavailable."""
        self.answer(work)

    def answer(self, work: Callable[[], T]) -> T:
        """Do something, again while an account is unavailable; return what it returned."""
        answers: list[T] = []

        def advance() -> Outcome:
            answers.append(work())
            return Done()

        while not isinstance(outcome := self._poller.attempt(advance), Done):
            self._poller.sleep(self._note(self.group.first, outcome))
        return answers[-1]

    def pause(self, seconds: float) -> None:
        """Let time pass."""
        self._poller.sleep(seconds)

    def all_tables(self, advance: Advance, check: Callable[[], None]) -> None:
        """Advance an act for each table until the last one is done. `check` runs before each."""
        waiting = list(self.group)
        while waiting:
            polls: list[float] = []
            for context in list(waiting):
                check()
                outcome = self._poller.attempt(partial(advance, context))
                if isinstance(outcome, Done):
                    waiting.remove(context)
                else:
                    polls.append(self._note(context, outcome))
            if waiting:
                self._poller.sleep(min(polls))

    def one_table(self, context: SwitchContext, advance: Advance) -> None:
        """Advance an act of one table, for as long as a policy may take to reach every caller.

        Raises:
            BlockedError: it takes longer.
        """
        began, most = self.group.now, max(60.0, context.steps.timing.policy_spread)
        while not isinstance(outcome := self._poller.attempt(partial(advance, context)), Done):
            poll = self._note(context, outcome)
            outlasts = isinstance(outcome, Pending) and outcome.outlasts
            if outlasts or self.group.now - began > most:
                raise BlockedError(
                    f"it still waits for {self.waiting}", fix=suggest(Command("status"))
                )
            self._poller.sleep(poll)

    def keep_alive(self) -> None:
        """Renew the leases that are due, and show the seconds."""
        # Each call checks its lease: one that could not be renewed now is lost there, not here.
        with suppress(UnavailableError):
            self.group.keep_leases()
        self._report(self.progress())

    def progress(self) -> SwitchProgress:
        """Return what to show now."""
        first = self.group.first
        attempt, after = first.journal.get(Switching), first.journal.get(AfterSwitch)
        planned = attempt is not None and not attempt.cancelled
        return SwitchProgress(
            at=self.group.now,
            step=self.step,
            waiting=self.waiting,
            tables=tuple(each.table.source_table for each in self.group),
            closes=attempt.closes if attempt is not None and planned else 0,
            opened_at=after.opened_at if after is not None else 0,
            fenced=attempt is None or attempt.mode == SwitchMode.FENCE,
            cancelling=attempt is not None and attempt.cancelled,
            left_to_ttl=attempt.left_to_ttl if attempt is not None else 0,
            open_items=_open_items(self.group),
        )

    def _note(self, context: SwitchContext, outcome: Outcome) -> float:
        """Show what is waited for; return the seconds until the next look."""
        if not isinstance(outcome, Pending):
            return 0.0
        several = len(self.group.contexts) > 1
        table = f"{context.table.source_table}: " if several else ""
        self.waiting = f"{table}{outcome.what}"
        self._report(self.progress())
        return outcome.poll


def _open_items(group: SwitchSet) -> tuple[str, ...]:
    """Return what failed after the commit, of all tables, each once."""
    found = [each.journal.get(AfterSwitch) or AfterSwitch() for each in group]
    return tuple(dict.fromkeys(item for after in found for item in after.failed))
