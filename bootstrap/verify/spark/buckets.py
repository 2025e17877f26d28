"""Digests in buckets: ranges of key digests, each compared in the memory of one Python worker.

A record is the spool's: key digest, image digest, and place (file and line), 40 bytes. NumPy sorts
and compares them without a Python object for each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bootstrap.verify.compare.partitions import DIFFERENCE_BYTES, Counts
from bootstrap.verify.compare.spool import RECORD_BYTES
from bootstrap.verify.exports.digests import PAIR_BYTES

_NUMBERS = np.dtype(
    [("high", ">u8"), ("low", ">u8"), ("image1", ">u8"), ("image2", ">u8"), ("place", ">u8")]
)
_PARTS = np.dtype([("key", "V16"), ("found", "V24")])
_DIFFERENCE = np.dtype([("key", "V16"), ("sides", "u1"), ("source", "V24"), ("target", "V24")])
assert (_NUMBERS.itemsize, _PARTS.itemsize) == (RECORD_BYTES, RECORD_BYTES)
assert _DIFFERENCE.itemsize == DIFFERENCE_BYTES


@dataclass(frozen=True)
class BucketComparison:
    """The result of one bucket: its counts, and its differences, packed and in order."""

    counts: Counts
    differences: bytes


class RepeatedKeyError(ValueError):
    """A key that one side has twice. `first` and `second` are its records, by place."""

    def __init__(self, of_target: bool, first: bytes, second: bytes) -> None:
        super().__init__("a key is there twice")
        self.of_target, self.first, self.second = of_target, first, second


def make_records(pairs: Sequence[bytes | None], file: int, line: int) -> Any:
    """Make records, an array of rows of 40 bytes, of the digests of consecutive lines from `line`
    on. A None, a key outside the sample, is left out.
    """
    kept = [pair for pair in pairs if pair is not None]
    lines = np.arange(len(pairs), dtype=np.uint64)
    if len(kept) < len(pairs):
        lines = lines[[pair is not None for pair in pairs]]
    records = np.empty((len(kept), RECORD_BYTES), np.uint8)
    records[:, :PAIR_BYTES] = np.frombuffer(b"".join(kept), np.uint8).reshape(-1, PAIR_BYTES)
    places = (lines + np.uint64((file << 32) + line)).astype(">u8")
    records[:, PAIR_BYTES:] = places.view(np.uint8).reshape(-1, RECORD_BYTES - PAIR_BYTES)
    return records


def split_records(records: Any, buckets: int) -> tuple[Any, Any, Any]:
    """Sort records by bucket. Return the buckets that have some, where each begins (and the last
    ends), and the records.
    """
    shift = 16 - (buckets.bit_length() - 1)
    numbers = (records[:, 0].astype(np.uint16) << 8 | records[:, 1]) >> np.uint16(shift)
    if buckets == 1:
        numbers[:] = 0  # NumPy does not define a shift by all 16 bits
    order = np.argsort(numbers, kind="stable")
    counts = np.bincount(numbers, minlength=buckets)
    present = np.flatnonzero(counts)
    return present, np.concatenate(([0], np.cumsum(counts[present]))), records[order]


def compare_bucket(source: Sequence[bytes], target: Sequence[bytes]) -> BucketComparison:
    """Compare the records of one bucket, in any order and in any number of pieces a side.

    Raises:
        RepeatedKeyError: one side has a key twice; the first by side and place.
    """
    whole = b"".join((*source, *target))
    of_source = sum(map(len, source)) // RECORD_BYTES
    of_target = len(whole) // RECORD_BYTES - of_source
    records, parts = np.frombuffer(whole, _NUMBERS), np.frombuffer(whole, _PARTS)
    order, same = _sorted(records)
    from_target = order >= of_source
    # The sort is stable: of a key's records, the source's come first.
    twice = same & (from_target[1:] == from_target[:-1])
    if twice.any():
        _refuse_repeated(whole, records, order, same, twice, from_target)
    left = np.flatnonzero(same)  # the first of two records of one key
    one, two = records[order[left]], records[order[left + 1]]
    unlike = (one["image1"] != two["image1"]) | (one["image2"] != two["image2"])
    different = left[unlike]
    paired = np.zeros(len(order), bool)
    paired[left] = paired[left + 1] = True
    odd = np.sort(np.concatenate((different, np.flatnonzero(~paired))))
    made = np.zeros(len(odd), _DIFFERENCE)
    made["key"] = parts["key"][order[odd]]
    both = paired[odd]
    has_source, has_target = ~from_target[odd], from_target[odd] | both
    made["sides"] = has_source + 2 * has_target.astype(np.uint8)
    made["source"][has_source] = parts["found"][order[odd[has_source]]]
    # The target's record of a key that both sides have is the next one.
    made["target"][has_target] = parts["found"][order[(odd + both)[has_target]]]
    missing = int((has_source & ~has_target).sum())
    counts = Counts(
        source=of_source,
        target=of_target,
        equal=len(left) - len(different),
        missing=missing,
        extra=int((~has_source).sum()),
        different=len(different),
    )
    return BucketComparison(counts, made.tobytes())


def _sorted(records: Any) -> tuple[Any, Any]:
    """Return the order of keys, stable, and for each but the last if the next has the same key."""
    high, low = (records[name].astype(np.uint64) for name in ("high", "low"))
    order = np.argsort(high, kind="stable")
    tied, of_low = high[order], low[order]
    tied = tied[1:] == tied[:-1]
    same = tied & (of_low[1:] == of_low[:-1])
    if (tied != same).any():  # half a digest in common: once in 10^19 pairs of keys
        order = np.lexsort((low, high))
        high, low = high[order], low[order]
        same = (high[1:] == high[:-1]) & (low[1:] == low[:-1])
    return order, same


def _refuse_repeated(
    whole: bytes, records: Any, order: Any, same: Any, twice: Any, from_target: Any
) -> None:
    """Raise RepeatedKeyError for the first key, by side and place, that is there twice."""
    starts = np.concatenate(([True], ~same))
    groups = np.cumsum(starts) - 1
    side = bool(from_target[:-1][twice].all())
    wrong = groups[:-1][twice & (from_target[:-1] == side)]
    places = records["place"].astype(np.uint64)[order]
    rows = np.flatnonzero(np.isin(groups, wrong) & (from_target == side))
    least = groups[rows[np.argmin(places[rows])]]
    found = rows[groups[rows] == least]
    first, second = (int(order[n]) for n in found[np.argsort(places[found])][:2])
    one, two = (whole[n * RECORD_BYTES : (n + 1) * RECORD_BYTES] for n in (first, second))
    raise RepeatedKeyError(side, one, two)
