"""The dependencies and the options of a verification."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bootstrap.core.durations import Timing
from bootstrap.core.journal_rows import Store
from bootstrap.core.objects import ObjectReaderFactory
from bootstrap.core.ports import BulkLoads, ExportService, ItemReader, Ledger
from bootstrap.core.stack_outputs import Outputs, TableOutputs
from bootstrap.journal.journal import Journal
from bootstrap.journal.lease import Lease
from bootstrap.run.step_context import StepContext
from bootstrap.verify.engines.glue import GlueJob, RunLimits
from bootstrap.verify.repair import Repairer
from infra.verification_names import PROCESS
from replicator.runtime import Clock


@dataclass(frozen=True)
class VerifyOptions:
    """The operator's options."""

    spool: Path
    report: Path | None = None
    source_export: str | None = None
    target_export: str | None = None
    sample: float = 1.0
    until_judged: float = 0.0
    enable_target_recovery: bool = False
    show_values: bool = False
    fresh: bool = False
    take_over: bool = False
    read_source: bool = False
    repair: bool = False
    dry_run: bool = False
    yes: bool = False
    workers: int | None = None
    engine: str = PROCESS
    limits: RunLimits = field(default_factory=RunLimits)
    """Of a run on Glue."""
    new_job_run: bool = False
    """Start another run in place of one that ended without a result."""


@dataclass(frozen=True)
class VerifyContext:
    """The dependencies of one table's verification, in both accounts."""

    outputs: Outputs
    table: TableOutputs
    source: ExportService
    target: ExportService
    source_items: ItemReader
    target_items: ItemReader
    ledger: Ledger
    store: Store
    journal: Journal
    lease: Lease
    opener: ObjectReaderFactory
    step_context: Callable[[], StepContext]
    """Makes the context of one proof, with this verification's own journal."""
    repairer: Callable[[], Repairer]
    timing: Timing
    clock: Clock
    say: Callable[[str], None]
    glue: GlueJob | None = None
    """None: the stack has no job on Glue."""
    loads: BulkLoads | None = None
    """None: the stack has no right to bulk operations."""
