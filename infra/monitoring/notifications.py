"""The SNS topics, the alarms and the dashboard of a stack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.accounts import Accounts
from infra.alarm_config import ALARM_PLACES
from infra.consumer import TIMEOUT_SECONDS
from infra.monitoring import dashboard
from infra.monitoring.catalog import alarms
from infra.monitoring.definition import Alarm, AlarmInputs
from infra.place_keys import PlaceKey, PlaceKeys
from infra.policies import document
from infra.resource_names import dashboard_name
from infra.stack_config import StackConfig
from infra.table_stack import TableStack
from replicator import names


@dataclass(frozen=True)
class AlarmPlace:
    """An account and a Region that alarms are created in."""

    side: str
    region: str
    provider: aws.Provider


def places(settings: StackConfig, accounts: Accounts) -> dict[str, AlarmPlace]:
    """Return the place of each kind of alarm.

    Consumer and target are one place where source and target share their Region.
    """
    here, there = settings.source.region, settings.target.region
    return {
        "source": AlarmPlace("source", here, accounts.source),
        "consumer": AlarmPlace("target", here, accounts.target),
        "target": AlarmPlace("target", there, accounts.target),
    }


class Notifications(pulumi.ComponentResource):
    """A topic in each place, unless the configuration names topics of its own.

    They are encrypted with a KMS key where their place has one: CloudWatch cannot publish through
    the key that SNS owns. An alarm has names and numbers, never content of an item.
    """

    topics: Mapping[str, pulumi.Input[str]]
    """ARNs, by place."""
    made: frozenset[str]
    """The places whose topic is the stack's own."""
    _rules: dict[str, aws.sns.TopicPolicy]
    """The policies by which rules of EventBridge publish, by side."""

    def __init__(
        self, name: str, settings: StackConfig, accounts: Accounts, keys: PlaceKeys
    ) -> None:
        super().__init__("replication:index:Notifications", name)
        self._name, self._settings, self._rules = name, settings, {}
        given = settings.alarms.topics
        self._places = where = places(settings, accounts)
        made: dict[AlarmPlace, pulumi.Output[str]] = {}
        topics: dict[str, pulumi.Input[str]] = {}
        for place in ALARM_PLACES:
            if place in given:
                topics[place] = given[place]
                continue
            if where[place] not in made:
                made[where[place]] = self._topic(
                    f"{name}-{place}", where[place], settings, keys.by_place.get(place)
                )
            topics[place] = made[where[place]]
        self.topics, self.made = topics, frozenset(ALARM_PLACES) - given.keys()
        self.register_outputs({})

    def _topic(
        self, name: str, place: AlarmPlace, settings: StackConfig, key: PlaceKey | None
    ) -> pulumi.Output[str]:
        opts = pulumi.ResourceOptions(parent=self, provider=place.provider)
        # SNS's own default policy lets the account publish, and CloudWatch on its behalf. Where
        # rules publish, `let_rules_publish` replaces it by one that says the same, and more.
        topic = aws.sns.Topic(
            name,
            region=place.region,
            kms_master_key_id=key.arn if key else None,
            opts=opts,
        )
        for n, address in enumerate(settings.alarms.emails):
            aws.sns.TopicSubscription(
                f"{name}-email-{n}",
                region=place.region,
                topic=topic.arn,
                protocol="email",
                endpoint=address,
                opts=opts,
            )
        return topic.arn

    def let_rules_publish(self, side: str) -> Sequence[pulumi.Resource]:
        """Let rules of EventBridge publish to a side's topic, and the stack's alarms as before.

        A topic has one policy, so that all rules share it. It replaces SNS's default policy, by
        which the topic's whole account may publish. Returns what a rule's target depends on:
        nothing for a topic that the configuration names.
        """
        if side not in self.made:
            return []
        if side not in self._rules:
            place, arn = self._places[side], pulumi.Output.from_input(self.topics[side])
            self._rules[side] = aws.sns.TopicPolicy(
                f"{self._name}-{side}-rules",
                region=place.region,
                arn=arn,
                policy=_rules_policy(arn, self._settings.account(place.side).account_id),
                opts=pulumi.ResourceOptions(
                    parent=self, provider=place.provider, aliases=[_former(side)]
                ),
            )
        return [self._rules[side]]


def _former(side: str) -> pulumi.Alias:
    """Return the policy's place before rules of other kinds shared it.

    Made anew there, it would be deleted under its old name, and the topic left with none.
    """
    parent = pulumi.create_urn("replication-switch-use", "replication:index:RoleUse")
    return pulumi.Alias(name=f"replication-switch-use-{side}-topic", parent=parent)


def _rules_policy(topic: pulumi.Output[str], account: str) -> pulumi.Output[str]:
    def publish(sid: str, service: str) -> dict[str, Any]:
        return {
            "Sid": sid,
            "Effect": "Allow",
            "Principal": {"Service": service},
            "Action": ["sns:Publish"],
            "Resource": [topic],
        }

    return document(
        {
            **publish("AlarmsPublish", "cloudwatch.amazonaws.com"),
            "Condition": {"StringEquals": {"aws:SourceAccount": account}},
        },
        # Without a condition on the rule: AWS documents none for a topic, and one that EventBridge
        # does not fill would lose every message.
        publish("RulesPublish", "events.amazonaws.com"),
    )


class TableAlarms(pulumi.ComponentResource):
    """All alarms of one table, each where its metric is."""

    inputs: AlarmInputs
    shown: list[pulumi.Output[str]]
    """ARNs of the alarms that the dashboard shows: those of its own account and Region."""
    elsewhere: dict[str, list[str]]
    """Names of the others, by their place."""

    def __init__(
        self,
        stack: TableStack,
        settings: StackConfig,
        accounts: Accounts,
        topics: Mapping[str, pulumi.Input[str]],
    ) -> None:
        table = stack.table
        # After the functions: where an `up` gives the metrics other dimensions, an alarm moves to
        # them once they are emitted. Before, it would wait for data that does not come yet.
        self._emitters = [stack.consumer, stack.watchdog]
        name = f"{table.prefix}-alarm"
        super().__init__("replication:index:Alarms", name)
        self.inputs = AlarmInputs(
            stack=pulumi.get_stack(),
            source_account=settings.source.account_id,
            source_table=table.source,
            target_table=table.target,
            ledger_retention_days=table.ledger_retention_days,
            timeout_seconds=TIMEOUT_SECONDS,
            stream=stack.buffer.stream_name if stack.buffer else "",
            buffer=table.buffer,
            function=stack.consumer.outputs["functionName"],
            ledger=stack.ledger.name,
        )
        self.shown, self.elsewhere = [], {}
        where = places(settings, accounts)
        for alarm in alarms(self.inputs, settings.alarms.thresholds):
            made = self._alarm(f"{name}-{alarm.name}", alarm, where[alarm.place], topics)
            there = where[alarm.place]
            if there == where["consumer"]:
                self.shown.append(made.arn)
            else:
                account = getattr(settings, there.side).account_id
                place = f"{there.side} account {account}, {there.region}"
                self.elsewhere.setdefault(place, []).append(alarm.name)
        self.register_outputs({})

    def _alarm(
        self, name: str, alarm: Alarm, place: AlarmPlace, topics: Mapping[str, pulumi.Input[str]]
    ) -> aws.cloudwatch.MetricAlarm:
        percentile = alarm.statistic.startswith("p")
        return aws.cloudwatch.MetricAlarm(
            name,
            region=place.region,
            alarm_description=alarm.description,
            namespace=alarm.namespace,
            metric_name=alarm.metric,
            dimensions=dict(alarm.dimensions),  # type: ignore[arg-type]  # names may be Outputs
            statistic=None if percentile else alarm.statistic,
            extended_statistic=alarm.statistic if percentile else None,
            comparison_operator=alarm.comparison,
            threshold=alarm.threshold,
            period=alarm.period,
            evaluation_periods=alarm.periods,
            datapoints_to_alarm=alarm.datapoints,
            treat_missing_data=alarm.missing,
            alarm_actions=[topics[alarm.place]],
            ok_actions=[topics[alarm.place]],
            opts=pulumi.ResourceOptions(
                parent=self,
                provider=place.provider,
                depends_on=self._emitters if alarm.namespace == names.NAMESPACE else [],
            ),
        )


def declare_dashboard(
    name: str,
    settings: StackConfig,
    accounts: Accounts,
    tables: Sequence[TableAlarms],
    *,
    role: pulumi.Output[str],
) -> None:
    """Declare the stack's dashboard. `role`: the name of a role of the stack in its account."""
    project, stack, source = pulumi.get_project(), pulumi.get_stack(), settings.source.account_id
    body = dashboard.body(
        [each.inputs for each in tables],
        {each.inputs.source_table: each.shown for each in tables},
        elsewhere=tables[0].elsewhere,
        region=settings.source.region,
        target_region=settings.target.region,
    )
    aws.cloudwatch.Dashboard(
        name,
        region=settings.source.region,
        dashboard_name=role.apply(lambda role: dashboard_name(project, stack, source, role)),
        dashboard_body=pulumi.Output.json_dumps(body),
        opts=pulumi.ResourceOptions(provider=accounts.target),
    )
