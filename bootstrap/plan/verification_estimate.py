"""Time and money of a verification: in processes on one machine, and by a job on AWS Glue."""

from __future__ import annotations

from dataclasses import dataclass

from bootstrap.core.formatting import duration
from bootstrap.plan.prices import PRICES, Prices
from infra.verification_names import USUAL_WORKERS

ITEM_SECONDS = 4e-6
BYTE_SECONDS = 6.5e-9
"""Core-seconds of the one-process engine for an item, and for a byte of its line in an export:
measured (docs/benchmarks.md, Verification: two exports compared)."""
TEXT_SHARE = 1.2
"""Bytes of a line for a byte of an item as DynamoDB counts it: measured with items of 1 KB."""
SPARK_SHARE = 1.5
"""Core-seconds on Spark for each of the one-process engine: assumed for tables of many million
items. Measured: 1.63 at 1,000,000 items and falling with their number (docs/benchmarks.md)."""
DPU_CORES = 4
"""vCPUs of a data processing unit. A vCPU is one thread of a core, or half a core."""
GLUE_START_SECONDS = (60.0, 300.0)
"""Until a run's workers work. AWS documents no time: assumed."""
USUAL_PROCESSES = 4
LONG_SECONDS = 4 * 3600
"""Beyond this, another way is advised."""


@dataclass(frozen=True)
class VerificationEstimate:
    """Estimates of one comparison of both tables. Seconds, and US dollars for the run on Glue."""

    processes: int
    process_seconds: float
    workers: int
    dpus: int
    glue_seconds: tuple[float, float]
    glue_cost: tuple[float, float]

    @property
    def text(self) -> str:
        """The estimate as one line."""
        least, most = self.glue_seconds
        cheap, dear = self.glue_cost
        return (
            f"{duration(max(1.0, self.process_seconds))} in {self.processes} processes here; "
            f"{duration(least)} to {duration(most)} and ${cheap:,.2f} to ${dear:,.2f} on Glue "
            f"with {self.workers} workers"
        )

    @property
    def advice(self) -> str:
        """The way out where one machine takes long; empty where it does not."""
        if self.process_seconds <= LONG_SECONDS:
            return ""
        return (
            f"a verification takes about {duration(self.process_seconds)} in {self.processes} "
            "processes of one machine: let it run on a machine of more cores with `verify "
            "--workers N`, or by AWS Glue (verification: {engine: glue} in the stack file; "
            "docs/verify.md)"
        )

    @property
    def json(self) -> dict[str, object]:
        return {
            "processes": self.processes,
            "processSeconds": round(self.process_seconds),
            "glueWorkers": self.workers,
            "glueDpus": self.dpus,
            "glueSeconds": [round(each) for each in self.glue_seconds],
            "glueUsd": [round(each, 2) for each in self.glue_cost],
        }


def estimate_verification(
    items: int,
    size_bytes: int,
    *,
    processes: int = USUAL_PROCESSES,
    workers: int = USUAL_WORKERS,
    dpus: int = USUAL_WORKERS,
    price: Prices = PRICES,
) -> VerificationEstimate:
    """Estimate a comparison of two tables of so many items and bytes each."""
    core_seconds = 2 * (items * ITEM_SECONDS + size_bytes * TEXT_SHARE * BYTE_SECONDS)
    # One worker is the driver's.
    cores = dpus * DPU_CORES * (workers - 1) / workers
    spark = core_seconds * SPARK_SHARE / cores
    seconds = (GLUE_START_SECONDS[0] + spark, GLUE_START_SECONDS[1] + 2 * spark)
    # What Glue takes to start is not paid for.
    least, most = (
        max(60.0, each) / 3600 * dpus * price.glue_dpu_hour for each in (spark, 2 * spark)
    )
    return VerificationEstimate(
        processes, core_seconds / processes, workers, dpus, seconds, (least, most)
    )
