"""The Lambda's entry point; what lives as long as its container is built by its first call."""

from __future__ import annotations

import gc
import os
from typing import Any

from replicator.consumer.batch import Consumer
from replicator.runtime import Runtime, ThreadExecutor
from replicator.settings import ConsumerConfig

THREADS = 16

_consumer: Consumer | None = None


def handler(event: Any, context: Any) -> dict[str, Any]:
    """Applies a batch of change records; returns what failed, for Lambda to deliver again."""
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
            effects=Runtime(executor=ThreadExecutor(THREADS)),
            logger=Logger(service="replicator"),
            meter=EmfEmitter(config.stack, config.source_table),
        )
    return _consumer
