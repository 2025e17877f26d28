"""The stack. Reads like the drawing in the README: each part comes before the parts that use it."""

import sys
from pathlib import Path

# Pulumi runs this folder as a script, from inside it; the packages are imported from the project.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import pulumi

from infra import preflight
from infra.accounts import connect
from infra.buffer import Buffer
from infra.consumer import ConsumerFunction, ConsumerRole
from infra.ledger import LedgerTable
from infra.monitoring.notifications import Notifications, TableAlarms, declare_dashboard
from infra.operators import Operators
from infra.outputs import outputs
from infra.role_grants import shared_arns
from infra.secrets_in_state import SecretTexts
from infra.snapshot import SnapshotBucket
from infra.streaming_choice import StreamingChoice
from infra.switch_roles import SwitchRoles
from infra.table_stack import TableStack
from infra.target_write_deny import TargetWriteDeny
from infra.watchdog import WatchdogFunction

settings = preflight.load_config()
archive = preflight.require_archive(settings)
secrets = SecretTexts.kept_secret()
before = preflight.last_outputs()
preflight.refuse_other_places(settings, before)
accounts = connect(settings)
preflight.look_up_source_tables(settings, accounts, before)
preflight.refuse_removal_of_running_tables(settings, accounts, before)
runs = preflight.look_up_runs(settings, accounts, before)
held = preflight.look_up_held_resources(before, runs)

operators = Operators("replication", settings, accounts)
exporter, importer = operators.exporter.arn, operators.importer.arn
snapshot = SnapshotBucket(
    "replication-snapshot", settings, accounts, writer=exporter, reader=importer
)
notifications = Notifications("replication-alarms", settings, accounts)

stacks, watchdogs, alarms = [], [], []
migrating: set[str] = set()
"""Source tables of which the state still holds the Deny on the target's other writers."""
for table in settings.tables:
    role = ConsumerRole(table, accounts)
    streams = StreamingChoice.of(table, runs.get(table.source), held)
    buffer = Buffer(table, settings, accounts, reader=role.arn, before=before, streams=streams)
    ledger = LedgerTable(table, settings, accounts)
    consumer = ConsumerFunction(
        table, settings, accounts, role=role, buffer=buffer, ledger=ledger, archive=archive
    )
    stack = TableStack(table, buffer, ledger, consumer)
    watchdogs.append(WatchdogFunction(stack, settings, accounts, archive))
    alarms.append(TableAlarms(stack, settings, accounts, notifications.topics))
    if TargetWriteDeny.is_needed(table, settings, held):
        TargetWriteDeny(table, settings, accounts, consumer=role, importer=importer)
        migrating.add(table.source)
    stacks.append(stack)

shared = shared_arns(snapshot, operators.journal)
operators.grant(shared, stacks)
switch_roles = SwitchRoles.declared("replication-switch", settings, accounts, shared, stacks)
declare_dashboard("replication-dashboard", settings, accounts, alarms)
for name, value in outputs(
    settings, operators, switch_roles, snapshot, stacks, watchdogs, migrating
).items():
    pulumi.export(name, secrets.marked(value))
