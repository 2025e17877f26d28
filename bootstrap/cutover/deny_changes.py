"""Changes of the Deny on a table's writers: each replaces the one that it knows.

A process that has slept must not undo what another one did meanwhile. So the statement that a
change replaces is named by its nonce, and AWS takes the change only over the policy that was read.
A read may show a policy of some seconds before: what is not as it should be counts once it has
stayed so for a while.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from bootstrap.core.durations import Timing
from bootstrap.core.errors import BlockedError, Side, UnavailableError
from bootstrap.core.facts import PolicyRevision
from bootstrap.core.ports import ResourcePolicies
from bootstrap.core.suggestions import Command, suggest
from bootstrap.core.write_deny import (
    PolicyError,
    WriteDeny,
    ended,
    holds,
    names_bulk,
    project_statements,
    without_deny,
)
from bootstrap.run.deny_put import put_deny


@dataclass
class PolicyDoubts:
    """Tables whose policy was not as it should be, and since when, by AWS's clock."""

    since: dict[str, float] = field(default_factory=dict)

    def settled(self, table_arn: str, now: float, timing: Timing) -> bool:
        """Tell whether the doubt about a table is older than any read can be."""
        first = self.since.setdefault(table_arn, now)
        return now - first >= timing.policy_reading

    def forget(self, table_arn: str) -> None:
        self.since.pop(table_arn, None)


@dataclass(frozen=True)
class DenyChanges:
    """Changes of one account's tables, at a moment of AWS's clock."""

    side: Side
    policies: ResourcePolicies
    doubts: PolicyDoubts
    timing: Timing
    now: float

    def replace(self, deny: WriteDeny, *, known: Collection[str], required: bool = True) -> bool:
        """Put a Deny in place of one whose nonce is among `known`; return if it denies bulk puts.

        Nothing is put where the policy holds this Deny already. `required`: one has to be there.

        Raises:
            BlockedError: the policy holds another attempt's, or none, or cannot take this one.
            UnavailableError: AWS takes one change in about 15 seconds, or may show an older policy.
        """
        arn = deny.table_arn
        found = self.policies.read(arn)
        standing = self._nonces(found, arn)
        # One that has ended is not at work: a process that had slept put its rehearsal.
        at_work = standing - set(ended(found.document, self.now))
        if at_work - {*known, deny.nonce}:
            raise self._another(arn, at_work)
        if required and not standing:
            raise self._doubted(arn)
        try:
            if holds(found.document, deny):
                self.doubts.forget(arn)
                return names_bulk(found.document, deny.nonce)
            bulk = put_deny(self.policies, found, found.document, deny)
        except PolicyError as error:
            raise _unusable(arn, error) from None
        self.doubts.forget(arn)
        return bulk

    def remove(self, table_arn: str, *, known: Collection[str]) -> None:
        """Take the Deny of these attempts out of a table's policy, and leave the user's statements.

        Raises:
            BlockedError: the policy holds that of another attempt.
            UnavailableError: AWS takes one change in about 15 seconds, or may show an older policy.
        """
        found = self.policies.read(table_arn)
        standing = self._nonces(found, table_arn)
        if not standing:
            if not self.doubts.settled(table_arn, self.now, self.timing):
                raise self._unsettled(table_arn)
            self.doubts.forget(table_arn)
            return
        at_work = standing - set(ended(found.document, self.now))
        if at_work - set(known):
            raise self._another(table_arn, at_work)
        self.policies.replace(table_arn, found, without_deny(found.document))
        self.doubts.forget(table_arn)

    def stands(self, forms: Sequence[WriteDeny]) -> bool:
        """Tell whether the table's policy holds exactly one of these.

        Raises:
            UnavailableError: it does not, but AWS may show an older policy.
        """
        arn = forms[0].table_arn
        found = self.policies.read(arn)
        with suppress(PolicyError):
            if any(holds(found.document, each) for each in forms):
                self.doubts.forget(arn)
                return True
        if not self.doubts.settled(arn, self.now, self.timing):
            raise self._unsettled(arn)
        return False

    def require(self, deny: WriteDeny) -> None:
        """Check that the table's policy holds exactly this Deny of ours.

        Raises:
            BlockedError: it does not.
            UnavailableError: AWS may show an older policy.
        """
        found = self.policies.read(deny.table_arn)
        try:
            if holds(found.document, deny):
                self.doubts.forget(deny.table_arn)
                return
        except PolicyError as error:
            raise _unusable(deny.table_arn, error) from None
        raise self._doubted(deny.table_arn)

    def _nonces(self, found: PolicyRevision, table_arn: str) -> set[str]:
        try:
            return set(project_statements(found.document))
        except PolicyError as error:
            raise _unusable(table_arn, error) from None

    def _doubted(self, table_arn: str) -> BlockedError | UnavailableError:
        if not self.doubts.settled(table_arn, self.now, self.timing):
            return self._unsettled(table_arn)
        return BlockedError(
            f"The resource policy of {table_arn} is not as this switch left it: another caller "
            "changed it.",
            fix="find out who (CloudTrail: PutResourcePolicy, DeleteResourcePolicy), then the same "
            "command again",
        )

    def _another(
        self, table_arn: str, standing: Collection[str]
    ) -> BlockedError | UnavailableError:
        """Make the error for another attempt's Deny. It may be one of before that AWS still shows:
        a cancel that died and is repeated meets what it has replaced.
        """
        if not self.doubts.settled(table_arn, self.now, self.timing):
            return self._unsettled(table_arn)
        return BlockedError(
            f"The resource policy of {table_arn} holds the Deny of another attempt "
            f"({', '.join(sorted(standing))}): another process works on this table, or did.",
            fix=suggest(Command("status")),
        )

    def _unsettled(self, table_arn: str) -> UnavailableError:
        return UnavailableError(
            self.side,
            f"AWS may show the resource policy of {table_arn} as it was some seconds ago.",
            fix="the same command again",
        )


def _unusable(table_arn: str, error: PolicyError) -> BlockedError:
    return BlockedError(
        f"The resource policy of {table_arn} cannot hold the Deny on its writers: {error}.",
        fix="change that policy, then the same command again",
    )
