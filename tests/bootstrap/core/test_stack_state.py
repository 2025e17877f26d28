"""Reading the state of a stack with the Pulumi CLI."""

from __future__ import annotations

import pytest

from bootstrap.core import stack_state
from bootstrap.core.stack_state import KnownResource, PendingOperation
from tests.support.bootstrap.pulumi_state import NAME, STREAM, Pulumi, entry, resource, state


def test_the_state_names_what_is_pending_and_what_it_knows() -> None:
    component = {"urn": "urn:pulumi:prod::p::replication:index:Buffer::b", "type": "t"}
    pulumi = state(entry("creating"), resources=[component, resource(STREAM, "arn:stream/a")])
    read = stack_state.read("prod", pulumi)
    assert read.pending == [PendingOperation("creating", STREAM, NAME)]
    assert read.resources == [KnownResource(STREAM, "arn:stream/a")]
    assert pulumi.commands[0] == ["pulumi", "stack", "export", "--stack", "prod"]


@pytest.mark.parametrize("text", ['{"deployment": {}}', '{"deployment": null}'])
def test_an_empty_state_holds_nothing(text: str) -> None:
    read = stack_state.read("prod", Pulumi(text))
    assert not read.pending and not read.resources


@pytest.mark.parametrize(
    "pulumi",
    [
        Pulumi("", 255, "error: no stack named 'prod' found"),
        Pulumi("not JSON"),
        Pulumi("[]"),
        Pulumi('{"deployment": {"pending_operations": [{}]}}'),
        Pulumi('{"deployment": {"resources": [{"id": "a"}]}}'),
        Pulumi('{"deployment": {"resources": ["a"]}}'),
    ],
)
def test_a_state_that_cannot_be_read_is_unknown(pulumi: Pulumi) -> None:
    with pytest.raises(ValueError, match=r"no stack named|something else"):
        stack_state.read("prod", pulumi)
