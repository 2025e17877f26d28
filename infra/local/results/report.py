"""The result of a demo: one value, shown on the terminal and written as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from infra.local.data.compare import TableComparison
from infra.local.results.consumer_logs import (
    ConsumerCounts,
)
from infra.local.results.load_check import LoadCheck
from infra.local.results.stream_records import StreamCounts
from infra.local.results.switch_report import SwitchReport
from infra.local.workload.stats import WINDOW, ChangeCounts
from replicator.names import (
    CHANGES_APPLIED,
    CHANGES_QUARANTINED,
    CHANGES_RECEIVED,
    CHANGES_SUPERSEDED,
)

SHOWN_DIFFERENCES = 5
SHOWN_COMPLAINTS = 3
REASONS_FOR_POISON = {"missing-image", "not-a-change", "unreadable"}

# A change is counted when its call has ended, and calls of several writes once: seconds by which a
# count may miss the moment at which the stream became active.
SLACK_BEFORE, SLACK_AFTER = 2 * WINDOW, 1.0


@dataclass(frozen=True)
class Phase:
    """A stretch of the run; times in epoch seconds."""

    name: str
    since: float
    until: float


@dataclass(frozen=True)
class Leftovers:
    """Objects that should not be there at the end, unless records were poisoned."""

    quarantined: Sequence[str] = ()
    """Reasons, one per object."""
    failures: int = 0
    """Objects in Lambda's on-failure bucket."""


@dataclass(frozen=True)
class IndexCheck:
    """The comparison of an index of the target with the source's items and the source's index."""

    name: str
    items: int
    """Items in the target's index."""
    local: bool = False
    wrong_items: int = 0
    """Items that it lacks, has too many, or projects otherwise."""
    queries: int = 0
    """Queries that both tables were asked."""
    wrong_answers: int = 0


@dataclass(frozen=True)
class DemoReport:
    """All measurements of a run, and the problems that follow from them."""

    items_seeded: int
    min_changes: int
    changes: ChangeCounts
    phases: Sequence[Phase]
    stream_counts: StreamCounts
    consumer_counts: ConsumerCounts
    comparison: TableComparison
    leftovers: Leftovers
    indexes: Sequence[IndexCheck]
    equal_later: int = 0
    """Differences that were gone when read again a little later."""
    verification: Mapping[str, Any] | None = None
    """The verification just made, as `status` shows it."""
    poisoned: bool = False
    """Unreadable records were put on the stream on purpose, and end in quarantine."""
    load: LoadCheck | None = None
    """The bulk put, as the local cloud saw it; None: an import made the table."""
    switch: SwitchReport | None = None
    """The switch that followed, if there was one."""
    seconds: float = 0.0
    options: Mapping[str, Any] = field(default_factory=dict)
    """Every option of the run with its value, by its name."""

    @property
    def ok(self) -> bool:
        return not self.problems()

    @property
    def received(self) -> int:
        return self.consumer_counts.counts[CHANGES_RECEIVED]

    @property
    def replicating_since(self) -> float | None:
        return next((phase.since for phase in self.phases if phase.name == "REPLICATING"), None)

    def problems(self) -> list[str]:
        """List why the run is not a success, a sentence each."""
        return list(self._problems())

    def _problems(self) -> Iterator[str]:
        differences = len(self.comparison.differences)
        if differences:
            noun = "difference" if differences == 1 else "differences"
            yield f"{differences:,} {noun} among {self.comparison.source_items:,} items."
        if self.equal_later:
            yield (
                f"{self.equal_later:,} of them were equal when read again a little later: the "
                "bootstrap reported too early that it was caught up."
            )
        yield from self._problems_of_verification()
        if self.comparison.source_items == 0:
            yield "The source table is empty: nothing was compared."
        if self.stream_counts.by_users < self.min_changes:
            yield (
                f"Only {self.stream_counts.by_users:,} changes were captured in the run; "
                f"at least {self.min_changes:,} are required."
            )
        refused = sum(self.changes.refused.values())
        if refused:
            yield f"{refused:,} writes of the writers were refused by a policy."
        there = self.stream_counts.records
        if self.received < there:
            yield (
                f"{there - self.received:,} of {there:,} changes on the stream were not "
                "received by the consumer."
            )
        if self.consumer_counts.ended < there <= self.received:
            yield (
                f"{there - self.consumer_counts.ended:,} received changes were neither applied, "
                "superseded nor quarantined."
            )
        yield from self._problems_in_quarantine()
        if self.leftovers.failures:
            yield f"{self.leftovers.failures:,} objects are in the on-failure bucket."
        if self.load is not None:
            yield from self.load.problems()
        for index in self.indexes:
            yield from _problems_of_index(index)
        if self.switch is not None:
            yield from self.switch.problems()

    def _problems_of_verification(self) -> Iterator[str]:
        """Compare the operator's verification with the demo's own, independent comparison."""
        if self.verification is None:
            return
        counts = self.verification["counts"]
        found = sum(counts[kind] for kind in ("missing", "extra", "different", "foreign"))
        here = len(self.comparison.differences)
        if found != here:
            yield f"`verify` found {found:,} differences, and this comparison {here:,}."
        if counts["sourceItems"] != self.comparison.source_items:
            yield (
                f"`verify` saw {counts['sourceItems']:,} items in the source, and this comparison "
                f"{self.comparison.source_items:,}."
            )
        if self.verification["judged"] < 1:
            share = f"{self.verification['judged']:.2%}"
            yield f"`verify` judged only {share} of the keys, with both tables at rest."

    def _problems_in_quarantine(self) -> Iterator[str]:
        kept = self.leftovers.quarantined
        reasons = ", ".join(sorted(set(kept))) or "reason not found"
        if not self.poisoned:
            if kept or self.consumer_counts.counts[CHANGES_QUARANTINED]:
                count = max(len(kept), self.consumer_counts.counts[CHANGES_QUARANTINED])
                yield f"{count:,} changes are in quarantine: {reasons}."
        elif len(kept) != self.stream_counts.broken or not REASONS_FOR_POISON.issuperset(kept):
            yield (
                f"{self.stream_counts.broken:,} records on the stream are not changes, and "
                f"{len(kept):,} records are in quarantine: {reasons}."
            )

    def remarks(self) -> list[str]:
        """List what is worth mentioning and is no failure."""
        return list(self._remarks())

    def _remarks(self) -> Iterator[str]:
        made = self._made_while_captured()
        if made is not None and not made[0] <= self.stream_counts.by_users <= made[1]:
            yield (
                f"The counts are not consistent: the writers made {made[0]:,} to {made[1]:,} "
                f"changes while the stream was active; it has {self.stream_counts.by_users:,}."
            )
        if self.received > self.stream_counts.records:
            yield f"{self.received - self.stream_counts.records:,} deliveries were duplicates."
        if self.poisoned:
            yield f"{self.stream_counts.broken:,} records were poisoned on purpose."
        for complaint in list(dict.fromkeys(self.consumer_counts.complaints))[:SHOWN_COMPLAINTS]:
            yield f"The consumer's log says: {complaint}"

    def _made_while_captured(self) -> tuple[int, int] | None:
        """Return the fewest and the most changes made since the stream became active."""
        first = self.stream_counts.first
        if first is None:
            return None
        return (
            self.changes.between(first + SLACK_AFTER).total,
            self.changes.between(first - SLACK_BEFORE).total,
        )

    def as_json(self) -> dict[str, Any]:
        counts = self.consumer_counts.counts
        since = self.replicating_since
        whole = self.consumer_counts.lag()
        steady = self.consumer_counts.lag(since) if since is not None else None
        nothing = {"p50": None, "p99": None, "max": None}
        return {
            "ok": self.ok,
            "problems": self.problems(),
            "remarks": self.remarks(),
            "seconds": round(self.seconds, 1),
            "options": dict(self.options),
            "items_seeded": self.items_seeded,
            "items_compared": self.comparison.source_items,
            "changes_made": self.changes.total,
            "changes_by_kind": self.changes.by_kind,
            "writes_by_kind": self.changes.writes_by_kind,
            "writes_refused": sum(self.changes.refused.values()),
            "changes_captured": self.stream_counts.total,
            "changes_by_expiry": self.stream_counts.by_expiry,
            "records_poisoned": self.stream_counts.broken,
            "changes_received": counts[CHANGES_RECEIVED],
            "changes_applied": counts[CHANGES_APPLIED],
            "changes_superseded": counts[CHANGES_SUPERSEDED],
            "changes_quarantined": counts[CHANGES_QUARANTINED],
            "lag_ms": whole.as_json() if whole else nothing,
            "lag_ms_replicating": steady.as_json() if steady else nothing,
            "phases": self._phases_as_json(),
            "differences": len(self.comparison.differences),
            "difference_samples": [
                {"kind": each.kind, "key": each.key_digest, "attributes": list(each.attributes)}
                for each in self.comparison.differences[:SHOWN_DIFFERENCES]
            ],
            "quarantine_objects": len(self.leftovers.quarantined),
            "on_failure_objects": self.leftovers.failures,
            "indexes": [asdict(index) for index in self.indexes],
            "load": self.load.as_json() if self.load else {"mode": "import"},
            "verification": self.verification,
            "switch": self.switch.as_json() if self.switch else None,
        }

    def _phases_as_json(self) -> dict[str, dict[str, float]]:
        phases: dict[str, dict[str, float]] = {}
        for phase in self.phases:
            entry = phases.setdefault(phase.name, {"seconds": 0.0, "changes_made": 0})
            entry["seconds"] = round(entry["seconds"] + phase.until - phase.since, 2)
            entry["changes_made"] += self.changes.between(phase.since, phase.until).total
        return phases

    def write(self, path: Path) -> None:
        """Write the JSON form."""
        path.write_text(json.dumps(self.as_json(), indent=2, ensure_ascii=False) + "\n")


def _problems_of_index(index: IndexCheck) -> Iterator[str]:
    if index.wrong_items:
        yield (
            f"The target's index {index.name} does not hold the source's items: "
            f"{index.wrong_items:,} are missing, extra or projected otherwise."
        )
    if index.wrong_answers:
        yield (
            f"{index.wrong_answers:,} of {index.queries:,} queries on the index {index.name} were "
            "answered otherwise by the target than by the source."
        )


def phases_of(
    started: float, history: Sequence[tuple[str, float]], stopped: float, ended: float
) -> list[Phase]:
    """Return the phases of the run, without a gap.

    `started`: the writers began and the program was applied; `history`: the bootstrap's states and
    when each was entered; `stopped`: the writers ended; `ended`: it was caught up again.
    """
    entries = [("DEPLOYING", started), *history, ("DRAINING", stopped)]
    ends = [*(at for _, at in entries[1:]), ended]
    return [Phase(name, at, end) for (name, at), end in zip(entries, ends, strict=True)]
