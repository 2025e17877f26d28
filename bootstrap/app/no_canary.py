"""The canary of a process that only looks: it writes nothing, not even what can never succeed."""

from __future__ import annotations


class NoCanary:
    """`WriteCanary` that may not be asked."""

    def refused(self, table: str) -> bool:
        raise AssertionError(f"A process that only looks makes no write to {table}.")
