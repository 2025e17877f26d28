"""The tags of a target table: the source's, over which the stack's win."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

AWS_TAG_LIMIT = 50
"""Tags that AWS takes for a table."""
MOST_TAGS = AWS_TAG_LIMIT - 1
"""One is left for the load tag."""
LOAD_TAG = "dynamodb-replication:load"
"""The tag of a table that was made for a bulk load: it proves which run made it."""


def tags_of_target(source: Mapping[str, str], stack: Mapping[str, str]) -> dict[str, str]:
    """Return the tags that a target gets. A stack has fewer than AWS takes.

    A key of the source's that differs from one of the stack's only in capital letters counts as the
    same: two teams' costs would be booked on one table otherwise. Keys that begin with aws: are
    AWS's own.
    """
    copied = _copied(source, stack)
    return {**dict(copied[: _room(stack)]), **stack}


def left_out(source: Mapping[str, str], stack: Mapping[str, str]) -> Sequence[str]:
    """Return the keys of the source's tags that have no room beside the stack's."""
    return [key for key, _ in _copied(source, stack)[_room(stack) :]]


def _copied(source: Mapping[str, str], stack: Mapping[str, str]) -> list[tuple[str, str]]:
    own = {key.lower() for key in stack}
    return [
        (key, value)
        for key, value in sorted(source.items())
        if key.lower() not in own and not key.lower().startswith("aws:")
    ]


def _room(stack: Mapping[str, str]) -> int:
    return max(0, MOST_TAGS - len(stack))
