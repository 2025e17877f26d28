"""The acts of a switch up to its commit, one table each: observe, and make at most one change.

An act may be repeated after any answer, also a lost one. None is resumed by another process.
"""

from __future__ import annotations

from dataclasses import replace

from bootstrap.core.errors import BlockedError
from bootstrap.core.formatting import moment
from bootstrap.core.outcome import Done, Outcome, Pending
from bootstrap.core.suggestions import Command, suggest
from bootstrap.cutover import denies
from bootstrap.cutover.context import SwitchContext
from bootstrap.cutover.settings import as_text
from bootstrap.cutover.settings_changes import apply_slow
from bootstrap.cutover.switch.buffer_proof import proof_of
from bootstrap.cutover.switch.cancel import disarm_ended
from bootstrap.cutover.switch.gate import gate_taken
from bootstrap.cutover.switch.handing_over import leaked_writes
from bootstrap.cutover.switch.table_set import SwitchSet, source_denies, target_denies
from bootstrap.cutover.switch.write_deny_times import WriteDenyTimes
from bootstrap.journal.records import CaughtUp
from bootstrap.journal.switch_records import ChosenSettings, SourceDeny, TargetDeny
from bootstrap.status.health import reasons

POLL_SECONDS = 5.0
UNDENIED = "does not refuse bulk puts: AWS takes no Deny of StartBulkPutItems"


# -- prepare -----------------------------------------------------------------------------------


def settle_settings(group: SwitchSet, context: SwitchContext) -> Outcome:
    """Give the target those of its settings that take time and harm no replica."""
    chosen = ChosenSettings(group.attempt.nonce, as_text(context.memory.settings))
    if context.journal.get(ChosenSettings) != chosen:
        context.journal.put(chosen, "the target's settings as the primary are chosen")
    return apply_slow(context, context.memory.settings)


def rehearse(group: SwitchSet, context: SwitchContext) -> Outcome:
    """Put a Deny that has ended into the source's policy: role, merge, size and names are right."""
    if not group.fenced:
        return Done()
    nonce, journal = group.attempt.nonce, context.journal
    changes, arn = source_denies(context), context.table.source_table_arn
    known = journal.get(SourceDeny)
    if known is None or known.nonce != nonce:
        original = changes.policies.read(arn).document or ""
        journal.put(SourceDeny(nonce, original), "putting a Deny that has ended, as a rehearsal")
    deny = denies.rehearsal(context.table, nonce, group.attempt.begun)
    bulk = changes.replace(deny, known=(), required=False)
    noted = journal.get(SourceDeny)
    if noted is not None and noted.bulk is not bulk:
        does = "refuses bulk puts too" if bulk else UNDENIED
        journal.put(replace(noted, bulk=bulk), f"the source's Deny {does}")
    return Done()


def shorten_invocations(group: SwitchSet, context: SwitchContext) -> Outcome:
    """Let the consumer's invocations be short, under this attempt's nonce."""
    ledger, nonce = context.steps.ledger, group.attempt.nonce
    if not ledger.arm(nonce) and not (disarm_ended(context) and ledger.arm(nonce)):
        raise gate_taken(context)
    proof_of(context).begin(context, _proved(context))
    return Done()


def prove_lanes(group: SwitchSet, context: SwitchContext) -> Outcome:
    """Wait until the consumer is known to run this version's code, and to be up to date."""
    return proof_of(context).prove_lanes(group, context)


# -- arm and close -----------------------------------------------------------------------------


def put_dated_deny(group: SwitchSet, context: SwitchContext) -> Outcome:
    """Put the Deny that closes the source by the clock."""
    attempt = group.attempt
    if not group.fenced:
        return Done()
    deny = denies.dated(context.table, attempt)
    source_denies(context).replace(deny, known=(attempt.nonce,))
    context.journal.refresh()  # a process that was suspended learns AWS's time
    times = WriteDenyTimes(attempt.closes, attempt.mark, attempt.reopens)
    if not times.put_in_time(group.now, context.steps.timing):
        raise BlockedError(
            f"AWS took the Deny of table {context.table.source_table} too late to reach every "
            f"caller before {moment(attempt.closes)}.",
            fix="the same command again, when the source account answers",
        )
    return Done()


def set_mark(group: SwitchSet, context: SwitchContext) -> Outcome:
    """Let the consumer note every change that is newer than the mark."""
    move_mark(group, context, group.attempt.mark)
    return Done()


def move_mark(group: SwitchSet, context: SwitchContext, mark: int) -> None:
    """Store a mark (epoch seconds) in one table's ledger."""
    if not context.steps.ledger.set_mark(group.attempt.nonce, mark * 1_000_000):
        raise gate_taken(context)


def await_mark(group: SwitchSet, context: SwitchContext) -> Outcome:
    """Wait until writes that were admitted before the closing have ended."""
    attempt, timing = group.attempt, context.steps.timing
    if group.now > attempt.mark:
        refuse_missing_deny(group, context)
        return Done()
    until = attempt.closes if group.now < attempt.closes else attempt.mark
    what = "the source to close" if until == attempt.closes else "the last admitted writes to end"
    return Pending(what, min(timing.poll(POLL_SECONDS), max(0.2, until - group.now)))


# -- drain -------------------------------------------------------------------------------------


def await_handover(group: SwitchSet, context: SwitchContext) -> Outcome:
    """Wait until DynamoDB has put everything from before the mark into the buffer."""
    mark = group.attempt.mark
    outcome = proof_of(context).await_handover(group, context)
    if isinstance(outcome, Done):
        context.memory.handed_over = mark
    return outcome


def prove_drained(group: SwitchSet, context: SwitchContext) -> Outcome:
    """Wait until everything up to the last change has come through the consumer."""
    proof = proof_of(context)
    outcome = proof.prove_drained(group, context)
    if isinstance(outcome, Done):
        context.memory.notes = proof.notes(group, context)
    return outcome


# -- seal and gate -----------------------------------------------------------------------------


def seal(group: SwitchSet, context: SwitchContext) -> Outcome:
    """Put the same Deny without its end, while enough of it is left to spread."""
    attempt, timing = group.attempt, context.steps.timing
    if not group.fenced:
        return Done()
    times = WriteDenyTimes(attempt.closes, attempt.mark, attempt.reopens)
    if times.may_seal(group.now, timing):
        deny = denies.sealed(context.table, attempt)
        source_denies(context).replace(deny, known=(attempt.nonce,))
        context.journal.refresh()  # a process that was suspended learns AWS's time
        if times.sealed_in_time(group.now, timing):
            return Done()
    raise BlockedError(
        f"The source table {context.table.source_table} opens again at "
        f"{moment(attempt.reopens)}, too soon to close it for good.",
        fix="the same command again, with a greater --timeout",
    )


def close_gate(group: SwitchSet, context: SwitchContext) -> Outcome:
    """Let the consumer, and every other user of its guard, write nothing any more."""
    if not context.steps.ledger.close(group.attempt.nonce):
        raise gate_taken(context)
    proof_of(context).begin(context, group.attempt.mark)
    return Done()


def stop_consumer(group: SwitchSet, context: SwitchContext) -> Outcome:
    """Switch the consumer off, where the closed gate alone cannot be proved."""
    return proof_of(context).stop_consumer(group, context)


def prove_closed(group: SwitchSet, context: SwitchContext) -> Outcome:
    """Wait until no invocation of the consumer begins that could write."""
    return proof_of(context).prove_closed(group, context)


def await_zombies(group: SwitchSet, context: SwitchContext) -> Outcome:
    """Wait until no invocation that began before the gate was closed can still write."""
    timing, proof = context.steps.timing, proof_of(context)
    over = proof.last_write(group, context)
    if group.now < over:
        wait = min(timing.poll(POLL_SECONDS), max(0.2, over - group.now))
        return Pending("the consumer's last invocations to end", wait)
    proof.begin(context, group.attempt.mark)
    return Done()


def prove_safe(group: SwitchSet, context: SwitchContext) -> Outcome:
    """Check everything once more, with what is read after the last proof is through.

    Raises:
        BlockedError: something came late, or is not as it has to be, or cannot be known.
    """
    table, attempt, proof = context.table, group.attempt, proof_of(context)
    outcome = proof.prove_nothing_left(group, context)
    if not isinstance(outcome, Done):
        return outcome
    context.memory.proved_at = group.now
    notes = proof.notes(group, context)
    if notes.changes != context.memory.notes.changes:
        came = notes.changes - context.memory.notes.changes
        raise BlockedError(
            f"{came} changes of table {table.source_table} arrived after the drain: the source "
            "still took writes, or records came late. Those that met the closed consumer are in "
            "quarantine.",
            fix=suggest(Command("quarantine list"), ", then redrive each; then switch again"),
        )
    context.memory.left_to_ttl = notes.deletions + context.memory.stream.deletions
    refuse_missing_deny(group, context)
    if group.fenced:
        leaked = leaked_writes(context, attempt.mark)
        if leaked:
            raise BlockedError(
                f"The source table {table.source_table} took writes after it had been closed: "
                f"{leaked:.0f} write units (ConsumedWriteCapacityUnits).",
                fix="find the writer (CloudTrail data events name it), then switch again",
            )
    health = context.read_health(context.journal.row, group.now)
    against = reasons(health.findings)
    if health.readings is None or against:
        raise BlockedError(
            f"Table {table.source_table} is not safe to switch: "
            f"{'; '.join(against) or 'its detectors could not be read'}.",
            fix=suggest(Command("status"), ", which says what to do about each"),
        )
    return outcome


def refuse_missing_deny(group: SwitchSet, context: SwitchContext) -> None:
    """Check that both tables' policies hold exactly what this switch put there.

    Raises:
        BlockedError: one does not.
    """
    attempt, table, outputs = group.attempt, context.table, context.steps.outputs
    wanted = context.journal.get(TargetDeny)
    if wanted is None:
        raise AssertionError("The target's Deny is checked before a switch begins.")
    target_denies(context).require(denies.replica(outputs, table, wanted.nonce))
    if group.fenced:
        form = denies.sealed if attempt.sealed_at else denies.dated
        source_denies(context).require(form(table, attempt))


# -- helpers -----------------------------------------------------------------------------------


def _proved(context: SwitchContext) -> float:
    """Return a moment whose changes are proved applied: what a run may rest on, if it meets the
    round in the journal.
    """
    done = context.journal.get(CaughtUp)
    return done.moment if done is not None else 0.0
