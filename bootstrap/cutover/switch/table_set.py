"""The tables that are switched together, and the record that they share.

Every change of the record is one write for all of them, on condition of each one's lease: so they
are in one step, and the commit is one of these writes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

from bootstrap.core.errors import BlockedError, BootstrapError, Side, UnavailableError
from bootstrap.core.ports import ResourcePolicies
from bootstrap.core.state import State
from bootstrap.cutover.context import SwitchContext, SwitchOptions
from bootstrap.cutover.deny_changes import DenyChanges
from bootstrap.journal.lease import Lease
from bootstrap.journal.switch_records import Switching, SwitchMode

MOST_TABLES = 50
"""A transaction of DynamoDB has 100 actions, and a table takes two."""


class SwitchSet:
    """All tables of a switch. They have the same journal table, options and attempt."""

    def __init__(self, contexts: Sequence[SwitchContext]) -> None:
        if len(contexts) > MOST_TABLES:
            raise BlockedError(
                f"{len(contexts)} tables cannot be switched with one commit: it takes up to "
                f"{MOST_TABLES}.",
                fix=f"switch them in groups of up to {MOST_TABLES}, with --table for each",
            )
        self.contexts = tuple(contexts)

    def __iter__(self) -> Iterator[SwitchContext]:
        return iter(self.contexts)

    @property
    def first(self) -> SwitchContext:
        return self.contexts[0]

    @property
    def options(self) -> SwitchOptions:
        return self.first.options

    @property
    def now(self) -> float:
        """AWS's time: the latest that any table has seen."""
        return max(each.now for each in self)

    @property
    def attempt(self) -> Switching:
        """The attempt that is recorded.

        Raises:
            AssertionError: before one has begun.
        """
        found = self.first.journal.get(Switching)
        if found is None:
            raise AssertionError("No attempt has begun.")
        return found

    @property
    def fenced(self) -> bool:
        return self.attempt.mode == SwitchMode.FENCE

    @property
    def committed(self) -> bool:
        """Tell whether the journals, as last read, hold a commit."""
        found = [each.journal.get(Switching) for each in self]
        return any(each is not None and each.committed_at for each in found)

    def refresh(self) -> None:
        """Read every journal again.

        Raises:
            LeaseLostError: when another process has taken over.
        """
        for each in self:
            each.journal.refresh()

    def record(self, text: str, *, state: State | None = None, **changes: Any) -> None:
        """Change the attempt's record in all journals at once.

        Raises:
            LeaseLostError: another process has taken over any of the tables.
            UnavailableError: a write of before was still on its way; look again.
        """
        self.refresh()
        self.put(replace(self.attempt, **changes), text, state)

    def put(self, record: Switching, text: str, state: State | None = None) -> None:
        """Put the record of an attempt into all journals at once, over those that were read."""
        writes = [each.journal.planned(record, text, state) for each in self]
        if not self.first.store.write_all(writes):
            self.refresh()
            raise UnavailableError(
                Side.TARGET,
                "The journal has changed since it was read.",
                fix="the same command again",
            )
        for each, write in zip(self, writes, strict=True):
            each.journal.wrote(write)

    def keep_leases(self) -> None:
        """Renew every lease that is due.

        Raises:
            LeaseLostError: when another process has taken over.
        """
        for each in self:
            for lease in each.leases:
                lease.check()

    @contextmanager
    def leased(self, take_over: bool) -> Iterator[None]:
        """Hold the leases of run, verification and backfill of every table, and read the journals.

        Raises:
            LeaseHeldError: another process has one of them.
        """
        held: list[Lease] = []
        try:
            for each in self:
                for lease in each.leases:
                    lease.acquire(take_over)
                    held.append(lease)
            self.refresh()
            yield
        finally:
            for lease in held:
                with suppress(BootstrapError):
                    lease.release()


def source_denies(context: SwitchContext) -> DenyChanges:
    """Return the changes of the source's Deny, for which a fence needs a role."""
    if context.source_policies is None:
        raise AssertionError("A fence needs the role of the source account.")
    return _changes(context, Side.SOURCE, context.source_policies)


def target_denies(context: SwitchContext) -> DenyChanges:
    """Return the changes of the target's Deny."""
    return _changes(context, Side.TARGET, context.target_policies)


def _changes(context: SwitchContext, side: Side, policies: ResourcePolicies) -> DenyChanges:
    doubts, timing = context.memory.doubts, context.steps.timing
    return DenyChanges(side, policies, doubts, timing, context.now)
