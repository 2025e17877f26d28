"""The consumer function's entry point. The first call builds the container's one consumer."""

from __future__ import annotations

import gc
import os
from typing import Any

from replicator.consumer.consumer import Consumer
from replicator.runtime import Runtime, ThreadExecutor
from replicator.settings import ConsumerConfig

THREADS = 16

_consumer: Consumer | None = None


def handler(event: Any, context: Any) -> dict[str, Any]:
    """Apply a batch of change records; return the first that failed, for Lambda to redeliver."""
    return _built().handle(event, context.get_remaining_time_in_millis())


def _built() -> Consumer:
    global _consumer
    if _consumer is None:
        from aws_lambda_powertools import Logger

        from replicator import aws
        from replicator.consumer.metrics import EmfEmitter

        # A batch is hundreds of thousands of small objects without a cycle, and all of them live
        # until its end: the collector would walk them again and again for nothing.
        gc.set_threshold(500_000, 20, 100)
        config = ConsumerConfig.from_environment(os.environ)
        dynamodb, s3 = aws.clients(config.target_region, THREADS)
        _consumer = Consumer.build(
            config,
            dynamodb=dynamodb,
            s3=s3,
            runtime=Runtime(executor=ThreadExecutor(THREADS)),
            logger=Logger(service="replicator"),
            meter=EmfEmitter(config.dimensions),
        )
    return _consumer
