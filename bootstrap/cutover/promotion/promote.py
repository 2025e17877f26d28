"""A promotion: the target becomes the primary without the source, and without a call to it.

Until the record `Promoted` nothing has been changed, and the command may be stopped. With it the
table is PROMOTED and only goes forward: the same command, run again, continues.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from bootstrap.core import write_deny
from bootstrap.core.errors import (
    AccountError,
    BlockedError,
    BootstrapError,
    LeaseLostError,
    UnavailableError,
)
from bootstrap.core.journal_rows import Row
from bootstrap.core.outcome import Acted, Done, Outcome, Pending
from bootstrap.core.poller import Poller
from bootstrap.core.state import State
from bootstrap.core.suggestions import Command, suggest
from bootstrap.cutover.promotion.context import PromoteContext
from bootstrap.cutover.promotion.drain import Drain, DrainWait
from bootstrap.cutover.promotion.items import (
    DENY,
    ITEMS,
    OPEN,
    PromotionItem,
    deny_stands,
    refused_fix,
)
from bootstrap.cutover.promotion.loss_window import LossWindow
from bootstrap.cutover.promotion.readings import read_held_back, read_window
from bootstrap.cutover.promotion.refusals import refuse_another_table, refuse_unready
from bootstrap.cutover.promotion.report import begun_report, finished_report
from bootstrap.journal.switch_records import Promoted, Switching
from replicator.settings import SettingsRow

POLL_SECONDS = 5.0
CONTINUES = suggest(Command("promote", "--yes"), ", which continues")


@dataclass(frozen=True)
class PromotionResult:
    """One table's promotion as far as it has come."""

    table: str
    report: dict[str, Any]
    open: tuple[tuple[PromotionItem, BootstrapError], ...]
    """The items that are left, and why."""
    takes_writes: bool
    """False: the target still refuses its writers, or that could not be tested."""


Steps = Generator[Pending, None, PromotionResult]


class Promotion:
    """One table's promotion in this process."""

    def __init__(self, context: PromoteContext) -> None:
        self._context = context
        self._poller = Poller(
            context.clock,
            context.timing,
            keep_alive=self.keep_lease,
            tell=context.say,
            now=context.journal.now,
        )
        self._drain: DrainWait | None = None
        self._held = False
        self._held_back = (0, 0)

    @property
    def table(self) -> str:
        return self._context.name

    def look(self) -> LossWindow:
        """Read what the target may lack now. Nothing is changed, and no lease is taken.

        Raises:
            BlockedError: there is nothing to promote.
        """
        row, at = self._context.store.read(self._context.name)
        self._context.lease.saw(at)
        refuse_unready(self._context.table, row)
        return read_window(self._context, row or Row())

    def steps(self, take_over: bool = False) -> Steps:
        """Promote the target, or continue; yield each wait, and return the result.

        `take_over` replaces a live process. The lease is released at the end, whatever ends it.

        Raises:
            BlockedError: there is nothing to promote, or another process works on the table.
            LeaseLostError: another process has taken over.
            AccountError: the target account refuses what a promotion cannot do without.
        """
        refuse = partial(refuse_unready, self._context.table)
        yield from self._until_done(partial(self._acquire, take_over, refuse))
        try:
            yield from self._until_done(self._begin)
            # Why each act is where it is:
            # - the record before the gate: a process that dies in between leaves a table that every
            #   other command refuses, and this one continues;
            # - the wait before the Deny lets writers in: an invocation that began before the gate
            #   was closed may write for as long, and would overwrite theirs.
            for act in (self._close_gate, self._await_gate, self._mark_primary):
                yield from self._until_done(act)
            return (yield from self._finish())
        finally:
            with contextlib.suppress(BootstrapError):
                self._context.lease.release()

    def keep_lease(self) -> None:
        """Renew the lease during a wait. A refusal is left to the next step."""
        if self._held:
            with contextlib.suppress(AccountError, LeaseLostError):
                self._context.lease.check()

    # -- the acts ----------------------------------------------------------------------------------

    def _begin(self) -> Outcome:
        context, journal = self._context, self._context.journal
        journal.refresh()
        row = journal.row
        if row.state is State.PROMOTED and journal.get(Promoted) is not None:
            return Done()
        refuse_unready(context.table, row)
        facts = context.target.table(context.table.target_table)
        refuse_another_table(context.table, row, facts)
        if self._drain is None:
            self._drain = DrainWait(context, row)
        outcome = self._drain.advance()
        if self._drain.result is None:
            return outcome
        self._record(row, self._drain.result, read_window(context, row))
        return Done()

    def _record(self, row: Row, drained: Drain, window: LossWindow) -> None:
        """Record the promotion, and void an unfinished switch, in one write."""
        context, now = self._context, self._context.now
        nonce = write_deny.new_nonce()
        report = begun_report(context, nonce, now, row.state, drained, window)
        text = json.dumps(report, separators=(",", ":"))
        # Open from the first on: a process that dies before it has tried them leaves them known.
        waiting = tuple(f"{item.name}: not tried yet" for item in ITEMS)
        records: list[Any] = [Promoted(nonce, now, drained.seconds, report=text, failed=waiting)]
        attempt = row.record(Switching)
        if attempt is not None and not attempt.cancelled:
            records.append(replace(attempt, cancelled_at=now, reason="the target was promoted"))
        context.journal.works_in(State.PROMOTED)
        context.journal.put_all(records, "the target becomes the primary without the source")
        context.say("recorded: from here on the table only goes forward")

    def _close_gate(self) -> Outcome:
        """Let the consumer, and every other user of the guard, write nothing any more."""
        context, journal = self._context, self._context.journal
        journal.refresh()
        promoted = self._promoted()
        taken = context.ledger.settings().closed != promoted.nonce
        if taken:
            context.ledger.take_gate(promoted.nonce)
        if taken or not promoted.closed_at:
            journal.refresh()  # a process that was suspended learns AWS's time
            journal.put(
                replace(promoted, closed_at=context.now), "the consumer's gate is closed for good"
            )
        return Done()

    def _await_gate(self) -> Outcome:
        """Wait until no invocation runs that has not seen the gate.

        One may have read its settings just before it, which it keeps for 30 s, and may then have
        begun its last batch. No probe can show it, because probes go through the source's stream.
        """
        left = self._gate_holds_from() - self._context.now
        if left <= 0:
            return Done()
        poll = min(self._context.timing.poll(POLL_SECONDS), left)
        return Pending("invocations that began before the gate was closed to end", max(poll, 0.2))

    def _mark_primary(self) -> Outcome:
        context, promoted = self._context, self._promoted()
        at = round(self._gate_holds_from() * 1e6)
        if not context.ledger.set_primary(promoted.nonce, at):
            raise BlockedError(
                f"The consumer's gate of table {context.name} was taken by another process.",
                fix=CONTINUES,
            )
        return Done()

    def _finish(self) -> Steps:
        context = self._context
        left: list[tuple[PromotionItem, BootstrapError]] = []
        for item in ITEMS:
            error = yield from self._try(item)
            yield from self._until_done(partial(self._note, item, error))
            if error is not None:
                left.append((item, error))
                context.say(f"left open: {item.what}: {error.what}")
            else:
                context.say(f"done: {item.what}")
        promoted = self._promoted()
        blocked = {item.name for item, _ in left}
        takes_writes = bool(promoted.open_at) or (
            not blocked & {DENY, OPEN} and not deny_stands(context)
        )
        yield from self._until_done(self._count_held_back)
        report = finished_report(context, promoted, left, self._held_back, takes_writes)
        return PromotionResult(context.name, report, tuple(left), takes_writes)

    def _count_held_back(self) -> Outcome:
        self._held_back = read_held_back(self._context, self._promoted().nonce)
        return Done()

    def _try(self, item: PromotionItem) -> Generator[Pending, None, BootstrapError | None]:
        """Advance an item until it is done or its time is up; return why it is not."""
        clock, timing = self._context.clock, self._context.timing
        end = clock.monotonic() + item.limit(timing)
        while True:
            error: BootstrapError | None = None
            outcome: Outcome
            try:
                self._context.journal.refresh()
                outcome = item.advance(self._context)
            except LeaseLostError:
                raise
            except (UnavailableError, BlockedError) as passing:
                error, outcome = passing, Pending(passing.what, timing.poll(POLL_SECONDS))
            except AccountError as refused:
                return refused
            if isinstance(outcome, Done):
                return None
            left = end - clock.monotonic()
            if left <= 0:
                return error or self._unfinished(item, outcome)
            if isinstance(outcome, Pending):
                self._poller.say(f"waiting for {outcome.what}", same=outcome.what)
                yield replace(outcome, poll=min(outcome.poll, max(0.2, left)))

    def _unfinished(self, item: PromotionItem, outcome: Acted | Pending) -> BootstrapError:
        what = outcome.what if isinstance(outcome, Pending) else item.what
        fix = refused_fix(self._context) if item.name == OPEN else CONTINUES
        return BlockedError(f"Still waiting for {what}.", fix=fix)

    def _note(self, item: PromotionItem, error: BootstrapError | None) -> Outcome:
        """Record an item as done, or why it is open."""
        journal = self._context.journal
        journal.refresh()
        promoted = self._promoted()
        failed = tuple(each for each in promoted.failed if not each.startswith(f"{item.name}: "))
        done = tuple(each for each in promoted.done if each != item.name)
        if error is None:
            changed = replace(promoted, done=(*done, item.name), failed=failed)
        else:
            changed = replace(promoted, done=done, failed=(*failed, f"{item.name}: {error.what}"))
        if changed != promoted:
            state = "done" if error is None else "open"
            journal.put(changed, f"{item.name}: {state}")
        return Done()

    # -- parts -------------------------------------------------------------------------------------

    def _acquire(self, take_over: bool, refuse: Callable[[Row | None], None]) -> Outcome:
        context = self._context
        row, at = context.store.read(context.name)
        context.lease.saw(at)
        refuse(row)  # before a claim, which makes a row where there is none
        context.lease.acquire(take_over, refuse)
        self._held = True
        return Done()

    def _until_done(self, advance: Callable[[], Outcome]) -> Generator[Pending, None, None]:
        """Advance until done. An account that does not answer for now is a wait, for a while."""
        while True:
            outcome = self._poller.attempt(advance)
            if isinstance(outcome, Done):
                return
            if isinstance(outcome, Pending):
                self._poller.say(f"waiting for {outcome.what}", same=outcome.what)
                yield outcome

    def _promoted(self) -> Promoted:
        found = self._context.journal.get(Promoted)
        if found is None:
            raise AssertionError("A promotion is recorded first.")
        return found

    def _gate_holds_from(self) -> float:
        # The time is this program's own for the settings, and AWS's for the invocation; a switch
        # makes invocations short first.
        spread = SettingsRow.CACHE_SECONDS + self._context.timing.last_invocation
        return self._promoted().closed_at + spread
