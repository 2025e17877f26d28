"""Protocols of what the rooms call of a table's own stream; `bootstrap.aws` implements them.

Every method may raise `AccessDeniedError`, `UnavailableError` or `AccountError`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from bootstrap.core.facts import EventSource
from bootstrap.core.ports import ResourcePolicies
from bootstrap.core.table_stream_facts import MappingRequest, StreamPage, TableStreamFacts


class StreamControl(Protocol):
    """The streams of the source account's tables: on, off, and as they are described."""

    def switch_on(self, table: str) -> None:
        """Switch a table's stream on, with both images. Nothing happens where it is on so."""

    def switch_off(self, table: str) -> None:
        """Switch a table's stream off. Nothing happens where it is off."""

    def describe(self, stream_arn: str) -> TableStreamFacts | None:
        """Describe a stream with its shards; None if it does not exist, or not any more."""


class StreamRecordReader(Protocol):
    """A reader of a table's stream: one of the two that each shard takes at a time.

    Throttled for a third one: `UnavailableError` that says so.
    """

    def iterator(
        self, stream_arn: str, shard_id: str, *, since: float | None = None, after: str = ""
    ) -> str | None:
        """Return an iterator: from the records of a moment on, after a sequence number, or without
        both from the oldest record. None: the shard does not exist any more.

        Where AWS does not know iterators by time, one from the oldest record.
        """

    def read(self, iterator: str) -> StreamPage | None:
        """Read up to 1,000 records. None: the iterator has expired, or its records are gone."""


class ConsumerMappings(Protocol):
    """Event source mappings of the consumer, in its Region of the target account."""

    def find(self, function_arn: str, stream_arn: str) -> EventSource | None:
        """Find the mapping of a stream with a function; a pair has one at most."""

    def create(self, request: MappingRequest) -> EventSource:
        """Make a mapping, disabled and from the oldest record; or find the one that is there.

        Raises:
            AccountError: with the code InvalidParameterValueException as long as the function's
                role cannot read the stream.
        """

    def update(self, uuid: str, request: MappingRequest) -> None:
        """Lead a mapping's batches and its failure settings to the request's. Nothing happens while
        another change of it is in progress.
        """

    def delete(self, uuid: str) -> None:
        """Delete a mapping. Nothing happens where it does not exist."""


@dataclass(frozen=True)
class TableStreamClients:
    """The clients of a table's own stream, for a run."""

    streams: StreamControl
    policies: ResourcePolicies
    """Of the source account, through the exporter."""
    reader: StreamRecordReader
    mappings: ConsumerMappings
