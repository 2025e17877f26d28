"""Conditions on the resource policies of both tables: the Deny that stands, and one that fits."""

from __future__ import annotations

from bootstrap.core import write_deny
from bootstrap.core.facts import PolicyRevision, TableFacts
from bootstrap.core.formatting import duration, moment, number
from bootstrap.core.suggestions import Command, suggest
from bootstrap.core.write_deny import BULK_ACTION, POLICY_BYTES, PolicyError, WriteDeny
from bootstrap.cutover import denies
from bootstrap.cutover.checks.check import Check
from bootstrap.cutover.checks.readings import SwitchReadings
from bootstrap.cutover.context import SwitchContext
from bootstrap.journal.switch_records import SourceDeny, TargetDeny
from replicator.watchdog.readings import Unread

LONGEST_NONCE = "0" * 32
DATE = 4_102_444_800
"""Any date: all are of one length."""


def stack_deny(context: SwitchContext, readings: SwitchReadings) -> Check:
    """Judge that no `pulumi up` can put the old Deny of the target over its new primary."""
    name = "stack-deny"
    if not context.table.stack_owns_target_deny:
        evidence = "the stack's outputs say that its state holds no Deny on the target"
        return Check(name, True, evidence, readings.at)
    return Check(
        name,
        False,
        "the stack's state still holds the target's Deny, and an `up` would put it back",
        readings.at,
        suggest("pulumi up --refresh, which takes it out of the state; then ", Command("run")),
    )


def target_deny(context: SwitchContext, readings: SwitchReadings) -> Check:
    """Judge that the target takes no writes but the replication's: in the policy as it is now."""
    name, known = "target-deny", readings.row.record(TargetDeny)
    run = suggest(Command("run"))
    if known is None or not known.at:
        evidence = "nothing has been put that keeps other writers off the target"
        return Check(name, False, evidence, readings.at, run)
    found, target = readings.target_policy, readings.target
    if not isinstance(found, PolicyRevision) or not isinstance(target, TableFacts):
        why = found.why if isinstance(found, Unread) else "there is no table"
        evidence = f"the target's policy could not be read: {why}"
        return Check(name, None, evidence, readings.at, suggest(Command("status")))
    try:
        live = write_deny.project_statements(found.document)
    except PolicyError as error:
        return Check(name, None, str(error), readings.at, run)
    if set(live) != {known.nonce}:
        names = ", ".join(map(write_deny.sid, sorted(live))) or "none"
        evidence = (
            f"the target's policy has not the journal's statement {write_deny.sid(known.nonce)} "
            f"alone: of this project's it has {names}"
        )
        return Check(name, False, evidence, readings.at, run)
    wanted = denies.replica(context.steps.outputs, context.table, known.nonce)
    bulk = write_deny.names_bulk(found.document, known.nonce)
    if not wanted.is_written_as(live[known.nonce]) or (known.bulk and not bulk):
        evidence = (
            f"the statement {write_deny.sid(known.nonce)} of the target's policy was changed: it "
            "does not deny exactly what this project denies"
        )
        return Check(name, False, evidence, readings.at, run)
    spread, stands = context.steps.timing.policy_spread, readings.at - known.at
    evidence = (
        f"the target's policy has the statement {write_deny.sid(known.nonce)} since "
        f"{moment(known.at)}"
    )
    if not bulk:
        evidence += f"; it does not refuse bulk puts: {_untaken(known)}"
    if stands < spread:
        evidence += f", and a policy may take {duration(spread)} to reach every caller"
        remedy = suggest(f"wait {duration(spread - stands + 1)}, then the same command again")
        return Check(name, False, evidence, readings.at, remedy)
    return Check(name, True, evidence, readings.at)


def source_policy(context: SwitchContext, readings: SwitchReadings) -> Check:
    """Judge that the source's policy can take the Deny, and holds none of this project's."""
    name, found, source = "source-policy", readings.source_policy, readings.source
    look = suggest(Command("status"))
    if not isinstance(found, PolicyRevision) or not isinstance(source, TableFacts):
        why = found.why if isinstance(found, Unread) else "there is no table"
        evidence = f"the source's policy could not be read: {why}"
        return Check(name, None, evidence, readings.at, look)
    deny = WriteDeny(
        LONGEST_NONCE,
        source.arn,
        begins=DATE,
        ends=DATE,
    )
    try:
        # One that has ended refuses no writer: a process that had slept put its rehearsal.
        over = write_deny.ended(found.document, readings.at)
        stale = {
            n: each
            for n, each in write_deny.project_statements(found.document).items()
            if n not in over
        }
        merged = write_deny.with_deny(found.document, deny)
    except PolicyError as error:
        remedy = suggest("take a statement that is not needed out of the source table's policy")
        return Check(name, False, f"with the Deny, {error}", readings.at, remedy)
    if stale:
        known = readings.row.record(SourceDeny)
        earlier_attempt = known is not None and set(stale) == {known.nonce}
        whose = "an earlier attempt" if earlier_attempt else "another stack or an older run"
        evidence = (
            f"the source's policy has a statement of {whose}: "
            f"{', '.join(map(write_deny.sid, sorted(stale)))}"
        )
        remedy = (
            suggest(Command("switch", "--cancel"))
            if earlier_attempt
            else suggest(
                f"take it out of the policy by hand, once it is certain that no switch of "
                f"{context.table.source_table} is under way"
            )
        )
        return Check(name, False, evidence, readings.at, remedy)
    evidence = (
        f"the source's policy would have {number(write_deny.size(merged))} bytes with the Deny, of "
        f"{number(POLICY_BYTES)}; {_of_bulk_puts(readings)}"
    )
    return Check(name, True, evidence, readings.at)


def _untaken(deny: TargetDeny) -> str:
    if deny.bulk is None:
        return "the next `run` tries to let it"
    return f"AWS takes no Deny of {BULK_ACTION}"


def _of_bulk_puts(readings: SwitchReadings) -> str:
    """Say if the source's Deny will refuse bulk puts, as far as another Deny was tried."""
    source, target = readings.row.record(SourceDeny), readings.row.record(TargetDeny)
    tried = [each.bulk for each in (source, target) if each is not None and each.bulk is not None]
    unseen = "no role looks for those that run: see that none runs into the source"
    if not tried:
        return f"if it refuses bulk puts is known once it is put, and {unseen}"
    if tried[0]:
        return f"it refuses bulk puts too, but not one that runs already, and {unseen}"
    return f"it does not refuse bulk puts (AWS takes no Deny of {BULK_ACTION}), and {unseen}"
