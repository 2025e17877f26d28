"""What a verification keeps in the journal, in a row of its own beside the table's run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from bootstrap.core.formatting import instant, number

if TYPE_CHECKING:
    from bootstrap.core.journal_rows import Store

STALE_SECONDS = 7 * 86_400
"""After a week: as long as DynamoDB tries to deliver a record, so that by then one may be lost that
had not been given up when the verification was made."""


def row_name(table: str) -> str:
    """The row's key. No table's name has a slash, so it meets no run's."""
    return f"verify/{table}"


@dataclass(frozen=True)
class ExportRecord:
    """An export for a verification: intended (`token`), begun (`arn`), complete (`done`)."""

    key: ClassVar[str]

    round: str
    """The run id of its round; a record of another round means nothing."""
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
    """Of the lease under which its failure was reported; a later run makes another attempt."""


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
    """The same for exports that were there before, which belong to no round."""

    key: ClassVar[str] = "verify-given-proof"


@dataclass(frozen=True)
class ReadProof(Proof):
    """The same for single reads of the source."""

    key: ClassVar[str] = "verify-read-proof"


@dataclass(frozen=True)
class Repairing:
    """A repair by this round's exports is about to begin; whoever goes on finds its entries."""

    key: ClassVar[str] = "verify-repairing"

    round: str


@dataclass(frozen=True)
class RecoverySwitched:
    """A verification is about to switch the target's point-in-time recovery on, for itself."""

    key: ClassVar[str] = "verify-recovery"

    at: float


@dataclass(frozen=True)
class Verified:
    """What the last finished verification found. Epoch seconds; keys and items are counted."""

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
    """Up to when some verification, this or an earlier one, has proved that no change is missing in
    the target, or has put in what was. 0: none has."""

    @property
    def differences(self) -> int:
        """Keys that differ, by whomever it was."""
        return self.missing + self.extra + self.different + self.foreign

    @property
    def judged(self) -> float:
        """The share of the keys compared of which it is known whether they are equal."""
        keys = self.equal + self.changed_since + self.differences
        return 1.0 if keys == 0 else 1 - self.changed_since / keys

    @property
    def percentage(self) -> str:
        """`judged` for people. What rounds to all of them is not all of them."""
        return f"{min(self.judged, 0.9999) if self.changed_since else self.judged:.2%}"

    @property
    def proves_equal(self) -> bool | None:
        """Whether both tables were equal. None: not every key was compared and judged."""
        if self.differences:
            return False
        return True if self.sample >= 1 and not self.changed_since else None

    @property
    def verdict(self) -> str:
        """What it comes to, for people; never more than what is proven."""
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
    def mended(self) -> bool:
        """Whether it compared every key, and no difference that it found is left."""
        return self.sample >= 1 and self.differences <= self.repaired

    def stale(self, now: float) -> bool:
        """Whether it says little about the replica of today."""
        return now - self.at > STALE_SECONDS


def as_json(done: Verified, now: float) -> dict[str, Any]:
    """For machines. Members may be added; none changes its meaning."""
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
    """For people, in `status`."""
    found = done.verdict
    if done.repaired:
        found += f", {done.repaired:,} repaired"
    share = "" if done.sample >= 1 else f" of a sample of {done.sample:.2%}"
    text = f"{found}, {done.percentage} of the keys judged{share}, as of {instant(done.at)}"
    return f"{text}; stale: verify again" if done.stale(now) else text


@dataclass(frozen=True)
class LastVerification:
    """The last verification, for `status`. None: there was none."""

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
    """Reads the journal."""
    row, at = store.read(row_name(table))
    return LastVerification(row.record(Verified) if row else None, at)
