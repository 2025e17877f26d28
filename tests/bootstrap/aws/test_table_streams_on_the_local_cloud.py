"""A table's own stream through the tool's calls: on and off, read by time, and its mapping."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from bootstrap.aws.calls import Calls
from bootstrap.aws.consumer_mappings import AwsConsumerMappings
from bootstrap.aws.resource_policies import AwsResourcePolicies
from bootstrap.aws.sdk import sdk_session
from bootstrap.aws.table_streams import AwsStreamControl, AwsStreamRecordReader
from bootstrap.aws.target import AwsTarget
from bootstrap.core import stream_policy
from bootstrap.core.errors import AccountError, Side, UnavailableError
from bootstrap.core.facts import EventSource
from bootstrap.core.ports import LedgerEntries
from bootstrap.core.table_stream_facts import (
    MappingRequest,
    RecordPlace,
    TableStreamFacts,
    label_of,
)
from bootstrap.run.stream_tips import StreamTips, TipsProgress
from infra.local.cloud import SECRET, SOURCE, TARGET, LocalAccount, LocalCloud
from replicator.change import stream_order
from replicator.ended_rows import EndedRow, ended_key
from tests.support.fakes.errors import client_error
from tests.support.infra.clouds import make_bucket, make_table, until
from tests.support.infra.table_streams import StreamPipeline, TableStream

pytestmark = [pytest.mark.slow, pytest.mark.promise("C6", "C10")]

NAMES = (f"own-{number}" for number in itertools.count())


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    with LocalCloud(
        tmp_path_factory.mktemp("cloud"),
        time_scale=0.01,
        chaos="policy_spread=0",
        streams="first_shards=2,shard_records=6",
    ) as running:
        make_bucket(running, TARGET, "own-failures")
        yield running


def streams_api(cloud: LocalCloud, account: LocalAccount = SOURCE) -> object:
    """A client that knows iterators by time, as the tool's sessions make them."""
    return sdk_session().create_client(
        "dynamodbstreams",
        endpoint_url=cloud.endpoint,
        region_name="eu-west-1",
        aws_access_key_id=account.account_id,
        aws_secret_access_key=SECRET,
    )


@pytest.fixture(scope="module")
def control(cloud: LocalCloud) -> AwsStreamControl:
    return AwsStreamControl(
        Calls(Side.SOURCE, "root"), cloud.client("dynamodb", SOURCE), streams_api(cloud)
    )


@pytest.fixture(scope="module")
def reader(cloud: LocalCloud) -> AwsStreamRecordReader:
    return AwsStreamRecordReader(Calls(Side.SOURCE, "root"), streams_api(cloud))


def read(reader: AwsStreamRecordReader, iterator: str | None) -> list[RecordPlace]:
    found: list[RecordPlace] = []
    while iterator is not None:
        page = reader.read(iterator)
        assert page is not None
        found += page.places
        iterator = page.following if page.places else None
    return found


def test_a_stream_is_switched_on_once_and_off_once_however_often_that_is_asked(
    cloud: LocalCloud, control: AwsStreamControl
) -> None:
    name, dynamodb = next(NAMES), cloud.client("dynamodb", SOURCE)
    make_table(dynamodb, name)

    def settled() -> bool:
        return bool(dynamodb.describe_table(TableName=name)["Table"]["TableStatus"] == "ACTIVE")

    control.switch_on(name)
    until(settled, "the table")
    control.switch_on(name)
    arn = dynamodb.describe_table(TableName=name)["Table"]["LatestStreamArn"]
    found = control.describe(arn)
    assert found is not None
    assert (found.status, found.view, len(found.shards)) == ("ENABLED", "NEW_AND_OLD_IMAGES", 2)
    assert found.label == dynamodb.describe_table(TableName=name)["Table"]["LatestStreamLabel"]
    assert abs(found.at - time.time()) < 5
    control.switch_off(name)
    until(settled, "the table")
    control.switch_off(name)
    closed = control.describe(arn)
    assert closed is not None and closed.status == "DISABLED"
    assert all(shard.closed for shard in closed.shards)
    assert control.describe(arn.replace("2", "3")) is None


def test_an_iterator_by_time_begins_with_the_first_record_of_that_second_or_later(
    cloud: LocalCloud, control: AwsStreamControl, reader: AwsStreamRecordReader
) -> None:
    stream = TableStream(cloud, next(NAMES))
    for key in ("a", "b"):
        stream.put(key)
    time.sleep(1.1)
    between = time.time()
    time.sleep(1.1)
    for key in ("c", "d"):
        stream.put(key)
    facts = control.describe(stream.arn)
    assert facts is not None

    def since(at: float | None) -> list[RecordPlace]:
        return [
            place
            for shard in facts.shards
            for place in read(reader, reader.iterator(stream.arn, shard.shard_id, since=at))
        ]

    everything, late = since(None), since(between)
    assert len(everything) == 4
    assert [each for each in everything if each.created >= between] == late
    assert len(late) == 2
    assert since(time.time() - 0.5) in ([], late), "a second has no fraction in a record"
    one = next(each for each in everything)
    after = [
        read(reader, reader.iterator(stream.arn, shard.shard_id, after=one.number))
        for shard in facts.shards
        if any(
            place.number == one.number
            for place in read(reader, reader.iterator(stream.arn, shard.shard_id))
        )
    ]
    assert all(int(each.number) > int(one.number) for each in after[0])


class Rows(LedgerEntries):
    """The ledger's rows of ended records."""

    def __init__(self) -> None:
        self.kept: dict[bytes, dict[str, Any]] = {}

    def end(self, arn: str, *numbers: str) -> None:
        for number in numbers:
            row = EndedRow(stream_order(label_of(arn), number), 1)
            self.kept[ended_key(row.order)] = row.to_item()

    def entries(self, keys: Sequence[bytes]) -> dict[bytes, dict[str, Any]]:
        return {key: self.kept[key] for key in keys if key in self.kept}


def looked(tips: StreamTips, facts: TableStreamFacts) -> TipsProgress:
    """What several looks find: each reads a bounded number of pages."""
    for _ in range(3):
        tips.look(facts.shards, facts.at)
    return tips.look(facts.shards, facts.at + 60)


def test_a_stream_is_through_once_each_shard_with_its_children_has_a_row_at_its_end(
    cloud: LocalCloud, control: AwsStreamControl, reader: AwsStreamRecordReader
) -> None:
    stream, rows = TableStream(cloud, next(NAMES)), Rows()
    for number in range(30):  # shards split after six records
        stream.put(f"k{number}")
    facts = control.describe(stream.arn)
    assert facts is not None and len(facts.shards) > 4
    tips = StreamTips(
        reader, rows, stream.arn, question=facts.at + 1, floor=facts.at - 3_600, most=1_000
    )
    ends = {
        shard_id: [record["dynamodb"]["SequenceNumber"] for record in stream.read(shard_id)]
        for shard_id in stream.shards()
    }
    held = {shard_id: numbers for shard_id, numbers in ends.items() if numbers}
    first = looked(tips, facts)
    assert (first.through, first.shards) == (len(ends) - len(held), len(ends))
    for numbers in held.values():
        rows.end(stream.arn, *numbers[:-1])
    assert not looked(tips, facts).all_through, "the last record of each is not through"
    for numbers in held.values():
        rows.end(stream.arn, numbers[-1])
    assert looked(tips, facts).all_through
    # A later question is not answered by rows of before it.
    time.sleep(1.1)
    stream.put("late")
    facts = control.describe(stream.arn)
    assert facts is not None
    again = StreamTips(
        reader, rows, stream.arn, question=facts.at + 1, floor=facts.at - 3_600, most=1_000
    )
    found = looked(again, facts)
    assert found.through == found.shards - 1


def test_a_mapping_is_made_disabled_found_again_and_deleted(cloud: LocalCloud) -> None:
    failures = "arn:aws:s3:::own-failures"
    rights = (["s3:ListBucket"], [failures]), (["s3:PutObject"], [f"{failures}/*"])
    pipeline = StreamPipeline(cloud, next(NAMES), extra=rights)
    lambda_ = cloud.client("lambda", TARGET)
    calls = Calls(Side.TARGET, "root")
    mappings = AwsConsumerMappings(calls, lambda_)
    function = lambda_.get_function(FunctionName=pipeline.name)["Configuration"]
    arn = pipeline.stream.arn
    request = MappingRequest(arn, function["FunctionArn"], 50, 1, failures)
    assert mappings.find(function["FunctionArn"], arn) is None
    with pytest.raises(AccountError) as refused:
        mappings.create(request)
    assert refused.value.code == "InvalidParameterValueException"
    policies = AwsResourcePolicies(Calls(Side.SOURCE, "root"), cloud.client("dynamodb", SOURCE))
    known = policies.read(arn)
    assert known.document is None
    policies.replace(arn, known, stream_policy.with_reads(known.document, arn, function["Role"]))
    until(
        lambda: stream_policy.allows(policies.read(arn).document, arn, function["Role"]),
        "the policy to be read",
    )

    def made() -> EventSource | None:
        try:
            return mappings.create(request)
        except AccountError as error:
            assert "Cannot access stream" in error.what
            return None

    mapping = until(made, "the mapping made")
    shown = lambda_.get_event_source_mapping(UUID=mapping.uuid)
    assert shown["BatchSize"] == 50 and shown["MaximumRetryAttempts"] == -1
    assert shown["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert shown["BisectBatchOnFunctionError"] is True
    target = AwsTarget(calls, cloud.client("dynamodb", TARGET), lambda_)

    def settled() -> bool:
        found = target.mapping(mapping.uuid)
        return found is not None and found.state == "Disabled"

    until(settled, "the mapping Disabled")
    assert mappings.create(request).uuid == mapping.uuid, "a lost answer meets its own mapping"
    found = mappings.find(function["FunctionArn"], arn)
    assert found is not None and (found.uuid, found.stream_arn) == (mapping.uuid, arn)
    assert not found.delivery.disorder and not found.delivery.differences(request)
    lambda_.update_event_source_mapping(
        UUID=mapping.uuid, MaximumRetryAttempts=2, ParallelizationFactor=10, DestinationConfig={}
    )
    until(settled, "the mapping settled")
    changed = target.mapping(mapping.uuid)
    assert changed is not None
    assert changed.delivery.disorder == ("ParallelizationFactor is 10, not 1",)
    assert len(changed.delivery.differences(request)) == 2
    wanted = replace(request, batch_size=70)
    mappings.update(mapping.uuid, wanted)
    until(settled, "the mapping settled")
    restored = target.mapping(mapping.uuid)
    assert restored is not None and not restored.delivery.differences(wanted)
    mappings.delete(mapping.uuid)
    until(lambda: target.mapping(mapping.uuid) is None, "the mapping gone")
    mappings.delete(mapping.uuid)
    assert mappings.find(function["FunctionArn"], arn) is None


def test_a_throttled_reader_names_the_limit_of_two(cloud: LocalCloud) -> None:
    arn = "arn:aws:dynamodb:eu-west-1:111111111111:table/orders/stream/2026-01-01T00:00:00.000"

    class Throttled:
        def get_shard_iterator(self, **_: object) -> dict[str, str]:
            return {"ShardIterator": "token"}

        def get_records(self, **_: object) -> object:
            raise client_error("GetRecords", "LimitExceededException", "Too many operations")

    reader = AwsStreamRecordReader(Calls(Side.SOURCE, "Role exporter"), Throttled())
    token = reader.iterator(arn, "shardId-1")
    assert token is not None
    with pytest.raises(UnavailableError, match="two readers at a time") as caught:
        reader.read(token)
    assert f"--event-source-arn {arn} --region eu-west-1" in str(caught.value.fix)
