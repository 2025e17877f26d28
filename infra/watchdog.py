"""The scheduled function that looks for lost changes, and its role in the source account."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from infra import function_key_grants
from infra.accounts import Accounts
from infra.buffer import Buffer, adopted_stream
from infra.consumer import ConsumerFunction
from infra.function_key_grants import declare_function_key_grants
from infra.ledger import LedgerTable
from infra.network import network_rights, vpc_of_functions
from infra.package import Archive
from infra.place_keys import PlaceKeys
from infra.policies import assumed_by_service, document
from infra.resource_names import (
    FUNCTION_DESCRIPTION_LIMIT,
    RULE_NAME_LIMIT,
    TARGET_ID_LIMIT,
    fitting,
    shortened,
)
from infra.role_policies import declare_policy
from infra.roles import declare_role
from infra.shared_actions import STREAM_KEY_ACTIONS
from infra.stack_config import StackConfig
from infra.statements import Statement, allow, allow_keys
from infra.table_buffer import TABLE_STREAM_HOURS, buffer_variable
from infra.table_config import TableConfig
from infra.table_stream_grants import SEE_MAPPING, mappings_of
from replicator.stream import MAX_RECORD_KIB

INTERVAL_MINUTES = 5
TIMEOUT_SECONDS = 240
"""Under the interval, so that no two rounds overlap."""
MEMORY_MIB = 512

OBSERVED_TABLE_ACTIONS = (
    # A table's resource policy cannot allow the first to another account ("Resource-based policy
    # supported API operations", Amazon DynamoDB Developer Guide): hence the observer.
    "dynamodb:DescribeKinesisStreamingDestination",
    "dynamodb:DescribeTable",
)
OWN_STREAM_TABLE_ACTIONS = ("dynamodb:DescribeTable",)
"""Where the table's own stream is the buffer: the description names the latest stream."""
SWITCHED_TABLE_ACTIONS = ("dynamodb:GetResourcePolicy",)
"""After a switch: whether the source's Deny is still there."""
OBSERVED_STREAM_ACTIONS = ("kinesis:DescribeStreamSummary", "kinesis:ListShards")
PROBE_ACTIONS = ("kinesis:PutRecords",)
WATCHDOG_LEDGER_ACTIONS = ("dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:PutItem")


class WatchdogFunction(pulumi.ComponentResource):
    """Observer role (source account); role, function, schedule and log (target account).

    Like the consumer, the function runs in the source's Region. The roles come first, with their
    rights to use keys: `declare_function` makes the rest.
    """

    function_name: pulumi.Output[str]
    log_group: pulumi.Output[str]
    role_arn: pulumi.Output[str]
    observer_arn: pulumi.Output[str]
    key_grants: list[pulumi.Resource]
    """What lets both roles use keys that are there before the function."""

    def __init__(
        self, table: TableConfig, settings: StackConfig, accounts: Accounts, keys: PlaceKeys
    ) -> None:
        self._name = f"{table.prefix}-watchdog"
        super().__init__(
            "replication:index:Watchdog",
            self._name,
            None,
            pulumi.ResourceOptions(providers=[accounts.target]),
        )
        self._table, self._settings, self._accounts = table, settings, accounts
        self._keys, self._here = keys, settings.source.region
        self._child = pulumi.ResourceOptions(parent=self)
        self._role = declare_role(
            f"{self._name}-role",
            "target",
            settings,
            accounts,
            description=f"Watches over the replication of {table.source}",
            trust=assumed_by_service("lambda.amazonaws.com"),
            parent=self,
        )
        self._observer = self._observer_role()
        self.role_arn, self.observer_arn = self._role.arn, self._observer.arn
        managed = settings.iam.managed_policies
        self.key_grants = [
            *declare_function_key_grants(
                self._name,
                self._role.name,
                function_key_grants.of_watchdog(table, settings, keys),
                self._child,
                managed=managed,
            ),
            *declare_function_key_grants(
                f"{table.prefix}-observer",
                self._observer.name,
                function_key_grants.of_observer(table),
                self._in_source,
                managed=managed,
            ),
        ]

    @property
    def _in_source(self) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(parent=self, provider=self._accounts.source)

    def declare_function(
        self,
        buffer: Buffer | None,
        ledger: LedgerTable,
        consumer: ConsumerFunction,
        archive: Archive,
    ) -> None:
        """Declare function, schedule and log, and what the roles may do.

        `buffer`: None where it is the table's own stream.
        """
        table, settings = self._table, self._settings
        role, observer, key = self._role, self._observer, self._keys.consumer
        self._grant_observer(buffer)
        logs = aws.cloudwatch.LogGroup(
            f"{self._name}-logs",
            region=self._here,
            retention_in_days=settings.log_retention_days,
            kms_key_id=key.arn if key else None,
            opts=self._child,
        )
        grants = self._grants(role, observer, ledger, consumer, logs)
        network = network_rights(f"{self._name}-network", settings, role.name, self._child)
        function = aws.lambda_.Function(
            self._name,
            region=self._here,
            description=shortened(
                f"Watches over the replication of {table.source}", FUNCTION_DESCRIPTION_LIMIT
            ),
            role=role.arn,
            runtime=aws.lambda_.Runtime.PYTHON3D13,
            architectures=[settings.architecture],
            handler="replicator.watchdog.handler",
            code=pulumi.FileArchive(str(archive.folder)),
            timeout=TIMEOUT_SECONDS,
            memory_size=MEMORY_MIB,
            environment={"variables": self._environment(observer, buffer, ledger, consumer)},
            logging_config={"log_format": "JSON", "log_group": logs.name},
            kms_key_arn=key.arn if key else None,
            vpc_config=vpc_of_functions(settings),
            opts=pulumi.ResourceOptions(
                parent=self, depends_on=[grants, *network, *self.key_grants]
            ),
        )
        self._schedule(function)
        self.function_name, self.log_group = function.name, logs.name
        self.register_outputs({"functionName": function.name})

    def _observer_role(self) -> aws.iam.Role:
        """Declare the role that describes, reads metrics and puts probes. It sees no item."""
        return declare_role(
            f"{self._table.prefix}-observer",
            "source",
            self._settings,
            self._accounts,
            description=f"What the watchdog of {self._table.source} may do in this account",
            trust=document(
                {
                    "Effect": "Allow",
                    "Action": ["sts:AssumeRole"],
                    "Principal": {"AWS": [self._role.arn]},
                }
            ),
            parent=self,
        )

    def _grant_observer(self, buffer: Buffer | None) -> None:
        source = self._settings.source.table_arn(self._table.source)
        switched = SWITCHED_TABLE_ACTIONS if self._settings.switch else ()
        declare_policy(
            f"{self._table.prefix}-observer-grants",
            self._observer.name,
            document(
                *self._sees_source(source, buffer, switched),
                allow("NoArn", ["cloudwatch:GetMetricStatistics"], ["*"]),
            ),
            pulumi.ResourceOptions.merge(
                self._in_source, pulumi.ResourceOptions(depends_on=self.key_grants)
            ),
            managed=self._settings.iam.managed_policies,
        )

    def _sees_source(
        self, source: str, buffer: Buffer | None, switched: Sequence[str]
    ) -> list[Statement]:
        if buffer is None:  # it puts no probe, and the table's description names its stream
            return [allow("SeeTable", [*OWN_STREAM_TABLE_ACTIONS, *switched], [source])]
        made = [] if self._table.stream_key else buffer.made_stream_keys
        return [
            allow("SeeTable", [*OBSERVED_TABLE_ACTIONS, *switched], [source]),
            allow("SeeStream", OBSERVED_STREAM_ACTIONS, [buffer.stream_arn]),
            allow("PutProbes", PROBE_ACTIONS, [buffer.stream_arn]),
            *allow_keys("EncryptProbes", STREAM_KEY_ACTIONS, made),
        ]

    def _sees_mapping(self, consumer: ConsumerFunction) -> Statement:
        if consumer.mapping_arn is not None:
            return allow("SeeMapping", [SEE_MAPPING], [consumer.mapping_arn])
        # The operator's tool makes it: the settings row says which it is.
        return allow("SeeMapping", [SEE_MAPPING], [mappings_of(self._settings.operator_scope)])

    def _grants(
        self,
        role: aws.iam.Role,
        observer: aws.iam.Role,
        ledger: LedgerTable,
        consumer: ConsumerFunction,
        logs: aws.cloudwatch.LogGroup,
    ) -> pulumi.Resource:
        target = self._settings.target.table_arn(self._table.target)
        return declare_policy(
            f"{self._name}-grants",
            role.name,
            document(
                allow("Observe", ["sts:AssumeRole"], [observer.arn]),
                self._sees_mapping(consumer),
                allow("NoArn", ["cloudwatch:GetMetricStatistics"], ["*"]),
                allow(
                    "SeeFunction",
                    ["lambda:GetFunctionConfiguration"],
                    [consumer.function_arn],
                ),
                allow("SeeTarget", ["dynamodb:DescribeTable"], [target]),
                allow("KeepItsBook", WATCHDOG_LEDGER_ACTIONS, [ledger.arn]),
                allow(
                    "CountKept",
                    ["s3:ListBucket"],
                    [consumer.quarantine.arn, consumer.failures.arn],
                ),
                allow(
                    "Log",
                    ["logs:CreateLogStream", "logs:PutLogEvents"],
                    [pulumi.Output.concat(logs.arn, ":*")],
                ),
            ),
            pulumi.ResourceOptions.merge(
                self._child, pulumi.ResourceOptions(depends_on=self.key_grants)
            ),
            managed=self._settings.iam.managed_policies,
        )

    def _environment(
        self,
        observer: aws.iam.Role,
        buffer: Buffer | None,
        ledger: LedgerTable,
        consumer: ConsumerFunction,
    ) -> dict[str, pulumi.Input[str]]:
        table, settings = self._table, self._settings
        return {
            "STACK": pulumi.get_stack(),
            "SOURCE_TABLE": table.source,
            "SOURCE_ACCOUNT": settings.source.account_id,
            "SOURCE_REGION": settings.source.region,
            "TARGET_TABLE": table.target,
            "TARGET_REGION": settings.target.region,
            "LEDGER_TABLE": ledger.name,
            "QUARANTINE_BUCKET": consumer.quarantine.name,
            "ON_FAILURE_BUCKET": consumer.failures.name,
            "CONSUMER_FUNCTION": consumer.outputs["functionName"],
            "OBSERVER_ROLE_ARN": observer.arn,
            **self._buffer_variables(buffer, consumer),
        }

    def _buffer_variables(
        self, buffer: Buffer | None, consumer: ConsumerFunction
    ) -> dict[str, pulumi.Input[str]]:
        table, settings = self._table, self._settings
        if buffer is None:
            return {**buffer_variable(table), "RETENTION_HOURS": str(TABLE_STREAM_HOURS)}
        return {
            "STREAM_NAME": buffer.stream_name,
            "STREAM_ARN": buffer.stream_arn,
            "MAPPING_UUID": consumer.outputs["mappingUuid"],
            "PARALLELIZATION_FACTOR": str(table.parallelization_factor),
            "RETENTION_HOURS": str(settings.retention_hours),
            "MAX_RECORD_KIB": str(MAX_RECORD_KIB),
            **adopted_stream(table),
        }

    def _schedule(self, function: aws.lambda_.Function) -> None:
        rule = aws.cloudwatch.EventRule(
            fitting(f"{self._name}-schedule", f"{self._table.prefix}-schedule", RULE_NAME_LIMIT),
            region=self._here,
            description=f"Lets the watchdog of {self._table.source} look",
            schedule_expression=f"rate({INTERVAL_MINUTES} minutes)",
            # Without it `up --refresh` leaves a rule off that was switched off by hand: the AWS
            # provider compares the state only where the program sets one.
            state="ENABLED",
            opts=self._child,
        )
        permission = aws.lambda_.Permission(
            f"{self._name}-wake",
            region=self._here,
            action="lambda:InvokeFunction",
            function=function.name,
            principal="events.amazonaws.com",
            # Amazon EventBridge User Guide, "Using resource-based policies": this very condition.
            source_arn=rule.arn,
            opts=self._child,
        )
        aws.cloudwatch.EventTarget(
            fitting(f"{self._name}-target", f"{self._table.prefix}-target", TARGET_ID_LIMIT),
            region=self._here,
            rule=rule.name,
            arn=function.arn,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[permission]),
        )
