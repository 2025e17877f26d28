"""The load of the target as the local cloud saw it: its own log of writes, and its imports."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from infra.local.workload.server_writes import ServerWrite

Load = Literal["import", "bulk"]


@dataclass(frozen=True)
class LoadCheck:
    """The first items of a table that is loaded by bulk put."""

    puts: int
    """Items that the role which loads put into the target."""
    late_puts: int
    """Of those, the ones that came after another role's first write."""
    seconds: float
    """From the first put to the last."""
    imports: int
    """Imports of the account: none made the table."""

    def problems(self) -> Iterator[str]:
        """Say why this was no bulk put, or one that may have undone changes, a sentence each."""
        if not self.puts:
            yield "No item was put into the target by a bulk put."
        if self.imports:
            yield f"{self.imports:,} imports were made, and the stack says bulk put."
        if self.late_puts:
            yield (
                f"{self.late_puts:,} puts of the bulk put came after the consumer's first "
                "write: they take the place of newer items."
            )

    def as_json(self) -> dict[str, Any]:
        return {
            "mode": "bulk",
            "puts": self.puts,
            "late_puts": self.late_puts,
            "seconds": round(self.seconds, 2),
            "imports": self.imports,
        }


def check_load(writes: Sequence[ServerWrite], loader: str, imports: int) -> LoadCheck:
    """Judge the writes that the target took, in their order.

    `loader`: the ARN of the role that loads.
    """
    puts = [write for write in writes if is_role_or_session(write.caller, loader)]
    others = (write.at for write in writes if not is_role_or_session(write.caller, loader))
    first = min(others, default=float("inf"))
    return LoadCheck(
        puts=len(puts),
        late_puts=sum(write.at > first for write in puts),
        seconds=puts[-1].at - puts[0].at if puts else 0.0,
        imports=imports,
    )


def is_role_or_session(caller: str, role: str) -> bool:
    """Return whether a caller is a role, or a session of it."""
    if caller == role:
        return True
    account, name = role.split(":")[4], role.rpartition("/")[2]
    return f"::{account}:assumed-role/{name}/" in caller
