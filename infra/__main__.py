"""The stack. Reads like the drawing in the README: what is called first is what the others name."""

import sys
from pathlib import Path

# Pulumi runs this folder as a script, from inside it; the packages are imported from the project.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import pulumi

from infra import package
from infra.accounts import connect
from infra.buffer import Buffer
from infra.config import Settings
from infra.consumer import Consumer, ConsumerRole
from infra.ledger import Ledger
from infra.monitoring.notifications import Alarms, Notifications, show
from infra.operators import Operators
from infra.outputs import outputs
from infra.snapshot import Snapshot
from infra.table_stack import Parts
from infra.target_write_deny import WriteFence
from infra.watchdog import Watchdog

settings = Settings.load(pulumi.Config())
archive = package.require(settings.lambda_archive)
accounts = connect(settings)

operators = Operators("replication", settings, accounts)
exporter, importer = operators.exporter.arn, operators.importer.arn
snapshot = Snapshot("replication-snapshot", settings, accounts, writer=exporter, reader=importer)
notifications = Notifications("replication-alarms", settings, accounts)

tables, alarms = [], []
for table in settings.tables:
    role = ConsumerRole(table, accounts)
    buffer = Buffer(table, settings, accounts, reader=role.arn)
    ledger = Ledger(table, settings, accounts)
    consumer = Consumer(
        table, settings, accounts, role=role, buffer=buffer, ledger=ledger, archive=archive
    )
    parts = Parts(table, buffer, ledger, consumer)
    Watchdog(parts, settings, accounts, archive)
    alarms.append(Alarms(parts, settings, accounts, notifications.topics))
    if table.deny_other_writers:
        WriteFence(table, settings, accounts, consumer=role, importer=importer)
    tables.append(parts)

operators.grant(snapshot, tables)
show("replication-dashboard", settings, accounts, alarms)

for name, value in outputs(settings, operators, snapshot, tables).items():
    pulumi.export(name, value)
