"""The Deny on the target's other writers, in whatever resource policy the table has.

Only consumer and importer may write until a switch or a promotion. The statement is recorded before
it is put, and each run looks whether it still stands: a switch rests on a verification since when
it stood without a break.
"""

from __future__ import annotations

from dataclasses import replace

from bootstrap.core import write_deny
from bootstrap.core.errors import BlockedError, LeaseLostError
from bootstrap.core.facts import PolicyRevision
from bootstrap.core.outcome import Acted, Done, Outcome, Pending
from bootstrap.core.pulumi_commands import up
from bootstrap.core.state import State
from bootstrap.core.suggestions import Command, suggest
from bootstrap.core.write_deny import PolicyError, WriteDeny
from bootstrap.journal.switch_records import Promoted, Switching, TargetDeny
from bootstrap.run.deny_put import put_deny
from bootstrap.run.step import Step
from bootstrap.run.step_context import StepContext

MOST_PUTS = 3
"""Puts by one process. Another program, or AWS's form of the policy, undoes more of them."""


def advance(context: StepContext) -> Outcome:
    """Put the Deny, or put it again where it does not stand any more."""
    policies, journal, arn = context.target_policies, context.journal, context.target_arn
    if policies is None or context.table.stack_owns_target_deny:
        return Done()
    _refuse_switched(context)
    noted = journal.get(TargetDeny)
    known = policies.read(arn)
    if noted is None:
        first = TargetDeny(write_deny.new_nonce(), original=known.document or "")
        journal.put(first, "keeping other writers off the target")
        return Acted()
    deny = _deny(context, noted)
    if _stands_as_noted(deny, noted, known.document):
        context.memory.deny_doubted_at = None
        bulk = write_deny.names_bulk(known.document, noted.nonce)
        if noted.at and bulk is noted.bulk:
            return Done()
        if bulk or noted.bulk is False:
            # After a crash between the put and its record: the Deny is at least as old as this.
            return _put(context, noted, bulk)
        # The Deny of an older program, which stands all the while: it gets the bulk load in place.
    elif noted.at and not _doubt_settled(context):
        return Pending("AWS to show the target's resource policy", context.timing.poll(5))
    elif noted.at:
        # Another nonce: the same document would have the same revision as before, and a process
        # that has slept since could replace it.
        context.memory.deny_doubted_at = None
        again = replace(noted, nonce=write_deny.new_nonce(), earlier=(), at=0, bulk=None)
        journal.put(again, "the Deny on the target's other writers was changed, or taken off")
        return Acted()
    users = _users(context, deny, known)
    if context.memory.deny_puts >= MOST_PUTS:
        raise _does_not_stay(context)
    try:
        bulk = put_deny(policies, known, users, deny)
    except PolicyError as error:
        raise unusable(context, error) from None
    except LeaseLostError:
        raise
    except BlockedError:
        # Another caller has changed it since. It is theirs as well: read it again.
        return Pending("the target's resource policy to be read again", context.timing.poll(5))
    context.memory.deny_puts += 1
    return _put(context, noted, bulk)


STEP = Step("target-deny", State.CONFIGURING, advance)


def keep_others_off(context: StepContext) -> Outcome | None:
    """Lead to a Deny that every caller meets, before a bulk load. None: it stands, or none is to.

    The table exists and takes writes for as long as the load runs, and nothing tells another
    writer's items from the snapshot's.
    """
    outcome = advance(context)
    if not isinstance(outcome, Done):
        return outcome
    noted = context.journal.get(TargetDeny)
    ours = context.target_policies is not None and not context.table.stack_owns_target_deny
    if not ours or noted is None:
        return None
    if context.journal.now() - noted.at < context.timing.policy_spread:
        return Pending(
            "the Deny on the target's other writers to reach every caller", context.timing.poll(20)
        )
    return None


def stands(deny: WriteDeny, document: str | None) -> bool:
    """Tell whether a policy holds this Deny, and no other of this project's.

    A policy that cannot be read holds none.
    """
    try:
        older = write_deny.stacks_deny(document, deny.table_arn)
        return write_deny.holds(document, deny) and not older
    except PolicyError:
        return False


def _stands_as_noted(deny: WriteDeny, noted: TargetDeny, document: str | None) -> bool:
    """Tell likewise, and that a Deny which was put with the bulk load has not lost it."""
    if not stands(deny, document):
        return False
    return not noted.bulk or write_deny.names_bulk(document, noted.nonce)


def _doubt_settled(context: StepContext) -> bool:
    """Tell whether the Deny has been missing for longer than a read may be old.

    To count it as broken costs the operator another verification.
    """
    memory, now = context.memory, context.journal.now()
    if memory.deny_doubted_at is None:
        memory.deny_doubted_at = now
    return now - memory.deny_doubted_at >= context.timing.policy_reading


def _deny(context: StepContext, noted: TargetDeny) -> WriteDeny:
    # The importer's role is that of repairs and of `quarantine redrive --direct`.
    consumer, importer = context.table.consumer_role_arn, context.outputs.target.role_arn
    if not consumer:
        raise BlockedError(
            f"The stack's outputs do not name the consumer's role of table "
            f"{context.table.source_table}: the Deny on the target's other writers would stop it.",
            fix=up(context.outputs.stack),
        )
    return WriteDeny(noted.nonce, context.target_arn, excepted=(consumer, importer))


def _users(context: StepContext, deny: WriteDeny, known: PolicyRevision) -> str | None:
    """Return the policy without the Deny of the stack's, which this one replaces.

    In one document: there is no moment without a Deny.
    """
    try:
        return write_deny.without_stacks_deny(known.document, deny.table_arn)
    except PolicyError as error:
        raise unusable(context, error) from None


def unusable(context: StepContext, error: PolicyError) -> BlockedError:
    """Make the error for a policy of the user's that cannot be changed."""
    return BlockedError(
        f"The Deny on other writers of table {context.table.target_table} cannot be changed: "
        f"{error}.",
        fix=suggest(
            "correct that policy, or make it shorter, with the target account's credentials (aws "
            f"dynamodb get-resource-policy --resource-arn {context.target_arn} --region "
            f"{context.outputs.target.region} shows it); then the same command again"
        ),
    )


def _does_not_stay(context: StepContext) -> BlockedError:
    return BlockedError(
        f"The Deny on other writers of table {context.table.target_table} does not stay: it was "
        f"put {MOST_PUTS} times, and each time the resource policy was another one afterwards.",
        fix="find what changes it (CloudTrail: PutResourcePolicy, DeleteResourcePolicy), end that; "
        "then the same command again",
    )


def _put(context: StepContext, noted: TargetDeny, bulk: bool) -> Outcome:
    """Record the Deny with its time: the first one, where it has stood without a break."""
    context.journal.refresh()  # a process that was suspended learns AWS's time
    at = noted.at or context.journal.now()
    but = "" if bulk else ", but bulk puts are not: AWS takes no Deny of StartBulkPutItems"
    context.journal.put(
        replace(noted, at=at, bulk=bulk), f"other writers are kept off the target{but}"
    )
    return Acted()


def _refuse_switched(context: StepContext) -> None:
    # The Deny of a primary is the other way about: this one would stop the application.
    switching = context.journal.get(Switching)
    promoted = context.journal.get(Promoted) is not None
    if promoted or (switching is not None and not switching.cancelled):
        raise BlockedError(
            f"Table {context.table.source_table} is being switched to its target, or was: the "
            "policy of the target is the switch's.",
            fix=suggest(Command("status")),
        )
