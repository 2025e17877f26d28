"""Remedies with this stack's own names, for findings about a stalled consumer or watchdog."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from bootstrap.core.facts import ConsumerActivity
from bootstrap.core.formatting import duration
from bootstrap.core.stack_outputs import TableOutputs
from replicator.watchdog.detectors import HEARTBEAT, MAPPING, PROBES, UNREAD, Level
from replicator.watchdog.finding import Finding
from replicator.watchdog.lambda_states import OFF as LAMBDA_OFF

ReadActivity = Callable[[], ConsumerActivity]

OFF = (
    "`bootstrap run` switches it on again; CloudTrail (UpdateEventSourceMapping) says who switched "
    "it off."
)
GONE = (
    "make it again as docs/operate.md says under 'Replace the event source mapping': set `startAt`,"
    " then pulumi up --refresh; then `bootstrap run` switches it on."
)


def name_commands(
    findings: Sequence[Finding],
    table: TableOutputs,
    read_activity: ReadActivity | None,
    mapping_uuid: str | None = None,
) -> tuple[Finding, ...]:
    """Complete the findings about waiting changes and watchdog; the others are returned as is.

    `read_activity` is called only where changes wait while the consumer's mapping is on; None: what
    the consumer did is not known. `mapping_uuid`: None: that of the stack's outputs.
    """
    uuid = table.mapping_uuid if mapping_uuid is None else mapping_uuid
    by_detector = {each.detector: each for each in findings}
    mapping = by_detector.get(MAPPING)
    on = mapping is None or mapping.level is not Level.WARNING

    def complete(finding: Finding) -> Finding:
        if finding.blind or finding.level is Level.FINE:
            return finding
        if finding.detector is MAPPING and table.reads_table_stream:
            return replace(finding, remedy=_own_mapping(finding, table, uuid))
        if finding.detector is MAPPING and not finding.remedy:
            return replace(finding, remedy=GONE if finding.detail.startswith("gone") else OFF)
        if finding.first == HEARTBEAT.first:
            return replace(finding, remedy=f"{HEARTBEAT.first} {_tail(table, watchdog=True)}")
        if finding.detector not in (PROBES, UNREAD) or finding.level is not finding.detector.level:
            return finding
        if not on:
            return replace(finding, remedy="see MappingAsIntended: the consumer is off.")
        if mapping is not None and mapping.detail in LAMBDA_OFF:
            return replace(finding, remedy=RESUME)
        did = read_activity() if read_activity is not None else None
        why, remedy = _explain_stall(table, did, uuid)
        return replace(finding, detail=finding.detail + why, remedy=remedy)

    return tuple(complete(each) for each in findings)


def _own_mapping(finding: Finding, table: TableOutputs, uuid: str) -> str:
    """Return the first action about a mapping that the bootstrap has made."""
    if finding.level is Level.LOSS:
        return (
            "set it back, in the target account: `aws lambda update-event-source-mapping --uuid "
            f"{uuid} --parallelization-factor 1 --tumbling-window-in-seconds 0 --filter-criteria "
            f"{{}} --region {table.consumer_region}`; then `bootstrap run`, which restores its "
            "other settings, and `bootstrap verify --repair`: changes that were given up or "
            "skipped meanwhile are in no stream and in no bucket."
        )
    if not finding.detail.startswith("gone"):
        return finding.remedy or OFF
    return (
        "`bootstrap run`, which makes it again; it reads from the oldest change that the table's "
        "stream has kept. CloudTrail (DeleteEventSourceMapping) says who deleted it."
    )


def _explain_stall(table: TableOutputs, did: ConsumerActivity | None, uuid: str) -> tuple[str, str]:
    """Return why no change comes through, as the end of a sentence, and the first action."""
    log = _tail(table)
    stuck = f"look into the consumer's log. {log} {_park(table)}"
    if did is None or did.invocations is None:
        return "; what the consumer did could not be read", stuck
    lately = f"; in the last {duration(did.seconds)} "
    if did.throttles and did.throttles >= did.invocations:
        return (
            f"{lately}Lambda throttled the consumer {did.throttles:.0f} times and ran it "
            f"{did.invocations:.0f} times",
            "raise or remove the table's `reservedConcurrency` in the stack file, then pulumi up; "
            "if it has none, the account's concurrency is used up. In the target account: "
            f"`aws lambda get-function-concurrency --function-name {table.function_name} "
            f"--region {table.consumer_region}`.",
        )
    if not did.invocations:
        return (
            f"{lately}Lambda did not run the consumer",
            "see what Lambda says of it, in the target account: `aws lambda "
            f"get-event-source-mapping --uuid {uuid} "
            f"--region {table.consumer_region}`. pulumi up --refresh restores its permissions.",
        )
    if did.errors is not None and did.errors >= did.invocations:
        return (
            f"{lately}each of the consumer's {did.invocations:.0f} runs failed",
            f"the consumer's log says why. {log} {PERMISSIONS}",
        )
    if did.retried and not did.applied:
        return (
            f"{lately}the consumer applied no change and gave {did.retried:.0f} back",
            f"the consumer's log names the error. {log} {PERMISSIONS}",
        )
    return f"{lately}the consumer applied {did.applied or 0:.0f} changes", stuck


RESUME = (
    "the consumer is off on purpose: before that time `bootstrap resume`, if it is paused, or else "
    "`bootstrap run`."
)


def _park(table: TableOutputs) -> str:
    # Lambda's event of a table's stream names no shard.
    record = "SEQUENCE" if table.reads_table_stream else "SHARD SEQUENCE"
    return (
        "If it reports 'A batch of one record' repeatedly, park that record: "
        f"`bootstrap park {record}`."
    )


PERMISSIONS = "Where a permission is missing, pulumi up --refresh restores it."


def _tail(table: TableOutputs, *, watchdog: bool = False) -> str:
    group = table.watchdog_log_group if watchdog else table.log_group
    if not group:
        return "Its log group is in the target account."
    return (
        f"In the target account: `aws logs tail {group} --since 15m "
        f"--region {table.consumer_region}`."
    )
