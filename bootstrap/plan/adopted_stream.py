"""The checks of an adopted stream, and the notes for its owner.

The stream's owner makes each change: the stack has no right to. Throughput and the consumer's
concurrency are checked as for a stream of the stack's own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from bootstrap.core.formatting import duration, moment
from bootstrap.core.streaming_commands import BY_SOURCE, enable
from bootstrap.plan.blocker import Blocker
from bootstrap.plan.estimate import Estimate
from bootstrap.plan.inspection import AdoptedInspection, Inspection
from bootstrap.plan.key_policies import allows, policy_for
from bootstrap.plan.replication import AdoptedStream, Replication
from bootstrap.plan.stream_checks import (
    distribution_blockers,
    retention_blockers,
    safe_retention,
)
from replicator.stream import MAX_RECORD_KIB, READING_ACTIONS

TRIM_HORIZON = "TRIM_HORIZON"
YOUNG_SECONDS = 3_600.0
"""A stream of this age has little to read before the snapshot."""
DEPLOYED_SECONDS = 86_400.0
"""The same where a mapping would have to be replaced: the stack itself may be some hours old."""


def adopted_blockers(
    inspection: Inspection, replication: Replication, expected: Estimate
) -> Iterator[Blocker]:
    """List what keeps a table from being replicated through an adopted stream."""
    seen, adopted = inspection.adopted, replication.adopted
    if seen is None or adopted is None:
        return
    yield from _streaming(inspection, replication, adopted)
    yield from _settings(seen, replication, adopted, expected)
    yield from _history(inspection, seen, replication, adopted)
    yield from _key(seen, replication, adopted)
    yield from _policy(seen, replication, adopted)


def adopted_notes(inspection: Inspection, replication: Replication) -> Iterator[str]:
    """List what the owner of the stream should know."""
    seen, adopted = inspection.adopted, replication.adopted
    if seen is None or adopted is None:
        return
    yield (
        f"Stream {adopted.name} is not the stack's. The watchdog and the runs put small records "
        "into it, a probe for each shard every five minutes, and `quarantine redrive` puts records "
        "there again: its other readers have to ignore records that are no changes of their "
        "tables. Throughput and the bill are estimated as if it carried this table alone."
    )
    yield from _doubts(seen, replication, adopted)
    if seen.refused:
        yield (
            f"The policy of stream {adopted.name} may not be read (kinesis:GetResourcePolicy: "
            f"{seen.refused}), so it is unknown whether the consumer may read the stream. It needs "
            f"this statement: {statement(replication, adopted)}"
        )


def _doubts(
    seen: AdoptedInspection, replication: Replication, adopted: AdoptedStream
) -> Iterator[str]:
    """Say so where the consumer may read only if a condition holds that is not judged here."""
    texts = [
        policy_for(seen.policy or "", _consumer(replication, adopted), doubtful=doubtful)
        for doubtful in (False, True)
    ]
    names = _principals(replication)
    certain, likely = ([allows(text, names, a) for a in READING_ACTIONS] for text in texts)
    if all(likely) and not all(certain):
        yield (
            f"The policy of stream {adopted.name} lets the consumer read on conditions that this "
            "program does not judge. This statement needs none of them: "
            f"{statement(replication, adopted)}"
        )


def _principals(replication: Replication) -> frozenset[str]:
    """Return the names by which a policy may allow something to the consumer."""
    account, deployed = replication.target_account, replication.deployment
    role = deployed.consumer_arn if deployed else None
    root = f"arn:{replication.partition}:iam::{account}:root"
    return frozenset({"*", account, root, role or root})


def _consumer(replication: Replication, adopted: AdoptedStream) -> str:
    """Return the consumer's ARN, or one such as it will have."""
    deployed = replication.deployment
    return (deployed.consumer_arn if deployed else None) or adopted.readers.replace("*", "0a1b2c3")


def statement(replication: Replication, adopted: AdoptedStream) -> str:
    """Return the statement of the stream's policy that lets the consumer read, as JSON.

    It names the account, and the role by a pattern: a policy that names a role which does not exist
    is refused, and the mapping can be made only once the policy is there.
    """
    root = f"arn:{replication.partition}:iam::{replication.target_account}:root"
    return json.dumps(
        {
            "Sid": "ReplicationReads",
            "Effect": "Allow",
            "Principal": {"AWS": root},
            "Action": list(READING_ACTIONS),
            "Resource": adopted.arn,
            "Condition": {"ArnLike": {"aws:PrincipalArn": adopted.readers}},
        }
    )


def _streaming(
    inspection: Inspection, replication: Replication, adopted: AdoptedStream
) -> Iterator[Blocker]:
    found = inspection.source.destinations
    if inspection.source.table is None or found.elsewhere(adopted.arn) is not None:
        return  # which is a blocker of its own
    here = found.to(adopted.arn)
    on = here is not None and here.status == "ACTIVE"
    if adopted.owns_destination and on and replication.deployment is None:
        yield Blocker(
            f"Table {replication.source_table} streams to {adopted.name} already, and the stack "
            "would make that destination: `pulumi up` would fail.",
            "remove makeDestination from the stack configuration: the destination stays its "
            "owner's",
        )
    if not adopted.owns_destination and not on:
        status = here.status if here is not None else "not there"
        yield Blocker(
            f"The destination of table {replication.source_table} to stream {adopted.name} is "
            f"{status}, and it is not the stack's to make.",
            f"{enable(replication.source_table, adopted.arn, replication.consumer_region)}, "
            f"{BY_SOURCE}; or set makeDestination: true in the stack configuration, then: "
            f"{replication.up}",
        )


def _settings(
    seen: AdoptedInspection, replication: Replication, adopted: AdoptedStream, expected: Estimate
) -> Iterator[Blocker]:
    stream, name, region = seen.stream, adopted.name, replication.consumer_region
    safe = safe_retention(expected)
    longer = _retention_command(name, region, max(adopted.retention_hours, int(safe)))
    yield from retention_blockers(stream, name, expected, longer)
    if safe <= stream.retention_hours < adopted.retention_hours:
        yield Blocker(
            f"Stream {name} forgets changes after {stream.retention_hours} hours, and the stack "
            f"expects {adopted.retention_hours}.",
            f"set retentionHours: {stream.retention_hours} in the stack configuration, then: "
            f"{replication.up}; or {_retention_command(name, region, adopted.retention_hours)}",
        )
    if stream.record_kib < MAX_RECORD_KIB:
        yield Blocker(
            f"Stream {name} takes records of up to {stream.record_kib} KiB, and not of "
            f"{MAX_RECORD_KIB}. DynamoDB skips a change that is larger than the limit.",
            f"aws kinesis update-max-record-size --stream-arn {adopted.arn} "
            f"--max-record-size-in-ki-b {MAX_RECORD_KIB} --region {region}, {BY_SOURCE}",
        )
    yield from distribution_blockers(stream, name, adopted.arn, region)


def _history(
    inspection: Inspection,
    seen: AdoptedInspection,
    replication: Replication,
    adopted: AdoptedStream,
) -> Iterator[Blocker]:
    """Refuse to begin at a stream's oldest record where it is much older than the replication.

    The consumer would read the changes of all its tables, of as long as the stream keeps them,
    before the first change after the snapshot. The estimate does not count them.
    """
    now = inspection.source.destinations.at
    age = now - seen.stream.created
    if replication.deployment is None:
        long = adopted.start_at == TRIM_HORIZON and age > YOUNG_SECONDS
        how = "before the first `pulumi up`"
    else:
        mapping = inspection.pipeline.mapping if inspection.pipeline else None
        begins_there = mapping is not None and mapping.starting_position == TRIM_HORIZON
        long = begins_there and age > DEPLOYED_SECONDS
        how = f"then {replication.deployment.mapping_replacement}"
    if long:
        kept = min(age, seen.stream.retention_hours * 3600)
        # An hour ago: it has to be before the export, and the clocks of two machines differ.
        start = moment(now - YOUNG_SECONDS)
        yield Blocker(
            f"The consumer of table {replication.source_table} would begin at the oldest record of "
            f"stream {adopted.name}, and read {duration(kept)} of changes, of all its tables, "
            "before the first change after the snapshot. The estimate does not count them.",
            f'set startAt: "{start}" for the table in the stack configuration, {how}',
        )


def _retention_command(name: str, region: str, hours: int) -> str:
    return (
        f"aws kinesis increase-stream-retention-period --stream-name {name} "
        f"--retention-period-hours {hours} --region {region}, {BY_SOURCE}"
    )


def _key(
    seen: AdoptedInspection, replication: Replication, adopted: AdoptedStream
) -> Iterator[Blocker]:
    key = seen.stream.key
    # Its encryption may have been begun with the id alone; an alias may lead to any key.
    if key in (adopted.key_arn, adopted.key_arn.rpartition("/")[2]):
        return
    if key.rpartition(":")[2].startswith("alias/") and not key.endswith("alias/aws/kinesis"):
        return
    yield Blocker(
        f"Stream {adopted.name} is encrypted with {key or 'no key'}, and streamKeyArn is "
        f"{adopted.key_arn}. No other account can read a stream under the key of AWS's own.",
        f"set streamKeyArn to the stream's key, then: {replication.up}; or aws kinesis "
        f"start-stream-encryption --stream-name {adopted.name} --encryption-type KMS --key-id "
        f"{adopted.key_arn} --region {replication.consumer_region}, {BY_SOURCE}",
    )


def _policy(
    seen: AdoptedInspection, replication: Replication, adopted: AdoptedStream
) -> Iterator[Blocker]:
    account, names = replication.target_account, _principals(replication)
    if seen.refused:
        return  # unknown, and in the notes
    policy = policy_for(seen.policy or "", _consumer(replication, adopted), doubtful=True)
    missing = [each for each in READING_ACTIONS if not allows(policy, names, each)]
    if missing:
        yield Blocker(
            f"The policy of stream {adopted.name} does not allow {', '.join(missing)} to the "
            f"consumer, in account {account}.",
            "add this statement to those that the policy has (PutResourcePolicy replaces them all; "
            f"aws kinesis get-resource-policy --resource-arn {adopted.arn} --region "
            f"{replication.consumer_region} shows them): {statement(replication, adopted)}",
        )
