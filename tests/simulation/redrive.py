"""The operator's redrive: the real code on the fakes of a world."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from bootstrap.aws.calls import Calls
from bootstrap.aws.ledger import AwsLedger
from bootstrap.aws.quarantine import AwsBucket
from bootstrap.core.errors import Side
from bootstrap.core.facts import StreamRecord
from bootstrap.core.stack_outputs import TableOutputs
from bootstrap.core.state import State
from bootstrap.quarantine.context import QuarantineContext
from bootstrap.quarantine.direct import DirectConsumer
from bootstrap.quarantine.store import QuarantineStoreReader
from replicator.runtime import Runtime
from replicator.settings import ConsumerConfig
from tests.simulation.names import (
    FAILURES_BUCKET,
    LEDGER_TABLE,
    QUARANTINE_BUCKET,
    SOURCE_TABLE,
    TARGET_TABLE,
)
from tests.simulation.records import Part, unpacked
from tests.simulation.world import Place, World


def config(place: Place) -> ConsumerConfig:
    """The consumer's environment in a simulated stack."""
    return ConsumerConfig(
        stack="simulation",
        source_table=SOURCE_TABLE,
        target_table=TARGET_TABLE,
        target_region="eu-west-1",
        ledger_table=LEDGER_TABLE,
        quarantine_bucket=QUARANTINE_BUCKET,
        ledger_retention_days=place.retention_days,
        quarantine_burst=place.burst,
        adopted_stream=place.adopted_stream,
        buffer=place.buffer,
    )


def runtime(place: Place) -> Runtime:
    return Runtime(clock=place.clock, random=place.random, executor=place.executor)


class Stream:
    """The stream as the redrive puts to it: some records of a call are refused."""

    def __init__(self, world: World) -> None:
        self._world = world

    def put(self, records: Sequence[StreamRecord]) -> list[str]:
        world = self._world
        world.scheduler.pause(0.02)
        codes = [self._take(record) for record in records]
        world.scheduler.pause(world.chance.choice((0.0, 0.1, 5.0)))
        return codes

    def _take(self, record: StreamRecord) -> str:
        world = self._world
        shards = world.service.open_shards()
        if not shards or world.chance.random() < 0.1:
            return "ProvisionedThroughputExceededException"
        found = unpacked(record.data)
        parts = [Part(data, world.parts.get(data)) for data in found]
        world.service.put(
            parts, f"redrive {record.partition_key}", world.chance.choice(shards), data=record.data
        )
        world.redriven += len(parts)
        return ""


def redrive_context(
    world: World, place: Callable[[], Place], state: Callable[[], State]
) -> QuarantineContext:
    calls = Calls(Side.TARGET, "Role importer")
    here = place()
    return QuarantineContext(
        table=_outputs(here),
        store=QuarantineStoreReader(
            AwsBucket(calls, world.s3, QUARANTINE_BUCKET),
            AwsBucket(calls, world.s3, FAILURES_BUCKET),
        ),
        ledger=AwsLedger(calls, world.dynamodb, LEDGER_TABLE),
        state=state,
        stream=lambda: Stream(world),
        consumer=lambda: DirectConsumer(
            config(here), dynamodb=world.dynamodb, s3=world.s3, runtime=runtime(here)
        ),
        clock=here.clock,
        who="operator",
        chance=random.Random(world.chance.random()),
    )


def _outputs(place: Place) -> TableOutputs:
    return TableOutputs(
        source_table=SOURCE_TABLE,
        source_table_arn=f"arn:aws:dynamodb:eu-west-1:111111111111:table/{SOURCE_TABLE}",
        target_table=TARGET_TABLE,
        stream_name="stream",
        stream_arn="arn:aws:kinesis:eu-west-1:111111111111:stream/stream",
        consumer_region="eu-west-1",
        function_name="consumer",
        mapping_uuid="uuid",
        parallelization_factor=1,
        ledger_table=LEDGER_TABLE,
        ledger_retention_days=place.retention_days,
        quarantine_bucket=QUARANTINE_BUCKET,
        on_failure_bucket=FAILURES_BUCKET,
        snapshot_prefix="orders",
        buffer=place.buffer,
    )
