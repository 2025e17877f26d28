"""What lies in a table's two buckets: names and contents of what could not be applied.

The consumer keeps records one by one in the quarantine bucket. Lambda itself keeps whole events in
the on-failure bucket, where a record is larger than it can hand to a function.
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
from replicator.consumer import decode
from replicator.consumer.decode import Content, EnvelopeError, Record, Unusable
from replicator.consumer.quarantine import OPEN

RESOLVED = "resolved/"
FAILED_EVENTS = "on-failure/"
"""Stands in front of the keys of the on-failure bucket, which has no such prefix itself."""
ON_FAILURE = "on-failure"

_OPEN_KEY = re.compile(
    r"open/(?P<reason>[^/]+)/(?P<shard>[^/]+)/(?P<sequence>\d+)-(?P<sub>\d+)\.json"
)
# Lambda Developer Guide, "Configuring destinations for discarded batches":
# aws/lambda/<mapping>/<shard>/YYYY/MM/DD/YYYY-MM-DDTHH.MM.SS-<random>
_FAILED_KEY = re.compile(r"aws/lambda/[^/]+/(?P<shard>[^/]+)/.+")


@dataclass(frozen=True)
class QuarantinedObject:
    """One thing that waits for somebody, as far as its name tells."""

    key: str
    """As the commands take it: `open/…`, or `on-failure/…` for an event in that bucket."""
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
        """Where it lies once it is resolved, in the quarantine bucket for both kinds."""
        return RESOLVED + (self.key if self.is_event else self.key.removeprefix(OPEN))


def parse_quarantined(listed: ListedObject) -> QuarantinedObject:
    """An object of the quarantine bucket. One of a foreign name is shown too, with no reason."""
    named = _OPEN_KEY.fullmatch(listed.key)
    if named is None:
        return QuarantinedObject(listed.key, "unknown", "", "", listed.size, listed.modified)
    sequence = f"{named['sequence']}-{named['sub']}"
    return QuarantinedObject(
        listed.key, named["reason"], named["shard"], sequence, listed.size, listed.modified
    )


def parse_failed(listed: ListedObject) -> QuarantinedObject:
    """An object of the on-failure bucket."""
    named = _FAILED_KEY.fullmatch(listed.key)
    shard = named["shard"] if named else ""
    return QuarantinedObject(
        FAILED_EVENTS + listed.key, ON_FAILURE, shard, "", listed.size, listed.modified
    )


@dataclass(frozen=True)
class ObjectContent:
    """What an object holds: its whole document, and the Kinesis records in it as received."""

    document: Mapping[str, Any]
    records: tuple[Record, ...]

    @property
    def event(self) -> dict[str, Any]:
        """The records as a Lambda event, with the arrival that they had."""
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
        """What the records say to the consumer of this table, aggregates unpacked."""
        found: list[Content] = []
        for record in self.records:
            # What came out of an aggregate is a record of its own, whatever it looks like.
            parts = [record] if record.aggregated else decode.user_records(record)
            if isinstance(parts, Unusable):
                found.append(parts)
            else:
                found += [decode.content(part, table) for part in parts]
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


def _parse_event(document: Mapping[str, Any]) -> list[Record]:
    payload = document["payload"]
    return decode.envelope(json.loads(payload) if isinstance(payload, str) else payload)


@dataclass(frozen=True)
class QuarantineStoreReader:
    """Both buckets of a table."""

    quarantine: Bucket
    failures: Bucket

    def kept(self) -> Iterator[QuarantinedObject]:
        """Everything that is open."""
        yield from (parse_quarantined(each) for each in self.quarantine.listed(OPEN))
        yield from (parse_failed(each) for each in self.failures.listed())

    def find(self, key: str) -> QuarantinedObject | None:
        """The open object of this key. `open/` in front of it may be left out."""
        if key.startswith(FAILED_EVENTS):
            name = key.removeprefix(FAILED_EVENTS)
            found = (parse_failed(each) for each in self.failures.listed(name) if each.key == name)
        else:
            name = key if key.startswith(OPEN) else OPEN + key
            found = (
                parse_quarantined(each) for each in self.quarantine.listed(name) if each.key == name
            )
        return next(found, None)

    def content(self, kept: QuarantinedObject) -> ObjectContent | None:
        """What it holds; None if it is gone.

        Raises:
            BlockedError: for an object that neither the consumer nor Lambda has written.
        """
        bucket, name = self._place(kept)
        body = bucket.get(name)
        if body is None:
            return None
        try:
            document = json.loads(body)
            records = _parse_event(document) if kept.is_event else [_parse_record(document)]
        except (EnvelopeError, KeyError, TypeError, ValueError, NotBase64) as error:
            raise BlockedError(
                f"{kept.key} is not what the consumer or Lambda writes there: "
                f"{type(error).__name__}.",
                fix=f"python -m bootstrap quarantine discard '{kept.key}', once you know who "
                "put it there",
            ) from None
        return ObjectContent(document, tuple(records))

    def document(self, kept: QuarantinedObject) -> dict[str, Any] | None:
        """The same, whatever it is: what is not a JSON object comes as base64."""
        bucket, name = self._place(kept)
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
        self, kept: QuarantinedObject, content: Mapping[str, Any], note: Mapping[str, Any]
    ) -> None:
        """Moves an object to `resolved/`, with a note of how it ended.

        The copy comes first: killed in between, the object is open still and nothing is lost.
        """
        self.quarantine.put(kept.resolved_key, json.dumps({**content, "resolution": note}).encode())
        bucket, name = self._place(kept)
        bucket.remove(name)

    def _place(self, kept: QuarantinedObject) -> tuple[Bucket, str]:
        if kept.is_event:
            return self.failures, kept.key.removeprefix(FAILED_EVENTS)
        return self.quarantine, kept.key
