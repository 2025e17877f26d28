"""Resources of a stack that AWS has and the stack's state does not know.

An `up` that is killed while it makes something leaves one: the next `up` makes another under the
same name in the program. Judged are streams, tables, buckets and functions, and of them only those
whose name is one of the program's with the hyphen and the seven characters that Pulumi appends.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from bootstrap.core.errors import Side
from bootstrap.core.pending_operations import RUNBOOK
from bootstrap.core.stack_outputs import Outputs
from bootstrap.core.stack_state import StackState

SUFFIX = re.compile(r"(.+)-[0-9a-f]{7}")
_ARN = re.compile(
    r"arn:[^:]+:(?:kinesis:[^:]*:[^:]*:stream/|dynamodb:[^:]*:[^:]*:table/|s3:::"
    r"|lambda:[^:]*:[^:]*:function:)([^/:]+)"
)
_SERVICES = {
    "aws:kinesis/stream:Stream": "kinesis",
    "aws:dynamodb/table:Table": "dynamodb",
    "aws:s3/bucket:Bucket": "s3",
    "aws:lambda/function:Function": "lambda",
}
_LOOK = {
    "kinesis": "aws kinesis describe-stream-summary --stream-name",
    "dynamodb": "aws dynamodb describe-table --table-name",
    "s3": "aws s3 ls --recursive --summarize",
    "lambda": "aws lambda get-function-configuration --function-name",
}
"""What shows a resource, before its name."""

Name = tuple[str, str]
"""A resource's service and its name in AWS."""


@dataclass(frozen=True)
class Place:
    """An account and Region in which the stack has resources, with some that have to be there."""

    side: Side
    region: str
    expected: frozenset[Name]

    def __str__(self) -> str:
        return f"the {self.side.account}, {self.region}"


@dataclass(frozen=True)
class UnknownResource:
    """One resource with the stack's tags that the stack's state does not know."""

    arn: str
    place: Place

    def warning(self, stack: str, profile: str | None = None) -> str:
        """Return what an operator has to know of it, and the command that shows it."""
        service, name = _name(self.arn) or ("", "")
        shown = f"s3://{name}" if service == "s3" else name
        login = f" --profile {shlex.quote(profile)}" if profile else ""
        return (
            f"AWS lists {self.arn} as one of stack {stack}, in {self.place}, and the stack's state "
            "does not know it: an `up` that was killed made it, or one that is running; or it is "
            "another stack's, of the same project and name, that shares the account. Leave another "
            "stack's alone. For one of this stack you pay: once no `up` runs, see whether it is "
            "empty or unused, then delete it by hand; AWS may list it for some time after that. "
            f"Try: {_LOOK[service]} {shown} --region {self.place.region}{login} ({RUNBOOK})"
        )


def places(outputs: Outputs) -> Sequence[Place]:
    """Return where the stack has resources."""
    source, target = outputs.source.region, outputs.target.region
    at_target = {("dynamodb", outputs.journal_table), ("s3", outputs.snapshot_bucket)}
    here = {(Side.SOURCE, source): {("kinesis", each.stream_name) for each in outputs.tables}}
    here[Side.TARGET, target] = at_target
    for each in outputs.tables:
        at_target |= {("dynamodb", each.ledger_table), ("s3", each.quarantine_bucket)}
        here.setdefault((Side.TARGET, each.consumer_region), set()).update(
            {("lambda", each.function_name), ("s3", each.on_failure_bucket)}
        )
    return [Place(side, region, frozenset(names)) for (side, region), names in here.items()]


def unknown(
    state: StackState, outputs: Outputs, place: Place, arns: Iterable[str]
) -> Sequence[UnknownResource]:
    """Return which of a place's resources, listed by the stack's tags, the state does not know.

    Raises:
        ValueError: the listing lacks every resource that has to be there, so it tells nothing.
    """
    found = {arn: name for arn in arns if (name := _name(arn)) is not None}
    if not place.expected & set(found.values()):
        raise ValueError(
            f"none that it knows has the tags project={outputs.project} and stack={outputs.stack}"
        )
    known = _known(state).union(*(each.expected for each in places(outputs)))
    made = _in_the_program(state, known)
    return [
        UnknownResource(arn, place)
        for arn, (service, name) in sorted(found.items())
        if (service, name) not in known
        and (plain := SUFFIX.fullmatch(name)) is not None
        and (service, plain[1]) in made
    ]


def _name(arn: str) -> Name | None:
    """Return the name in an ARN; None for one of another kind."""
    found = _ARN.fullmatch(arn)
    return (arn.split(":")[2], found[1]) if found else None


def _known(state: StackState) -> frozenset[Name]:
    return frozenset(
        _name(each.id) or (_SERVICES[each.type], each.id)
        for each in state.resources
        if each.type in _SERVICES
    )


def _in_the_program(state: StackState, known: Collection[Name]) -> set[Name]:
    """Return the names without what Pulumi appends, also of what an `up` was creating."""
    made = {
        (service, plain[1])
        for service, name in known
        if (plain := SUFFIX.fullmatch(name)) is not None
    }
    return made | {
        (_SERVICES[each.type], each.name) for each in state.pending if each.type in _SERVICES
    }
