"""An attempt from its record to the commit. Whatever it raises, it has to be taken back."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from bootstrap.core import write_deny
from bootstrap.core.errors import BlockedError
from bootstrap.core.state import State
from bootstrap.core.suggestions import Command, suggest
from bootstrap.cutover.checks.conditions import read_checks, refuse_unfulfilled
from bootstrap.cutover.settings_changes import choose_settings
from bootstrap.cutover.switch import after_commit
from bootstrap.cutover.switch.buffer_proof import proof_of
from bootstrap.cutover.switch.loop import SwitchLoop
from bootstrap.cutover.switch.operator_command import RunCommand
from bootstrap.cutover.switch.stages import (
    ARM,
    CLOSE,
    DRAIN,
    GATE,
    PREPARE,
    PROOF,
    SEAL,
    Act,
    Stage,
)
from bootstrap.cutover.switch.table_set import SwitchSet
from bootstrap.journal.switch_records import Switching, SwitchStep

STAGES = (PREPARE, ARM, CLOSE, DRAIN, SEAL, GATE)
PROOF_SECONDS = 60.0
"""The age up to which a reading proves that it is safe to switch (C10)."""
PROOF_SECONDS_OF_A_TABLE = 10.0
"""As much again for the reading of each table."""


def refuse_unready(group: SwitchSet) -> None:
    """Check everything that can be read, and choose the target's settings.

    Raises:
        BlockedError: a condition is not fulfilled.
        UsageError: the file of settings cannot be used.
    """
    for each in group:
        refuse_unfulfilled(read_checks(each))
        each.memory.settings = choose_settings(each, each.journal.row)


def work_to_the_commit(loop: SwitchLoop, run_command: RunCommand) -> None:
    """Record an attempt, work through its stages, and commit.

    Raises:
        BootstrapError: a check failed, or the timeout has passed.
    """
    group, options = loop.group, loop.group.options
    record = Switching(
        nonce=write_deny.new_nonce(),
        mode=options.mode,
        tables=tuple(each.table.source_table for each in group),
        begun=group.now,
        timeout=options.timeout,
    )
    loop.once(group.refresh)
    loop.once(partial(group.put, record, "a switch begins", State.SWITCHING))
    for stage in STAGES:
        _work(loop, stage)
    _check(loop, run_command)
    _work(loop, PROOF)
    while not loop.answer(partial(_commit, loop)):
        for each in group:
            proof_of(each).begin(each, group.attempt.mark)
        _work(loop, PROOF)


def _work(loop: SwitchLoop, stage: Stage) -> None:
    """Advance a stage's acts, each for all tables, until the last one is done."""
    group, loop.step = loop.group, stage.step

    def record() -> None:
        group.record(stage.text, step=stage.step, **stage.begin(group))

    loop.once(record)
    while not all(_finish(loop, act) for act in stage.acts):
        continue


def _finish(loop: SwitchLoop, act: Act) -> bool:
    """Advance one act for all tables; return False if its stage has to begin anew."""
    loop.all_tables(partial(act.advance, loop.group), partial(_refuse_overdue, loop))
    return loop.answer(partial(act.then, loop.group))


def _check(loop: SwitchLoop, run_command: RunCommand) -> None:
    """Run the operator's check, while both tables are closed."""
    command = loop.group.options.check_command
    if not command:
        return

    def meanwhile() -> None:
        loop.keep_alive()
        _refuse_overdue(loop)

    loop.waiting = "--check-cmd"
    code = run_command(command, after_commit.facts_for_exec(loop.group), meanwhile)
    if code:
        raise BlockedError(
            f"--check-cmd ended with exit code {code}.",
            fix="see what it printed, then the same command again",
        )


def _commit(loop: SwitchLoop) -> bool:
    """Write the record after which nothing is taken back any more.

    False: the proof is too old to rest on, for this process was suspended.
    """
    group = loop.group
    group.refresh()  # which also tells a process that was suspended AWS's time
    if group.attempt.committed_at:
        return True  # its answer was lost
    if group.attempt.cancelled:
        raise BlockedError("This attempt has been cancelled.", fix=suggest(Command("status")))
    _refuse_overdue(loop)
    oldest = min(each.memory.proved_at for each in group)
    if group.now - oldest > PROOF_SECONDS + PROOF_SECONDS_OF_A_TABLE * len(group.contexts):
        return False
    record = replace(
        group.attempt,
        step=SwitchStep.COMMIT,
        committed_at=group.now,
        left_to_ttl=sum(each.memory.left_to_ttl for each in group),
    )
    # Over the journals as they were read above: nothing comes between the judgement and this.
    group.put(record, "committed: the target is the primary", State.SWITCHED)
    return True


def _refuse_overdue(loop: SwitchLoop) -> None:
    """Raise BlockedError once writers have been refused for too long."""
    attempt = loop.group.attempt
    if attempt.closes and loop.group.now > attempt.closes + attempt.timeout:
        raise BlockedError(
            f"The switch was not committed within {attempt.timeout:.0f} s of the source's closing: "
            f"it still waited for {loop.waiting or 'its next step'}.",
            fix=suggest(Command("status"), "; then the same command with a greater --timeout"),
        )
