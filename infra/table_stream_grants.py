"""The grants for a table's own stream as the buffer, which the operator's tool switches on.

Neither the stream nor its mapping exists when a policy is written. So the stream is any of this one
table's, and the mapping any of this one function's.
"""

from __future__ import annotations

from collections.abc import Sequence

from infra.shared_actions import TABLE_STREAM_READING_ACTIONS
from infra.stack_arns import OperatorScope, TableArns
from infra.statements import Condition, Statement, allow, only

LIST_ACTION = "dynamodb:ListStreams"
"""Lambda demands it of the function's role as well, in the refusal of a mapping. No stream's policy
can allow it to another account."""
POLICY_ACTIONS = (
    "dynamodb:DeleteResourcePolicy",
    "dynamodb:GetResourcePolicy",
    "dynamodb:PutResourcePolicy",
)
# No condition limits it to the stream: Service Authorization Reference, Amazon DynamoDB.
SWITCH_ACTIONS = ("dynamodb:UpdateTable",)
CREATE_MAPPING = "lambda:CreateEventSourceMapping"
LIST_MAPPINGS = "lambda:ListEventSourceMappings"
SEE_MAPPING = "lambda:GetEventSourceMapping"
"""Without a condition: a mapping that is deleted is of no function any more, and under one its
absence would read as a missing right."""
MAPPING_ACTIONS = ("lambda:DeleteEventSourceMapping", "lambda:UpdateEventSourceMapping")


def streams_of(table_arn: str) -> str:
    """Return the ARNs of the streams of a table: each has the time of its start for a name."""
    return f"{table_arn}/stream/*"


def mappings_of(scope: OperatorScope) -> str:
    """Return the ARNs of the mappings of the consumers' account and Region."""
    return scope.target.arn("lambda", "event-source-mapping:*", region=scope.source.region)


def for_functions(functions: Sequence[object]) -> Condition:
    """Return the Condition that a mapping invokes one of these functions.

    AWS Lambda Developer Guide, lambda-api-permissions-ref: `lambda:FunctionArn` restricts a mapping
    by the function that it is associated with.
    """
    return {"ArnEquals": {"lambda:FunctionArn": list(functions)}}


def exporter(scope: OperatorScope, arns: Sequence[TableArns]) -> list[Statement]:
    """Return what the exporter may do with these tables' own streams."""
    tables = [scope.source.table_arn(each.table.source) for each in with_table_streams(arns)]
    if not tables:
        return []
    streams = [streams_of(table) for table in tables]
    return [
        allow("SwitchTableStreams", SWITCH_ACTIONS, tables),
        # It reads them to prove that everything in them is through: it sees the changes' images.
        allow("TableStreams", [*TABLE_STREAM_READING_ACTIONS, *POLICY_ACTIONS], streams),
    ]


def importer(scope: OperatorScope, arns: Sequence[TableArns]) -> list[Statement]:
    """Return what the importer may do with the mappings of these tables' functions."""
    functions = [each.function for each in with_table_streams(arns)]
    if not functions:
        return []
    when = for_functions(functions)
    return [
        # A mapping that is to be made has no ARN.
        allow("MakeMappings", [CREATE_MAPPING], ["*"], when=when),
        allow("MadeMappings", MAPPING_ACTIONS, [mappings_of(scope)], when=when),
        *reader(scope, arns),
    ]


def reader(scope: OperatorScope, arns: Sequence[TableArns]) -> list[Statement]:
    """Return what the reader of the target account may see of these mappings."""
    seen = allow("SeeMappings", [SEE_MAPPING], [mappings_of(scope)])
    return [*only(bool(with_table_streams(arns)), seen)]


def with_table_streams(arns: Sequence[TableArns]) -> list[TableArns]:
    """Return the tables whose own stream is the buffer."""
    return [each for each in arns if each.table.reads_table_stream]


def with_kinesis(arns: Sequence[TableArns]) -> list[TableArns]:
    """Return the tables that a Kinesis stream buffers."""
    return [each for each in arns if not each.table.reads_table_stream]
