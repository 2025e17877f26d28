"""Source account: the stream that buffers one table's changes, and its source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.account_config import AccountConfig
from infra.accounts import Accounts
from infra.held_resources import last_table
from infra.kept_keys import earlier_keys
from infra.partitions import endpoint
from infra.policies import KEY_ADMINISTRATION, Text, document
from infra.secrets_in_state import holds_secret
from infra.stack_config import StackConfig
from infra.statements import Statement, allow
from infra.stream_size import kept_properties, size_outputs
from infra.streaming_choice import StreamingChoice, destination_name
from infra.table_config import TableConfig
from replicator.stream import MAX_RECORD_KIB, READING_ACTIONS


class Buffer(pulumi.ComponentResource):
    """The stream that buffers a table's changes, and what leads them there."""

    stream_arn: pulumi.Output[str]
    stream_name: pulumi.Output[str]
    key_arn: pulumi.Output[str]
    """The key that encrypts what enters the stream."""
    made_stream_keys: list[pulumi.Output[str]]
    """The key that the stack made for this stream, if it did."""
    outputs: dict[str, pulumi.Input[Any]]
    """Of this table's entry in the stack's outputs."""
    ready: list[pulumi.Resource]
    """Resources that have to exist before a mapping may read."""

    def __init__(self, table: TableConfig, accounts: Accounts) -> None:
        self._prefix = f"{table.prefix}-buffer"
        super().__init__(
            "replication:index:Buffer",
            self._prefix,
            None,
            pulumi.ResourceOptions(providers=[accounts.source]),
        )

    def _lead(
        self,
        table: TableConfig,
        settings: StackConfig,
        before: Mapping[str, Any],
        streams: StreamingChoice,
    ) -> None:
        """Declare the table's destination, unless it is no part of the stack any more."""
        if streams is StreamingChoice.ENDED:
            return
        kept = (
            last_table(table, before).get("streamArn") if streams is StreamingChoice.KEPT else None
        )
        # If a refresh finds it gone, the engine ends here, instead of making another.
        never_made = pulumi.ResourceOptions(import_=f"{table.source},{kept}" if kept else None)
        durable = pulumi.ResourceOptions(parent=self, protect=settings.protects(table))
        self.ready.append(
            aws.dynamodb.KinesisStreamingDestination(
                destination_name(table),
                table_name=table.source,
                stream_arn=self.stream_arn,
                # Milliseconds would leave many changes of a hot key with one timestamp.
                approximate_creation_date_time_precision="MICROSECOND",
                # Every input replaces it, a table has only one, and changes made while there is
                # none are lost: never delete_before_replace here, and protected, so that replacing
                # it is a deliberate act.
                opts=pulumi.ResourceOptions.merge(durable, never_made),
            )
        )


class OwnBuffer(Buffer):
    """Key, stream, stream policy and streaming destination.

    The stream keeps USER_PARTITION_KEY, which is Kinesis's default and the only value under which a
    partition key or an explicit hash key decides the shard (probes rely on it). The provider has no
    argument for it (pulumi-aws 7.51), so it is not set here; the operator's tool checks it.
    """

    def __init__(
        self,
        table: TableConfig,
        settings: StackConfig,
        accounts: Accounts,
        *,
        reader: pulumi.Output[str],
        before: Mapping[str, Any],
        streams: StreamingChoice,
        keeps_made_key: bool,
        key_grants: Sequence[pulumi.Resource],
    ) -> None:
        """`before`: the stack's outputs after the last `pulumi up`.

        `keeps_made_key`: the state holds the key that the stack made for this stream.
        `key_grants`: of the roles to use a given one.
        """
        super().__init__(table, accounts)
        protect = settings.protects(table)
        durable = pulumi.ResourceOptions(parent=self, protect=protect)
        self.made_stream_keys = []
        # Beside a key of the configuration, too: records that it encrypted are in the stream until
        # their retention is over, and without it they are lost.
        if keeps_made_key or not table.stream_key:
            self.made_stream_keys = [self._key(table, settings, reader, durable)]
        self.key_arn = (
            pulumi.Output.from_input(table.stream_key)
            if table.stream_key
            else self.made_stream_keys[0]
        )
        stream = aws.kinesis.Stream(
            f"{self._prefix}-stream",
            stream_mode_details={"stream_mode": table.stream_mode},
            shard_count=table.shards,
            retention_period=settings.retention_hours,
            max_record_size_in_kib=MAX_RECORD_KIB,
            encryption_type="KMS",
            kms_key_id=self.key_arn,
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=protect,
                # AWS warms an on-demand stream by itself; each preview would show a difference.
                ignore_changes=["warmThroughputMibPs", *kept_properties(table, before)],
                depends_on=[*key_grants],
            ),
        )
        self.stream_arn, self.stream_name = stream.arn, stream.name
        self.outputs = size_outputs(table, stream.id)
        sharing = aws.kinesis.ResourcePolicy(
            f"{self._prefix}-sharing",
            resource_arn=stream.arn,
            policy=document(
                allow("ConsumerReads", READING_ACTIONS, [stream.arn], principal=reader)
            ),
            # Never before the stream: a stream that could not be deleted stays readable.
            opts=pulumi.ResourceOptions(parent=self, deleted_with=stream),
        )
        self.ready = [sharing]
        self._lead(table, settings, before, streams)
        self.register_outputs({"streamArn": self.stream_arn})

    def _key(
        self,
        table: TableConfig,
        settings: StackConfig,
        reader: pulumi.Output[str],
        durable: pulumi.ResourceOptions,
    ) -> pulumi.Output[str]:
        # The AWS-managed key cannot be used from another account.
        return aws.kms.Key(
            key_name(table),
            description=f"Change records of {table.source}",
            enable_key_rotation=True,
            deletion_window_in_days=30,
            policy=key_policy(settings.source, reader),
            opts=durable,
        ).arn


class AdoptedBuffer(Buffer):
    """An adopted stream, and its streaming destination where the stack makes it.

    The stack makes no key, no stream and no policy: `PutResourcePolicy` replaces a stream's policy
    as a whole, with the statements of its other readers. `plan` prints the statement to add.
    """

    def __init__(
        self,
        table: TableConfig,
        settings: StackConfig,
        accounts: Accounts,
        *,
        before: Mapping[str, Any],
        streams: StreamingChoice,
    ) -> None:
        """`before`: the stack's outputs after the last `pulumi up`."""
        super().__init__(table, accounts)
        assert table.stream is not None
        assert table.stream_key is not None
        self.stream_arn = pulumi.Output.from_input(table.stream)
        self.stream_name = pulumi.Output.from_input(table.stream.rpartition("/")[2])
        self.key_arn = pulumi.Output.from_input(table.stream_key)
        self.made_stream_keys = []
        self.outputs = {"adoptsStream": True, "ownsDestination": table.owns_destination}
        _, *earlier = given_stream_keys(table, before)
        if earlier:
            self.outputs["earlierStreamKeyArns"] = pulumi.Output.all(*earlier)
        self.ready = []
        if table.owns_destination:
            self._lead(table, settings, before, streams)
        self.register_outputs({"streamArn": self.stream_arn})


def given_stream_keys(table: TableConfig, before: Mapping[str, Any]) -> list[Text]:
    """Return the keys that are not the stack's and encrypted what the stream holds, the last first.

    `before`: the stack's outputs after the last `pulumi up`.
    """
    if table.stream_key is None:
        return []
    earlier = earlier_keys(table, before) if table.stream is not None else []
    # The configuration does not have them any more, and so cannot say that they are secret.
    kept = pulumi.Output.secret if holds_secret("tables") else pulumi.Output.from_input
    return [table.stream_key, *map(kept, earlier)]


def adopted_stream(table: TableConfig) -> dict[str, str]:
    """Return the variable that tells a function that other tables' records are to be expected."""
    return {"ADOPTED_STREAM": "true"} if table.stream is not None else {}


def key_name(table: TableConfig) -> str:
    """Return the name of the stream's key in the program."""
    return f"{table.prefix}-buffer-key"


def key_policy(source: AccountConfig, reader: Text) -> pulumi.Output[str]:
    """Return the policy of the stream's key.

    DynamoDB writes through its service-linked role, which does not exist before the first
    destination of an account, so the policy cannot name it. Its own managed policy
    (DynamoDBKinesisReplicationServiceRolePolicy) has kms:GenerateDataKey through Kinesis; the
    account root permits that, and the exporter's probes, and no more.
    """
    return document(
        allow("AccountAdministers", KEY_ADMINISTRATION, ["*"], principal=source.root_arn),
        writes_through_kinesis(source),
        allow("ConsumerReads", ["kms:Decrypt"], ["*"], principal=reader),
    )


def writes_through_kinesis(source: AccountConfig) -> Statement:
    """Return the statement of a key's policy by which an account's principals write a stream."""
    return allow(
        "AccountWritesThroughKinesis",
        ["kms:GenerateDataKey"],
        ["*"],
        principal=source.root_arn,
        when={
            "StringEquals": {
                "kms:ViaService": endpoint("kinesis", source.region),
                "kms:CallerAccount": source.account_id,
            }
        },
    )
