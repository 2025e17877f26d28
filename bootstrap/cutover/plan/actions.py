"""Every change that a switch makes, in order: which call, on what, with which role, and back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from bootstrap.core.stack_outputs import Outputs, TableOutputs
from bootstrap.cutover.settings_diff import SettingChange
from bootstrap.journal.switch_records import SwitchMode, SwitchStep

CANCEL = "switch --cancel"
"""The command that takes everything back before the commit; it also runs by itself on failure."""
DAY = 24
UPDATE_MAPPING = "UpdateEventSourceMapping"


class SwitchPart(StrEnum):
    """The part of a switch that an action belongs to: a step, or what follows the commit."""

    PREPARE = SwitchStep.PREPARE
    ARM = SwitchStep.ARM
    CLOSE = SwitchStep.CLOSE
    DRAIN = SwitchStep.DRAIN
    SEAL = SwitchStep.SEAL
    GATE = SwitchStep.GATE
    COMMIT = SwitchStep.COMMIT
    AFTER = "after"
    FINISH = "finish"
    """`switch --finish`, a day later."""


@dataclass(frozen=True)
class SwitchAction:
    """One change, or a command of the operator's."""

    part: SwitchPart
    what: str
    call: str
    """AWS's name of the API call; empty for a command of the operator's."""
    resource: str
    """ARN or name; empty for a command."""
    role: str
    """The ARN of the role that calls; empty for a command."""
    back: str
    """The way back, as a sentence; empty: there is none."""


@dataclass(frozen=True)
class ConsumerSource:
    """The buffer that the consumer reads, and the mapping by which it does."""

    stream_arn: str
    mapping_uuid: str
    own_stream: bool = False
    """It is the table's own stream."""
    by_us: bool = False
    """Which a run has switched on."""


def list_actions(
    outputs: Outputs,
    table: TableOutputs,
    source: ConsumerSource,
    mode: SwitchMode,
    changes: Sequence[SettingChange],
    *,
    check_command: str = "",
    exec_command: str = "",
    source_expires: bool = False,
) -> tuple[SwitchAction, ...]:
    """List the changes of one table's switch, in order.

    `changes`: of the target's settings. `source_expires`: the source's time to live is on.
    """
    of = _Roles(outputs, table, source)
    return (
        *_prepare(of, mode, changes),
        *_close(of, mode),
        *_gate(of, mode, check_command),
        *_commit(of),
        *_after(of, changes, exec_command, source_expires=source_expires),
        *_finish(of),
    )


@dataclass(frozen=True)
class _Roles:
    """The resources of a table with the roles that change them."""

    outputs: Outputs
    table: TableOutputs
    source: ConsumerSource

    def importer(
        self, part: SwitchPart, what: str, call: str, resource: str, back: str
    ) -> SwitchAction:
        return SwitchAction(part, what, call, resource, self.outputs.target.role_arn, back)

    def exporter(
        self, part: SwitchPart, what: str, call: str, resource: str, back: str
    ) -> SwitchAction:
        return SwitchAction(part, what, call, resource, self.outputs.source.role_arn, back)

    def source_switch(self, part: SwitchPart, what: str, call: str, back: str) -> SwitchAction:
        role = self.outputs.source.switch_role_arn
        return SwitchAction(part, what, call, self.table.source_table_arn, role, back)

    def target_switch(self, part: SwitchPart, what: str, call: str, back: str) -> SwitchAction:
        role, table = self.outputs.target.switch_role_arn, self.target_arn
        return SwitchAction(part, what, call, table, role, back)

    def ledger(self, part: SwitchPart, what: str, back: str) -> SwitchAction:
        return self.importer(part, what, "UpdateItem", self._arn(self.table.ledger_table), back)

    def journal(self, part: SwitchPart, what: str, call: str, back: str) -> SwitchAction:
        return self.importer(part, what, call, self._arn(self.outputs.journal_table), back)

    def probes(self, part: SwitchPart) -> Iterator[SwitchAction]:
        """Put probes; a table's own stream takes none, and is only read."""
        if self.source.own_stream:
            return
        what = "put probes into the stream, and wait until every lane has answered"
        back = "nothing to take back: they are no changes of the table"
        yield self.exporter(part, what, "PutRecords", self.source.stream_arn, back)

    def mapping(self, part: SwitchPart, what: str, call: str, back: str) -> SwitchAction:
        """Change the consumer's mapping, which is in the source's Region."""
        arn = (
            f"arn:{self.target_arn.split(':')[1]}:lambda:{self.table.consumer_region}:"
            f"{self.outputs.target.account_id}:event-source-mapping:{self.source.mapping_uuid}"
        )
        return self.importer(part, what, call, arn, back)

    @property
    def target_arn(self) -> str:
        return self._arn("")

    def _arn(self, table: str) -> str:
        return self.outputs.target_arn(self.table, table)


def _prepare(
    of: _Roles, mode: SwitchMode, changes: Sequence[SettingChange]
) -> Iterator[SwitchAction]:
    part = SwitchPart.PREPARE
    for change in changes:
        if not change.after_commit:
            yield of.importer(part, change.what, change.call, of.target_arn, change.back)
    yield of.journal(
        part,
        "take the table's three leases, and record the attempt; each later step is recorded too",
        "UpdateItem",
        f"{CANCEL} ends the attempt; the leases end by themselves after a minute",
    )
    if mode is SwitchMode.FENCE:
        yield of.source_switch(
            part,
            "put a Deny that has expired already into the source's policy, as a rehearsal",
            "PutResourcePolicy",
            f"{CANCEL} takes the statement out; it refuses no write",
        )
    yield of.ledger(part, "let the consumer's invocations be short", f"{CANCEL} removes the mark")
    yield from of.probes(part)


def _close(of: _Roles, mode: SwitchMode) -> Iterator[SwitchAction]:
    fence = mode is SwitchMode.FENCE
    yield of.ledger(
        SwitchPart.ARM,
        "let the consumer note late changes",
        f"{CANCEL} removes the mark; none is lost",
    )
    if fence:
        yield of.source_switch(
            SwitchPart.ARM,
            "put a Deny of all writes, with two dates, into the source's policy. From its first "
            "date on the source refuses writers",
            "PutResourcePolicy",
            f"{CANCEL} takes it out; before the first date that costs no writer anything, and at "
            "the second date the source opens by itself",
        )
    yield from of.probes(SwitchPart.DRAIN)
    if fence:
        yield of.source_switch(
            SwitchPart.SEAL,
            "put the same Deny without its end",
            "PutResourcePolicy",
            f"{CANCEL} takes it out, and the source takes writes again",
        )


def _gate(of: _Roles, mode: SwitchMode, check_command: str) -> Iterator[SwitchAction]:
    yield of.ledger(
        SwitchPart.GATE,
        "close the consumer's gate: it writes nothing to the target any more",
        f"{CANCEL} opens it; what waited is applied, and a gap is noted for deletions by time to "
        "live",
    )
    if of.source.own_stream:
        yield of.mapping(
            SwitchPart.GATE,
            "switch the consumer's mapping off, and wait until no invocation can be running",
            UPDATE_MAPPING,
            f"{CANCEL} switches it on again; what waited in the stream is applied",
        )
    yield from of.probes(SwitchPart.GATE)
    if check_command:
        yield _command(
            SwitchPart.GATE, f"--check-cmd: {check_command}", "any exit code but 0 cancels"
        )
    yield from of.probes(SwitchPart.GATE)


def _commit(of: _Roles) -> Iterator[SwitchAction]:
    yield of.journal(
        SwitchPart.COMMIT,
        "record that the target is the primary, for all tables in one write: nothing leads back",
        "TransactWriteItems",
        "",
    )


def _after(
    of: _Roles, changes: Sequence[SettingChange], exec_command: str, *, source_expires: bool
) -> Iterator[SwitchAction]:
    part = SwitchPart.AFTER
    yield of.target_switch(
        part,
        "put a Deny of the replication's own two roles in place of the one of all others",
        "PutResourcePolicy",
        "",
    )
    yield of.ledger(part, "record in the ledger since when the target is the primary", "")
    yield of.target_switch(
        part,
        "delete an item under a condition that never holds, until it is not refused any more",
        "DeleteItem",
        "nothing to take back: no item is ever deleted",
    )
    if exec_command:
        yield _command(part, f"--exec: {exec_command}", "")
    if not of.source.own_stream:
        yield of.mapping(part, "switch the consumer's mapping off", UPDATE_MAPPING, "")
    for change in changes:
        if change.after_commit:
            yield of.importer(part, change.what, change.call, of.target_arn, change.back)
    if source_expires and of.outputs.source.switch_role_arn:
        yield of.source_switch(
            part,
            "switch time to live of the old source off",
            "UpdateTimeToLive",
            "switch it on again by hand",
        )


def _finish(of: _Roles) -> Iterator[SwitchAction]:
    if of.source.own_stream:
        yield from _finish_own_stream(of)
    elif of.outputs.source.switch_role_arn:
        yield of.source_switch(
            SwitchPart.FINISH,
            f"stop sending the old source's changes to the stream, not before {DAY} hours",
            "DisableKinesisStreamingDestination",
            "",
        )


def _finish_own_stream(of: _Roles) -> Iterator[SwitchAction]:
    part, arn = SwitchPart.FINISH, of.source.stream_arn
    yield of.mapping(
        part,
        f"delete the consumer's mapping, not before {DAY} hours",
        "DeleteEventSourceMapping",
        "",
    )
    what = "take the consumer's role out of the policy of the old source's stream"
    yield of.exporter(part, what, "DeleteResourcePolicy", arn, "")
    if of.source.by_us:
        yield of.exporter(
            part,
            "switch the old source's stream off, which a run had switched on",
            "UpdateTable",
            of.table.source_table_arn,
            "switch it on again by hand",
        )


def _command(part: SwitchPart, what: str, back: str) -> SwitchAction:
    return SwitchAction(part, what, "", "", "", back)
