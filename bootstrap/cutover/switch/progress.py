"""The view of a switch at work: its step, and for how long writers have been refused."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SwitchProgress:
    """A switch at one moment. Times are epoch seconds by AWS's clock."""

    at: float
    step: str
    waiting: str
    """What is waited for; empty while it acts."""
    tables: tuple[str, ...]
    closes: int = 0
    """When the source refuses writers, or did; 0: not planned yet."""
    opened_at: float = 0
    """When the target let a caller in; 0: not yet."""
    fenced: bool = True
    """False: the operator has stopped the writers."""
    cancelling: bool = False
    left_to_ttl: int = 0
    """Deletions by the source's time to live that are left to the target's."""
    open_items: tuple[str, ...] = ()
    """`name: reason` of what failed after the commit, and is repeated by the same command."""

    @property
    def refused_seconds(self) -> float | None:
        """Seconds for which writers have been refused in both tables; None: they are not yet."""
        if not self.closes or self.at < self.closes:
            return None
        return (self.opened_at or self.at) - self.closes

    @property
    def closes_in(self) -> float | None:
        """Seconds until writers are refused; None: that is not planned, or over."""
        if not self.closes or self.at >= self.closes:
            return None
        return self.closes - self.at
