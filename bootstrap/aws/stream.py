"""Puts of records on a Kinesis data stream."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bootstrap.aws.calls import Calls
from bootstrap.core.facts import StreamRecord


class AwsStream:
    """`RecordWriter` through the exporter role."""

    def __init__(self, calls: Calls, kinesis: Any, stream_name: str) -> None:
        self._calls = calls
        self._kinesis = kinesis
        self._name = stream_name

    def put(self, records: Sequence[StreamRecord]) -> list[str]:
        """Put records; return one error code for each in order, empty for those accepted.

        PutRecords answers 200 even if it accepted none. It takes up to 500 records and 10 MiB,
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
        # An answer with too few results is taken as a refusal of all.
        return codes if len(codes) == len(records) else ["AnswerIncomplete"] * len(records)
