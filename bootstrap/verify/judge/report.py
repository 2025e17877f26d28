"""The report of a comparison: each differing key, judged by the ledger."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from bootstrap.core.formatting import plain_json
from bootstrap.core.objects import ObjectReader
from bootstrap.core.ports import LedgerEntries
from bootstrap.verify.compare.comparison import Comparison
from bootstrap.verify.compare.external_sort import KeySpool
from bootstrap.verify.compare.partitions import Difference
from bootstrap.verify.judge.attributes import DifferenceDetail, explain_differences
from bootstrap.verify.judge.classify import Judgement, Moments, judge
from replicator.consumer.ledger_entry import from_item

KEYS_PER_READ = 1_000


@dataclass
class Judgements:
    """The results for the keys that differ."""

    unjudged: KeySpool
    counts: Counter[str] = field(default_factory=Counter)
    repaired_before: int = 0
    """Keys that an interrupted repair by the same exports has repaired: they are equal now."""

    @property
    def differences(self) -> int:
        return self.counts.total()

    def count(self, difference: Difference, judgement: Judgement) -> None:
        self.counts["foreign" if judgement.foreign else difference.kind.value] += 1

    def counted(
        self, found: Iterable[tuple[DifferenceDetail, Judgement, int]], reported: KeySpool
    ) -> Iterator[tuple[DifferenceDetail, Judgement, int]]:
        """Count differences and mark their keys reported, so that later rounds skip them."""
        for each, judgement, at in found:
            self.count(each.difference, judgement)
            reported.add(each.difference.key)
            yield each, judgement, at


def judge_all(
    comparison: Comparison, ledger: LedgerEntries, moments: Moments
) -> Iterator[tuple[Difference, Judgement]]:
    """Yield every differing key with its judgement, reading the ledger in batches."""
    remaining = comparison.differences()
    while some := list(itertools.islice(remaining, KEYS_PER_READ)):
        found = ledger.entries([each.key for each in some])
        for each in some:
            item = found.get(each.key)
            entry = None if item is None else from_item(item)
            yield each, judge(each, entry, moments)


def report_differences(
    objects: ObjectReader,
    comparison: Comparison,
    ledger: LedgerEntries,
    moments: Moments,
    judgements: Judgements,
    reported: KeySpool,
    *,
    values: bool = False,
    read_to_repair: bool = False,
    check: Callable[[], None] = lambda: None,
) -> Iterator[tuple[DifferenceDetail, Judgement]]:
    """Yield the keys that differ, with the names of the differing attributes.

    All keys are judged before the first is yielded: `judgements` is complete by then. Keys in
    `reported` are left out. `read_to_repair`: keys that these exports are too old to repair count
    as unjudged, because they are read and repaired next.
    """
    unjudged = {Judgement.CHANGED_SINCE}
    if read_to_repair:
        unjudged.add(Judgement.FOREIGN_SINCE)

    def differing() -> Iterator[tuple[Difference, Judgement]]:
        each_judged = judge_all(comparison, ledger, moments)
        for (difference, judgement), known in reported.among(each_judged, lambda it: it[0].key):
            if judgement in unjudged:
                judgements.unjudged.add(difference.key)
            elif judgement is Judgement.REPAIRED:
                judgements.repaired_before += 1
            elif not known:
                judgements.count(difference, judgement)
                yield difference, judgement

    return explain_differences(objects, comparison, differing(), values=values, check=check)


class Report:
    """The report file: one JSON object a line, for each key that differs."""

    def __init__(self, file: IO[str], *, values: bool) -> None:
        self._file = file
        self._values = values

    def add(self, each: DifferenceDetail, judgement: Judgement, **more: Any) -> None:
        """Write one key; `more` has further members, such as the result of its repair."""
        line: dict[str, Any] = {
            "key": plain_json(each.key),
            "kind": each.difference.kind.value,
            "foreign": judgement.foreign,
            "attributes": list(each.attributes),
            "keyDigest": each.difference.key.hex(),
            **more,
        }
        if self._values:
            line["source"] = None if each.source is None else plain_json(each.source)
            line["target"] = None if each.target is None else plain_json(each.target)
        self._file.write(json.dumps(line, ensure_ascii=False) + "\n")


def open_report(path: Path) -> IO[str]:
    """Create a report that only its owner can read: it names keys."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    return path.open("w", encoding="utf-8")
