"""The request of one comparison on Spark, as a JSON document: the job gets nothing else."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from hashlib import blake2b
from typing import Any

from bootstrap.core.errors import BlockedError
from bootstrap.verify.exports.manifest import Export
from bootstrap.verify.spark.places import JobPlace

REQUEST = "request.json"
VERSION = 1

ITEMS_PER_BUCKET = 250_000
"""Approximate number for each side: 20 MB of digests in a Python worker, and as much to sort."""
MOST_BUCKETS = 1 << 16
"""The first 16 bits of a key's digest choose its bucket."""


@dataclass(frozen=True)
class ExportReference:
    """An export by its summary, manifest-summary.json, from which the job reads all its files.

    `items` is the number of lines, which shows that the command and the job read one manifest.
    """

    arn: str
    bucket: str
    summary: str
    items: int

    @classmethod
    def of(cls, export: Export) -> ExportReference:
        return cls(export.arn, export.bucket, export.summary, export.items)


@dataclass(frozen=True)
class JobRequest:
    """One comparison. Its results are those of exactly this request.

    `key` has the names of the key's attributes, sorted. `sample` is the share of keys, above 0 and
    up to 1. `buckets`, a power of two, is the number of ranges of key digests; each is compared in
    the memory of one Python worker.
    """

    source: ExportReference
    target: ExportReference
    key: tuple[str, ...]
    sample: float
    buckets: int
    version: int = VERSION

    @property
    def identity(self) -> str:
        """Name the request: results carry it, so that those of another are never taken for them."""
        return blake2b(self.to_json().encode(), digest_size=16).hexdigest()

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> JobRequest:
        """Read the document.

        Raises:
            ValueError: it is not a request of this version.
        """
        try:
            fields: dict[str, Any] = json.loads(text)
            request = cls(
                source=ExportReference(**fields["source"]),
                target=ExportReference(**fields["target"]),
                key=tuple(fields["key"]),
                sample=float(fields["sample"]),
                buckets=int(fields["buckets"]),
                version=int(fields["version"]),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"a field is missing or unknown ({error})") from error
        if request.version != VERSION:
            raise ValueError(f"it is of version {request.version}, not {VERSION}")
        return request


def make_request(
    source: Export, target: Export, key: tuple[str, ...], sample: float = 1.0
) -> JobRequest:
    """Plan a comparison with enough buckets to keep the memory of a worker bounded."""
    items = max(source.items, target.items) * min(sample, 1.0)
    buckets = 1
    while buckets < MOST_BUCKETS and buckets * ITEMS_PER_BUCKET < items:
        buckets *= 2
    return JobRequest(
        ExportReference.of(source), ExportReference.of(target), tuple(sorted(key)), sample, buckets
    )


def write_request(place: JobPlace, request: JobRequest) -> None:
    """Write the request where the job looks for it."""
    place.write(REQUEST, request.to_json().encode())


def read_request(place: JobPlace) -> JobRequest:
    """Read the request of a place.

    Raises:
        BlockedError: there is none, or one of another version of this tool.
    """
    body = place.read(REQUEST)
    try:
        if body is None:
            raise ValueError("it does not exist")
        return JobRequest.from_json(body)
    except ValueError as error:
        raise BlockedError(
            f"The job cannot read its request {REQUEST}: {error}.",
            fix="verify again with the version of this tool that the stack was deployed with",
        ) from error
