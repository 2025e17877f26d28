"""The grants for a snapshot's way into its target, by the tables' `load` and `adopt`.

An import needs what it needed before there were bulk puts, so the policies of a stack without them
are what they were. The rights of a bulk put exist only where a table says `bulk`: it writes over
what a table holds, and outlives its caller.
"""

from __future__ import annotations

from collections.abc import Sequence

from infra.load_names import OUTPUT_FOLDER
from infra.shared_actions import GUARD_ACTIONS, SELECTED_KEY_ACTIONS, TABLE_KEY_ACTIONS
from infra.stack_arns import OperatorScope, SharedArns, TableArns
from infra.statements import Statement, allow, allow_keys, only, through

TABLE_ACTIONS = (
    "dynamodb:DescribeContinuousBackups",
    "dynamodb:DescribeTable",
    "dynamodb:DescribeTimeToLive",
    # `verify` exports the target as well.
    "dynamodb:ExportTableToPointInTime",
    # `explain` reads the one item that it is asked about, `verify --read-source` those in flight.
    "dynamodb:GetItem",
    # `status` says whether the table lets writers in, during a switch and after it.
    "dynamodb:GetResourcePolicy",
    "dynamodb:ListTagsOfResource",
    "dynamodb:UpdateContinuousBackups",
    "dynamodb:UpdateTable",
    "dynamodb:UpdateTimeToLive",
)
"""On every target table, however it is loaded."""
MADE_TABLE_ACTIONS = (
    # For the rest of a failed load or an abandoned run, and only with the operator's consent.
    "dynamodb:DeleteTable",
    "dynamodb:TagResource",
)
"""On a table that the load makes. An adopted one belongs to its owner's code, which would find it
gone: `abandon` leaves it to them."""
IMPORT_ACTION = "dynamodb:ImportTable"
BULK_ACTION = "dynamodb:StartBulkPutItems"
CREATE_AND_LOAD_ACTIONS = (BULK_ACTION, "dynamodb:CreateTable")
ADOPTED_TABLE_ACTIONS = (
    BULK_ACTION,
    # Whether others read its changes: a load may wake them.
    "dynamodb:DescribeKinesisStreamingDestination",
)
COUNTS_ALONE = {"StringEquals": {"dynamodb:Select": "COUNT"}}
"""Of a scan that gives a number and no item: whether an adopted table is empty (Amazon DynamoDB
Developer Guide, "Using IAM policy conditions for fine-grained access control")."""
# Only where `operators.readItems` says so: `resume` names items that another writer has changed.
SCAN_ACTIONS = ("dynamodb:Scan",)
DESCRIBE_IMPORT = "dynamodb:DescribeImport"
OPERATION_ACTIONS = ("dynamodb:CancelBulkOperation", "dynamodb:DescribeBulkOperation")
READ_OPERATION_ACTIONS = ("dynamodb:DescribeBulkOperation",)
LIST_OPERATIONS = "dynamodb:ListBulkOperations"
"""It lists those of the account and Region: no resource is named in its request (API reference), so
none can be in a policy. Like ListImports and ListExports."""
OUTPUT_ACTIONS = ("s3:PutObject",)
# ImportTable writes its error log with its caller's permissions: Amazon DynamoDB Developer Guide,
# "Requesting a table import". DescribeLogGroups has no ARN there either.
IMPORT_LOG_ACTIONS = (
    "logs:CreateLogGroup",
    "logs:CreateLogStream",
    "logs:DescribeLogStreams",
    "logs:PutLogEvents",
    "logs:PutRetentionPolicy",
)
IMPORT_LOG_LISTS = ("logs:DescribeLogGroups",)


def operation_arns(table_arn: str) -> str:
    """Return the ARNs of the bulk operations on a table.

    Assumed: AWS documents no form. An import's is `<table>/import/<id>`, an export's likewise.
    """
    return f"{table_arn}/bulk-operation/*"


def tables(scope: OperatorScope, arns: Sequence[TableArns]) -> list[Statement]:
    """Return what the importer may do with the target tables."""
    imported = [each for each in arns if not each.table.load.is_bulk]
    made = [each for each in _bulk(arns) if not each.table.load.adopt]
    adopted = [each for each in arns if each.table.load.adopt]
    scan = SCAN_ACTIONS if scope.read_items else ()
    found = []
    for sid, actions, of in (
        ("TargetTables", (*TABLE_ACTIONS, *MADE_TABLE_ACTIONS, IMPORT_ACTION), imported),
        ("BulkTables", (*TABLE_ACTIONS, *MADE_TABLE_ACTIONS, *CREATE_AND_LOAD_ACTIONS), made),
        ("AdoptedTables", (*TABLE_ACTIONS, *ADOPTED_TABLE_ACTIONS), adopted),
    ):
        if of:
            # `quarantine redrive --direct` runs the consumer's guard in the operator's process.
            every = dict.fromkeys([*sorted(actions), *GUARD_ACTIONS, *scan])
            found.append(allow(sid, list(every), _tables(scope, of)))
    if adopted and not scope.read_items:
        counted = _tables(scope, adopted)
        found.append(allow("AdoptedTablesCount", SCAN_ACTIONS, counted, when=COUNTS_ALONE))
    return found


def loads(scope: OperatorScope, shared: SharedArns, arns: Sequence[TableArns]) -> list[Statement]:
    """Return what the importer may do with imports and bulk operations.

    DynamoDB reads the export and writes its report of a bulk put with its caller's permissions.
    That is assumed: AWS's pages say it of exports and imports.
    """
    imports = [f"{table}/import/*" for table in _tables(scope, arns)]
    bulk = _bulk(arns)
    if not bulk:
        return [allow("Imports", (DESCRIBE_IMPORT, IMPORT_ACTION), imports)]
    begun = [arn for arn, each in zip(imports, arns, strict=True) if each not in bulk]
    operations = [operation_arns(table) for table in _tables(scope, bulk)]
    folders = [f"{shared.snapshots}/{each.table.slug}/*/{OUTPUT_FOLDER}/*" for each in bulk]
    return [
        # An import that failed may be followed by a bulk put.
        allow("SeeImports", (DESCRIBE_IMPORT,), imports),
        *only(bool(begun), allow("Imports", (IMPORT_ACTION,), begun)),
        allow("BulkOperations", OPERATION_ACTIONS, operations),
        allow("BulkOutput", OUTPUT_ACTIONS, folders),
    ]


def keys(scope: OperatorScope, shared: SharedArns, arns: Sequence[TableArns]) -> list[Statement]:
    """Return the importer's use of the tables' keys: an adopted table's owner selected it.

    The key of the target's place is in a policy of its own.
    """
    of_place = {*shared.places.target}
    made = [each.target_key for each in arns if not each.table.load.adopt]
    adopted = [each.target_key for each in arns if each.table.load.adopt]
    selected = {key for key in made if key} - of_place
    used = {key for key in adopted if key} - selected - of_place
    earlier = {key for each in arns for key in each.table.earlier_target_keys}
    by_dynamodb = through("dynamodb", scope.target.region)
    return [
        *allow_keys("TargetTableKeys", SELECTED_KEY_ACTIONS, sorted(selected), by_dynamodb),
        *allow_keys("AdoptedTableKeys", TABLE_KEY_ACTIONS, sorted(used), by_dynamodb),
        *allow_keys(
            "EarlierTableKeys",
            TABLE_KEY_ACTIONS,
            sorted(earlier - selected - used - of_place),
            by_dynamodb,
        ),
    ]


def import_log(scope: OperatorScope) -> list[Statement]:
    """Return the importer's use of the log of imports; nothing where no table is imported."""
    log = scope.target.arn("logs", "log-group:/aws-dynamodb/*")  # the names are AWS's
    return [*only(scope.imports, allow("ImportLog", IMPORT_LOG_ACTIONS, [log]))]


def reader(scope: OperatorScope, arns: Sequence[TableArns]) -> list[Statement]:
    """Return what the reader may see of imports and bulk operations."""
    imports = [f"{table}/import/*" for table in _tables(scope, arns)]
    operations = [operation_arns(table) for table in _tables(scope, _bulk(arns))]
    return [
        allow("Imports", (DESCRIBE_IMPORT,), imports),
        *only(bool(operations), allow("BulkOperations", READ_OPERATION_ACTIONS, operations)),
    ]


def without_arn(scope: OperatorScope, actions: Sequence[str]) -> Statement:
    """Allow what AWS authorises on no resource, as far as the stack's loads need it."""
    needless = () if scope.imports else IMPORT_LOG_LISTS
    every = [*actions, *([LIST_OPERATIONS] if scope.bulk_puts else [])]
    return allow("NoArn", [action for action in every if action not in needless], ["*"])


def _bulk(arns: Sequence[TableArns]) -> list[TableArns]:
    return [each for each in arns if each.table.load.is_bulk]


def _tables(scope: OperatorScope, arns: Sequence[TableArns]) -> list[str]:
    return [scope.target.table_arn(each.table.target) for each in arns]
