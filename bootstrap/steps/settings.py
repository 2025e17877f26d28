"""What the new table and the ledger need before the consumer may start."""

from __future__ import annotations

from bootstrap.context import Acted, Context, Done, Outcome, Pending
from bootstrap.states import Configured, Exported, Imported, State

name = "settings"
state = State.CONFIGURING


def advance(context: Context) -> Outcome:
    """Stores the floor, protects the target table. Each is looked at before it is set."""
    journal, target, table = context.journal, context.target, context.table.target_table
    if journal.get(Configured) is not None:
        return Done()
    floor = _floor(context)
    facts = target.table(table)
    if facts is None or facts.status != "ACTIVE":
        return Pending("the target table to become ACTIVE", context.timing.poll(5))
    if not facts.deletion_protection:
        target.protect(table)
        return Acted()
    if not target.backups(table).enabled:
        target.enable_backups(table)
        return Acted()
    journal.put(Configured(floor), "the target table is protected, the floor is stored")
    return Acted()


def _floor(context: Context) -> int:
    """The floor that stands in the ledger: the snapshot holds every change before it."""
    exported, imported = context.journal.get(Exported), context.journal.get(Imported)
    if exported is None or not exported.done or imported is None or not imported.done:
        raise AssertionError("Export and import come first.")
    ours = round((exported.export_time - context.timing.floor_margin) * 1_000_000)
    stored = context.ledger.settings().floor
    if stored is not None and stored <= ours:
        return stored
    # Never raised: DynamoDB may deliver a change up to 168 hours late, and one that is newer than
    # the snapshot must not be taken for part of it. A lower floor costs a few writes, no more.
    after = context.ledger.store_floor(ours, exported.arn)
    return ours if after.floor is None else after.floor
