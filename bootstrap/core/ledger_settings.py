"""The settings row of a ledger table, as far as the bootstrap owns it."""

from __future__ import annotations

from dataclasses import dataclass

from replicator.buffers import KINESIS


@dataclass(frozen=True)
class LedgerSettings:
    """The members of a ledger's settings row that the bootstrap owns. Moments in microseconds."""

    floor: int | None = None
    snapshot: str | None = None
    consume: bool = False
    """The consumer has been switched on: from then on, off is a fault."""
    expire: bool = False
    paused: bool = False
    """The consumer is off on purpose: no detector reports it."""
    settled: int | None = None
    """A verification proved that no change made before this is missing in the target."""
    armed: str | None = None
    """The nonce of the switch that is under way."""
    mark: int | None = None
    """Changes newer than this are late writes of that switch."""
    closed: str | None = None
    """The nonce of the switch or promotion after which nothing may be written to the target."""
    primary: int | None = None
    """Since when the target is the primary."""
    buffer: str = KINESIS
    """The kind of buffer that the ledger is for."""
    stream: str = ""
    """The ARN of the table's own stream, where that is the buffer."""
    mapping: str = ""
    """The mapping that reads it."""
