"""The conditions of a switch, judged by what was read. Unknown is never fulfilled (C10)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bootstrap.core.errors import BlockedError
from bootstrap.core.formatting import duration, moment, number
from bootstrap.core.state import State
from bootstrap.core.suggestions import Command, Suggestion, suggest
from bootstrap.cutover.checks.check import Check
from bootstrap.cutover.checks.identity_checks import identity, source_kind, target_kind
from bootstrap.cutover.checks.policy_checks import source_policy, stack_deny, target_deny
from bootstrap.cutover.checks.readings import SwitchReadings, read
from bootstrap.cutover.context import SwitchContext
from bootstrap.journal.switch_records import Switching, SwitchMode, SwitchStep, TargetDeny
from bootstrap.status.health import WRONG, reasons
from replicator.buffers import KINESIS
from replicator.watchdog.detectors import Level
from replicator.watchdog.readings import SILENT_SECONDS, Unread

Condition = Callable[[SwitchContext, SwitchReadings], Check]

Later = tuple[str, str]
"""The name of a check and what it does, where it needs more than a look."""

REHEARSAL: Later = (
    "rehearsal",
    "a statement that has expired already is put into the source's policy: it proves the role, "
    "the merge and the name of every action (--fence)",
)
PROBED: Later = (
    "protocol",
    "a round of probes comes through, and each lane's rows say that its code can be switched",
)
READ: Later = (
    "protocol",
    "what the table's stream holds is read, and the consumer's rows say that it has ended, by code "
    "that can be switched. In a stream without a record no row says so: the gate then waits for "
    "the function's whole time limit, after which no code can be running",
)


def later(buffer: str) -> tuple[Later, ...]:
    """Return what is checked when the switch begins, before anything is closed."""
    return (REHEARSAL, PROBED if buffer == KINESIS else READ)


def read_checks(context: SwitchContext) -> tuple[Check, ...]:
    """Read both accounts, and judge every condition that can be judged without a change."""
    return judge_checks(context, read(context))


def judge_checks(context: SwitchContext, readings: SwitchReadings) -> tuple[Check, ...]:
    """Judge every condition by what was read, in the order of the switch's own work."""
    of_the_source = (source_kind, source_policy)
    conditions: tuple[Condition, ...] = (
        _state,
        _leases,
        _roles,
        identity,
        target_kind,
        stack_deny,
        target_deny,
        _verification,
        _verification_after_deny,
        _detectors,
        _lag,
        _quarantine,
        *(of_the_source if context.options.mode is SwitchMode.FENCE else ()),
    )
    return tuple(condition(context, readings) for condition in conditions)


def refuse_unfulfilled(checks: Sequence[Check]) -> None:
    """Check that every condition is fulfilled.

    Raises:
        BlockedError: naming each that is not, or that cannot be known, with what fulfils it.
    """
    open_ones = [each for each in checks if each.fulfilled is not True]
    if not open_ones:
        return
    many = len(open_ones) > 1
    head = f"{len(open_ones)} conditions of the switch are" if many else "A condition of it is"
    lines = [f"  {each.name}: {_unfulfilled(each)}" for each in open_ones]
    parts: list[str | Command] = []
    for each in open_ones:
        remedy = each.remedy or suggest(Command("status"))
        known = [part for part in remedy.parts if part not in parts]
        if not known:
            continue
        parts += ["; " if parts else "", *([f"({each.name}) "] if many else []), *known]
    raise BlockedError(
        "\n".join([f"The switch does not begin: {head} not fulfilled.", *lines]),
        fix=suggest(*parts),
    )


def _unfulfilled(check: Check) -> str:
    return f"it cannot be known: {check.evidence}" if check.fulfilled is None else check.evidence


def _state(context: SwitchContext, readings: SwitchReadings) -> Check:
    state = readings.row.state
    fine = state is State.REPLICATING or _is_in_preparation(context, readings)
    remedy = None if fine else _STATE_REMEDIES.get(state, suggest(Command("status")))
    since = f" since {moment(readings.row.since)}" if readings.row.since else ""
    return Check("state", fine, f"the table is {state}{since}", readings.at, remedy)


def _is_in_preparation(context: SwitchContext, readings: SwitchReadings) -> bool:
    """Tell whether the table is in the preparation of this process's own attempt."""
    attempt, held = readings.row.record(Switching), context.leases[0].generation
    return (
        readings.row.state is State.SWITCHING
        and held > 0
        and held == readings.row.generation
        and attempt is not None
        and not attempt.cancelled
        and attempt.step == SwitchStep.PREPARE
    )


_STATE_REMEDIES = {
    State.PLANNED: suggest(Command("run")),
    State.PAUSED: suggest(Command("resume")),
    State.SWITCHING: suggest(Command("switch", "--cancel")),
    State.SWITCHED: suggest(Command("status"), ", which shows what is left to do"),
}


def _leases(context: SwitchContext, readings: SwitchReadings) -> Check:
    free = not readings.holders
    evidence = "; ".join(readings.holders) or "no other process works on the table"
    remedy = None if free else suggest("wait until it ends (", Command("status"), " shows it)")
    return Check("leases", free, evidence, readings.at, remedy)


def _roles(context: SwitchContext, readings: SwitchReadings) -> Check:
    outputs, fence = context.steps.outputs, context.options.mode is SwitchMode.FENCE
    missing = [] if outputs.target.switch_role_arn else ["target"]
    missing += ["source"] if fence and not outputs.source.switch_role_arn else []
    if missing:
        evidence = f"the stack has no role for a switch in the {' and the '.join(missing)} account"
        remedy = suggest(
            "set `switch: true` in the stack file, then pulumi up --refresh, then ", Command("run")
        )
        return Check("roles", False, evidence, readings.at, remedy)
    named = [outputs.target.switch_role_arn, *([outputs.source.switch_role_arn] if fence else [])]
    return Check("roles", True, f"the stack names {' and '.join(named)}", readings.at)


def _verification(context: SwitchContext, readings: SwitchReadings) -> Check:
    done, name = readings.verified, "verification"
    again = suggest(Command("verify"))
    if done is None:
        return Check(name, False, "the tables have never been compared", readings.at, again)
    age, allowed = readings.at - done.source_time, context.options.verified_within
    evidence = (
        f"the last verification found {done.verdict}, as of {moment(done.source_time)}, "
        f"{duration(age)} ago"
    )
    if done.proves_equal is False:
        return Check(name, False, evidence, done.at, suggest(Command("verify", "--repair")))
    if done.sample < 1 or not done.complete_until:
        evidence += ": not every key was compared, by exports that could judge them"
        return Check(name, None, evidence, done.at, again)
    if age > allowed:
        return Check(name, False, f"{evidence}, not {duration(allowed)}", done.at, again)
    if done.changed_since:
        # A busy table always has some. Such a key has an entry of a later change, which carried the
        # whole item: whatever was there before has been replaced.
        evidence += (
            f"; {number(done.changed_since)} keys were replaced by changes since its exports"
        )
    return Check(name, True, evidence, done.at)


def _verification_after_deny(context: SwitchContext, readings: SwitchReadings) -> Check:
    """Judge that no other writer could reach the target since the verification that counts."""
    name, done, deny = "verified-since-deny", readings.verified, readings.row.record(TargetDeny)
    spread = context.steps.timing.policy_spread
    if deny is None or not deny.at:
        evidence = "there is no Deny on the target's other writers that it could have come after"
        return Check(name, False, evidence, readings.at, suggest(Command("run")))
    from_here = deny.at + spread
    evidence = f"the target's Deny holds for every caller from {moment(from_here)}"
    if done is None or done.source_time <= from_here:
        evidence += ", and no verification has been made since"
        wait = from_here - readings.at
        first = f"wait {duration(wait)}, then " if wait > 0 else ""
        return Check(name, False, evidence, readings.at, suggest(first, Command("verify")))
    evidence += f", before the verification as of {moment(done.source_time)}"
    return Check(name, True, evidence, readings.at)


def _detectors(context: SwitchContext, readings: SwitchReadings) -> Check:
    health, name = readings.health, "detectors"
    look = suggest(Command("status"))
    if health.readings is None:
        return Check(name, None, "the loss detectors were not read", readings.at, look)
    levels = {each.level for each in health.findings}
    found = [*reasons(health.findings), *health.losses.warnings]
    if levels & set(WRONG) or health.losses.any:
        return Check(name, False, "; ".join(found), health.readings.at, look)
    if Level.UNKNOWN in levels or not health.findings:
        evidence = "; ".join(found) or "none was read"
        return Check(name, None, evidence, health.readings.at, look)
    evidence = f"all {len(health.findings)} loss detectors are fine"
    return Check(name, True, evidence, health.readings.at)


def _lag(context: SwitchContext, readings: SwitchReadings) -> Check:
    if context.table.reads_table_stream:
        return _stream_lag(context, readings)
    name, allowed = "lag", context.options.max_lag
    look = suggest("wait for the consumer to catch up (", Command("status"), " shows the lag)")
    probed = readings.health.readings.probed if readings.health.readings is not None else None
    if probed is None or isinstance(probed, Unread):
        why = f": {probed.why}" if probed is not None else ""
        return Check(name, None, f"the probes could not be read{why}", readings.at, look)
    if probed.through is None or probed.lag is None:
        return Check(name, None, "no round of probes has come through", readings.at, look)
    late = probed.outstanding(readings.at)
    if late is not None:
        evidence = f"a round of probes has been on its way for {duration(late)}"
        return Check(name, False, evidence, readings.at, look)
    evidence = (
        f"the newest round of probes, of {moment(probed.through)}, came through in "
        f"{duration(probed.lag)}"
    )
    if readings.at - probed.through > SILENT_SECONDS:
        return Check(name, None, f"{evidence}, and none since", probed.through, look)
    if probed.lag > allowed:
        return Check(name, False, f"{evidence}, not {duration(allowed)}", probed.through, look)
    return Check(name, True, evidence, probed.through)


def _stream_lag(context: SwitchContext, readings: SwitchReadings) -> Check:
    """Judge for how long changes are known to wait in a table's own stream.

    The lag of the last minutes does not count: after a cancelled switch, whose consumer was off, it
    is that of what has come through since. Before anything is closed, the switch proves by its own
    reader that the consumer is not behind.
    """
    name, allowed = "lag", context.options.max_lag
    look = suggest("wait for the consumer to catch up (", Command("status"), " shows the lag)")
    found = readings.health.readings
    backlog = found.backlog if found is not None else None
    if backlog is None or isinstance(backlog, Unread):
        why = f": {backlog.why}" if backlog is not None else ""
        return Check(name, None, f"the consumer's lag could not be read{why}", readings.at, look)
    waits = 0.0 if backlog.since is None else max(0.0, readings.at - backlog.since)
    if waits > allowed:
        evidence = f"changes have waited for {duration(waits)}, not {duration(allowed)}"
        return Check(name, False, evidence, readings.at, look)
    evidence = "no change is known to wait"
    if backlog.lag is not None:
        evidence += f"; lately the consumer was {duration(backlog.lag)} behind at most"
    return Check(name, True, evidence, readings.at)


def _quarantine(context: SwitchContext, readings: SwitchReadings) -> Check:
    name, found = "quarantine", readings.health.readings
    look: Suggestion = suggest(Command("quarantine list"))
    if found is None or isinstance(found.quarantine, Unread | None):
        why = found.quarantine.why if found and isinstance(found.quarantine, Unread) else "not read"
        return Check(name, None, f"quarantine could not be counted: {why}", readings.at, look)
    if isinstance(found.failures, Unread | None):
        why = found.failures.why if isinstance(found.failures, Unread) else "there is no bucket"
        return Check(name, None, f"what Lambda gave up is unknown: {why}", found.at, look)
    count = found.quarantine + found.failures
    if count:
        evidence = f"{number(count)} records could not be applied, and are kept"
        return Check(name, False, evidence, found.at, look)
    return Check(name, True, "no record is kept that could not be applied", found.at)
