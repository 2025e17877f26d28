"""The engine of a verification, by its name."""

from __future__ import annotations

from bootstrap.verify.context import VerifyContext, VerifyOptions
from bootstrap.verify.engines.engine import SPARK, Engine
from bootstrap.verify.engines.process import ProcessEngine
from bootstrap.verify.engines.spark import SparkEngine


def choose_engine(context: VerifyContext, options: VerifyOptions) -> Engine:
    """Make the engine that the options name.

    Raises:
        UsageError: it cannot work on this machine.
    """
    if options.engine == SPARK:
        return SparkEngine(context.opener, options.workers, context.say)
    return ProcessEngine(context.opener, options.workers, context.say)
