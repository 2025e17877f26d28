"""Names of a verification's job that program and operator's tool share.

Neither Pulumi nor boto3 is imported here.
"""

from __future__ import annotations

PROCESS, SPARK, GLUE = "process", "spark", "glue"
ENGINES = (PROCESS, SPARK, GLUE)
"""The engines of `verify`; the first is the default."""
DPUS = {"G.1X": 1, "G.2X": 2, "G.4X": 4, "G.8X": 8}
"""Data processing units of a worker, each of 4 vCPUs and 16 GB of memory (AWS Glue Developer Guide,
worker-types)."""
WORKER_TYPES = tuple(DPUS)
USUAL_WORKERS = 10
"""Glue's own default."""

EXPORTS = "verify"
"""Prefix of the snapshot bucket under which `verify` exports both tables."""
RESULTS = "verify-jobs"
"""Prefix under which a job finds its request and leaves its results."""
PROGRAM = "verify-program"
"""Prefix of the job's script, modules and wheels."""
ROLE = "replication-verification-role"
LOGS = "/aws-glue/jobs/"
"""Beginning of the names of the job's log groups; the role's name follows."""
