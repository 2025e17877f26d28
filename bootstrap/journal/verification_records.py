"""Records of a verification, in a journal row of its own beside the run's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from bootstrap.core.formatting import instant, number

if TYPE_CHECKING:
    from bootstrap.core.journal_rows import Store

STALE_SECONDS = 7 * 86_400
"""A week. DynamoDB tries to deliver a record for as long, so one that was on its way during the
verification may be lost by then."""


def row_name(table: str) -> str:
    """Return the row's key. No table name has a slash, so it differs from every run's."""
    return f"verify/{table}"


@dataclass(frozen=True)
class ExportRecord:
    """An export for a verification: intended (`token`), begun (`arn`), complete (`done`)."""

    key: ClassVar[str]

    round: str
    """The run id of its round; a record of another round is ignored."""
    attempt: int = 1
    token: str = ""
    export_time: int = 0
    """Whole epoch seconds."""
    prefix: str = ""
    intended_at: float = 0
    arn: str = ""
    done: bool = False
    size_bytes: int | None = None
    failed_generation: int = 0
    """The lease under which its failure was reported; a later run makes another attempt."""


@dataclass(frozen=True)
class SourceExportRecord(ExportRecord):
    key: ClassVar[str] = "verify-source"


@dataclass(frozen=True)
class TargetExportRecord(ExportRecord):
    key: ClassVar[str] = "verify-target"


@dataclass(frozen=True)
class Proof:
    """Every change made up to `moment` had been applied at `at`. Epoch seconds."""

    key: ClassVar[str] = "verify-proof"

    round: str
    moment: float
    at: float


@dataclass(frozen=True)
class GivenProof(Proof):
    """The same for exports that the operator named, which belong to no round."""

    key: ClassVar[str] = "verify-given-proof"


@dataclass(frozen=True)
class ReadProof(Proof):
    """The same for single reads of the source."""

    key: ClassVar[str] = "verify-read-proof"


@dataclass(frozen=True)
class JobRunRecord:
    """A run of the verification's job on Glue: intended (`token`), begun (`run_id`), and `ended`
    without a result. It is forgotten once its results are deleted."""

    key: ClassVar[str] = "verify-job-run"

    request: str
    """The identity of the comparison's request; a record of another one is ignored."""
    attempt: int = 1
    token: str = ""
    """An argument of the run, by which it is found."""
    place: str = ""
    """Prefix of the snapshot bucket with its request and its results."""
    intended_at: float = 0
    asked_at: float = 0
    """The last time at which Glue was asked to start it, or a while before."""
    run_id: str = ""
    ended: str = ""
    """The reason; empty as long as a result may come."""


@dataclass(frozen=True)
class Repairing:
    """A repair by this round's exports, recorded before it begins, so a resumed one finds it."""

    key: ClassVar[str] = "verify-repairing"

    round: str


@dataclass(frozen=True)
class RecoverySwitched:
    """The target's point-in-time recovery, recorded before a verification switches it on."""

    key: ClassVar[str] = "verify-recovery"

    at: float


@dataclass(frozen=True)
class Verified:
    """Results of the last finished verification. Epoch seconds; counts of keys and items."""

    key: ClassVar[str] = "verified"

    round: str
    at: float
    source_time: float
    target_time: float
    sample: float
    source_items: int
    target_items: int
    equal: int
    changed_since: int
    missing: int
    extra: int
    different: int
    foreign: int
    repaired: int = 0
    complete_until: float = 0
    """No change made before this is missing in the target: this verification or an earlier one
    proved it, or repaired the target. 0: none did."""

    @property
    def differences(self) -> int:
        """Keys that differ, whatever the cause."""
        return self.missing + self.extra + self.different + self.foreign

    @property
    def judged(self) -> float:
        """The share of the compared keys that were judged equal or different."""
        keys = self.equal + self.changed_since + self.differences
        return 1.0 if keys == 0 else 1 - self.changed_since / keys

    @property
    def percentage(self) -> str:
        """`judged` as text. It never rounds up to all of them."""
        return f"{min(self.judged, 0.9999) if self.changed_since else self.judged:.2%}"

    @property
    def proves_equal(self) -> bool | None:
        """True if both tables were equal. None: not every key was compared and judged."""
        if self.differences:
            return False
        return True if self.sample >= 1 and not self.changed_since else None

    @property
    def verdict(self) -> str:
        """The result as text; never more than is proved."""
        if self.differences:
            return f"{number(self.differences)} differences"
        if self.proves_equal:
            return "equal"
        where = "" if self.sample >= 1 else f" in a sample of {self.sample:.2%} of the keys"
        unjudged = f" ({number(self.changed_since)} not judged)" if self.changed_since else ""
        if not self.equal:
            return f"nothing judged{where}{unjudged}"
        among = " among the keys judged" if unjudged else ""
        return f"no difference{among}{where}{unjudged}"

    @property
    def complete(self) -> bool:
        """True if every key was compared and every difference found was repaired."""
        return self.sample >= 1 and self.differences <= self.repaired

    def covers(self, moment: float) -> bool:
        """Tell whether it found all keys equal, with no change missing that was made before.

        A key changed since has been replaced by a newer change, which counts as equal here.
        """
        return self.sample >= 1 and not self.differences and self.complete_until >= moment

    def stale(self, now: float) -> bool:
        """Tell whether it is too old to describe the replica of today."""
        return now - self.at > STALE_SECONDS


def as_json(done: Verified, now: float) -> dict[str, Any]:
    """Return the members for `--json`. Members may be added; none changes its meaning."""
    return {
        "at": instant(done.at),
        "equal": done.proves_equal,
        "sourceTime": instant(done.source_time),
        "targetTime": instant(done.target_time),
        "sample": done.sample,
        "judged": min(round(done.judged, 6), 0.999999 if done.changed_since else 1.0),
        "counts": {
            "sourceItems": done.source_items,
            "targetItems": done.target_items,
            "equal": done.equal,
            "changedSince": done.changed_since,
            "missing": done.missing,
            "extra": done.extra,
            "different": done.different,
            "foreign": done.foreign,
            "repaired": done.repaired,
        },
        "stale": done.stale(now),
    }


def in_a_line(done: Verified, now: float) -> str:
    """Return the line for `status`."""
    found = done.verdict
    if done.repaired:
        found += f", {done.repaired:,} repaired"
    share = "" if done.sample >= 1 else f" of a sample of {done.sample:.2%}"
    text = f"{found}, {done.percentage} of the keys judged{share}, as of {instant(done.at)}"
    return f"{text}; stale: verify again" if done.stale(now) else text


@dataclass(frozen=True)
class LastVerification:
    """The last verification, for `status`; None if there was none."""

    verified: Verified | None
    now: float

    @property
    def text(self) -> str:
        done = self.verified
        return in_a_line(done, self.now) if done else "never"

    @property
    def json(self) -> dict[str, Any] | None:
        return as_json(self.verified, self.now) if self.verified else None


def last_verification(store: Store, table: str) -> LastVerification:
    """Read the last verification of a table."""
    row, at = store.read(row_name(table))
    return LastVerification(row.record(Verified) if row else None, at)
