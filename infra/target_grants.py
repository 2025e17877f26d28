"""The grants of the operators' roles in the target account."""

from __future__ import annotations

from collections.abc import Sequence

from infra import load_grants, table_stream_grants
from infra.shared_actions import (
    EXPORT_ACTIONS,
    KEY_LOOK_ACTIONS,
    SNAPSHOT_WRITE_ACTIONS,
)
from infra.stack_arns import OperatorScope, SharedArns, TableArns
from infra.statements import Statement, allow, allow_keys, only

# --- The importer, in the target account: it loads, configures the table, runs the consumer.

IMPORTER_LEDGER_ACTIONS = (
    "dynamodb:BatchGetItem",
    "dynamodb:DescribeTable",
    "dynamodb:DescribeTimeToLive",
    "dynamodb:GetItem",
    "dynamodb:PutItem",
    "dynamodb:UpdateItem",
    "dynamodb:UpdateTable",
    "dynamodb:UpdateTimeToLive",
)
# An open record is read, and deleted once its resolved copy exists. `--direct` may put a record
# back under another reason, as the consumer does.
OPEN_ACTIONS = ("s3:DeleteObject", "s3:GetObject", "s3:PutObject")
RESOLVED_ACTIONS = ("s3:PutObject",)
FAILURE_ACTIONS = ("s3:DeleteObject", "s3:GetObject")
JOURNAL_ACTIONS = (
    "dynamodb:GetItem",
    "dynamodb:PutItem",
    "dynamodb:Query",
    "dynamodb:UpdateItem",
)
MAPPING_ACTIONS = ("lambda:GetEventSourceMapping", "lambda:UpdateEventSourceMapping")
IMPORTER_ACTIONS_WITHOUT_ARN = (
    "cloudwatch:GetMetricStatistics",
    "dynamodb:DescribeLimits",
    "dynamodb:ListExports",
    "dynamodb:ListImports",
    "lambda:GetAccountSettings",
    "logs:DescribeLogGroups",
    # What an `up` that was killed left behind has the stack's tags alone.
    "tag:GetResources",
)

# --- The reader: `status --operator`, which changes nothing.

READ_TABLE_ACTIONS = (
    "dynamodb:DescribeTable",
    "dynamodb:DescribeTimeToLive",
    "dynamodb:GetResourcePolicy",
)
READ_KEPT_ACTIONS = ("s3:ListBucket",)
# The loss detectors'. Nothing here reads an item, but for the ledger's own rows.
READ_LEDGER_ACTIONS = ("dynamodb:BatchGetItem", "dynamodb:GetItem")
READ_JOURNAL_ACTIONS = ("dynamodb:GetItem", "dynamodb:Query")
READ_MAPPING_ACTIONS = ("lambda:GetEventSourceMapping",)
READ_ACTIONS_WITHOUT_ARN = ("cloudwatch:GetMetricStatistics", "tag:GetResources")


def importer(
    scope: OperatorScope, shared: SharedArns, arns: Sequence[TableArns], *, first: bool
) -> list[Statement]:
    """Return what the importer may do with these tables.

    `first`: with what does not depend on a table.
    """
    tables = [scope.target.table_arn(each.table.target) for each in arns]
    # That of the place is in a policy of its own.
    keys = sorted({each.target_key for each in arns if each.target_key} - {*shared.places.target})
    seen = [*keys, *shared.keys] if first else keys
    mappings = [each.mapping for each in table_stream_grants.with_kinesis(arns)]
    return [
        *load_grants.tables(scope, arns),
        *load_grants.loads(scope, shared, arns),
        allow("Exports", EXPORT_ACTIONS, [f"{table}/export/*" for table in tables]),
        allow("Ledgers", IMPORTER_LEDGER_ACTIONS, [each.ledger for each in arns]),
        *only(first, allow("Journal", JOURNAL_ACTIONS, [shared.journal])),
        *_mappings(scope, MAPPING_ACTIONS, mappings),
        *table_stream_grants.importer(scope, arns),
        # Like the export, the load reads with its caller's permissions. A key of the bucket names
        # the importer in its own policy: within one account that suffices.
        *only(first, allow("ListSnapshot", ["s3:ListBucket"], [shared.snapshots])),
        *only(first, allow("ReadSnapshot", ["s3:GetObject"], [f"{shared.snapshots}/*"])),
        # `abandon` deletes the export. AWS authorises the deletion of many objects at once by each
        # of them.
        allow(
            "RemoveSnapshot",
            ["s3:DeleteObject"],
            [f"{shared.snapshots}/{each.table.slug}/*" for each in arns],
        ),
        # DynamoDB writes an export of the target, too, with its caller's permissions.
        *only(first, allow("Verify", SNAPSHOT_WRITE_ACTIONS, [f"{shared.snapshots}/verify/*"])),
        *load_grants.keys(scope, shared, arns),
        *allow_keys("SeeKeys", KEY_LOOK_ACTIONS, seen),
        *_kept(arns),
        *only(first, *load_grants.import_log(scope)),
        *only(first, load_grants.without_arn(scope, _importer_actions_without_arn(scope))),
    ]


def _mappings(
    scope: OperatorScope, actions: Sequence[str], mappings: Sequence[str]
) -> list[Statement]:
    """Return the rights to the stack's own mappings. Where the run makes some, all may be seen."""
    seen = (table_stream_grants.SEE_MAPPING,) if scope.table_streams else ()
    left = [action for action in actions if action not in seen]
    return [*only(bool(mappings and left), allow("Mappings", left, mappings))]


def _importer_actions_without_arn(scope: OperatorScope) -> list[str]:
    # A mapping that was made before a crash is found by its function and stream.
    lists = (table_stream_grants.LIST_MAPPINGS,) if scope.table_streams else ()
    return sorted([*IMPORTER_ACTIONS_WITHOUT_ARN, *lists])


def _kept(arns: Sequence[TableArns]) -> list[Statement]:
    """Return what the importer may do with the buckets of what cannot be applied."""
    quarantines, failures = [each.quarantine for each in arns], [each.failures for each in arns]
    return [
        allow("ListKept", ["s3:ListBucket"], [*quarantines, *failures]),
        allow("OpenQuarantine", OPEN_ACTIONS, [f"{arn}/open/*" for arn in quarantines]),
        allow("Resolved", RESOLVED_ACTIONS, [f"{arn}/resolved/*" for arn in quarantines]),
        allow("Failures", FAILURE_ACTIONS, [f"{arn}/*" for arn in failures]),
    ]


def reader(
    scope: OperatorScope, shared: SharedArns, arns: Sequence[TableArns], *, first: bool
) -> list[Statement]:
    """Return what the reader in the target account may see of these tables.

    `first`: with what does not depend on a table.
    """
    tables = [scope.target.table_arn(each.table.target) for each in arns]
    kept = [arn for each in arns for arn in (each.quarantine, each.failures)]
    mappings = [each.mapping for each in table_stream_grants.with_kinesis(arns)]
    return [
        *load_grants.reader(scope, arns),
        allow("TargetTables", READ_TABLE_ACTIONS, tables),
        allow("Kept", READ_KEPT_ACTIONS, kept),
        allow("Ledgers", READ_LEDGER_ACTIONS, [each.ledger for each in arns]),
        *only(first, allow("Journal", READ_JOURNAL_ACTIONS, [shared.journal])),
        *_mappings(scope, READ_MAPPING_ACTIONS, mappings),
        *table_stream_grants.reader(scope, arns),
        # The lag that the consumer measures, and what is not in the state.
        *only(first, load_grants.without_arn(scope, READ_ACTIONS_WITHOUT_ARN)),
    ]
