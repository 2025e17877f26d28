"""The choice between the two buffers: what blocks a table's own stream, and which one is better.

A table's own stream costs nothing and forgets a change after a day. So the export and the load have
to be done well within it: what is left of the day is for the backlog, a failed load, and a night.
"""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING

from bootstrap.core import stream_policy
from bootstrap.core.formatting import duration, size
from bootstrap.core.table_stream_facts import KEPT_HOURS, VIEW
from bootstrap.core.write_deny import PolicyError
from bootstrap.plan.blocker import Blocker
from bootstrap.plan.inspection import Inspection
from bootstrap.plan.replication import Replication
from replicator.aws_commands import table_option
from replicator.buffers import KINESIS, STREAMS

if TYPE_CHECKING:
    from bootstrap.plan.estimate import Estimate, Span

MOST_HOURS = 20
"""Of export and load, at the longest estimate; the four others are for the backlog and a pause."""


def table_stream_blockers(
    inspection: Inspection, replication: Replication, expected: Estimate
) -> Iterator[Blocker]:
    """List what keeps a table from being buffered by its own stream."""
    source = inspection.source.table
    if source is None:
        return
    name, to_kinesis = replication.source_table, _change(replication, KINESIS)
    needed = _needed(expected)
    if needed.most > MOST_HOURS * 3600:
        yield Blocker(
            f"Export and load of {name} ({size(source.size_bytes)}) may take up to "
            f"{duration(needed.most)} (export {duration(expected.export.most)}, load "
            f"{duration(expected.load.most)}), and the table's own stream forgets a change after "
            f"{KEPT_HOURS} hours: {MOST_HOURS} is the most for both.",
            f"{to_kinesis}. A Kinesis stream keeps changes for up to 365 days",
        )
    if source.stream_view not in (None, VIEW):
        yield Blocker(
            f"Table {name} has a stream of the view type {source.stream_view}, whose readers rely "
            f"on it, and the consumer needs {VIEW}. A table has one stream.",
            f"{to_kinesis}; or, if no one reads that stream: aws dynamodb update-table "
            f"{table_option(name)} --stream-specification StreamEnabled=false --region "
            f"{replication.consumer_region}, with the source account's credentials",
        )
    if source.encryption == "KMS" and inspection.keys.source_is_aws_managed:
        yield Blocker(
            f"Table {name} is encrypted with the key that AWS manages for DynamoDB in its account "
            "(aws/dynamodb), and no other account can read the stream of such a table.",
            f"aws dynamodb update-table {table_option(name)} --sse-specification Enabled=false "
            f"--region {replication.consumer_region}, with the source account's credentials, which "
            f"gives it the key that DynamoDB owns; or {to_kinesis}",
        )


def table_stream_notes(
    inspection: Inspection, replication: Replication, expected: Estimate
) -> Iterator[str]:
    """List what should be known of a table that its own stream buffers, or could."""
    source = inspection.source.table
    if source is None:
        return
    if replication.reads_table_stream:
        yield from _readers(inspection, replication)
    yield from _advice(inspection, replication, expected)


def _readers(inspection: Inspection, replication: Replication) -> Iterator[str]:
    source = inspection.source.table
    assert source is not None
    name, region = replication.source_table, replication.consumer_region
    if source.stream_view != VIEW:
        yield (
            f"`run` switches the stream of {name} on. Code that declares the table may see a "
            "difference and switch it off again, and changes made meanwhile would be missing: let "
            f"that code declare the stream first, with the view type {VIEW}."
        )
        return
    arn = shlex.quote(source.stream_arn) if source.stream_arn else "STREAM_ARN"
    yield (
        f"The stream of {name} is on already, and stays on afterwards. Each of its shards takes "
        "two readers: the consumer is one, and this tool is another while it proves that all is "
        "applied. So there should be no third, which these commands show, with the source "
        f"account's credentials: aws lambda list-event-source-mappings --event-source-arn {arn} "
        f"--region {region}; aws pipes list-pipes --source-prefix {arn} --region {region}. Readers "
        "of other accounts and programs of your own are in neither."
    )
    deployed = replication.deployment
    own = deployed.consumer_arn if deployed is not None else None
    others: tuple[str, ...] = ()
    with contextlib.suppress(PolicyError):
        others = stream_policy.others(inspection.source.stream_policy, own or "")
    if others:
        yield (
            f"Another stack replicates {name} from this stream, whose policy lets its consumer "
            f"read: {', '.join(others)}. With yours those are the two readers of a shard, and the "
            "proof that all is applied would be the third, which AWS throttles: let one of the "
            f"stacks have buffer: {KINESIS}."
        )
    if source.replicas:
        yield f"{name} is a global table, and its replication reads the stream as well."


def _advice(inspection: Inspection, replication: Replication, expected: Estimate) -> Iterator[str]:
    """Name the other buffer with both costs, where it is the better one."""
    source, other = inspection.source.table, expected.other_month
    if other is None or source is None or replication.adopted:
        return
    own = expected.monthly[0][1]
    needed = _needed(expected)
    if replication.reads_table_stream:
        yield (
            f"The buffer is the table's own stream, which costs nothing: the replication is "
            f"${own:,.2f} a month in all, and ${other:,.2f} with a "
            f"Kinesis stream (buffer: {KINESIS}), which keeps changes for 365 days. It is the "
            "better choice where the replica stays for months, or a pause or an outage may last "
            "for most of a day."
        )
        return
    fits = needed.most <= MOST_HOURS * 3600 and source.stream_view in (None, VIEW)
    if fits and not inspection.keys.source_is_aws_managed and other < own:
        yield (
            f"Export and load take {duration(needed.least)} to {duration(needed.most)}, well "
            f"within a day: buffer: {STREAMS} (the table's own stream) would do, at "
            f"${other:,.2f} a month instead of ${own:,.2f}. It keeps changes for {KEPT_HOURS} "
            "hours: choose it for a migration of days, and Kinesis for a replica that stays or may "
            "be paused for longer."
        )


def _needed(expected: Estimate) -> Span:
    return expected.export + expected.load


def _change(replication: Replication, buffer: str) -> str:
    """Return what changes the buffer of a table that no run has begun with; docs/operate.md."""
    wanted = f"{replication.configure('buffer', buffer)}, then: {replication.up}"
    if replication.deployment is None or buffer == KINESIS:
        return wanted
    # The Kinesis stream goes, which holds a table's data.
    return f"{replication.configure('protect', 'false')}, then: {replication.up}; then {wanted}"
