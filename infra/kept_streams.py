"""The refusal of another stream for a table that is replicated already."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi

from infra.held_resources import last_table
from infra.stack_config import StackConfig


class OtherStreamError(pulumi.RunError):
    """A stream or a destination that a replicated table cannot change to."""


def refuse_other_streams(config: StackConfig, before: Mapping[str, Any]) -> None:
    """Refuse to take a table from a stream of the stack's to one of others, back, or to a third.

    What waits in the first would never be applied. A destination that changes hands is refused too:
    the engine would make one that is there, or switch one off that others need.

    Raises:
        OtherStreamError: naming every difference.
    """
    found = []
    for n, table in enumerate(config.tables):
        last = last_table(table, before)
        if not last.get("streamArn"):
            continue  # a new table, or one whose first `up` failed
        adopted = last["streamArn"] if last.get("adoptsStream") else None
        if adopted != table.stream:
            found.append(
                f"tables[{n}].streamArn: got {_named(table.stream)}; the table is replicated "
                f"through {_named(adopted)}."
            )
        elif adopted and last.get("ownsDestination") is not table.owns_destination:
            found.append(
                f"tables[{n}].makeDestination: got {str(table.makes_destination).lower()}; the "
                "table's streaming destination was there before the stack, or is the stack's, and "
                "stays so."
            )
    if found:
        lines = "\n".join(f"  - {line}" for line in found)
        raise OtherStreamError(
            f"A table keeps its stream:\n{lines}\n"
            "Changes that wait in it would be lost. Try: put the values back; or take the table "
            "out of the stack and replicate it anew: docs/operate.md, Take a table out of a stack"
        )


def _named(stream: str | None) -> str:
    return f'"{stream}"' if stream else "a stream of the stack's own"
