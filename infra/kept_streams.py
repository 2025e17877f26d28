"""The refusal of another stream for a table that is replicated already."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from infra.held_resources import last_table
from infra.refused_changes import listed
from infra.stack_config import StackConfig


def find_other_streams(config: StackConfig, before: Mapping[str, Any]) -> Iterator[str]:
    """Yield a refusal of another stream: an adopted one for the stack's, back, or a third.

    What waits in the first would never be applied. A destination that changes hands is refused too:
    the engine would make one that is there, or switch one off that others need.
    """
    return listed(
        "A table keeps its stream",
        _differences(config, before),
        "Changes that wait in it would be lost. Try: put the values back; or take the table "
        "out of the stack and replicate it anew: docs/operate.md, Take a table out of a stack",
    )


def _differences(config: StackConfig, before: Mapping[str, Any]) -> Iterator[str]:
    for n, table in enumerate(config.tables):
        last = last_table(table, before)
        if not last.get("streamArn"):
            continue  # a new table, or one whose first `up` failed
        adopted = last["streamArn"] if last.get("adoptsStream") else None
        if adopted != table.stream:
            yield (
                f"tables[{n}].streamArn: got {_named(table.stream)}; the table is replicated "
                f"through {_named(adopted)}."
            )
        elif adopted and last.get("ownsDestination") is not table.owns_destination:
            yield (
                f"tables[{n}].makeDestination: got {str(table.makes_destination).lower()}; the "
                "table's streaming destination was there before the stack, or is the stack's, and "
                "stays so."
            )


def _named(stream: str | None) -> str:
    return f'"{stream}"' if stream else "a stream of the stack's own"
