"""One writer per table: a lease of 60 seconds with a generation number.

The generation only grows. A process that has lost its generation learns it before its next call:
after `RENEW_AFTER` seconds without a write it renews first, and the renewal is conditional. Expiry
uses AWS's clock (the Date of its answers), so two machines need not agree on the time.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bootstrap.core.errors import LeaseHeldError, LeaseLostError
from bootstrap.core.suggestions import Command, suggest
from replicator.runtime import Clock

if TYPE_CHECKING:
    from bootstrap.core.journal_rows import Row, Store

LEASE_SECONDS = 60.0
RENEW_AFTER = 15.0
"""Seconds without a write after which a renewal precedes a call. A quarter of the lease: three
renewals may fail before it expires.
"""
DATE_SLACK = 2.0
"""Seconds that a clock carried forward may be ahead of a Date header, which drops the fraction."""


@dataclass(frozen=True)
class Holder:
    """A process that holds, or held, a lease."""

    host: str
    """Name, for people."""
    machine: str
    """Equal for processes that see each other's process ids."""
    pid: int
    born: str
    """The process's start: process ids are reused."""

    @classmethod
    def parse(cls, text: str) -> Holder | None:
        try:
            value = json.loads(text)
            return cls(value["host"], value["machine"], int(value["pid"]), value["born"])
        except (ValueError, KeyError, TypeError):
            return None

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


@dataclass(frozen=True)
class Machine:
    """This process, and a test for another one of this machine."""

    me: Holder
    alive: Callable[[Holder], bool]


def this_machine() -> Machine:
    """Describe the running process.

    Containers on one host do not see each other's processes, so the process id namespace is part of
    the machine's identity.
    """
    name = socket.gethostname()
    parts = [name]
    for path in ("/proc/sys/kernel/random/boot_id", "/proc/self/ns/pid"):
        try:
            parts.append(
                str(Path(path).readlink())
                if path.endswith("pid")
                else Path(path).read_text().strip()
            )
        except OSError:
            continue
    pid = os.getpid()
    return Machine(Holder(name, "|".join(parts), pid, _birth(pid)), _is_alive)


def _is_alive(holder: Holder) -> bool:
    try:
        os.kill(holder.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return _birth(holder.pid) == holder.born


def _birth(pid: int) -> str:
    """Read the process's start in clock ticks since boot (proc(5), stat); empty without a /proc."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    fields = text.rsplit(")", 1)[1].split()
    # A zombie, killed and not yet reaped, holds no lease.
    return "" if fields[0] == "Z" else fields[19]


class Lease:
    """This process's claim on one table."""

    def __init__(self, store: Store, table: str, clock: Clock, machine: Machine) -> None:
        self._store = store
        self._table = table
        self._clock = clock
        self._machine = machine
        self._aws_minus_ours = 0.0
        self._renewed = 0.0
        self.generation = 0

    def now(self) -> float:
        """Return AWS's time, carried forward by this machine's clock since AWS's last answer."""
        return self._clock.monotonic() + self._aws_minus_ours

    def saw(self, aws_time: float) -> None:
        """Adopt the Date of an answer."""
        # A Date lacks its fraction, and its answer has travelled: each is a lower bound, and the
        # highest is the best. One that has drifted too far ahead is dropped.
        bound = aws_time - self._clock.monotonic()
        if bound > self._aws_minus_ours or self._aws_minus_ours - bound > DATE_SLACK:
            self._aws_minus_ours = bound

    def acquire(
        self,
        take_over: bool = False,
        refuse: Callable[[Row], None] = lambda row: None,
    ) -> Row | None:
        """Claim the table; return its row as it was before.

        `refuse` raises for a row whose state does not allow this command: no holder is replaced
        then, not even with `take_over`.

        A holder that died on this machine is replaced at once, one that died elsewhere after its
        lease has expired, a live one only with `take_over`.

        Raises:
            LeaseHeldError: if another run holds it.
        """
        row, at = self._store.read(self._table)
        self.saw(at)
        if row is not None:
            refuse(row)
            if not take_over:
                self._refuse_live_holder(row)
        seen = row.generation if row is not None else 0
        me = json.dumps(asdict(self._machine.me))
        if not self._store.claim(self._table, seen, me, self.extended()):
            now_there, _ = self._store.read(self._table)
            # The SDK repeats a claim whose answer was lost, and the repetition meets the first.
            claimed = now_there is not None and (now_there.holder, now_there.generation) == (
                me,
                seen + 1,
            )
            if not claimed:
                raise self._held(now_there)
        self.generation = seen + 1
        self.renewed(self.extended())
        return row

    def _refuse_live_holder(self, row: Row) -> None:
        if self.other_holder(row) is not None:
            raise self._held(row)

    def other_holder(self, row: Row) -> Holder | None:
        """Return the other process that holds the table, unless it is known to have ended."""
        holder = Holder.parse(row.holder)
        if holder is None or row.expires <= self.now():
            return None
        if holder == self._machine.me:
            return None  # a claim of this process, whose answer was lost
        if holder.machine == self._machine.me.machine and not self._machine.alive(holder):
            return None
        return holder

    def _held(self, row: Row | None) -> LeaseHeldError:
        holder = Holder.parse(row.holder) if row is not None else None
        left = max(0, round(row.expires - self.now())) if row is not None else 0
        return LeaseHeldError(
            f"Another run works on table {self._table}: {holder or 'an unknown process'} holds its "
            f"lease, which it renews while it lives and which expires {left} s from now.",
            fix=suggest(
                "wait for it (",
                Command("status"),
                " shows what it does); or, if it is stuck: the same command with --take-over",
            ),
        )

    def lost(self, row: Row | None) -> LeaseLostError:
        """Make the error for a lost generation."""
        holder = Holder.parse(row.holder) if row is not None else None
        return LeaseLostError(
            f"{holder or 'Another run'} took over table {self._table}: this run stopped before its "
            "next call.",
            fix=suggest(Command("status")),
        )

    def check(self) -> None:
        """Called before every call to AWS: true silence, or a stopped process, renews first.

        Raises:
            LeaseLostError: when another run has taken over.
        """
        if self._clock.monotonic() - self._renewed < RENEW_AFTER:
            return
        expires = self.extended()
        if not self._store.renew(self._table, self.generation, expires):
            row, _ = self._store.read(self._table)
            raise self.lost(row)
        self.renewed(expires)

    def extended(self) -> float:
        """Return the expiry of a lease that is renewed now."""
        return self.now() + LEASE_SECONDS

    def renewed(self, expires: float) -> None:
        """Note that a write carried `expires`."""
        self._renewed = self._clock.monotonic() - max(0.0, self.extended() - expires)

    def release(self) -> None:
        """Release the lease, so the next run need not wait. A lost lease is no error here."""
        self._store.release(self._table, self.generation)


class UnheldLease(Lease):
    """The lease of a process that only looks: it claims nothing, and no call renews it.

    The journal refuses a write under it, for its generation is of no holder.
    """

    def acquire(
        self, take_over: bool = False, refuse: Callable[[Row], None] = lambda row: None
    ) -> Row | None:
        raise AssertionError("A process that only looks takes no lease.")

    def check(self) -> None:
        return
