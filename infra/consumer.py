"""Target account: the function that applies the changes of one table, its ledger, and where
failures are kept.
"""

from __future__ import annotations

from typing import Any

import pulumi
import pulumi_aws as aws

from infra.accounts import Accounts
from infra.buckets import Expiry, PrivateBucket
from infra.buffer import READING_ACTIONS, Buffer
from infra.config import Settings, Table
from infra.package import Archive
from infra.policies import allow, assumed_by_service, document

TIMEOUT_SECONDS = 120
LOG_RETENTION_DAYS = 90
RESOLVED_DAYS = 90


class ConsumerRole(pulumi.ComponentResource):
    """The function's role, without any grant yet.

    It comes before everything else: the source account's policies name it, and AWS refuses to store
    a policy that names a role which does not exist.
    """

    arn: pulumi.Output[str]
    name: pulumi.Output[str]

    def __init__(self, table: Table, accounts: Accounts) -> None:
        name = f"{table.slug}-consumer-role"
        super().__init__("replication:index:ConsumerRole", name)
        role = aws.iam.Role(
            name,
            description=f"Applies the changes of {table.source} to {table.target}",
            assume_role_policy=assumed_by_service("lambda.amazonaws.com"),
            opts=pulumi.ResourceOptions(parent=self, provider=accounts.target),
        )
        self.arn, self.name = role.arn, role.name
        self.register_outputs({"arn": self.arn})


class Ledger(pulumi.ComponentResource):
    """What has been applied: one entry per key, and the consumer's settings row."""

    arn: pulumi.Output[str]
    name: pulumi.Output[str]

    def __init__(self, table: Table, settings: Settings, accounts: Accounts) -> None:
        name = f"{table.slug}-ledger"
        super().__init__("replication:index:Ledger", name)
        ledger = aws.dynamodb.Table(
            name,
            region=settings.target.region,
            billing_mode="PAY_PER_REQUEST",
            hash_key="k",
            attributes=[{"name": "k", "type": "B"}],
            ttl={"attribute_name": "x", "enabled": True},
            point_in_time_recovery={"enabled": True},
            deletion_protection_enabled=settings.protect,
            opts=pulumi.ResourceOptions(
                parent=self,
                provider=accounts.target,
                protect=settings.protect,
                # Both belong to the operator's tool: a paused table must not lose ledger entries
                # while changes wait for it, and warm throughput, once raised, cannot be lowered.
                ignore_changes=["ttl", "warmThroughput"],
            ),
        )
        self.arn, self.name = ledger.arn, ledger.name
        self.register_outputs({"name": self.name})


class Consumer(pulumi.ComponentResource):
    """Function, mapping, log group and both buckets for what cannot be applied.

    The function and what Lambda itself needs (mapping, log group, on-failure bucket) stand in the
    source's Region, because a Kinesis mapping cannot cross Regions; the quarantine stands with the
    target.
    """

    outputs: dict[str, pulumi.Input[Any]]
    """This table's entry in the stack's outputs."""
    mapping_arn: pulumi.Output[str]
    quarantine: PrivateBucket

    def __init__(
        self,
        table: Table,
        settings: Settings,
        accounts: Accounts,
        *,
        role: ConsumerRole,
        buffer: Buffer,
        ledger: Ledger,
        archive: Archive,
    ) -> None:
        name = f"{table.slug}-consumer"
        super().__init__(
            "replication:index:Consumer",
            name,
            None,
            pulumi.ResourceOptions(providers=[accounts.target]),
        )
        here, target = settings.source.region, settings.target
        child = pulumi.ResourceOptions(parent=self)
        self.quarantine = PrivateBucket(
            f"{table.slug}-quarantine",
            region=target.region,
            protect=settings.protect,
            # What is open stays until somebody resolves it.
            expiry=Expiry(prefix="resolved/", days=RESOLVED_DAYS),
            opts=child,
        )
        failures = PrivateBucket(
            f"{table.slug}-on-failure", region=here, protect=settings.protect, opts=child
        )
        logs = aws.cloudwatch.LogGroup(
            f"{name}-logs", region=here, retention_in_days=LOG_RETENTION_DAYS, opts=child
        )
        grants = aws.iam.RolePolicy(
            f"{name}-grants",
            role=role.name,
            policy=document(
                allow("ReadStream", READING_ACTIONS, [buffer.stream_arn]),
                allow("DecryptStream", ["kms:Decrypt"], [buffer.key_arn]),
                # What TransactWriteItems is authorised by: there is no action of that name.
                allow(
                    "WriteTarget",
                    ["dynamodb:PutItem", "dynamodb:DeleteItem"],
                    [target.table_arn(table.target)],
                ),
                allow(
                    "KeepLedger",
                    ["dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:PutItem"],
                    [ledger.arn],
                ),
                allow(
                    "Quarantine",
                    ["s3:PutObject"],
                    [pulumi.Output.concat(self.quarantine.arn, "/open/*")],
                ),
                # The two actions of Lambda's page "Retaining discarded batch records".
                allow("KeepOversizedEvents", ["s3:ListBucket"], [failures.arn]),
                allow(
                    "KeepOversizedEventObjects",
                    ["s3:PutObject"],
                    [pulumi.Output.concat(failures.arn, "/*")],
                ),
                allow(
                    "Log",
                    ["logs:CreateLogStream", "logs:PutLogEvents"],
                    [pulumi.Output.concat(logs.arn, ":*")],
                ),
            ),
            opts=child,
        )
        function = aws.lambda_.Function(
            f"{name}",
            region=here,
            description=f"Applies the changes of {table.source} to {table.target}",
            role=role.arn,
            runtime=aws.lambda_.Runtime.PYTHON3D13,
            architectures=["arm64"],
            handler="replicator.handler.handler",
            code=pulumi.FileArchive(str(archive.folder)),
            timeout=TIMEOUT_SECONDS,
            memory_size=table.memory,
            reserved_concurrent_executions=table.reserved_concurrency,
            environment={
                "variables": {
                    "STACK": pulumi.get_stack(),
                    "SOURCE_TABLE": table.source,
                    "TARGET_TABLE": table.target,
                    "TARGET_REGION": target.region,
                    "LEDGER_TABLE": ledger.name,
                    "QUARANTINE_BUCKET": self.quarantine.name,
                    "ORDERING": table.ordering,
                    "LEDGER_RETENTION_DAYS": str(table.ledger_retention_days),
                }
            },
            logging_config={"log_format": "JSON", "log_group": logs.name},
            opts=pulumi.ResourceOptions(parent=self, depends_on=[grants]),
        )
        mapping = aws.lambda_.EventSourceMapping(
            f"{name}-mapping",
            region=here,
            event_source_arn=buffer.stream_arn,
            function_name=function.arn,
            # Born disabled, and from the oldest record: the operator's tool enables it after the
            # import, and what the stream has buffered since before the export is replayed over the
            # snapshot.
            enabled=False,
            starting_position="TRIM_HORIZON",
            batch_size=table.batch_size,
            maximum_batching_window_in_seconds=table.batch_window,
            parallelization_factor=table.parallelization_factor,
            bisect_batch_on_function_error=True,
            # For ever: any other value gives a record up after seven days or sooner.
            maximum_retry_attempts=-1,
            maximum_record_age_in_seconds=-1,
            function_response_types=["ReportBatchItemFailures"],
            # S3, because it alone gets the records themselves; a queue gets their positions.
            destination_config={"on_failure": {"destination_arn": failures.arn}},
            opts=pulumi.ResourceOptions(
                parent=self,
                # On and off belong to the operator's tool, for as long as the mapping lives.
                ignore_changes=["enabled"],
                # There can be only one mapping of a stream to a function.
                delete_before_replace=True,
                protect=settings.protect,
                depends_on=[grants, *buffer.ready, *failures.ready],
            ),
        )
        self.mapping_arn = mapping.arn
        self.outputs = {
            "sourceTable": table.source,
            "sourceTableArn": settings.source.table_arn(table.source),
            "targetTable": table.target,
            "ordering": table.ordering,
            "streamName": buffer.stream_name,
            "streamArn": buffer.stream_arn,
            "consumerRegion": here,
            "functionName": function.name,
            "functionArn": function.arn,
            "logGroup": logs.name,
            "mappingUuid": mapping.uuid,
            "parallelizationFactor": table.parallelization_factor,
            "ledgerTable": ledger.name,
            "ledgerRetentionDays": table.ledger_retention_days,
            "quarantineBucket": self.quarantine.name,
            "onFailureBucket": failures.name,
            "snapshotPrefix": table.slug,
        }
        self.register_outputs({"mappingUuid": mapping.uuid})
