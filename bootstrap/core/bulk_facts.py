"""Facts that AWS states about bulk loads, and requests for them.

A bulk load puts the items of S3 objects into a table that exists (StartBulkPutItems). Its puts are
unconditional, and it outlives its caller. Moments are epoch seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bootstrap.core.facts import Measure

MOST_OBJECTS = 50_000
"""Objects that one operation takes (developer guide, BulkPutItems.Considerations)."""
TERMINAL = frozenset({"COMPLETED", "COMPLETED_WITH_ERRORS", "CANCELLED", "FAILED"})
"""The final states. A state that this version does not know is none."""


@dataclass(frozen=True)
class BulkRequest:
    """A bulk put of gzipped DynamoDB JSON. A repeated call of one token must be identical."""

    token: str
    """AWS keeps it for 8 hours, with the same parameters."""
    table_arn: str
    """An ARN, not a name: a name would be taken in the caller's own account."""
    bucket: str
    bucket_owner: str
    """12 digits: the account of the bucket, for the input and the output."""
    prefix: str
    """Every object whose key begins with it is loaded; it is compared as plain text."""
    output_prefix: str
    """For the list of refused items: `<snapshot prefix>/<run id>/bulk-output/<token>/`, in the same
    bucket. It is never under a prefix that is loaded.
    """
    tier: str = ""
    """STANDARD or ACCELERATED; empty for AWS's default, STANDARD."""
    max_write_request_units: int | None = None
    """Write units a second of this operation, at least 1,024 (API reference); None for no limit."""
    key_arn: str = ""
    """The bucket's customer-managed key, for the output; empty for S3's own."""


NEWER_CLI = "by an AWS CLI that knows bulk operations: older ones say `Invalid choice`"
"""For texts with a command about bulk operations. AWS announced them in November 2026."""


@dataclass(frozen=True)
class BulkFacts:
    """DescribeBulkOperation's answer."""

    arn: str
    status: str
    """IN_PROGRESS, COMPLETED, COMPLETED_WITH_ERRORS, CANCELLING, CANCELLED or FAILED."""
    table_arn: str = ""
    """TableDetails' TableName, which may be a name; empty if AWS does not say."""
    table_id: str = ""
    """Of the table that it writes to; empty if AWS does not say."""
    token: str = ""
    prefix: str = ""
    processed_items: int = 0
    """Items that were read, refused ones included."""
    failed_items: int = 0
    """Items that were refused. A line that cannot be read may end its object, uncounted: whether a
    load is complete is asked of the manifest, never of this number.
    """
    processed_bytes: int = 0
    total_bytes: int | None = None
    """Of the input; None while AWS does not say."""
    started: float | None = None
    ended: float | None = None
    failure_code: str = ""
    failure: str = ""
    output_bucket: str = ""
    output_prefix: str = ""
    counted: bool = True
    """False: AWS has given no number of items, so `processed_items` says nothing."""

    @property
    def terminal(self) -> bool:
        """True once it writes nothing more."""
        return self.status in TERMINAL

    @property
    def loaded_items(self) -> int:
        """Items that it put into the table."""
        return self.processed_items - self.failed_items

    @property
    def may_have_written(self) -> bool:
        """False once it has ended without an item: of a mistyped bucket, for instance. One whose
        items AWS has not counted may have put some.
        """
        return not self.terminal or not self.counted or self.processed_items > 0

    @property
    def operation_id(self) -> str:
        return self.arn.rsplit("/", 1)[-1]

    @property
    def measure(self) -> Measure:
        """Measure its progress by the bytes of its input."""
        return Measure(
            items=self.processed_items,
            size_bytes=self.processed_bytes,
            of_bytes=self.total_bytes,
            since=self.started,
        )


@dataclass(frozen=True)
class BulkFailure:
    """An item that a bulk load refused, without its content."""

    key: str
    """The key's digest in hexadecimal; empty if the item has no key that can be read."""
    reason: str


@dataclass(frozen=True)
class BulkFailures:
    """The refused items that the output objects of a bulk load list."""

    first: Sequence[BulkFailure] = ()
    """At most as many as were asked for."""
    more: bool = False
    """True: there are others."""
    unreadable: int = 0
    """Lines and objects of the output, as far as it was read, whose form is not known: each may
    stand for refused items.
    """
