"""Settings that the target has as the primary: what they are, and where they are taken from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from bootstrap.core.errors import BlockedError
from bootstrap.core.facts import ON_DEMAND, Capacity, CapacityUnits
from bootstrap.core.ports import SourceAccount, TargetAccount
from bootstrap.core.suggestions import Command, suggest
from bootstrap.core.table_tags import tags_of_target

SOURCE, KEEP = "source", "keep"
"""Values of --settings: the target gets the source's, or keeps what it has."""


@dataclass(frozen=True)
class PrimarySettings:
    """One table's settings. Nothing that protects it is ever switched off.

    Slow ones are applied while nothing is closed: tags (further ones stay), recovery, protection,
    class and stream. Capacity and time to live would harm the replica: they wait for the commit.
    """

    capacity: Capacity
    tags: Mapping[str, str] = field(default_factory=dict)
    point_in_time_recovery: bool = True
    deletion_protection: bool = True
    table_class: str = "STANDARD"
    stream: str | None = None
    """View type of the DynamoDB stream; None: no stream is switched on."""
    ttl: str | None = None
    """The attribute by which items expire; None for none."""


def of_source(source: SourceAccount, table: str, stack_tags: Mapping[str, str]) -> PrimarySettings:
    """Read what a target gets from its source with `--settings source`, with the stack's tags."""
    facts = source.table(table)
    if facts is None:
        raise _missing(table, "source")
    expiry = source.expiry(table)
    return PrimarySettings(
        Capacity.of(facts),
        tags_of_target(source.tags(facts.arn), stack_tags),
        # The target has both already, and the switch takes neither away.
        table_class=facts.table_class,
        stream=facts.stream_view,
        ttl=expiry.attribute if expiry.enabled else None,
    )


def of_target(target: TargetAccount, table: str) -> PrimarySettings:
    """Read what a target has."""
    facts = target.table(table)
    if facts is None:
        raise _missing(table, "target")
    expiry = target.expiry(table)
    return PrimarySettings(
        Capacity.of(facts),
        target.tags(facts.arn),
        target.backups(table).enabled,
        facts.deletion_protection,
        facts.table_class,
        facts.stream_view,
        expiry.attribute if expiry.enabled else None,
    )


def _missing(table: str, side: str) -> BlockedError:
    return BlockedError(
        f"Table {table} does not exist in the {side} account.",
        fix=suggest(Command("status"), ", which says what became of the replica"),
    )


def with_stream_kept(wanted: PrimarySettings, there: PrimarySettings) -> PrimarySettings:
    """Keep a stream that is on in the target: another view would replace it, with its readers."""
    return replace(wanted, stream=there.stream or wanted.stream)


def with_owners_kept(wanted: PrimarySettings, there: PrimarySettings) -> PrimarySettings:
    """Keep all that the owner of an adopted table decides (docs/design.md, Adopted tables).

    Time to live is not among it: it was off while the table replicated, for exactly one of the two
    tables may expire items.
    """
    return replace(there, ttl=wanted.ttl)


# -- as JSON: the member `settings` of a plan, which `--settings FILE` takes edited ----------------


def settings_member(settings: PrimarySettings) -> dict[str, Any]:
    """Return settings as the JSON member of a table."""
    capacity = settings.capacity
    return {
        "tags": dict(sorted(settings.tags.items())),
        "pointInTimeRecovery": settings.point_in_time_recovery,
        "deletionProtection": settings.deletion_protection,
        "tableClass": settings.table_class,
        "stream": settings.stream,
        "ttl": settings.ttl,
        "billing": {
            "mode": capacity.billing_mode,
            **_units_member(capacity.table, capacity.billing_mode),
            "indexes": {
                name: _units_member(units, capacity.billing_mode)
                for name, units in sorted(capacity.indexes.items())
            },
        },
    }


def unit_names(billing_mode: str) -> tuple[str, str]:
    """Return the names of a mode's units in JSON: maximums on demand, provisioned ones else."""
    return ("maxReads", "maxWrites") if billing_mode == ON_DEMAND else ("reads", "writes")


def _units_member(units: CapacityUnits, billing_mode: str) -> dict[str, int | None]:
    reads, writes = unit_names(billing_mode)
    return {reads: units.reads, writes: units.writes}


def settings_of_member(member: Mapping[str, Any]) -> PrimarySettings:
    """Read settings back from a member that has been validated, or that this program wrote."""
    billing = member["billing"]
    mode = str(billing["mode"])

    def units(value: Mapping[str, Any]) -> CapacityUnits:
        return CapacityUnits(*(value[name] for name in unit_names(mode)))

    return PrimarySettings(
        Capacity(mode, units(billing), {n: units(v) for n, v in billing["indexes"].items()}),
        dict(member["tags"]),
        member["pointInTimeRecovery"],
        member["deletionProtection"],
        member["tableClass"],
        member["stream"],
        member["ttl"],
    )


def as_text(settings: PrimarySettings | None) -> str:
    """Return settings for a journal record; empty for None, which changes nothing."""
    return "" if settings is None else json.dumps(settings_member(settings), sort_keys=True)


def of_text(text: str) -> PrimarySettings | None:
    """Read what `as_text` made."""
    return settings_of_member(json.loads(text)) if text else None
