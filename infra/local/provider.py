"""A Pulumi provider in AWS's place, which creates the declared resources on the local cloud."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from typing import Any, Protocol

import pulumi

from infra.local.bindings import BINDINGS, Binding, BindingError, Inputs, Request
from infra.local.cloud import LocalAccount
from infra.local.program import STACK_OUTPUTS, STACK_STATE, TABLE
from infra.local.request_limits import enforce_limits
from infra.local.secret_values import without_secrets


class CloudClients(Protocol):
    """The part of the local cloud that this provider uses."""

    def client(self, service: str, account: LocalAccount, region: str | None = None) -> Any:
        """Return a boto3 client with root credentials of that account."""


class LocalProvider(pulumi.runtime.Mocks):
    """Creates each resource once, for real. There is no state: no diff, no update, no delete.

    Called from several threads at a time: independent resources are created in parallel.
    """

    def __init__(
        self, cloud: CloudClients, stack: str, bindings: Mapping[str, Binding] = BINDINGS
    ) -> None:
        self._cloud, self._stack, self._bindings = cloud, stack, bindings
        self._sides: dict[str, LocalAccount] = {}
        self._clients: dict[tuple[str, str, str], Any] = {}
        self._lock = threading.Lock()
        self.failure: BindingError | None = None
        """What went wrong first. Pulumi reports the consequences too, in no useful order."""

    def new_resource(
        self, args: pulumi.runtime.MockResourceArgs
    ) -> tuple[str | None, dict[str, Any]]:
        try:
            return self._new_resource(args)
        except Exception as error:
            failure = error if isinstance(error, BindingError) else _explain(args, error)
            with self._lock:
                self.failure = self.failure or failure
            raise failure from error

    def call(
        self, args: pulumi.runtime.MockCallArgs
    ) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        try:
            return self._look_up(args)
        except Exception as error:
            failure = error if isinstance(error, BindingError) else _explain_look_up(args, error)
            with self._lock:
                self.failure = self.failure or failure
            raise failure from error

    def _look_up(
        self, args: pulumi.runtime.MockCallArgs
    ) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        if args.token in (STACK_OUTPUTS, STACK_STATE):
            return {"outputs": {}}, []  # there was no deployment before this one
        if args.token != TABLE:
            raise BindingError(
                f"The program calls {args.token}; the local cloud does not support that invoke.\n"
                "Try: pass the value in, or add the invoke to infra/local/provider.py"
            )
        side, name = self._sides[(args.provider or "").rpartition("::")[2]], args.args["name"]
        dynamodb = self._client("dynamodb", side, side.region)
        try:
            found = dynamodb.describe_table(TableName=name)["Table"]
        except dynamodb.exceptions.ResourceNotFoundException:
            return {}, [("name", f"reading DynamoDB Table ({name}): couldn't find resource")]
        return {"name": name, "arn": found["TableArn"]}, []

    def _new_resource(
        self, args: pulumi.runtime.MockResourceArgs
    ) -> tuple[str | None, dict[str, Any]]:
        inputs = Inputs(without_secrets(args.inputs))
        if args.typ == "pulumi:providers:aws":
            self._sides[args.name] = _side(inputs)
            _refuse_unused(args, inputs)
            return args.name, dict(inputs.values)
        if not args.custom:
            return "", {}
        binding = self._bindings.get(args.typ)
        if binding is None:
            raise BindingError(
                f"{args.name} is of type {args.typ}, and the local cloud has no binding for it.\n"
                "Try: add one to infra/local/bindings"
            )
        created = binding(self._request(args, inputs))
        _refuse_unused(args, inputs)
        return created.id, {**inputs.values, **created.outputs}

    def _request(self, args: pulumi.runtime.MockResourceArgs, inputs: Inputs) -> Request:
        # A provider reference is "<urn>::<id>", and the id is what this class returned.
        side = self._sides.get((args.provider or "").rpartition("::")[2])
        if side is None:
            raise BindingError(
                f"{args.name} ({args.typ}) has no provider: it would be created in "
                "whichever account is current.\nTry: pass opts with provider=, or parent= of a "
                "component that has one"
            )
        region = inputs.get("region") or side.region
        return Request(
            name=args.name,
            inputs=inputs,
            stack=self._stack,
            account_id=side.account_id,
            region=region,
            client=lambda service: self._client(service, side, region),
        )

    def _client(self, service: str, side: LocalAccount, region: str) -> Any:
        key = (service, side.account_id, region)
        with self._lock:  # making a client is not thread-safe, using one is
            if key not in self._clients:
                client = self._cloud.client(service, side, region)
                self._clients[key] = enforce_limits(client)
            return self._clients[key]


def _side(inputs: Inputs) -> LocalAccount:
    inputs.not_emulated("defaultTags", "tags change nothing that the local cloud does")
    inputs.not_emulated("profile", "the local cloud's accounts need no credentials file")
    inputs.not_emulated("assumeRoles", "the deployment acts as the account's root")
    inputs.not_emulated("stsRegion", "the local cloud's STS is in every Region")
    inputs.not_emulated("skipCredentialsValidation", "said by the SDK itself")
    inputs.not_emulated("skipRegionValidation", "said by the SDK itself")
    # Inputs of providers arrive as JSON.
    [account_id] = json.loads(inputs.text("allowedAccountIds"))
    return LocalAccount(account_id, inputs.text("region"))


def _refuse_unused(args: pulumi.runtime.MockResourceArgs, inputs: Inputs) -> None:
    unused = inputs.unused()
    if unused:
        raise BindingError(
            f"{args.name} ({args.typ}) sets {', '.join(sorted(unused))}, which its binding "
            "ignores.\nTry: use the input in infra/local/bindings, or say there with "
            "not_emulated() why it makes no difference"
        )


def _explain(args: pulumi.runtime.MockResourceArgs, error: Exception) -> BindingError:
    return BindingError(
        f"The local cloud could not create {args.name} ({args.typ}): "
        f"{type(error).__name__}: {error}\n"
        "Try: read the end of emulator.log in the local cloud's directory"
    )


def _explain_look_up(args: pulumi.runtime.MockCallArgs, error: Exception) -> BindingError:
    return BindingError(
        f"The local cloud could not answer {args.token}: {type(error).__name__}: {error}\n"
        "Try: read the end of emulator.log in the local cloud's directory"
    )
