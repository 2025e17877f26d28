"""The objects in a table's quarantine bucket and on-failure bucket: names, contents, resolution.

The consumer writes records one by one to the quarantine bucket. Lambda writes whole events to the
on-failure bucket, where a record is larger than it can pass to a function.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bootstrap.core.errors import BlockedError
from bootstrap.core.objects import Bucket, ListedObject
from bootstrap.core.suggestions import Command, suggest
from replicator.buffers import KINESIS, STREAMS
from replicator.consumer.decode import Content, Decoder, EnvelopeError, Record, Unusable
from replicator.consumer.decoders import DECODERS, buffer_of
from replicator.consumer.quarantine import OPEN

RESOLVED = "resolved/"
FAILED_EVENTS = "on-failure/"
"""The prefix that commands put before keys of the on-failure bucket; the bucket has none."""
ON_FAILURE = "on-failure"

_OPEN_KEY = re.compile(
    r"open/(?P<reason>[^/]+)/(?P<shard>[^/]+)/(?P<sequence>\d+)-(?P<sub>\d+)\.json"
)
# Lambda Developer Guide, "Configuring destinations for discarded batches":
# aws/lambda/<mapping>/<shard>/YYYY/MM/DD/YYYY-MM-DDTHH.MM.SS-<random>
_FAILED_KEY = re.compile(r"aws/lambda/[^/]+/(?P<shard>[^/]+)/.+")


@dataclass(frozen=True)
class QuarantinedObject:
    """An open object that waits for the operator, as described by its name."""

    key: str
    """The key for commands: `open/…`, or `on-failure/…` for an event in that bucket."""
    reason: str
    shard: str
    sequence: str
    """Sequence number and sub-sequence; empty for an event."""
    size: int
    since: float

    @property
    def is_event(self) -> bool:
        return self.key.startswith(FAILED_EVENTS)

    @property
    def resolved_key(self) -> str:
        """The key after it is resolved, in the quarantine bucket for both kinds."""
        return RESOLVED + (self.key if self.is_event else self.key.removeprefix(OPEN))


def parse_quarantined(listed: ListedObject) -> QuarantinedObject:
    """Parse an object of the quarantine bucket. An unknown name has the reason `unknown`."""
    named = _OPEN_KEY.fullmatch(listed.key)
    if named is None:
        return QuarantinedObject(listed.key, "unknown", "", "", listed.size, listed.modified)
    sequence = f"{named['sequence']}-{named['sub']}"
    return QuarantinedObject(
        listed.key, named["reason"], named["shard"], sequence, listed.size, listed.modified
    )


def parse_failed(listed: ListedObject) -> QuarantinedObject:
    """Parse an object of the on-failure bucket."""
    named = _FAILED_KEY.fullmatch(listed.key)
    shard = named["shard"] if named else ""
    return QuarantinedObject(
        FAILED_EVENTS + listed.key, ON_FAILURE, shard, "", listed.size, listed.modified
    )


@dataclass(frozen=True)
class ObjectContent:
    """An object's whole document, and the records in it as received from their buffer."""

    document: Mapping[str, Any]
    records: tuple[Record, ...]
    buffer: str = KINESIS

    @property
    def decoder(self) -> Decoder:
        return DECODERS[self.buffer]

    @property
    def event(self) -> dict[str, Any]:
        """The records as a Lambda event, with their original arrival."""
        if self.buffer == STREAMS:
            return {"Records": [json.loads(record.data) for record in self.records]}
        return {
            "Records": [
                {
                    "eventID": f"{record.shard_id}:{record.sequence_number}",
                    "kinesis": {
                        "sequenceNumber": record.sequence_number,
                        "partitionKey": record.partition_key,
                        "approximateArrivalTimestamp": record.arrival,
                        "data": b64encode(record.data).decode("ascii"),
                    },
                }
                for record in self.records
            ]
        }

    def contents(self, table: str) -> list[Content]:
        """Decode the records as the consumer of this table does, aggregates unpacked."""
        found: list[Content] = []
        for record in self.records:
            # A record out of an aggregate is final, even if its data looks like another aggregate.
            parts = [record] if record.aggregated else self.decoder.user_records(record)
            if isinstance(parts, Unusable):
                found.append(parts)
            else:
                found += [self.decoder.content(part, table) for part in parts]
        return found


def _parse_record(document: Mapping[str, Any]) -> Record:
    return Record(
        shard_id=str(document["shardId"]),
        sequence_number=str(int(document["sequenceNumber"])),
        sub_sequence=int(document["subSequence"]),
        partition_key=str(document["partitionKey"]),
        arrival=float(document["arrival"]),
        aggregated=document["aggregated"] is True,
        data=b64decode(document["data"], validate=True),
    )


def _parse_event(document: Mapping[str, Any]) -> ObjectContent:
    payload = document["payload"]
    event = json.loads(payload) if isinstance(payload, str) else payload
    buffer = buffer_of(event)
    return ObjectContent(document, tuple(DECODERS[buffer].envelope(event)), buffer)


def _parse_object(document: Mapping[str, Any]) -> ObjectContent:
    buffer = document.get("buffer", KINESIS)
    content = ObjectContent(document, (_parse_record(document),), buffer)
    content.decoder.envelope(content.event)  # what is no record of this buffer is refused here
    return content


@dataclass(frozen=True)
class QuarantineStoreReader:
    """Both buckets of a table."""

    quarantine: Bucket
    failures: Bucket

    def open_objects(self) -> Iterator[QuarantinedObject]:
        """Yield every open object of both buckets."""
        yield from (parse_quarantined(each) for each in self.quarantine.listed(OPEN))
        yield from (parse_failed(each) for each in self.failures.listed())

    def find(self, key: str) -> QuarantinedObject | None:
        """Return the open object with this key, with or without its `open/` prefix."""
        if key.startswith(FAILED_EVENTS):
            name = key.removeprefix(FAILED_EVENTS)
            found = (parse_failed(each) for each in self.failures.listed(name) if each.key == name)
        else:
            name = key if key.startswith(OPEN) else OPEN + key
            found = (
                parse_quarantined(each) for each in self.quarantine.listed(name) if each.key == name
            )
        return next(found, None)

    def content(self, stored: QuarantinedObject) -> ObjectContent | None:
        """Read an object; None if it is gone.

        Raises:
            BlockedError: neither the consumer nor Lambda wrote the object.
        """
        bucket, name = self._place(stored)
        body = bucket.get(name)
        if body is None:
            return None
        try:
            document = json.loads(body)
            return _parse_event(document) if stored.is_event else _parse_object(document)
        except (EnvelopeError, KeyError, TypeError, ValueError, NotBase64) as error:
            raise BlockedError(
                f"{stored.key} was written neither by the consumer nor by Lambda: "
                f"{type(error).__name__}.",
                fix=suggest(
                    Command("quarantine discard", f"'{stored.key}'"),
                    ", once you know who put it there",
                ),
            ) from None

    def document(self, stored: QuarantinedObject) -> dict[str, Any] | None:
        """Read any object; one that is not a JSON object comes as base64."""
        bucket, name = self._place(stored)
        body = bucket.get(name)
        if body is None:
            return None
        try:
            document = json.loads(body)
        except ValueError:
            document = None
        if isinstance(document, dict):
            return document
        return {"unparsed": b64encode(body).decode("ascii")}

    def resolve(
        self, stored: QuarantinedObject, content: Mapping[str, Any], note: Mapping[str, Any]
    ) -> None:
        """Move an object to `resolved/`, with a note of how it ended.

        The copy comes first: after a crash in between, the object is still open.
        """
        self.quarantine.put(
            stored.resolved_key, json.dumps({**content, "resolution": note}).encode()
        )
        bucket, name = self._place(stored)
        bucket.remove(name)

    def _place(self, stored: QuarantinedObject) -> tuple[Bucket, str]:
        if stored.is_event:
            return self.failures, stored.key.removeprefix(FAILED_EVENTS)
        return self.quarantine, stored.key
