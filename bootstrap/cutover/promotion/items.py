"""The items of a promotion once nothing of the source is applied: observed, and repeatable.

An item that fails stays open, and the others follow.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass, replace

from bootstrap.core.durations import Timing
from bootstrap.core.errors import AccountError, Side
from bootstrap.core.outcome import Acted, Done, Outcome, Pending
from bootstrap.core.run_options import TtlPolicy
from bootstrap.core.suggestions import Command, Suggestion, suggest
from bootstrap.core.write_deny import PolicyError, WriteDeny, holds, with_deny
from bootstrap.cutover import denies
from bootstrap.cutover.promotion.context import PromoteContext
from bootstrap.journal.records import Configured, Wanted
from bootstrap.journal.stream_records import mapping_of
from bootstrap.journal.switch_records import Promoted, TargetDeny
from bootstrap.run.deny_put import put_deny
from replicator.aws_commands import table_option

POLL_SECONDS = 5.0
DENY, OPEN, MAPPING, EXPIRY = "target-deny", "target-open", "mapping", "target-expiry"
"""Names of the items; they never change, because the journal has them."""


@dataclass(frozen=True)
class PromotionItem:
    """One item. `limit`: the seconds after which it is left open."""

    name: str
    what: str
    """For the report."""
    advance: Callable[[PromoteContext], Outcome]
    limit: Callable[[Timing], float]


def deny_stands(context: PromoteContext) -> bool:
    """Tell whether a Deny on other writers is known to have been put on the target."""
    known = context.journal.get(TargetDeny)
    return known is not None or context.table.stack_owns_target_deny


def rewrite_deny(context: PromoteContext) -> Outcome:
    """Let all writers in but this stack's own: rewrite the Deny, or put the first one."""
    policies, promoted = context.policies, _promoted(context)
    if policies is None:
        if deny_stands(context):
            raise _still_denied(context, "the stack has no role that may change its policy")
        return Done()
    deny = _own_deny(context, promoted.nonce)
    found = policies.read(deny.table_arn)
    try:
        if holds(found.document, deny):
            return Done()
        with_deny(found.document, deny)  # before anything is recorded
    except PolicyError as error:
        raise _still_denied(context, str(error)) from None
    known = context.journal.get(TargetDeny)
    if known is not None and known.nonce != promoted.nonce:
        # No other process works on this Deny any more, so whatever stands there is replaced.
        standing = replace(known, nonce=promoted.nonce, earlier=())
        context.journal.put(standing, "rewriting the target's Deny, so that it lets writers in")
    put_deny(policies, found, found.document, deny)
    return Done()  # AWS has taken it; a read would show it only seconds later


def await_writers(context: PromoteContext) -> Outcome:
    """Wait until the target no longer refuses a writer. Others may be refused a little longer."""
    promoted = _promoted(context)
    if promoted.open_at:
        return Done()
    if context.canary is None:
        if deny_stands(context):
            raise _still_denied(context, "the stack has no role that may test it")
        return Done()
    if context.canary.refused(context.table.target_table):
        return Pending("the target to let writers in", context.timing.poll(POLL_SECONDS))
    context.journal.put(replace(promoted, open_at=context.now), "the target takes writes")
    return Done()


def refused_fix(context: PromoteContext) -> Suggestion:
    """Return what to do about a target that refuses writers after the Deny was rewritten."""
    region = context.outputs.target.region
    return suggest(
        "in some minutes: ",
        Command("promote", "--yes"),
        "; if the target refuses writers then too, another Deny stands, such as one that an older "
        "version of the stack made: with an administrator's credentials of account "
        f"{context.outputs.target.account_id}, aws dynamodb get-resource-policy --region {region} "
        f"--resource-arn {context.outputs.target_arn(context.table)} shows it, and "
        "put-resource-policy with what else is in there takes it off",
    )


def stop_mapping(context: PromoteContext) -> Outcome:
    """Disable the consumer's event source mapping, which is in the source's Region."""
    uuid = mapping_of(context.table, context.journal.row)
    mapping = context.target.mapping(uuid) if uuid else None
    if mapping is None or mapping.state in ("Disabled", "Deleting"):
        return Done()
    if mapping.running:
        context.target.disable_mapping(uuid)
        return Acted()
    what = f"the event source mapping to be disabled (it is {mapping.state})"
    return Pending(what, context.timing.poll(POLL_SECONDS))


def start_expiry(context: PromoteContext) -> Outcome:
    """Switch time to live on in the target, as the source had it when the run was planned."""
    wanted, configured = context.journal.get(Wanted), context.journal.get(Configured)
    never = configured is not None and configured.ttl == TtlPolicy.NEVER
    if wanted is None or not wanted.ttl_attribute or never:
        return Done()
    name = context.table.target_table
    there = context.target.expiry(name)
    if there.enabled and there.attribute == wanted.ttl_attribute:
        return Done()
    if there.enabled:
        raise AccountError(
            Side.TARGET,
            f"The target expires items by {there.attribute}, and the source did by "
            f"{wanted.ttl_attribute}.",
            fix=_ttl_command(context, str(there.attribute), on=False)
            + "; an hour later: "
            + _ttl_command(context, wanted.ttl_attribute, on=True),
        )
    context.target.set_expiry(name, wanted.ttl_attribute, True)
    return Acted()


# The Deny first, because writers are refused until it has spread; no writer waits for the others.
ITEMS: tuple[PromotionItem, ...] = (
    PromotionItem(
        DENY,
        "the target's Deny refuses only this stack's own roles",
        rewrite_deny,
        lambda timing: max(30.0, 120 * timing.scale),
    ),
    PromotionItem(
        OPEN, "the target takes writes", await_writers, lambda timing: timing.policy_spread
    ),
    PromotionItem(
        MAPPING,
        "the consumer's event source mapping is off",
        stop_mapping,
        lambda timing: max(20.0, 60 * timing.scale),
    ),
    PromotionItem(
        EXPIRY,
        "the target expires items as the source did",
        start_expiry,
        lambda timing: max(5.0, 30 * timing.scale),
    ),
)


def _promoted(context: PromoteContext) -> Promoted:
    found = context.journal.get(Promoted)
    if found is None:
        raise AssertionError("A promotion is recorded before its items.")
    return found


def _own_deny(context: PromoteContext, nonce: str) -> WriteDeny:
    deny = denies.primary(context.outputs, context.table, nonce)
    # The outputs of an older program do not name the consumer's role.
    return replace(deny, only=[role for role in deny.only if role])


def _still_denied(context: PromoteContext, why: str) -> AccountError:
    """Make the error of a target that refuses its writers, with the command that lets them in."""
    known, deny = context.journal.get(TargetDeny), _own_deny(context, _promoted(context).nonce)
    deny = replace(deny, bulk=False)  # the command is to be taken, whatever AWS says to the action
    try:
        document = with_deny((known.original if known else "") or None, deny)
    except PolicyError:
        document = with_deny(None, deny)
    region, arn = context.outputs.target.region, deny.table_arn
    return AccountError(
        Side.TARGET,
        f"The target {context.table.target_table} STILL REFUSES ITS WRITERS: a Deny in its "
        f"resource policy stands, and it cannot be rewritten: {why}.",
        fix=f"with an administrator's credentials of account {context.outputs.target.account_id}: "
        f"aws dynamodb put-resource-policy --region {region} --resource-arn {arn} --policy "
        f"{shlex.quote(document)}; it replaces the whole policy, which `aws dynamodb "
        f"get-resource-policy --region {region} --resource-arn {arn}` shows",
    )


def _ttl_command(context: PromoteContext, attribute: str, *, on: bool) -> str:
    setting = f"Enabled={str(on).lower()},AttributeName={attribute}"
    return (
        f"aws dynamodb update-time-to-live --region {context.outputs.target.region} "
        f"{table_option(context.table.target_table)} "
        f"--time-to-live-specification {shlex.quote(setting)}"
    )
