"""A preview of `abandon`: what it will do and what it leaves. Data in, lines out."""

from __future__ import annotations

from dataclasses import dataclass

from bootstrap.core.facts import TableFacts
from bootstrap.core.formatting import number
from bootstrap.core.journal_rows import Row
from bootstrap.core.stack_outputs import Outputs, TableOutputs
from bootstrap.core.write_deny import sid
from bootstrap.journal.load_records import BulkLoad, LoadTarget
from bootstrap.journal.records import Abandoning, Exported, Imported, RecoveryRecord
from bootstrap.journal.stream_records import TableStreamRecord, mapping_of
from bootstrap.journal.switch_records import TargetDeny
from replicator.aws_commands import table_option


@dataclass(frozen=True)
class Undoing:
    """The fate of everything that one table's run made."""

    table: str
    run_id: str
    does: tuple[str, ...]
    leaves: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join(
            [
                f"{self.table}: run {self.run_id} will be abandoned. This will",
                *(f"  - {what}" for what in self.does),
                "and leave",
                *(f"  - {what}" for what in self.leaves),
            ]
        )


def undoing(
    table: TableOutputs,
    row: Row,
    target: TableFacts | None,
    outputs: Outputs,
    *,
    drop_target: bool,
    disable_source_pitr: bool,
    may_open: bool = False,
) -> Undoing:
    """Preview the end of a run. `target`: the table that has the target's name now, if any.

    `may_open`: the stack has the role that may change the target's resource policy.
    """
    noted = row.record(Abandoning) or Abandoning(0)
    drop = drop_target or noted.drop_target
    disable = disable_source_pitr or noted.disable_source_pitr
    does = [
        f"switch the consumer {table.function_name} off (event source mapping "
        f"{mapping_of(table, row) or 'not made yet'}), and stop the expiry of ledger entries",
        *_own_stream(table, row),
    ]
    exported, imported = row.record(Exported), row.record(Imported)
    if exported is not None and exported.begun and not exported.done:
        does.append("wait until the export has ended, if it runs: AWS does not cancel it")
    if imported is not None and imported.token and not imported.done:
        does.append("wait until the import has ended, if it runs: AWS does not cancel it")
    load, made = row.record(BulkLoad), row.record(LoadTarget)
    if load is not None and load.token and (imported is None or not imported.done):
        does.append("cancel the bulk load, if it runs, and wait until it has ended")
    does.append(
        f"delete the export: s3://{outputs.snapshot_bucket}/{table.snapshot_prefix}/{row.run_id}/"
    )
    leaves = [
        f"{_streaming(table)}consumer, ledger with its entries, buckets and journal: they belong "
        "to the stack (pulumi destroy)",
        *_of_others(table),
        "quarantined records and the exports of `verify`",
    ]
    name = table.target_table
    denied = row.record(TargetDeny)
    if denied is not None and target is not None and not table.stack_owns_target_deny:
        if may_open:
            does.append(f"take the Deny on other writers out of the resource policy of {name}")
        elif not drop:
            leaves.append(
                f"the Deny on other writers of {name}, which the stack has no role to take off: "
                f"statement {sid(denied.nonce)} of its resource policy. Take it out by hand"
            )
    adopted = table.load.adopt if made is None else made.adopted
    if adopted:
        leaves.append(
            f"the target table {name}, which is your own, with the items that are in it. No new "
            "run can load it until it is empty. To delete it: aws dynamodb delete-table "
            f"{table_option(name)} --region {outputs.target.region}, with the target account's "
            "credentials"
        )
    elif drop:
        count = f", some {number(target.items)} items" if target is not None else ""
        does.append(
            f"delete the target table {name}{count}: deletion protection off, then the table. "
            "DynamoDB keeps a backup of it for 35 days"
        )
    elif target is not None:
        leaves.append(
            f"the target table {name} (--drop-target deletes it). While it exists, no new run "
            "can begin"
        )
    if disable:
        does.append(f"switch point-in-time recovery of the source table {table.source_table} off")
    elif row.record(RecoveryRecord) is not None:
        leaves.append(
            f"point-in-time recovery of the source table {table.source_table}, which this run "
            "switched on (--disable-source-pitr switches it off)"
        )
    does.append("close the journal: the next `run` begins a new run with a new snapshot")
    return Undoing(table.source_table, row.run_id, tuple(does), tuple(leaves))


def _own_stream(table: TableOutputs, row: Row) -> list[str]:
    """List what becomes of a table's own stream."""
    known = row.record(TableStreamRecord)
    if known is None:
        return []
    name = table.source_table
    off = f", and switch the stream of {name} off" if known.by_us else ""
    stays = "" if known.by_us else f". The stream of {name} was on before, and stays on"
    return [
        f"delete that mapping, take the consumer's statement out of the stream's policy{off}{stays}"
    ]


def _streaming(table: TableOutputs) -> str:
    if table.reads_table_stream:
        return ""
    if table.adopts_stream:
        return "the streaming destination, " if table.owns_destination else ""
    return f"stream {table.stream_name}, the streaming destination, "


def _of_others(table: TableOutputs) -> list[str]:
    if not table.adopts_stream:
        return []
    destination = "" if table.owns_destination else " and the table's streaming to it"
    return [f"stream {table.stream_name}{destination}: they are not the stack's"]
