"""Answers of one step: done, acted, or pending with a measure of its progress."""

from __future__ import annotations

from dataclasses import dataclass

from bootstrap.core.facts import ImportFacts, Measure


@dataclass(frozen=True)
class Done:
    """Nothing of the step is left to do."""


@dataclass(frozen=True)
class Acted:
    """The step did something: observe again before the next act."""


@dataclass(frozen=True)
class Pending:
    """The step waits for AWS."""

    what: str
    """A phrase that stays the same as long as the same thing is waited for."""
    poll: float
    """Seconds until the next look."""
    measure: Measure | None = None
    outlasts: bool = False
    """The work continues without this process, so `--no-wait` may end here."""


Outcome = Done | Acted | Pending


def import_progress(facts: ImportFacts, exported_items: int | None) -> Measure:
    """Measure an import against the items that its export counted."""
    return Measure(
        items=facts.processed_items,
        size_bytes=facts.processed_bytes,
        of_items=exported_items,
        since=facts.started,
    )


def probe_progress(through: int, probes: int, since: float) -> Measure:
    """Measure a round of probes by the ones that the consumer has acknowledged."""
    return Measure(items=through, of_items=probes, since=since, unit="probes")
