"""Clients of a pair of accounts, whose stack may not be deployed yet."""

from __future__ import annotations

from collections.abc import Callable

from bootstrap.app.command_options import CommandOptions
from bootstrap.app.process import Process
from bootstrap.aws.calls import Calls
from bootstrap.aws.login import Logins
from bootstrap.aws.sessions import Session
from bootstrap.aws.source import AwsSource
from bootstrap.aws.tagged_resources import CONFIG as TAGGING_CONFIG
from bootstrap.aws.tagged_resources import SERVICE as TAGGING
from bootstrap.aws.tagged_resources import AwsTaggedResources
from bootstrap.aws.target import AwsTarget
from bootstrap.core.errors import Side
from bootstrap.core.ports import SourceAccount, TargetAccount
from bootstrap.core.stack_outputs import AccountOutputs

SOURCE_SERVICES = ("dynamodb", "kinesis", "cloudwatch", "application-autoscaling", "kms")

Before = Callable[[], None]


class AccountClients:
    """One session for each account, for one command.

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
        self._source = Session(
            Side.SOURCE,
            source,
            process.timing,
            login=self._logins.of(options.source_profile),
            external_id=options.external_id,
        )
        self._target = Session(
            Side.TARGET,
            target,
            process.timing,
            login=self._logins.of(options.target_profile),
            external_id=options.external_id,
        )

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

    def target(self, consumer_region: str, before: Before | None = None) -> TargetAccount:
        """Return the target account's control plane, and Lambda's in the consumer's Region."""
        lambda_ = self._target.client("lambda", consumer_region)
        dynamodb, kms = self._target.client("dynamodb"), self._target.client("kms")
        cloudwatch = self._target.client("cloudwatch")
        return AwsTarget(self._calls(Side.TARGET, before), dynamodb, lambda_, kms, cloudwatch)

    def tagged(self, side: Side, region: str) -> AwsTaggedResources:
        """Return the listing by tags of an account's Region."""
        tagging = self._session(side).client(TAGGING, region, TAGGING_CONFIG)
        return AwsTaggedResources(self._calls(side), tagging)

    def _session(self, side: Side) -> Session:
        return self._source if side is Side.SOURCE else self._target

    def _calls(self, side: Side, before: Before | None = None) -> Calls:
        role = self._session(side).account.role_arn
        # Before the first deployment there is no role, and `plan` uses the credentials as they are.
        return Calls(side, f"Role {role}" if role else "The owner of the credentials", before)
