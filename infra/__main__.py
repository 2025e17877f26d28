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
from infra.fence import WriteFence
from infra.ledger import Ledger
from infra.observability import Alarms, Notifications, show
from infra.operators import Lane, Operators
from infra.snapshot import Snapshot
from infra.watchdog import Watchdog

settings = Settings.load(pulumi.Config())
archive = package.require(settings.lambda_archive)
accounts = connect(settings)

operators = Operators("replication", settings, accounts)
snapshot = Snapshot(
    "replication-snapshot",
    settings,
    accounts,
    writer=operators.exporter.arn,
    reader=operators.importer.arn,
)
notifications = Notifications("replication-alarms", settings, accounts)

lanes, alarms = [], []
for table in settings.tables:
    role = ConsumerRole(table, accounts)
    buffer = Buffer(table, settings, accounts, reader=role.arn)
    ledger = Ledger(table, settings, accounts)
    consumer = Consumer(
        table, settings, accounts, role=role, buffer=buffer, ledger=ledger, archive=archive
    )
    Watchdog(
        table,
        settings,
        accounts,
        buffer=buffer,
        ledger=ledger,
        consumer=consumer,
        archive=archive,
    )
    alarms.append(
        Alarms(
            table,
            settings,
            accounts,
            buffer=buffer,
            ledger=ledger,
            consumer=consumer,
            topics=notifications.topics,
        )
    )
    if table.deny_other_writers:
        WriteFence(table, settings, accounts, consumer=role, importer=operators.importer.arn)
    lanes.append(Lane(table, buffer, ledger, consumer))

operators.grant(snapshot, lanes)
show("replication-dashboard", settings, accounts, alarms)

pulumi.export("project", pulumi.get_project())
pulumi.export("stack", pulumi.get_stack())
pulumi.export(
    "source",
    {
        "accountId": settings.source.account_id,
        "region": settings.source.region,
        "exporterRoleArn": operators.exporter.arn,
        "operatorRoleArn": operators.source_reader.arn,
    },
)
pulumi.export(
    "target",
    {
        "accountId": settings.target.account_id,
        "region": settings.target.region,
        "importerRoleArn": operators.importer.arn,
        "operatorRoleArn": operators.target_reader.arn,
    },
)
pulumi.export("journalTable", operators.journal.name)
pulumi.export("snapshotBucket", snapshot.bucket.name)
if snapshot.key_arn is not None:
    pulumi.export("snapshotKeyArn", snapshot.key_arn)
pulumi.export("tables", [lane.consumer.outputs for lane in lanes])
