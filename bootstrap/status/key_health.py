"""The keys of the places and of the stream, beside what the replication needs of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bootstrap.core.facts import KeyFacts
from bootstrap.core.journal_rows import Row
from bootstrap.core.ports import SourceAccount, TargetAccount
from bootstrap.core.stack_outputs import Outputs, TableOutputs
from bootstrap.plan.key_inspection import KeyInspection, inspect_lasting_keys, is_unread
from bootstrap.plan.key_policies import unusable_keys
from bootstrap.plan.replication import Replication, of_outputs
from replicator.watchdog import detectors
from replicator.watchdog.detectors import Detector, Level
from replicator.watchdog.finding import Finding, blind
from replicator.watchdog.readings import Unread

KEYS = Detector(
    "KeysUsable",
    Level.WARNING,
    "A key of the stack file is not enabled, or its policy does not allow what the replication "
    "needs. Without the consumer's key both functions stop, and no alarm of that account is "
    "delivered; changes wait in the stream, and are lost once they are older than its retention.",
    "`bootstrap plan` names each key and what its policy lacks.",
)
"""A finding of `status`, `run` and `switch`. The watchdog does not read it: under a key that is
disabled it does not start. No alarm and no metric has its name."""

Keys = Callable[[], tuple[KeyInspection, Replication]]
"""Reads the keys, and what the replication needs them for."""


def read_keys(
    source: SourceAccount, target: TargetAccount, outputs: Outputs, table: TableOutputs
) -> Keys | None:
    """Return the reader; None for a stack without such keys."""
    replication = of_outputs(outputs, table)
    places = replication.place_keys
    if not (replication.stream_key_arn or places.source or places.consumer or places.target):
        return None
    return lambda: (inspect_lasting_keys(source, target, replication), replication)


def judge_keys(row: Row, read: Keys | None, others: Sequence[Finding]) -> tuple[Finding, ...]:
    """Return the finding. `others`: those of the watchdog's detectors.

    A key that the role may not describe is unknown only where no probes come through either: they
    prove that the keys on their way can be used.
    """
    if read is None or not row.run_id:
        return ()
    keys, replication = read()
    wrong = tuple(unusable_keys(keys, replication))
    unread = [each for each in _known(keys) if is_unread(each)]
    said = "; ".join(_unknown(_known(keys)))
    if wrong:
        detail = "; ".join([*(each.what for each in wrong), *([said] if said else [])])
        remedy = "; ".join(dict.fromkeys(each.fix for each in wrong))
        return (Finding(KEYS, KEYS.level, 0.0, detail, remedy=f"{remedy}."),)
    if unread and not _probes_come_through(others):
        return (blind(KEYS, Unread(said)),)
    return (Finding(KEYS, Level.FINE, 1.0, said or "enabled, and allow what is needed"),)


def _unknown(keys: Sequence[KeyFacts]) -> list[str]:
    unread = [f"{key.arn} could not be described: {key.refused}" for key in keys if is_unread(key)]
    return unread + [
        f"the policy of {key.arn} may not be read"
        for key in keys
        if key.policy is None and not key.refused
    ]


def _known(keys: KeyInspection) -> list[KeyFacts]:
    found = (keys.stream, keys.place_source, keys.place_consumer, keys.place_target)
    return list({each.arn: each for each in found if each is not None}.values())


def _probes_come_through(findings: Sequence[Finding]) -> bool:
    """Tell whether something has come through. A table's own stream takes no probes: there a change
    counts that was received lately, which took some time."""
    return any(
        (each.detector is detectors.PROBES and each.value is not None)
        or (each.detector is detectors.UNREAD and bool(each.value))
        for each in findings
        if each.level is Level.FINE
    )
