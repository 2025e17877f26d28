"""Readers of either table's changes, and what else follows a table: as far as it can be read."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bootstrap.core.errors import Side
from bootstrap.core.facts import Destinations, ScaledCapacity, TableFacts
from bootstrap.core.stack_outputs import Outputs, TableOutputs
from replicator.aws_commands import table_option


@dataclass(frozen=True)
class TableReader:
    """One kind of reader of one table."""

    side: Side
    table: str
    kind: str
    """Never changes: `dynamodb-stream`, `lambda-triggers`, `pipes`, `kinesis-destinations`,
    `replicas`, `autoscaling` or `contributor-insights`."""
    found: bool | None
    """None: it cannot be read with the stack's roles."""
    detail: str
    look: str = ""
    """The command that shows it, with that account's credentials; empty where it was read."""


def source_readers(
    outputs: Outputs,
    table: TableOutputs,
    facts: TableFacts,
    destinations: Destinations | None,
    scaled: Sequence[ScaledCapacity] | None,
    insights: bool | None,
    own_stream: str = "",
) -> tuple[TableReader, ...]:
    """List what reads the source. None: that could not be read.

    `own_stream`: the ARN of the table's own stream, where that is the buffer.
    """
    of = _Side(Side.SOURCE, table.source_table, outputs.source.region)
    return (
        *_streams(of, facts, own_stream),
        _destinations(of, destinations, table.stream_arn),
        _replicas(of, facts),
        _autoscaling(of, scaled),
        _insights(of, insights),
    )


def target_readers(
    outputs: Outputs, table: TableOutputs, facts: TableFacts
) -> tuple[TableReader, ...]:
    """List what reads the target. The importer may describe the table, and nothing else of this."""
    of = _Side(Side.TARGET, table.target_table, outputs.target.region)
    return (
        *_streams(of, facts),
        _destinations(of, None, ""),
        _replicas(of, facts),
        _autoscaling(of, None),
        _insights(of, None),
    )


@dataclass(frozen=True)
class _Side:
    """A table in its account and Region."""

    side: Side
    table: str
    region: str

    def reader(self, kind: str, found: bool | None, detail: str, look: str = "") -> TableReader:
        return TableReader(self.side, self.table, kind, found, detail, look)

    def unread(self, kind: str, command: str, *, tried: bool = False) -> TableReader:
        """Name the command that shows what was not read. `tried`: a role of the stack may."""
        detail = "could not be read" if tried else "cannot be read with the stack's roles"
        return self.reader(kind, None, detail, f"{command} --region {self.region}")


def _streams(of: _Side, facts: TableFacts, own: str = "") -> Iterator[TableReader]:
    """Describe the table's stream. Its readers are known to Lambda and EventBridge alone."""
    if facts.stream_view is None:
        yield of.reader("dynamodb-stream", False, "off, so no trigger reads it")
        return
    arn = facts.stream_arn
    detail = f"{facts.stream_view}: {arn or 'ARN unknown'}"
    if own and arn == own:
        detail += (
            ". It is the buffer of this stack, whose consumer reads it. A shard takes two readers "
            "at a time: with another one, the switch's own reader waits until the timeout"
        )
    yield of.reader("dynamodb-stream", True, detail)
    named = shlex.quote(arn) if arn else "STREAM_ARN"
    yield of.unread(
        "lambda-triggers", f"aws lambda list-event-source-mappings --event-source-arn {named}"
    )
    yield of.unread("pipes", f"aws pipes list-pipes --source-prefix {named}")


def _destinations(of: _Side, found: Destinations | None, own: str) -> TableReader:
    kind = "kinesis-destinations"
    if found is None:
        command = f"aws dynamodb describe-kinesis-streaming-destination {table_option(of.table)}"
        return of.unread(kind, command, tried=of.side is Side.SOURCE)
    others = [each for each in found.all if each.stream_arn != own and not each.is_off]
    if not others:
        return of.reader(kind, False, "none but this stack's stream" if own else "none")
    named = ", ".join(f"{each.stream_arn} ({each.status})" for each in others)
    return of.reader(kind, True, named)


def _replicas(of: _Side, facts: TableFacts) -> TableReader:
    if not facts.replicas:
        return of.reader("replicas", False, "none: it is no global table")
    return of.reader("replicas", True, ", ".join(facts.replicas))


def _autoscaling(of: _Side, scaled: Sequence[ScaledCapacity] | None) -> TableReader:
    kind = "autoscaling"
    if scaled is None:
        return of.unread(
            kind,
            "aws application-autoscaling describe-scalable-targets --service-namespace dynamodb "
            f"--resource-ids {shlex.quote(f'table/{of.table}')}",
            tried=of.side is Side.SOURCE,
        )
    named = ", ".join(f"{each.resource} {each.dimension}" for each in scaled)
    return of.reader(kind, bool(scaled), named or "none")


def _insights(of: _Side, on: bool | None) -> TableReader:
    kind = "contributor-insights"
    if on is None:
        command = f"aws dynamodb describe-contributor-insights {table_option(of.table)}"
        return of.unread(kind, command, tried=of.side is Side.SOURCE)
    return of.reader(kind, on, "on" if on else "off")
