"""Warnings about an `up` that was killed while it made something."""

from __future__ import annotations

from bootstrap.core import pending_operations
from bootstrap.core.stack_state import PendingOperation, StackState
from tests.support.bootstrap.pulumi_state import NAME, STREAM


def test_a_pending_creation_is_named_with_what_to_look_for() -> None:
    state = StackState([PendingOperation("creating", STREAM, NAME)])
    [warning] = pending_operations.warnings("prod", state)
    assert f"was killed, while it was creating {STREAM} {NAME}" in warning
    assert f"Look for {NAME}-*" in warning
    assert "pulumi refresh --clear-pending-creates --stack prod" in warning


def test_another_pending_operation_leaves_nothing_behind_that_is_not_known() -> None:
    state = StackState([PendingOperation("updating", STREAM, NAME)])
    [warning] = pending_operations.warnings("prod", state)
    assert "updating" in warning and "Look for" not in warning
    assert "Try: pulumi up --refresh --stack prod" in warning


def test_a_state_without_pending_operations_warns_of_nothing() -> None:
    assert pending_operations.warnings("prod", StackState()) == []


def test_a_state_that_cannot_be_read_is_unknown_and_not_healthy() -> None:
    warning = pending_operations.unknown("prod", "no stack named 'prod' found")
    assert warning.startswith("whether an `up` of stack prod was killed is unknown: ")
    assert "Try: pulumi stack export --stack prod" in warning
