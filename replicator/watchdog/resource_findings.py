"""Findings about single resources: each state that AWS names and that is not the usual one."""

from __future__ import annotations

from replicator.buffers import STREAMS
from replicator.watchdog.detectors import FUNCTION, MAPPING, SOURCE, Detector, Level
from replicator.watchdog.finding import Expected, Finding, blind, flag, not_known
from replicator.watchdog.lambda_states import FunctionState, MappingState
from replicator.watchdog.readings import Identity, Intent, Readings, Unread

ROUNDS = 2
"""Rounds in a row of Lambda's own report of a problem that are a finding: one passes by itself."""
RESTORE_MAPPING = (
    "pulumi up --refresh, which restores the mapping's settings; then `bootstrap verify --repair`: "
    "changes that were given up meanwhile are in no stream and in no bucket."
)
RESTORE_OWN_MAPPING = (
    "`bootstrap status` names the command that restores the settings; then `bootstrap verify "
    "--repair`: changes that were given up or skipped meanwhile are in no stream and in no bucket."
)
RESTORE_BUCKET = (
    "find who deleted it (CloudTrail: DeleteBucket), then pulumi up --refresh, which makes it "
    "again; then `bootstrap verify --repair`: the changes that it held are lost."
)


def judge_table(
    detector: Detector, identity: Identity | Unread, intent: Intent | Unread
) -> Finding:
    """Judge a table by its id and its state. The gauge is 1 for a table that is another or that
    cannot be used. `intent`: it says whether there has to be a target."""
    if isinstance(identity, Unread):
        return blind(detector, identity)
    table, needed = identity.now, _needed(detector, intent)
    if table is None:
        gone = needed or identity.changed
        level = detector.level if gone else Level.FINE
        return Finding(detector, level, float(gone), "no such table")
    problem = table.problem
    if problem is None:
        level = detector.level if identity.changed else Level.FINE
        shown = table.table_id if table.status == "ACTIVE" else f"{table.table_id}, {table.status}"
        return Finding(detector, level, float(identity.changed), shown)
    if identity.changed:
        # Another table: its state is the lesser problem.
        detail = f"{table.table_id}, {problem.what}"
        return Finding(detector, detector.level, 1.0, detail)
    if not needed and identity.first is None and table.status == "CREATING":
        # The import's, which may be repeated.
        return Finding(detector, Level.FINE, 0.0, f"{table.table_id}, {table.status}")
    return Finding(detector, problem.level, 1.0, problem.what, remedy=problem.remedy)


def _needed(detector: Detector, intent: Intent | Unread) -> bool:
    """Tell whether the table has to be there: the source always, the target while the consumer is
    to write to it. An abandoned run has paused it, and may have dropped the target."""
    return detector is SOURCE or isinstance(intent, Unread) or intent.mapping_on


def judge_mapping(readings: Readings, expected: Expected) -> Finding:
    """Judge whether the mapping is on as intended, and keeps what it cannot deliver."""
    mapping = readings.mapping
    if isinstance(mapping, Unread):
        return blind(MAPPING, mapping)
    if mapping is None and _is_due(readings.intent, expected):
        return Finding(MAPPING, Level.FINE, 1.0, "the bootstrap has not made it yet")
    if mapping is None:
        return flag(MAPPING, False, "gone")
    own = expected.buffer == STREAMS
    wrong = mapping.lossy_settings(expected.on_failure_bucket) if expected.on_failure_bucket else ()
    if own:
        wrong += mapping.disorder()
    if wrong:
        detail = f"{mapping.state}, but it {' and '.join(wrong)}"
        remedy = RESTORE_OWN_MAPPING if own else RESTORE_MAPPING
        return Finding(MAPPING, Level.LOSS, 0.0, detail, remedy=remedy)
    if not mapping.is_known:
        return not_known(MAPPING, mapping.state)
    good = mapping.is_on or (mapping.is_off and not _wanted(readings))
    return flag(MAPPING, good, mapping.state)


def _is_due(intent: Intent | Unread, expected: Expected) -> bool:
    """Tell whether the bootstrap has yet to make the mapping, before it enables the consumer."""
    if expected.buffer != STREAMS or isinstance(intent, Unread):
        return False
    return not (intent.mapping or intent.consuming or intent.replicating)


def judge_function(readings: Readings) -> Finding:
    """Judge whether Lambda can run the consumer, by its own report."""
    function, mapping = readings.function, readings.mapping
    for reading in (function, mapping):
        if isinstance(reading, Unread):
            return blind(FUNCTION, reading)
    if not isinstance(function, FunctionState):
        return flag(FUNCTION, False, "there is no such function")
    running = isinstance(mapping, MappingState) and mapping.is_on
    wrong = list(function.problems(idle=not running and not _wanted(readings)))
    shown = wrong or [function.state]
    if isinstance(mapping, MappingState) and running and mapping.reports:
        shown = [*shown, f"Lambda reports: {mapping.reports}"]
        if readings.problem_rounds >= ROUNDS:
            wrong = shown
    return flag(FUNCTION, not wrong, "; ".join(shown))


def _wanted(readings: Readings) -> bool:
    # While the intent is unknown, assume that the mapping should be on.
    return isinstance(readings.intent, Unread) or readings.intent.mapping_on


def judge_bucket(detector: Detector, count: int | Unread | None) -> Finding:
    """Judge a bucket by the objects in it. None: there is no such bucket."""
    if isinstance(count, Unread):
        return blind(detector, count)
    if count is None:
        detail = "there is no such bucket"
        return Finding(detector, Level.LOSS, None, detail, remedy=RESTORE_BUCKET)
    return Finding(detector, detector.level if count else Level.FINE, float(count), str(count))
