"""The stack. Reads like the drawing in the README: each part comes before the parts that use it."""

import sys
from pathlib import Path

# Pulumi runs this folder as a script, from inside it; the packages are imported from the project.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import pulumi

from infra import preflight
from infra.accounts import connect
from infra.kept_keys import with_earlier_target_keys
from infra.monitoring.notifications import Notifications, TableAlarms, declare_dashboard
from infra.monitoring.other_bulk_puts import declare_other_bulk_puts
from infra.operators import Operators
from infra.outputs import outputs
from infra.role_grants import shared_arns
from infra.secrets_in_state import SecretTexts
from infra.snapshot import SnapshotBucket
from infra.switch_roles import declare_switch_roles
from infra.table_stack import TableStack
from infra.target_write_deny import TargetWriteDeny
from infra.verification import VerificationJob

settings = preflight.load_config()
archive = preflight.require_archive(settings)
glue_package = preflight.require_glue_package(settings)
secrets = SecretTexts.kept_secret()
before = preflight.last_outputs()
preflight.refuse_other_places(settings, before)
accounts = connect(settings)
found = preflight.look_up(settings, accounts, before)
settings = with_earlier_target_keys(settings, before)

operators = Operators("replication", settings, accounts)
exporter, importer = operators.exporter.arn, operators.importer.arn
keys, key_grants = operators.keys, operators.key_grants
verification = VerificationJob.wanted("replication-verification", settings, accounts, keys)
if verification:
    key_grants = [*key_grants, *verification.key_grants]
snapshot = SnapshotBucket(
    "replication-snapshot",
    settings,
    accounts,
    keys,
    key_grants,
    writer=exporter,
    reader=importer,
    job=verification.role_arn if verification else None,
)
notifications = Notifications("replication-alarms", settings, accounts, keys)

stacks, alarms = [], []
for table in settings.tables:
    stack = TableStack.declared(table, settings, accounts, archive, found, keys, key_grants)
    alarms.append(TableAlarms(stack, settings, accounts, notifications.topics))
    stacks.append(stack)
migrating = TargetWriteDeny.declared(settings, accounts, stacks, importer, found.held)
shared = shared_arns(snapshot, operators.journal, keys)
operators.grant(shared, stacks)
switch_roles = declare_switch_roles(settings, accounts, shared, stacks, notifications)
declare_other_bulk_puts(settings, accounts, notifications, importer)
if verification and glue_package:
    verification.declare_job(snapshot, glue_package, operators.importer)
declare_dashboard("replication-dashboard", settings, accounts, alarms, role=operators.importer.name)
parts = (operators, keys, switch_roles, snapshot, stacks, migrating, verification)
for name, value in outputs(settings, *parts).items():
    pulumi.export(name, secrets.marked(value))
