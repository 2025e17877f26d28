"""What a comparison comes to: each differing key judged by the ledger, and the report of it."""

from __future__ import annotations

import itertools
import json
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from bootstrap.core.objects import ObjectReader
from bootstrap.core.ports import LedgerEntries
from bootstrap.verify.compare.comparison import Comparison
from bootstrap.verify.compare.external_sort import KeySpool
from bootstrap.verify.compare.partitions import Difference
from bootstrap.verify.judge.attributes import DifferenceDetail, explain_differences
from bootstrap.verify.judge.classify import Judgement, Moments, judge
from replicator.consumer.ledger import from_item

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
        """Counts what passes, and notes it as reported: a later round leaves it alone."""
        for each, judgement, at in found:
            self.count(each.difference, judgement)
            reported.add(each.difference.key)
            yield each, judgement, at


def judge_all(
    comparison: Comparison, ledger: LedgerEntries, moments: Moments
) -> Iterator[tuple[Difference, Judgement]]:
    """Every differing key with its judgement. Reads the ledger as it goes."""
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
    verdict: Judgements,
    reported: KeySpool,
    *,
    values: bool = False,
    read_to_mend: bool = False,
    check: Callable[[], None] = lambda: None,
) -> Iterator[tuple[DifferenceDetail, Judgement]]:
    """The keys that do differ, with the names of the attributes that do.

    All are judged before the first one comes: `verdict` is complete by then. What was `reported`
    before is left out. `read_to_mend`: what these exports are too old to mend counts as unjudged,
    because it is read and mended next.
    """
    unjudged = {Judgement.CHANGED_SINCE}
    if read_to_mend:
        unjudged.add(Judgement.FOREIGN_SINCE)

    def differing() -> Iterator[tuple[Difference, Judgement]]:
        each_judged = judge_all(comparison, ledger, moments)
        for (difference, judgement), known in reported.among(each_judged, lambda it: it[0].key):
            if judgement in unjudged:
                verdict.unjudged.add(difference.key)
            elif judgement is Judgement.REPAIRED:
                verdict.repaired_before += 1
            elif not known:
                verdict.count(difference, judgement)
                yield difference, judgement

    return explain_differences(objects, comparison, differing(), values=values, check=check)


class Report:
    """The report file: a JSON object for each key that differs, one a line."""

    def __init__(self, file: IO[str], *, values: bool) -> None:
        self._file = file
        self._values = values

    def add(self, each: DifferenceDetail, judgement: Judgement, **more: Any) -> None:
        """`more` says what became of it."""
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
    """A new report, readable by its owner alone: it names keys."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    return path.open("w", encoding="utf-8")


def plain_json(value: Any) -> Any:
    """Attributes as DynamoDB's JSON has them: binary in base64."""
    if isinstance(value, bytes):
        return b64encode(value).decode("ascii")
    if isinstance(value, Mapping):
        return {name: plain_json(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_json(each) for each in value]
    return value
