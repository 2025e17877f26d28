"""The results of one comparison on Spark: counts, differences, an error or progress, by name.

The counts are written last: where they are, the results are complete.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, NoReturn

from bootstrap.core.errors import (
    AccessDeniedError,
    AccountError,
    BlockedError,
    BootstrapError,
    Side,
    UnavailableError,
    UsageError,
)
from bootstrap.core.suggestions import Suggestion
from bootstrap.verify.compare.comparison import ComparisonProgress
from bootstrap.verify.compare.partitions import (
    DIFFERENCE_BYTES,
    Counts,
    Difference,
    unpack_difference,
)
from bootstrap.verify.exports.manifest import DamagedExportError, DuplicateKeyError
from bootstrap.verify.spark.places import JobPlace
from bootstrap.verify.spark.request import REQUEST, JobRequest

COUNTS = "counts.json"
ERROR = "error.json"
PROGRESS = "progress.json"

_KINDS: dict[str, type[BootstrapError]] = {
    kind.__name__: kind
    for kind in (
        AccessDeniedError,
        AccountError,
        BlockedError,
        DamagedExportError,
        DuplicateKeyError,
        UnavailableError,
        UsageError,
    )
}


class OtherResultsError(BlockedError):
    """The results are those of another request, or a part of them is lost."""


def part_name(bucket: int) -> str:
    """Name the differences of a bucket: in the order of names they are in the order of keys."""
    return f"differences/part-{bucket:05}"


@dataclass(frozen=True)
class JobResults:
    """The finished results of a request. `parts` has the number of differences by bucket."""

    place: JobPlace
    counts: Counts
    parts: tuple[tuple[int, int], ...]

    def differences(self) -> Iterator[Difference]:
        """Read the differing keys lazily, in the order of key digests.

        Raises:
            OtherResultsError: a part is missing, truncated or out of order.
        """
        last = b""
        for bucket, count in self.parts:
            body = self.place.read(part_name(bucket))
            if body is None or len(body) != count * DIFFERENCE_BYTES:
                _refuse(
                    self.place,
                    f"{part_name(bucket)} does not have the {count:,} differences counted",
                )
            for start in range(0, len(body), DIFFERENCE_BYTES):
                difference = unpack_difference(body[start : start + DIFFERENCE_BYTES])
                if difference.key <= last:
                    _refuse(self.place, f"{part_name(bucket)} is not in the order of its keys")
                last = difference.key
                yield difference

    def remove(self) -> None:
        """Delete the results. The counts go first: what is left then is no result."""
        for name in (COUNTS, *(part_name(bucket) for bucket, _ in self.parts)):
            self.place.remove(name)
        for name in (ERROR, PROGRESS, REQUEST):
            self.place.remove(name)


def write_results(
    place: JobPlace, request: JobRequest, counts: Counts, parts: tuple[tuple[int, int], ...]
) -> None:
    """Write what makes the parts, all written, a result. `parts` must be in order."""
    value = {"request": request.identity, "counts": asdict(counts), "parts": parts}
    place.write(COUNTS, json.dumps(value).encode())


def read_results(place: JobPlace, request: JobRequest) -> JobResults | None:
    """Read the finished results of a request; None while there are none.

    Raises:
        OtherResultsError: those in the place are of another request, or unreadable.
    """
    body = place.read(COUNTS)
    if body is None:
        return None
    try:
        value: dict[str, Any] = json.loads(body)
        parts = tuple((int(bucket), int(count)) for bucket, count in value["parts"])
        results = JobResults(place, Counts(**value["counts"]), parts)
        theirs = str(value["request"])
    except (KeyError, TypeError, ValueError):
        _refuse(place, f"{COUNTS} is unreadable")
    if theirs != request.identity:
        _refuse(place, f"{COUNTS} is the result of another request")
    wrong = _contradiction(request, results.counts, parts)
    if wrong:
        _refuse(place, f"{COUNTS} contradicts itself or the exports: {wrong}")
    return results


def _contradiction(request: JobRequest, counts: Counts, parts: tuple[tuple[int, int], ...]) -> str:
    """Return what cannot be in counts; empty if they fit each other, the parts and the manifests.

    A verdict rests on them, and they come from a program of another account, and perhaps release.
    """
    if min(asdict(counts).values()) < 0 or any(count <= 0 for _, count in parts):
        return "a number is negative, or a part has no differences"
    buckets = [bucket for bucket, _ in parts]
    if any(one >= other for one, other in itertools.pairwise(buckets)):
        return "its parts are not in order"
    listed = sum(count for _, count in parts)
    if listed != counts.differing:
        return f"{listed:,} differences are listed, and {counts.differing:,} counted"
    for side, held, whole, of in (
        ("source", counts.source, counts.equal + counts.different + counts.missing, request.source),
        ("target", counts.target, counts.equal + counts.different + counts.extra, request.target),
    ):
        if held != whole:
            return f"the {side} has {held:,} items, and {whole:,} were compared"
        if held > of.items or (request.sample >= 1 and held != of.items):
            return f"{held:,} of the {of.items:,} items of {of.arn} were compared"
    return ""


def write_error(place: JobPlace, error: BootstrapError) -> None:
    """Write the error that the job ends with."""
    place.write(ERROR, json.dumps(describe_error(error)).encode())


def raise_error(place: JobPlace) -> None:
    """Raise the error that the job ended with, as the same class; return if there is none."""
    error = read_error(place)
    if error is not None:
        raise error


def read_error(place: JobPlace) -> BootstrapError | None:
    """Read the error that the job ended with; None if there is none."""
    body = place.read(ERROR)
    return None if body is None else error_from(json.loads(body))


def describe_error(error: BootstrapError) -> dict[str, Any]:
    """Describe an error in the form that `error_from` makes it again."""
    value: dict[str, Any] = {
        "kind": next((name for name in _names(error) if name in _KINDS), BlockedError.__name__),
        "message": error.what,
        "fix": error.suggestion.notation,
        "resumable": error.resumable,
    }
    if isinstance(error, AccountError):
        value |= {"side": error.side.name, "code": error.code}
    return value


def error_from(value: Mapping[str, Any]) -> BootstrapError:
    """Make the error that was described; the nearest known class stands for an unknown one."""
    kind = _KINDS.get(value["kind"], BlockedError)
    about: dict[str, Any] = {
        "fix": Suggestion.parse(value["fix"]),
        "resumable": bool(value["resumable"]),
    }
    if issubclass(kind, AccountError):
        return kind(Side[value["side"]], value["message"], code=value["code"], **about)
    return kind(value["message"], **about)


def _names(error: BootstrapError) -> list[str]:
    return [kind.__name__ for kind in type(error).__mro__]


def write_progress(place: JobPlace, progress: ComparisonProgress) -> None:
    """Write the progress of the running job."""
    place.write(PROGRESS, json.dumps(asdict(progress)).encode())


def read_progress(place: JobPlace) -> ComparisonProgress | None:
    """Read the progress of the running job; None before it has said anything."""
    body = place.read(PROGRESS)
    return None if body is None else ComparisonProgress(**json.loads(body))


def _refuse(place: JobPlace, why: str) -> NoReturn:
    raise OtherResultsError(
        f"Reading the results of the comparison on Spark in {place.uri}: {why}.",
        fix=f"{place.deletion}; then the same command again, which compares again",
    )
