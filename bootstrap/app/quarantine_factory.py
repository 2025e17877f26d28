"""The desks of a stack's tables, on AWS."""

from __future__ import annotations

import getpass
import socket
from functools import partial

from bootstrap.aws.calls import Calls
from bootstrap.aws.ledger import AwsLedger
from bootstrap.aws.quarantine import AwsBucket
from bootstrap.aws.sessions import Session, single_attempt
from bootstrap.aws.stream import AwsStream
from bootstrap.core.durations import Timing
from bootstrap.core.errors import Side
from bootstrap.core.stack_outputs import Outputs, TableOutputs
from bootstrap.quarantine.context import QuarantineContext
from bootstrap.quarantine.direct import DirectConsumer
from bootstrap.quarantine.store import QuarantineStoreReader
from replicator.aws import CONNECT_SECONDS, READ_SECONDS
from replicator.runtime import Runtime, SystemClock, ThreadExecutor
from replicator.settings import ConsumerConfig

THREADS = 8

# The guard retries by its own rules, and isolates what DynamoDB does not take: as in the Lambda.
GUARD_CLIENT = single_attempt(
    connect_seconds=CONNECT_SECONDS, read_seconds=READ_SECONDS, connections=THREADS
)


class QuarantineFactory:
    """Makes the desks. Nothing here reaches AWS; a role is assumed with its first call."""

    def __init__(
        self,
        outputs: Outputs,
        timing: Timing,
        *,
        source_profile: str | None,
        target_profile: str | None,
        external_id: str | None,
    ) -> None:
        self._outputs = outputs
        self._source = Session(
            Side.SOURCE, outputs.source, timing, profile=source_profile, external_id=external_id
        )
        self._target = Session(
            Side.TARGET, outputs.target, timing, profile=target_profile, external_id=external_id
        )
        self._calls = Calls(Side.TARGET, f"Role {outputs.target.role_arn}")

    def desk(self, table: TableOutputs) -> QuarantineContext:
        s3 = self._target.client("s3")
        s3_of_failures = self._target.client("s3", table.consumer_region)
        dynamodb = self._target.client("dynamodb")
        return QuarantineContext(
            table=table,
            shelf=QuarantineStoreReader(
                AwsBucket(self._calls, s3, table.quarantine_bucket),
                AwsBucket(self._calls, s3_of_failures, table.on_failure_bucket),
            ),
            ledger=AwsLedger(self._calls, dynamodb, table.ledger_table),
            stream=partial(self._stream, table),
            consumer=partial(self._consumer, table),
            clock=SystemClock(),
            executor=ThreadExecutor(THREADS),
            who=f"{getpass.getuser()}@{socket.gethostname()}",
        )

    def _stream(self, table: TableOutputs) -> AwsStream:
        calls = Calls(Side.SOURCE, f"Role {self._outputs.source.role_arn}")
        return AwsStream(calls, self._source.client("kinesis"), table.stream_name)

    def _consumer(self, table: TableOutputs) -> DirectConsumer:
        config = ConsumerConfig(
            stack=self._outputs.stack,
            source_table=table.source_table,
            target_table=table.target_table,
            target_region=self._outputs.target.region,
            ledger_table=table.ledger_table,
            quarantine_bucket=table.quarantine_bucket,
            ledger_retention_days=table.ledger_retention_days,
        )
        return DirectConsumer(
            config,
            dynamodb=self._target.client("dynamodb", config=GUARD_CLIENT),
            s3=self._target.client("s3", config=GUARD_CLIENT),
            effects=Runtime(executor=ThreadExecutor(THREADS)),
        )
