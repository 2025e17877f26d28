"""The `verification` section of the stack file: the engine of `verify`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from infra.config_validation import NOT_GIVEN, ConfigReader
from infra.verification_names import ENGINES, GLUE, PROCESS, USUAL_WORKERS, WORKER_TYPES

LEAST_WORKERS, MOST_WORKERS = 2, 299
"""One worker is the driver's (Glue API reference, StartJobRun, WorkerType G.1X)."""
MOST_HOURS = 168
"""Glue ends a run after seven days at the latest (Glue API reference, Job, Timeout)."""
ONLY_FOR_GLUE = ("workers", "workerType", "maxHours", "package")
PROJECT_ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class VerificationConfig:
    """The engine of `verify`, and the job that the stack makes for it."""

    engine: str = PROCESS
    """The engine that compares two exports for `verify`, unless `--engine` says otherwise.
    `process`: on the machine that runs it. `spark`: there too, by Spark. `glue`: by AWS Glue in the
    target account; the stack makes the job then, with its role and its log groups."""
    workers: int = USUAL_WORKERS
    """Workers of a run, the driver's among them. 10: Glue's own default; `verify --estimate` says
    what more of them save."""
    worker_type: str = "G.1X"
    """Size of a worker. G.1X has 4 vCPUs and 16 GB, and each size after it twice as much."""
    max_hours: int = 8
    """Hours after which Glue stops a run, unless `verify --max-hours` or `--max-cost` says less. 8:
    Glue's own default. It bounds what a run can cost."""
    package: Path = PROJECT_ROOT / "build" / "glue"
    """Folder that `make build` made for the job."""

    @property
    def on_glue(self) -> bool:
        return self.engine == GLUE


def read_verification(top: ConfigReader) -> VerificationConfig:
    """Read and check the section."""
    default = VerificationConfig
    section = top.section(
        "verification", "write verification: {engine: glue, workers: 10}", required=False
    )
    config = VerificationConfig(
        engine=section.choice("engine", ENGINES, default=default.engine),
        workers=section.whole_number(
            "workers", LEAST_WORKERS, MOST_WORKERS, "workers", default=default.workers
        ),
        worker_type=section.choice("workerType", WORKER_TYPES, default=default.worker_type),
        max_hours=section.whole_number(
            "maxHours", 1, MOST_HOURS, "hours", default=default.max_hours
        ),
        package=PROJECT_ROOT
        / section.text(
            "package",
            r".+",
            "a folder, absolute or relative to the project",
            "leave it out, and run: make build",
            default="build/glue",
        ),
    )
    if not config.on_glue and section.raw("engine") in (NOT_GIVEN, *ENGINES):
        for name in ONLY_FOR_GLUE:
            section.refuse_key(
                name,
                "nothing, without a job: only the engine glue has one",
                f"set engine to glue, or remove {name}",
            )
    section.refuse_unknown_keys()
    return config
