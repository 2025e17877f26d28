"""Target account: the function that applies one table's changes, and the buckets of failures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pulumi
import pulumi_aws as aws

from infra import function_key_grants
from infra.accounts import Accounts
from infra.buckets import ObjectExpiry, PrivateBucket
from infra.buffer import Buffer, adopted_stream
from infra.function_key_grants import declare_function_key_grants
from infra.ledger import LedgerTable
from infra.network import network_rights, vpc_of_functions
from infra.package import Archive
from infra.place_keys import PlaceKeys
from infra.policies import Text, assumed_by_service, document
from infra.resource_names import FUNCTION_DESCRIPTION_LIMIT, shortened
from infra.role_policies import declare_policy
from infra.roles import declare_role
from infra.shared_actions import GUARD_ACTIONS, TABLE_STREAM_READING_ACTIONS
from infra.stack_config import StackConfig
from infra.statements import Statement, allow, allow_keys
from infra.table_buffer import TABLE_STREAM_HOURS, buffer_variable
from infra.table_config import TRIM_HORIZON, TableConfig
from infra.table_stream_grants import LIST_ACTION, streams_of
from replicator import names
from replicator.stream import MAX_RECORD_KIB, READING_ACTIONS

TIMEOUT_SECONDS = 120
RESOLVED_DAYS = 90
"""How long a quarantined record is kept after it was redriven or discarded."""

CONSUMER_LEDGER_ACTIONS = (
    "dynamodb:BatchGetItem",
    "dynamodb:GetItem",
    "dynamodb:PutItem",
    # Many containers add to one set: the index of the shards.
    "dynamodb:UpdateItem",
)


class ConsumerRole(pulumi.ComponentResource):
    """The function's role, without any grant yet.

    It comes before everything else: the source account's policies name it, and AWS refuses to store
    a policy that names a role which does not exist.
    """

    arn: pulumi.Output[str]
    name: pulumi.Output[str]

    key_grants: list[pulumi.Resource]
    """What lets it use keys that are there before it."""

    def __init__(
        self,
        table: TableConfig,
        settings: StackConfig,
        accounts: Accounts,
        *,
        keys: PlaceKeys,
        stream_keys: Sequence[Text],
    ) -> None:
        """`stream_keys`: of its stream, but for one that the stack makes."""
        name = f"{table.prefix}-consumer-role"
        super().__init__("replication:index:ConsumerRole", name)
        role = declare_role(
            name,
            "target",
            settings,
            accounts,
            description=f"Applies the changes of {table.source} to {table.target}",
            trust=assumed_by_service("lambda.amazonaws.com"),
            parent=self,
        )
        self.arn, self.name = role.arn, role.name
        self.key_grants = declare_function_key_grants(
            f"{table.prefix}-consumer",
            role.name,
            function_key_grants.of_consumer(table, settings, keys, stream_keys),
            pulumi.ResourceOptions(parent=self, provider=accounts.target),
            managed=settings.iam.managed_policies,
        )
        self.register_outputs({"arn": self.arn})


class ConsumerFunction(pulumi.ComponentResource):
    """Function, mapping, log group and both buckets for what cannot be applied.

    The function and the resources that Lambda itself needs (mapping, log group, on-failure bucket)
    are in the source's Region, because a mapping cannot cross Regions. The quarantine is in the
    target's. Where the table's own stream is the buffer, the operator's tool makes the mapping.
    """

    outputs: dict[str, pulumi.Input[Any]]
    """This table's entry in the stack's outputs."""
    mapping_arn: pulumi.Output[str] | None
    """None where the table's own stream is the buffer."""
    function_arn: pulumi.Output[str]
    quarantine: PrivateBucket
    failures: PrivateBucket
    """Whole events that Lambda discarded."""

    def __init__(
        self,
        table: TableConfig,
        settings: StackConfig,
        accounts: Accounts,
        *,
        role: ConsumerRole,
        buffer: Buffer | None,
        ledger: LedgerTable,
        archive: Archive,
        keys: PlaceKeys,
        key_grants: Sequence[pulumi.Resource],
    ) -> None:
        """`buffer`: None where it is the table's own stream.

        `key_grants`: of the roles to use the keys of the places.
        """
        self._name = f"{table.prefix}-consumer"
        super().__init__(
            "replication:index:Consumer",
            self._name,
            None,
            pulumi.ResourceOptions(providers=[accounts.target]),
        )
        self._table, self._settings, self._here = table, settings, settings.source.region
        self._keys, self._key_grants = keys, key_grants
        self._child = pulumi.ResourceOptions(parent=self)
        self.quarantine = PrivateBucket(
            f"{table.prefix}-quarantine",
            region=settings.target.region,
            protect=settings.protects(table),
            rules=settings.buckets.rules("target"),
            # Open records stay until an operator resolves them.
            expiry=ObjectExpiry(prefix="resolved/", days=RESOLVED_DAYS),
            key=keys.target,
            key_grants=key_grants if keys.target else (),
            opts=self._child,
        )
        self.failures = failures = PrivateBucket(
            f"{table.prefix}-on-failure",
            region=self._here,
            protect=settings.protects(table),
            rules=settings.buckets.rules("consumer"),
            key=keys.consumer,
            key_grants=key_grants if keys.consumer else (),
            opts=self._child,
        )
        logs = aws.cloudwatch.LogGroup(
            f"{self._name}-logs",
            region=self._here,
            retention_in_days=settings.log_retention_days,
            kms_key_id=keys.consumer.arn if keys.consumer else None,
            opts=self._child,
        )
        grants = self._grants(role, buffer, ledger, failures, logs)
        network = network_rights(f"{self._name}-network", settings, role.name, self._child)
        function = self._function(role, archive, ledger, logs, [grants, *network, *key_grants])
        self.function_arn, self.mapping_arn = function.arn, None
        limits = settings.alarms.thresholds
        self.outputs = {
            "sourceTable": table.source,
            "sourceTableArn": settings.source.table_arn(table.source),
            "targetTable": table.target,
            "ordering": table.ordering,
            "consumerRegion": self._here,
            "functionName": function.name,
            "functionArn": function.arn,
            "metricDimensions": names.dimensions(
                pulumi.get_stack(), table.source, settings.source.account_id, function.name
            ),
            "consumerRoleArn": role.arn,
            "logGroup": logs.name,
            "parallelizationFactor": table.parallelization_factor,
            "ledgerTable": ledger.name,
            "ledgerRetentionDays": table.ledger_retention_days,
            "quarantineBucket": self.quarantine.name,
            "onFailureBucket": failures.name,
            "snapshotPrefix": table.slug,
            "alarmLimits": {
                "retentionUsedPercent": limits.retention_used_percent,
                "probeAgeMinutes": limits.probe_age_minutes,
                "unreplicatedWarningHours": limits.unreplicated_warning_hours,
            },
        }
        if buffer is None:
            self.outputs |= self._outputs_of_table_stream()
        else:
            mapping = self._mapping(buffer, failures, function, [grants, *buffer.ready])
            self.mapping_arn = mapping.arn
            self.outputs |= {
                "streamName": buffer.stream_name,
                "streamArn": buffer.stream_arn,
                "mappingUuid": mapping.uuid,
                **buffer.outputs,
                "retentionHours": settings.retention_hours,
                "maxRecordKib": MAX_RECORD_KIB,
            }
        if table.reserved_concurrency is not None:
            self.outputs["reservedConcurrency"] = table.reserved_concurrency
        if table.source_key:
            self.outputs["sourceKeyArn"] = table.source_key
        if table.stream_key:
            self.outputs["streamKeyArn"] = table.stream_key
        registered = "functionName" if buffer is None else "mappingUuid"
        self.register_outputs({registered: self.outputs[registered]})

    def _outputs_of_table_stream(self) -> dict[str, pulumi.Input[Any]]:
        """Return what the operator's tool needs to make the mapping."""
        return {
            "buffer": self._table.buffer,
            "mappingSettings": {
                "batchSize": self._table.batch_size,
                "batchWindowSeconds": self._table.batch_window,
            },
            "retentionHours": TABLE_STREAM_HOURS,
        }

    def _grants(
        self,
        role: ConsumerRole,
        buffer: Buffer | None,
        ledger: LedgerTable,
        failures: PrivateBucket,
        logs: aws.cloudwatch.LogGroup,
    ) -> pulumi.Resource:
        """Declare everything that the function may do."""
        target = self._settings.target.table_arn(self._table.target)
        open_quarantine = pulumi.Output.concat(self.quarantine.arn, "/open/*")
        log_streams = pulumi.Output.concat(logs.arn, ":*")
        return declare_policy(
            f"{self._name}-grants",
            role.name,
            document(
                *self._reads(buffer),
                allow("WriteTarget", GUARD_ACTIONS, [target]),
                allow("KeepLedger", CONSUMER_LEDGER_ACTIONS, [ledger.arn]),
                allow("Quarantine", ["s3:PutObject"], [open_quarantine]),
                # Lambda puts discarded events into the on-failure bucket as this role: AWS Lambda
                # Developer Guide, "Configuring destinations for discarded batches", has both.
                allow("FindFailures", ["s3:ListBucket"], [failures.arn]),
                allow("KeepFailures", ["s3:PutObject"], [pulumi.Output.concat(failures.arn, "/*")]),
                allow("Log", ["logs:CreateLogStream", "logs:PutLogEvents"], [log_streams]),
            ),
            # A role that got rights to keys from here before has them from there first.
            pulumi.ResourceOptions.merge(
                self._child, pulumi.ResourceOptions(depends_on=role.key_grants)
            ),
            managed=self._settings.iam.managed_policies,
        )

    def _reads(self, buffer: Buffer | None) -> list[Statement]:
        if buffer is None:
            # Its name is the time at which the operator's tool switches it on.
            stream = streams_of(self._settings.source.table_arn(self._table.source))
            return [allow("ReadStream", [*TABLE_STREAM_READING_ACTIONS, LIST_ACTION], [stream])]
        return [
            allow("ReadStream", READING_ACTIONS, [buffer.stream_arn]),
            *allow_keys("DecryptStream", ["kms:Decrypt"], buffer.made_stream_keys),
        ]

    def _function(
        self,
        role: ConsumerRole,
        archive: Archive,
        ledger: LedgerTable,
        logs: aws.cloudwatch.LogGroup,
        rights: list[pulumi.Resource],
    ) -> aws.lambda_.Function:
        table = self._table
        return aws.lambda_.Function(
            self._name,
            region=self._here,
            description=shortened(
                f"Applies the changes of {table.source} to {table.target}",
                FUNCTION_DESCRIPTION_LIMIT,
            ),
            role=role.arn,
            runtime=aws.lambda_.Runtime.PYTHON3D13,
            architectures=[self._settings.architecture],
            handler="replicator.handler.handler",
            code=pulumi.FileArchive(str(archive.folder)),
            timeout=TIMEOUT_SECONDS,
            memory_size=table.memory,
            reserved_concurrent_executions=table.reserved_concurrency,
            environment={
                "variables": {
                    "STACK": pulumi.get_stack(),
                    "SOURCE_TABLE": table.source,
                    "SOURCE_ACCOUNT": self._settings.source.account_id,
                    "TARGET_TABLE": table.target,
                    "TARGET_REGION": self._settings.target.region,
                    "LEDGER_TABLE": ledger.name,
                    "LEDGER_RETENTION_DAYS": str(table.ledger_retention_days),
                    "QUARANTINE_BUCKET": self.quarantine.name,
                    "QUARANTINE_BURST": str(table.quarantine_burst),
                    "ORDERING": table.ordering,
                    **self._quarantine_key(),
                    **adopted_stream(table),
                    **buffer_variable(table),
                }
            },
            logging_config={"log_format": "JSON", "log_group": logs.name},
            kms_key_arn=self._keys.consumer.arn if self._keys.consumer else None,
            vpc_config=vpc_of_functions(self._settings),
            opts=pulumi.ResourceOptions(parent=self, depends_on=rights),
        )

    def _quarantine_key(self) -> dict[str, Text]:
        key = self._keys.target
        return {"QUARANTINE_KEY": key.arn} if key else {}

    def _mapping(
        self,
        buffer: Buffer,
        failures: PrivateBucket,
        function: aws.lambda_.Function,
        needed: list[pulumi.Resource],
    ) -> aws.lambda_.EventSourceMapping:
        table = self._table
        return aws.lambda_.EventSourceMapping(
            f"{self._name}-mapping",
            region=self._here,
            event_source_arn=buffer.stream_arn,
            function_name=function.arn,
            # Born disabled, and from the oldest record: the operator's tool enables it after the
            # import, and what was buffered since before the export is replayed over the snapshot.
            # Enabled earlier, it would write into a table that does not exist yet.
            enabled=False,
            starting_position=(TRIM_HORIZON if table.start_at == TRIM_HORIZON else "AT_TIMESTAMP"),
            starting_position_timestamp=(
                None if table.start_at == TRIM_HORIZON else table.start_at
            ),
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
                # On and off belong to the operator's tool for as long as the mapping lives.
                ignore_changes=["enabled"],
                # A stream and a function can have only one mapping with each other.
                delete_before_replace=True,
                protect=self._settings.protects(table),
                depends_on=[*needed, *failures.ready],
            ),
        )
