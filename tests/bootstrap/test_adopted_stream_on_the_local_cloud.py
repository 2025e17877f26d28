"""A table replicated through an adopted stream, in which another table's records flow."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bootstrap.plan.adopted_stream import statement
from bootstrap.plan.replication import of_file
from infra.local.cloud import SOURCE, TARGET, LocalCloud
from tests.support.bootstrap.local_stack import Writer, deployed
from tests.support.infra.platform_stream import PlatformStream

pytestmark = [pytest.mark.slow, pytest.mark.promise("C1", "C7", "C8")]

FILE = """
config:
  dynamodb-replication:source: {{accountId: "{source}", region: {region}}}
  dynamodb-replication:target: {{accountId: "{target}", region: {region}}}
  dynamodb-replication:operators: {{source: [account], target: [account]}}
  dynamodb-replication:tables:
    - {{source: orders, streamArn: "{stream}", streamKeyArn: "{key}"}}
"""


@dataclass
class Platform:
    """The team that owns the stream: it adds the statement that `plan` prints."""

    folder: Path
    streams: list[PlatformStream] = field(default_factory=list)

    def shares(self, cloud: LocalCloud) -> Sequence[dict[str, Any]]:
        stream = PlatformStream.made(cloud, "orders", "invoices")
        self.streams.append(stream)
        file = self.folder / "Pulumi.local.yaml"
        places = {"source": SOURCE.account_id, "target": TARGET.account_id}
        file.write_text(
            FILE.format(region=SOURCE.region, stream=stream.arn, key=stream.key_arn, **places)
        )
        [replication] = of_file(file).tables
        assert replication.adopted is not None
        stream.share(json.loads(statement(replication, replication.adopted)))
        adopted = {"streamArn": stream.arn, "streamKeyArn": stream.key_arn}
        return [{"source": "orders", "target": "orders-replica", **adopted}]


def test_it_converges_beside_another_tables_records_and_leaves_the_stream_alone(
    tmp_path: Path,
) -> None:
    platform = Platform(tmp_path)
    with deployed(tmp_path / "cloud", "orders", "invoices", adopt=platform.shares) as stack:
        [stream] = platform.streams
        with Writer(stack, "orders"), Writer(stack, "invoices"):
            ended = stack.end("run")
            assert ended.returncode == 0, ended.stderr
        assert stack.end("run").returncode == 0, "what the writers did last is through as well"
        assert stack.items(TARGET, "orders-replica") == stack.items(SOURCE, "orders")
        shown = stack.status("orders")
        assert shown["state"] == "REPLICATING"
        assert [each for each in shown["detectors"] if each["level"] == "loss"] == []
        assert counted(stack.cloud, stack.values["tables"][0]) > 0, "the other table's records came"
        ended = stack.end("abandon", "--yes", "--drop-target")
        assert ended.returncode == 0, ended.stderr
        for table in ("orders", "invoices"):
            assert stream.destinations(table) == [(stream.arn, "ACTIVE")]


def counted(cloud: LocalCloud, table: dict[str, Any]) -> float:
    """How many records of other tables the consumer has counted, by its log."""
    logs = cloud.client("logs", TARGET)
    pages = logs.get_paginator("filter_log_events").paginate(logGroupName=table["logGroup"])
    lines = (event["message"] for page in pages for event in page["events"])
    found = (json.loads(line) for line in lines if line.startswith('{"_aws"'))
    return float(sum(sum(each.get("ChangesForeign", ())) for each in found))
