"""The engine of a verification, by its name."""

from __future__ import annotations

from bootstrap.core.errors import UsageError
from bootstrap.core.poller import Poller
from bootstrap.journal.verification_records import JobRunRecord
from bootstrap.verify.context import VerifyContext, VerifyOptions
from bootstrap.verify.engines.engine import Engine
from bootstrap.verify.engines.glue import GlueEngine, GlueJob
from bootstrap.verify.engines.process import ProcessEngine
from bootstrap.verify.engines.spark import SparkEngine
from infra.verification_names import GLUE, SPARK


def choose_engine(context: VerifyContext, options: VerifyOptions) -> Engine:
    """Make the engine that the options name.

    Raises:
        UsageError: it cannot work on this machine, or the stack has no job for it.
    """
    if options.engine != GLUE:
        _tell_of_a_run(context)
    if options.engine == SPARK:
        return SparkEngine(context.opener, options.workers, context.say)
    if options.engine == GLUE:
        return GlueEngine(
            job_of(context),
            context.journal,
            poller_of(context),
            context.table.snapshot_prefix,
            options.limits,
            new_run=options.new_job_run,
        )
    return ProcessEngine(context.opener, options.workers, context.say)


def _tell_of_a_run(context: VerifyContext) -> None:
    """Say that an interrupted command has left a run on Glue, which this engine does not wait for.

    A run that is over by now is named, too: only Glue knows, and another engine does not ask it.
    """
    record = context.journal.get(JobRunRecord)
    if record is not None and not record.ended:
        which = f"Run {record.run_id} on Glue" if record.run_id else "A run on Glue"
        context.say(
            f"{which}, which an earlier command began, may continue, and is paid for: `verify "
            "--engine glue --cancel` stops it."
        )


def job_of(context: VerifyContext) -> GlueJob:
    """Return the stack's job on Glue.

    Raises:
        UsageError: it has none.
    """
    if context.glue is None:
        raise UsageError(
            f"The stack {context.outputs.stack} has no job on AWS Glue.",
            fix="write verification: {engine: glue} in the stack file, then: make build, and "
            "pulumi up --refresh; or --engine process",
        )
    return context.glue


def poller_of(context: VerifyContext) -> Poller:
    """Make a wait loop that keeps the verification's lease."""
    return Poller(
        context.clock, context.timing, context.lease.check, context.say, context.lease.now
    )
