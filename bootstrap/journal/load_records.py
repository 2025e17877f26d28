"""Records of a bulk load: the table that it fills, and the operations that fill it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from bootstrap.core.bulk_facts import BulkFacts
from bootstrap.core.facts import Measure


@dataclass(frozen=True)
class LoadTarget:
    """The table of a bulk load: intended (`tag_value`), then known by its id."""

    key: ClassVar[str] = "load-target"

    adopted: bool = False
    """True: the user's own table, found empty. It is never deleted here."""
    attempt: int = 1
    tag_value: str = ""
    """Of the load tag, which CreateTable gives the table: it proves whose a table is that was made
    by a call without an answer. Empty for an adopted one."""
    table: str = ""
    """CreateTable's parameters as JSON; empty for an adopted table."""
    intended_at: float = 0
    table_id: str = ""
    """Empty: not made yet, as far as is known."""
    deleting: bool = False
    """True: a failed load's table is being deleted, to be made anew."""


@dataclass(frozen=True)
class EarlyConsumer:
    """The consumer was on, or may have been, while a bulk load could replace what it applied by the
    snapshot's older items. The record remains, since no later change restores them.
    """

    key: ClassVar[str] = "early-consumer"

    at: float
    """The look that found it, by AWS's clock."""


@dataclass(frozen=True)
class BulkLoad:
    """The bulk load of one snapshot, in parts: intended (`token`), begun (`arn`), in turn.

    A part is the objects under one of `prefixes`. The load as a whole is complete when the record
    of the import says so.
    """

    key: ClassVar[str] = "load"

    prefixes: tuple[str, ...] = ()
    part: int = 0
    """The one that is loaded now, from 0; `len(prefixes)` after the last."""
    attempt: int = 1
    """Numbers the operations of the whole run: each has a token of its own."""
    token: str = ""
    request: str = ""
    """The call's parameters as JSON: a repeated call must be identical."""
    intended_at: float = 0
    arn: str = ""
    items: int = 0
    """Put by the parts before this one."""
    size_bytes: int = 0
    """Of the input of the parts before this one."""
    started: float | None = None
    """Of the first part."""
    failure: str = ""
    failed_generation: int = 0
    """The lease under which the failure was reported; a later run makes another attempt."""
    failures: int = 0
    """Failures of this load: a further attempt after several is the operator's decision."""
    accepted: int = 0
    """Items that the parts before this one lack, and that the operator accepted as missing."""
    begun_at: float = 0
    """When `arn` was recorded."""
    former: tuple[str, ...] = ()
    """Tokens of intentions that were given up. Their operations may run all the same."""

    @property
    def parts_done(self) -> bool:
        return bool(self.prefixes) and self.part >= len(self.prefixes)

    def progress(self, facts: BulkFacts, exported_items: int | None) -> Measure:
        """Measure the load by the operation that runs, and the parts before it.

        AWS states the input's bytes of one part at a time: those of several are not known.
        """
        return Measure(
            items=self.items + facts.processed_items,
            size_bytes=self.size_bytes + facts.processed_bytes,
            of_items=exported_items,
            of_bytes=facts.total_bytes if len(self.prefixes) == 1 else None,
            since=facts.started,
            before_items=self.items,
            before_bytes=self.size_bytes,
        )
