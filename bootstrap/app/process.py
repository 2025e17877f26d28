"""This process: its clock, its machine, and its output."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import TextIO

from bootstrap.core.durations import Timing, timing_from
from bootstrap.core.signals import InterruptibleClock
from bootstrap.journal.lease import Machine, this_machine
from replicator.runtime import Clock


@dataclass(frozen=True)
class Process:
    """The clock, the machine and the streams that a command works with."""

    clock: Clock
    machine: Machine
    timing: Timing
    out: TextIO = sys.stdout
    err: TextIO = sys.stderr


def this_process() -> Process:
    """Describe the running process.

    Raises:
        UsageError: for a time scale that makes no sense.
    """
    return Process(
        InterruptibleClock(), this_machine(), timing_from(os.environ), sys.stdout, sys.stderr
    )
