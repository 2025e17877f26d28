"""A stand-in for pulumi-resource-aws: the engine's calls, on the local cloud.

One process for each explicit provider of the program. It creates with the bindings of infra/local
and holds every request against AWS's own limits.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from typing import Any

import boto3
import grpc
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from google.protobuf import empty_pb2, json_format, struct_pb2
from pulumi.runtime import rpc
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from infra.local.bindings import BINDINGS, Inputs, Request
from infra.local.request_limits import enforce_limits
from tests.pulumi_engine.look_ups import LOOK_UPS, LookUpError
from tests.pulumi_engine.loopback import local_endpoint
from tests.pulumi_engine.plugin_log import OrderedFaultError, PluginLog
from tests.pulumi_engine.resources import TYPES, Resource, ResourceType
from tests.pulumi_engine.resources.base import is_gone
from tests.pulumi_engine.resources.events import schedules_run
from tests.pulumi_engine.serving import serve
from tests.pulumi_engine.values import comparable, is_known, merged, plain

VERSION = "7.51.1"
"""The release of pulumi-aws that requirements.txt pins."""
SCHEDULE = "aws:cloudwatch/eventRule:EventRule"
SUFFIX = 7
"""Letters that Pulumi adds to a name that it makes up, after a hyphen."""

pb = provider_pb2


class Account:
    """The account and Region of one provider, and its clients."""

    def __init__(self, inputs: Mapping[str, Any], endpoint: str) -> None:
        [self.account_id] = json.loads(inputs["allowedAccountIds"])
        self.region = str(inputs["region"])
        self._sts_region = str(inputs.get("stsRegion") or self.region)
        self.tags: Mapping[str, str] = json.loads(inputs.get("defaultTags", "{}")).get("tags", {})
        self._endpoint = endpoint
        self._clients: dict[tuple[str, str], Any] = {}
        self._lock = threading.Lock()
        self._session = boto3.session.Session(
            profile_name=inputs.get("profile"), region_name=self.region
        )
        for role in json.loads(inputs.get("assumeRoles", "[]")):
            self._session = self._assumed(role)
            self._clients.clear()

    def check(self) -> str | None:
        """Return why these credentials may not be used, as the AWS provider does."""
        actual = self.client("sts", self._sts_region).get_caller_identity()["Account"]
        return None if actual == self.account_id else f"AWS account ID not allowed: {actual}"

    def client(self, service: str, region: str) -> Any:
        """Return a client that holds requests against AWS's limits."""
        with self._lock:
            if (service, region) not in self._clients:
                client = self._session.client(
                    service,
                    region_name=region,
                    endpoint_url=self._endpoint,
                    config=Config(s3={"addressing_style": "path"}, max_pool_connections=32),
                )
                self._clients[service, region] = enforce_limits(client)
            return self._clients[service, region]

    def _assumed(self, role: Mapping[str, Any]) -> Any:
        external = {"ExternalId": role["externalId"]} if role.get("externalId") else {}
        keys = self.client("sts", self._sts_region).assume_role(
            RoleArn=role["roleArn"], RoleSessionName=role.get("sessionName", "pulumi"), **external
        )["Credentials"]
        return boto3.session.Session(
            aws_access_key_id=keys["AccessKeyId"],
            aws_secret_access_key=keys["SecretAccessKey"],
            aws_session_token=keys["SessionToken"],
            region_name=self.region,
        )


class StandIn(provider_pb2_grpc.ResourceProviderServicer):
    """Answers the engine for one provider of the program."""

    def __init__(self, endpoint: str, log: PluginLog) -> None:
        self._endpoint, self._log = endpoint, log
        self._account: Account

    # -- the plugin ------------------------------------------------------------------------------

    def GetPluginInfo(self, request: Any, context: Any) -> Any:  # noqa: N802 (gRPC's name)
        return plugin_pb2.PluginInfo(version=VERSION)

    def CheckConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
        return pb.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
        old, new = comparable(request.olds), comparable(request.news)
        changed = sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))
        return pb.DiffResponse(changes=_some(changed), diffs=changed)

    def Configure(self, request: Any, context: Any) -> Any:  # noqa: N802
        try:
            self._account = Account(plain(request.args), self._endpoint)
            refusal = self._account.check()
        except (BotoCoreError, ClientError) as error:
            refusal = f"unable to validate AWS credentials.\nDetails: {error}"
        if refusal:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, refusal)
        return pb.ConfigureResponse(
            acceptSecrets=True,
            acceptResources=True,
            acceptOutputs=False,
            supportsPreview=True,
            supports_autonaming_configuration=True,
        )

    def Cancel(self, request: Any, context: Any) -> Any:  # noqa: N802
        return empty_pb2.Empty()

    def Invoke(self, request: Any, context: Any) -> Any:  # noqa: N802
        look_up = LOOK_UPS.get(request.tok)
        assert look_up is not None, f"the stand-in answers no look-up of {request.tok}"
        arguments = plain(request.args)
        region = str(arguments.get("region") or self._account.region)
        try:
            self._log.fail_if_told(request.tok)
            found = look_up(lambda service: self._account.client(service, region), arguments)
        except (LookUpError, OrderedFaultError) as error:
            return context.abort(grpc.StatusCode.UNKNOWN, f"invoking {request.tok}: {error}")
        return pb.InvokeResponse(**{"return": merged(struct_pb2.Struct(), dict(found))})

    # -- resources -------------------------------------------------------------------------------

    def Check(self, request: Any, context: Any) -> Any:  # noqa: N802
        kind = _type(request.urn)
        if kind not in TYPES or kind not in BINDINGS:
            reason = f"the local cloud has no binding for {kind}"
            return pb.CheckResponse(inputs=request.news, failures=[pb.CheckFailure(reason=reason)])
        known = TYPES[kind]
        said: dict[str, Any] = {}
        failures = []
        if known.name and known.name not in request.news.fields:
            name = plain(request.olds).get(known.name) or _made_up(request)
            said[known.name] = name
            if len(name) > known.longest_name:
                failures.append(
                    pb.CheckFailure(
                        property=known.name,
                        reason=f"expected length of {known.name} to be at most "
                        f"{known.longest_name}, got {len(name)}: {name}",
                    )
                )
        if "region" not in request.news.fields:
            said["region"] = self._account.region
        return pb.CheckResponse(inputs=merged(request.news, said), failures=failures)

    def Diff(self, request: Any, context: Any) -> Any:  # noqa: N802
        old, new = comparable(request.olds), comparable(request.news)
        before = comparable(request.old_inputs)
        known = TYPES[_type(request.urn)]
        detail, replaces = {}, []
        for key in sorted(new.keys() | before.keys()):
            if key in request.ignoreChanges or old.get(key) == new.get(key):
                continue
            how = "ADD" if key not in old else "DELETE" if key not in new else "UPDATE"
            if key in known.replaced_by:
                replaces.append(key)
                how += "_REPLACE"
            kind = pb.PropertyDiff.Kind.Value(how)
            detail[key] = pb.PropertyDiff(kind=kind, inputDiff=False)
        return pb.DiffResponse(
            changes=_some(detail),
            replaces=replaces,
            diffs=sorted(detail),
            detailedDiff=detail,
            hasDetailedDiff=True,
            deleteBeforeReplace=False,
        )

    def Create(self, request: Any, context: Any) -> Any:  # noqa: N802
        if request.preview:
            return pb.CreateResponse(properties=_with_unknowns(request))
        self._log.note("create", self._account.account_id, request.urn)
        try:
            self._log.fail_if_told(request.urn)
            made = self._create(request.urn, plain(request.properties))
        except Exception as error:
            return self._abort(context, "creating", request.urn, error)
        self._log.linger_if_told(request.urn)
        return pb.CreateResponse(
            id=made.id, properties=merged(request.properties, dict(made.outputs))
        )

    def Read(self, request: Any, context: Any) -> Any:  # noqa: N802
        resource = self._resource(request.id, plain(request.properties))
        try:
            found = TYPES[_type(request.urn)].read(resource)
        except ClientError as error:
            if not is_gone(error):
                return self._abort(context, "reading", request.urn, error)
            found = None
        if found is None:
            return pb.ReadResponse()
        inputs = {key: value for key, value in found.items() if key in request.inputs.fields}
        return pb.ReadResponse(
            id=request.id,
            properties=_changed(request.properties, found),
            inputs=_changed(request.inputs, inputs),
        )

    def Update(self, request: Any, context: Any) -> Any:  # noqa: N802
        if not request.preview:
            old, new = plain(request.olds), plain(request.news)
            changed = sorted(k for k in new if comparable(new[k]) != comparable(old.get(k)))
            self._log.note("update", self._account.account_id, request.urn, changed)
            try:
                self._log.fail_if_told(request.urn)
                self._update(request.urn, request.id, old, new)
            except Exception as error:
                return self._abort(context, "updating", request.urn, error)
        # An input that is no longer there goes from the state; what AWS filled in stays.
        dropped = request.old_inputs.fields.keys() - request.news.fields.keys()
        kept = struct_pb2.Struct()
        kept.CopyFrom(request.olds)
        for key in dropped:
            del kept.fields[key]
        return pb.UpdateResponse(properties=merged(kept, json_format.MessageToDict(request.news)))

    def Delete(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._log.note("delete", self._account.account_id, request.urn)
        try:
            self._log.fail_if_told(request.urn)
            TYPES[_type(request.urn)].delete(self._resource(request.id, plain(request.properties)))
        except Exception as error:
            if not is_gone(error):
                return self._abort(context, "deleting", request.urn, error)
        return empty_pb2.Empty()

    # -- helpers ---------------------------------------------------------------------------------

    def _create(self, urn: str, values: Mapping[str, Any]) -> Any:
        kind, region = _type(urn), str(values.get("region") or self._account.region)
        inputs = Inputs(values)
        # The engine fills these in, also for types of which a binding does not look at them.
        inputs.used |= {"region", TYPES[kind].name}
        made = BINDINGS[kind](
            Request(
                name=_name(urn),
                inputs=inputs,
                stack=urn.split("::")[0].rpartition(":")[2],
                account_id=self._account.account_id,
                region=region,
                client=lambda service: self._account.client(service, region),
                tags=self._account.tags,
            )
        )
        if kind == SCHEDULE and "scheduleExpression" in values and not schedules_run():
            # By the call that makes it: a deployer needs no permission for another one.
            self._account.client("events", region).put_rule(
                Name=made.id, ScheduleExpression=values["scheduleExpression"], State="DISABLED"
            )
        assert not inputs.unused(), f"{urn} sets {inputs.unused()}, and its binding ignores that"
        return made

    def _update(self, urn: str, id_: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
        update = TYPES[_type(urn)].update
        if update is None:
            self._create(urn, new)
        else:
            update(self._resource(id_, old), new)

    def _resource(self, id_: str, state: Mapping[str, Any]) -> Resource:
        region = str(state.get("region") or self._account.region)
        return Resource(id_, state, lambda service: self._account.client(service, region))

    def _abort(self, context: Any, doing: str, urn: str, error: Exception) -> Any:
        self._log.note(f"failed {doing}", self._account.account_id, urn)
        text = f"{doing} {_type(urn).rpartition(':')[2]} ({_name(urn)}): {error}"
        return context.abort(grpc.StatusCode.UNKNOWN, text)


def _type(urn: str) -> str:
    return urn.split("::")[2].rpartition("$")[2]


def _name(urn: str) -> str:
    return urn.rpartition("::")[2]


def _some(changed: Any) -> Any:
    return pb.DiffResponse.DIFF_SOME if changed else pb.DiffResponse.DIFF_NONE


def _made_up(request: Any) -> str:
    if request.autonaming.proposed_name:  # of pulumi:autonaming in the stack file
        return str(request.autonaming.proposed_name)
    return f"{_name(request.urn)}-{request.randomSeed[:4].hex()[:SUFFIX]}"


def _with_unknowns(request: Any) -> struct_pb2.Struct:
    """Return a preview of a new resource: what AWS will fill in is not known yet."""
    known: ResourceType = TYPES[_type(request.urn)]
    missing = known.computed - request.properties.fields.keys()
    return merged(request.properties, dict.fromkeys(missing, rpc.UNKNOWN))


def _changed(struct: struct_pb2.Struct, found: Mapping[str, Any]) -> struct_pb2.Struct:
    """Return the state with what AWS says. What means the same stays: a secret stays one."""
    old = comparable(struct)
    assert all(is_known(value) for value in found.values()), found
    return merged(struct, {k: v for k, v in found.items() if comparable(v) != old.get(k)})


def main() -> None:
    """Serve one provider until the engine ends it."""
    stand_in = StandIn(local_endpoint(os.environ), PluginLog.from_environment(os.environ))
    serve(lambda server: provider_pb2_grpc.add_ResourceProviderServicer_to_server(stand_in, server))


if __name__ == "__main__":
    main()
