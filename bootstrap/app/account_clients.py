"""Clients of a pair of accounts, whose stack may not be deployed yet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from bootstrap.app.command_options import CommandOptions
from bootstrap.app.process import Process
from bootstrap.aws.bulk_loads import AwsBulkLoads
from bootstrap.aws.calls import Calls
from bootstrap.aws.consumer_mappings import AwsConsumerMappings
from bootstrap.aws.item_scan import AwsItemScan
from bootstrap.aws.login import Logins
from bootstrap.aws.old_source import AwsOldSource
from bootstrap.aws.resource_policies import AwsResourcePolicies
from bootstrap.aws.sessions import CONFIG, Session
from bootstrap.aws.source import AwsSource
from bootstrap.aws.table_streams import AwsStreamControl, AwsStreamRecordReader
from bootstrap.aws.tagged_resources import CONFIG as TAGGING_CONFIG
from bootstrap.aws.tagged_resources import SERVICE as TAGGING
from bootstrap.aws.tagged_resources import AwsTaggedResources
from bootstrap.aws.target import AwsTarget
from bootstrap.aws.write_canary import AwsCanary
from bootstrap.core.errors import Side
from bootstrap.core.ports import BulkLoads, SourceAccount, TargetAccount
from bootstrap.core.stack_outputs import AccountOutputs
from bootstrap.core.table_stream_ports import TableStreamClients

SOURCE_SERVICES = ("dynamodb", "kinesis", "cloudwatch", "application-autoscaling", "kms")

STREAMS_SERVICE = "dynamodbstreams"

Before = Callable[[], None]


class AccountClients:
    """One session for each account, for one command; and one for each role of a switch.

    Nothing here reaches AWS: a role is assumed with the first call in its account. `before`, where
    a method takes it, runs before each call of what the method returns.
    """

    def __init__(
        self,
        source: AccountOutputs,
        target: AccountOutputs,
        process: Process,
        options: CommandOptions,
    ) -> None:
        self._logins = Logins()
        self._process = process
        self._credentials = options
        self._source = self._session_of(Side.SOURCE, source)
        self._target = self._session_of(Side.TARGET, target)
        self._switch_sessions: dict[Side, Session] = {}

    def refuse_other_accounts(self) -> None:
        """Check that the credentials are of the stack's accounts.

        Raises:
            AccountError: for those of another.
        """
        for session in (self._source, self._target):
            session.refuse_another_account()

    def source(self, before: Before | None = None) -> SourceAccount:
        """Return the source account's control plane."""
        clients = [self._source.client(name) for name in SOURCE_SERVICES]
        return AwsSource(self._calls(Side.SOURCE, before), *clients)

    def target(
        self, consumer_region: str, before: Before | None = None, far: Any = CONFIG
    ) -> TargetAccount:
        """Return the target account's control plane, and in the consumer's Region Lambda's
        and its keys.

        `far` configures the clients there.
        """
        lambda_ = self._target.client("lambda", consumer_region, far)
        dynamodb, kms = self._target.client("dynamodb"), self._target.client("kms")
        cloudwatch = self._target.client("cloudwatch")
        far_kms = self._target.client("kms", consumer_region, far)
        calls = self._calls(Side.TARGET, before)
        return AwsTarget(calls, dynamodb, lambda_, kms, cloudwatch, far_kms)

    def table_stream(
        self, consumer_region: str, before: Before | None = None
    ) -> TableStreamClients:
        """Return what makes and reads a table's own stream, and its mapping in that Region."""
        source, target = self._calls(Side.SOURCE, before), self._calls(Side.TARGET, before)
        dynamodb, streams = self._source.client("dynamodb"), self._source.client(STREAMS_SERVICE)
        return TableStreamClients(
            AwsStreamControl(source, dynamodb, streams),
            AwsResourcePolicies(source, dynamodb),
            AwsStreamRecordReader(source, streams),
            AwsConsumerMappings(target, self._target.client("lambda", consumer_region)),
        )

    def bulk_loads(self, before: Before | None = None) -> BulkLoads:
        """Return the bulk loads of the target account, in its Region."""
        dynamodb, s3 = self._target.client("dynamodb"), self._target.client("s3")
        return AwsBulkLoads(self._calls(Side.TARGET, before), dynamodb, s3)

    def item_scan(self, table: str, before: Before | None = None) -> AwsItemScan:
        """Return the scan of a target table, as far as the stack's configuration allows it."""
        return AwsItemScan(self._calls(Side.TARGET, before), self._target.client("dynamodb"), table)

    def tagged(self, side: Side, region: str) -> AwsTaggedResources:
        """Return the listing by tags of an account's Region."""
        tagging = self._session(side).client(TAGGING, region, TAGGING_CONFIG)
        return AwsTaggedResources(self._calls(side), tagging)

    def seen_policies(self, side: Side) -> AwsResourcePolicies:
        """Return the resource policies of an account's tables, to look at alone: the roles that
        change them are for a switch, and their use outside one is reported.
        """
        return AwsResourcePolicies(self._calls(side), self._session(side).client("dynamodb"))

    # -- through the roles that change tables' resource policies, None where the stack has none ---

    def policies(self, side: Side, before: Before | None = None) -> AwsResourcePolicies | None:
        """Return the resource policies of an account's tables."""
        session = self._switch_session(side)
        if session is None:
            return None
        return AwsResourcePolicies(_calls_of(session, before), session.client("dynamodb"))

    def old_source(self, before: Before | None = None) -> AwsOldSource | None:
        """Return what may be changed in the source account after a switch."""
        session = self._switch_session(Side.SOURCE)
        if session is None:
            return None
        return AwsOldSource(_calls_of(session, before), session.client("dynamodb"))

    def canary(
        self, key_types: Callable[[str], Mapping[str, str]], before: Before | None = None
    ) -> AwsCanary | None:
        """Return the test whether a target table refuses writers. `key_types`: as it takes it."""
        session = self._switch_session(Side.TARGET)
        if session is None:
            return None
        return AwsCanary(_calls_of(session, before), session.client("dynamodb"), key_types)

    def _session(self, side: Side) -> Session:
        return self._source if side is Side.SOURCE else self._target

    def _switch_session(self, side: Side) -> Session | None:
        account = self._session(side).account
        if not account.switch_role_arn:
            return None
        if side not in self._switch_sessions:
            account = replace(account, role_arn=account.switch_role_arn)
            self._switch_sessions[side] = self._session_of(side, account)
        return self._switch_sessions[side]

    def _session_of(self, side: Side, account: AccountOutputs) -> Session:
        options = self._credentials
        profile = options.source_profile if side is Side.SOURCE else options.target_profile
        return Session(
            side,
            account,
            self._process.timing,
            login=self._logins.of(profile),
            external_id=options.external_id_for(account),
        )

    def _calls(self, side: Side, before: Before | None = None, owner: Side | None = None) -> Calls:
        return _calls_of(self._session(side), before, owner)


def _calls_of(session: Session, before: Before | None, owner: Side | None = None) -> Calls:
    role = session.account.role_arn
    # Before the first deployment there is no role, and `plan` uses the credentials as they are.
    name = f"Role {role}" if role else "The owner of the credentials"
    return Calls(session.side, name, before, owner=owner)
