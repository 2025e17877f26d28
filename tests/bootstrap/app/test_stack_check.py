"""What is left of an `up` that was killed: named, never an error, and never guessed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from bootstrap.app.command_options import CommandOptions
from bootstrap.app.stack_check import StackCheck, check, check_stack
from bootstrap.core.errors import AccessDeniedError, Side
from bootstrap.core.stack_outputs import Outputs
from bootstrap.core.unknown_resources import Place
from tests.support.bootstrap.fake_aws import OUTPUTS_JSON
from tests.support.bootstrap.fake_aws import outputs as fake_outputs
from tests.support.bootstrap.pulumi_state import STREAM, Pulumi, entry, resource, state

TABLE, BUCKET = "aws:dynamodb/table:Table", "aws:s3/bucket:Bucket"
FUNCTION = "aws:lambda/function:Function"
STACK = OUTPUTS_JSON["stack"]


def stream(name: str) -> str:
    return f"arn:aws:kinesis:eu-west-1:111111111111:stream/{name}"


def table(name: str) -> str:
    return f"arn:aws:dynamodb:eu-central-1:222222222222:table/{name}"


def function(name: str) -> str:
    return f"arn:aws:lambda:eu-west-1:222222222222:function:{name}"


KNOWN = {
    STREAM: stream("replicate-orders-buffer-stream-0000001"),
    TABLE: "replicate-orders-ledger-0000002",
    BUCKET: "replicate-orders-quarantine-0000003",
    FUNCTION: "replicate-orders-consumer-0000004",
}
LISTED: Mapping[tuple[Side, str], Sequence[str]] = {
    (Side.SOURCE, "eu-west-1"): [KNOWN[STREAM]],
    (Side.TARGET, "eu-central-1"): [table(KNOWN[TABLE]), f"arn:aws:s3:::{KNOWN[BUCKET]}"],
    (Side.TARGET, "eu-west-1"): [function(KNOWN[FUNCTION])],
}
SOURCE, TARGET, CONSUMER = LISTED


def outputs() -> Outputs:
    made = fake_outputs(
        streamName=KNOWN[STREAM].rpartition("/")[2],
        streamArn=KNOWN[STREAM],
        ledgerTable=KNOWN[TABLE],
        quarantineBucket=KNOWN[BUCKET],
        functionName=KNOWN[FUNCTION],
    )
    return replace(made, target=replace(made.target, region="eu-central-1"))


class Listing:
    """Lists what AWS has with the stack's tags."""

    def __init__(self, more: Mapping[tuple[Side, str], Sequence[str]] | None = None) -> None:
        self.more = more or {}
        self.asked: list[tuple[Side, str]] = []
        self.fails: Mapping[tuple[Side, str], Exception] = {}

    def __call__(self, place: Place, tags: Mapping[str, str]) -> Sequence[str]:
        assert tags == {"project": OUTPUTS_JSON["project"], "stack": STACK}
        key = place.side, place.region
        self.asked.append(key)
        if key in self.fails:
            raise self.fails[key]
        return [*LISTED[key], *self.more.get(key, ())]


def pulumi(*pending: dict[str, object]) -> Pulumi:
    return state(*pending, resources=[resource(*each) for each in KNOWN.items()])


def checked(listing: Listing, run: Pulumi | None = None) -> StackCheck:
    return check(
        STACK, outputs(), listing, {Side.SOURCE: "ops me", Side.TARGET: None}, run or pulumi()
    )


def test_a_stack_that_aws_has_once_is_looked_at_in_every_place_and_nothing_is_said() -> None:
    listing = Listing()
    found = checked(listing)
    assert listing.asked == [SOURCE, TARGET, CONSUMER]
    assert (found.unknown, found.warnings, found.notes) == ([], [], [])
    assert found.as_json() == {
        "pendingOperations": [],
        "unknownResources": [],
        "warnings": [],
        "notes": [],
    }


@pytest.mark.parametrize(
    ("place", "arn", "look"),
    [
        (
            SOURCE,
            stream("replicate-orders-buffer-stream-abcdef0"),
            "aws kinesis describe-stream-summary --stream-name "
            "replicate-orders-buffer-stream-abcdef0 --region eu-west-1 --profile 'ops me'",
        ),
        (
            TARGET,
            table("replicate-orders-ledger-abcdef0"),
            "aws dynamodb describe-table --table-name replicate-orders-ledger-abcdef0 "
            "--region eu-central-1",
        ),
        (
            TARGET,
            "arn:aws:s3:::replicate-orders-quarantine-abcdef0",
            "aws s3 ls --recursive --summarize s3://replicate-orders-quarantine-abcdef0 "
            "--region eu-central-1",
        ),
        (
            CONSUMER,
            function("replicate-orders-consumer-abcdef0"),
            "aws lambda get-function-configuration --function-name "
            "replicate-orders-consumer-abcdef0 --region eu-west-1",
        ),
    ],
)
def test_a_second_resource_of_each_kind_is_named_with_what_shows_it(
    place: tuple[Side, str], arn: str, look: str
) -> None:
    found = checked(Listing({place: [arn]}))
    [warning] = found.warnings
    assert arn in warning and f"one of stack {STACK}" in warning
    assert f"Try: {look} (docs/operate.md, " in warning
    account = place[0].name.lower()
    assert found.as_json()["unknownResources"] == [{"arn": arn, "account": account}]
    assert found.notes == []


@pytest.mark.parametrize(
    "arn",
    [
        stream("replicate-customers-buffer-stream-abcdef0"),
        stream("replicate-orders-buffer-stream-by-hand"),
        stream("replicate-orders-buffer-stream"),
        # Of another kind than the one with this name, or of a kind that is not judged.
        "arn:aws:dynamodb:eu-west-1:111111111111:table/replicate-orders-buffer-stream-abcdef0",
        "arn:aws:sns:eu-west-1:111111111111:replicate-orders-buffer-stream-abcdef0",
        "arn:aws:dynamodb:eu-west-1:111111111111:table/replicate-orders-ledger-abcdef0/backup/1",
        "not an ARN",
    ],
)
def test_what_is_no_second_one_is_not_judged(arn: str) -> None:
    found = checked(Listing({SOURCE: [arn]}))
    assert (found.unknown, found.warnings, found.notes) == ([], [], [])


def test_what_the_state_knows_and_the_outputs_do_not_name_is_known() -> None:
    """An `up` that failed has replaced a stream, and the outputs still name the old one."""
    new = stream("replicate-orders-buffer-stream-abcdef0")
    run = state(resources=[*(resource(*each) for each in KNOWN.items()), resource(STREAM, new)])
    assert checked(Listing({SOURCE: [new]}), run).warnings == []


def test_what_an_up_was_creating_is_named_before_the_next_up() -> None:
    urn = f"urn:pulumi:prod::dynamodb-replication::{STREAM}::replicate-customers-buffer-stream"
    arn = stream("replicate-customers-buffer-stream-abcdef0")
    found = checked(Listing({SOURCE: [arn]}), pulumi(entry("creating", urn=urn)))
    pending, unknown = found.warnings
    assert "was creating" in pending and arn in unknown
    assert found.as_json()["pendingOperations"] == [
        {"operation": "creating", "type": STREAM, "name": "replicate-customers-buffer-stream"}
    ]


def test_what_may_not_be_read_is_a_note_and_the_other_places_are_looked_at() -> None:
    second = table("replicate-orders-ledger-abcdef0")
    listing = Listing({TARGET: [second]})
    listing.fails = {
        SOURCE: AccessDeniedError(
            Side.SOURCE, "Role exporter may not tag:GetResources", fix="pulumi up --refresh"
        )
    }
    found = checked(listing)
    [note] = found.notes
    assert note.startswith(
        f"not looked for in the source account, eu-west-1: resources of stack {STACK} "
    )
    assert "may not tag:GetResources" in note
    assert f"Try: pulumi up --refresh --stack {STACK}" in note
    [warning] = found.warnings
    assert second in warning


def test_a_listing_without_anything_that_has_to_be_there_tells_nothing() -> None:
    """The stack file's own tags may stand in place of the program's."""

    def listing(place: Place, tags: Mapping[str, str]) -> Sequence[str]:
        return [stream("replicate-orders-buffer-stream-abcdef0")] if tags else []

    found = check(STACK, outputs(), listing, dict.fromkeys(Side), pulumi())
    assert found.warnings == [] and len(found.notes) == 3
    assert all("none that it knows has the tags project=" in note for note in found.notes)


def test_without_a_state_nothing_is_compared() -> None:
    listing = Listing()
    found = checked(listing, Pulumi("", 255, "error: no stack"))
    [warning] = found.warnings
    assert warning.startswith(f"whether an `up` of stack {STACK} was killed is unknown")
    assert listing.asked == [] and found.as_json()["pendingOperations"] is None
    [note] = found.notes
    assert note.startswith("not looked for: ")


def test_a_file_of_outputs_has_no_state_to_compare_with() -> None:
    options = CommandOptions("bootstrap status")
    assert check_stack(options, outputs(), None) is None  # type: ignore[arg-type]
