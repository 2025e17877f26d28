"""The stream on AWS, as far as records are put back on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bootstrap.aws.calls import Calls
from bootstrap.core.facts import StreamRecord


class AwsStream:
    """Puts records on a table's stream, through the exporter role."""

    def __init__(self, calls: Calls, kinesis: Any, stream_name: str) -> None:
        self._calls = calls
        self._kinesis = kinesis
        self._name = stream_name

    def put(self, records: Sequence[StreamRecord]) -> list[str]:
        """One error code for each record, in order; empty for those that the stream has taken.

        PutRecords answers 200 also when it has taken none. It takes up to 500 records and 10 MiB,
        keys included (API reference, PutRecords).
        """
        answer = self._calls(
            "kinesis",
            self._kinesis.put_records,
            self._name,
            StreamName=self._name,
            Records=[
                {"Data": record.data, "PartitionKey": record.partition_key} for record in records
            ],
        )
        codes = [str(result.get("ErrorCode") or "") for result in answer["Records"]]
        # An answer that does not speak of every record accepts none.
        return codes if len(codes) == len(records) else ["AnswerIncomplete"] * len(records)
