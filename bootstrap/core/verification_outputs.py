"""The stack's outputs about its verifications: the default engine, and the job of AWS Glue."""

from __future__ import annotations

from dataclasses import dataclass

from bootstrap.core.output_members import OutputMembers
from infra.verification_names import DPUS, ENGINES, PROCESS, WORKER_TYPES


@dataclass(frozen=True)
class VerificationJobOutputs:
    """The job that the stack made."""

    name: str
    workers: int
    """The driver's among them."""
    worker_type: str
    max_hours: int
    log_group: str
    """What the job prints."""
    error_log_group: str
    """Spark's own log."""

    @property
    def dpus(self) -> int:
        """Data processing units of a run, by which Glue counts its price."""
        return self.workers * DPUS[self.worker_type]


@dataclass(frozen=True)
class VerificationOutputs:
    """The default engine of `verify`, and its job."""

    engine: str = PROCESS
    job: VerificationJobOutputs | None = None
    """None: the stack made none."""


def read_verification(top: OutputMembers) -> VerificationOutputs:
    """Read the section; the defaults where there is none."""
    if not top.has("verification"):
        return VerificationOutputs()
    members = top.inner("verification")
    engine = members.one_of("engine", ENGINES)
    if not members.has("jobName"):
        return VerificationOutputs(engine)
    job = VerificationJobOutputs(
        name=members.text("jobName"),
        workers=members.number("workers"),
        worker_type=members.one_of("workerType", WORKER_TYPES),
        max_hours=members.number("maxHours"),
        log_group=members.text("logGroup"),
        error_log_group=members.text("errorLogGroup"),
    )
    return VerificationOutputs(engine, job)
