"""IAM checks that ministack lacks, and permissions that it wrongly denies.

ministack decides who may call what; the corrections concern cross-account bucket policies that name
a role, trust policies, and the permissions that AWS needs behind a call (an export's writes, an
import's reads, a mapping's reads).
"""

from __future__ import annotations

import contextvars
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from infra.local.emulator import shard_iterators
from infra.local.emulator.call_log import BEHIND, CallLog
from infra.local.emulator.patching import Json, Ministack
from infra.partitions import endpoint

EXPORT_WRITES = ("s3:AbortMultipartUpload", "s3:PutObject", "s3:PutObjectAcl")
IMPORT_READS = ("s3:GetObject", "s3:ListBucket")
BULK_READS = IMPORT_READS
BULK_WRITES = ("s3:PutObject",)
"""Of a bulk operation's caller: assumed, as for an import and an export."""

NAMING_FIELDS = (
    "TableArn",
    "ExportArn",
    "ImportArn",
    "BulkOperationArn",
    "ResourceArn",
    "ResourceARN",
    "StreamARN",
    "StreamArn",
)

_function_arn: contextvars.ContextVar[str | None] = contextvars.ContextVar(
    "local_mapped_function", default=None
)
_policy_arn: contextvars.ContextVar[str | None] = contextvars.ContextVar(
    "local_attached_policy", default=None
)


@dataclass(frozen=True)
class ResourcePolicy:
    """A resource's own policy; `required` where even the owner's principals need it (KMS keys)."""

    text: str
    owner: str
    required: bool = False


class PermissionChecks:
    """Permission checks with ministack's evaluator; everything is allowed when AUTH is off."""

    def __init__(self, ministack: Ministack, recording: CallLog) -> None:
        self._ministack = ministack
        self._recording = recording
        self._iam = ministack.iam_evaluator
        self._bucket_allows: Callable[..., bool] = lambda *args: False
        self._arn_of: Callable[..., str] = lambda *args: "*"
        self._lambda_action: Callable[..., str | None] = lambda *args: None
        self._pin: Callable[..., None] = lambda *args: None
        self._matches: Callable[..., bool] = lambda *args: False
        self._checks: Callable[..., list[tuple[str, str]]] = lambda *args: []

    def install(self) -> None:
        """Replace ministack's functions."""
        replace = self._ministack.replace
        self._bucket_allows = replace("s3", "_foreign_bucket_allows", self.foreign_bucket_allows)
        self._matches = replace("iam_evaluator", "_principal_matches", self.principal_matches)
        self._arn_of = replace("iam_actions", "extract_resource_arn", self.resource_arn)
        self._lambda_action = replace("iam_actions", "_lambda_action", self.lambda_action)
        self._pin = replace("app", "pin_request_origin", self.pin_request_origin)
        self._checks = replace(
            "iam_actions", "dynamodb_transaction_checks", self.transaction_checks
        )

    # -- corrections of the dispatcher's check ---------------------------------------------------

    def foreign_bucket_allows(
        self,
        owner: str,
        bucket: str,
        key: str,
        method: str,
        query: Mapping[str, Any],
        caller: str,
        headers: Mapping[str, str] | None = None,
    ) -> bool:
        """Return whether another account's bucket allows it; its policy may name a role."""
        allowed = self._bucket_allows(owner, bucket, key, method, query, caller, headers)
        policy = self._ministack.s3._bucket_policies.get_scoped(owner, None, bucket)
        if not policy or not caller or ":assumed-role/" not in self.caller():
            return allowed
        actions = self._ministack.iam_actions
        path = f"/{bucket}/{key}" if key else f"/{bucket}"
        action = f"s3:{actions._s3_action(method, path, query)}"
        with self._ministack.responses.request_scope(owner, self._ministack.responses.get_region()):
            keys = actions.s3_service_context(action, query, path, headers or {})
        context = self._context(self.caller(), caller, action, f"arn:aws:s3:::{path[1:]}", keys)
        decision = self._iam.evaluate_resource_policy(policy, context).decision
        return bool(decision != "Deny" and (allowed or decision == "Allow"))

    def principal_matches(self, principal: Any, caller_arn: str) -> bool:
        """Return whether a Principal names the caller; a Service never names an account's root."""
        if isinstance(principal, dict):
            principal = {"AWS": principal.get("AWS", [])}
        return self._matches(principal, caller_arn)

    def resource_arn(
        self,
        service: str,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes,
        query: Mapping[str, Any],
        region: str,
        account: str,
    ) -> str:
        """Return the ARN of a request's resource, also where no TableName holds it."""
        arn = self._arn_of(service, method, path, headers, body, query, region, account)
        # A rule on the default bus has an ARN without the bus (Service Authorization Reference,
        # Amazon EventBridge: rule-on-default-event-bus).
        arn = arn.replace(":rule/default/", ":rule/")
        _function_arn.set(self._function_of_mapping(service, path, body, region, account))
        parameter = self._ministack.iam_actions._param
        _policy_arn.set(parameter(body, query, "PolicyArn") or None if service == "iam" else None)
        if arn == "*" and service == "iam":
            # Of a new policy, as of a new function, the request has the name alone.
            name = parameter(body, query, "PolicyName")
            path = parameter(body, query, "Path") or "/"
            return f"arn:aws:iam::{account}:policy{path}{name}" if name else arn
        if service == "lambda" and method == "POST" and path.rstrip("/").endswith("/functions"):
            # The name of a new function is in the body alone.
            name = json.loads(body or b"{}").get("FunctionName", "*")
            return f"arn:aws:lambda:{region}:{account}:function:{name}"
        if arn == "*" and service == "events":
            rule = parameter(body, query, "Rule")
            return f"arn:aws:events:{region}:{account}:rule/{rule}" if rule else arn
        if arn == "*" and service == "kms":
            # AWS asks for the alias and its key (Service Authorization Reference, AWS KMS).
            alias = named(body, "AliasName")
            return f"arn:aws:kms:{region}:{account}:{alias}" if alias else arn
        if service == "logs" and named(body, "logStreamName"):
            # Of a stream, new or not, AWS asks for the group's ARN with what follows it (Amazon
            # CloudWatch Logs User Guide, iam-access-control-overview-cwl).
            return f"{arn}:log-stream:{named(body, 'logStreamName')}"
        if service == "glue" and ":table/" in arn and headers.get("x-amz-target", "")[-3:] == "Job":
            # Of a new job, as of a new function, the request has the name alone.
            return arn.replace(":table/", ":job/")
        if arn == "*" and service == "monitoring":
            return self._of_cloudwatch(body, query, region, account)
        if arn != "*" or service not in ("dynamodb", "dynamodbstreams", "kinesis"):
            return arn
        if service == "dynamodbstreams":
            return stream_resource(body, region, account)
        return named_resource(body, region, account) or arn

    def _function_of_mapping(
        self, service: str, path: str, body: bytes, region: str, account: str
    ) -> str | None:
        """Return the function of the event source mapping that a request makes or names."""
        parts = [part for part in path.split("/") if part]
        if service != "lambda" or "functions" in parts or "event-source-mappings" not in parts:
            return None
        if parts[-1] == "event-source-mappings":
            return function_arn(named(body, "FunctionName"), region, account)
        mapping = self._ministack.lambda_svc._esms.get_scoped(account, region, parts[-1])
        return str(mapping["FunctionArn"]) if mapping else None

    def _of_cloudwatch(
        self, body: bytes, query: Mapping[str, Any], region: str, account: str
    ) -> str:
        """Return the ARN of a dashboard, or of the first alarm that a call lists."""

        def first(*fields: str) -> str:
            found = self._ministack.iam_actions._param(body, query, *fields)
            return str(found[0] if isinstance(found, list) else found)

        dashboard = first("DashboardName", "DashboardNames.member.1", "DashboardNames")
        if dashboard:
            return f"arn:aws:cloudwatch::{account}:dashboard/{dashboard}"
        alarm = first("AlarmNames.member.1", "AlarmNames")
        return f"arn:aws:cloudwatch:{region}:{account}:alarm:{alarm}" if alarm else "*"

    def pin_request_origin(self, source_ip: str, secure_transport: bool) -> None:
        """Treat a request over loopback as TLS, which every call to AWS uses."""
        self._pin(source_ip, True)

    def lambda_action(self, method: str, path: str) -> str | None:
        """Return Lambda's action behind a REST call. A mapping has actions of its own."""
        parts = [part for part in path.split("/") if part]
        if "functions" not in parts and parts[-2:-1] == ["event-source-mappings"]:
            verb = {"GET": "Get", "PUT": "Update", "DELETE": "Delete"}.get(method)
            return f"{verb}EventSourceMapping" if verb else None
        return self._lambda_action(method, path)

    def transaction_checks(
        self, action: str, body: bytes, region: str, account: str
    ) -> list[tuple[str, str]]:
        """Return the distinct checks of a transaction, which often repeats one."""
        return list(dict.fromkeys(self._checks(action, body, region, account)))

    # -- permissions behind a call ---------------------------------------------------------------

    def caller(self) -> str:
        """Return the ARN of the current request's caller."""
        return str(self._iam.caller_arn())

    def caller_key(self) -> str:
        """Return the verified access key of the current request, or the account's root key."""
        return str(self._iam._verified_key.get() or self._ministack.responses.get_account_id())

    def stream_policy_allows(self, arn: str, action: str) -> bool:
        """Return whether the stream's policy allows this action to a caller of another account."""
        if not self._ministack.app.AUTH:
            return True
        found = self._ministack.kinesis.stream_policy_for_arn(arn)
        account = self._ministack.responses.get_account_id()
        context = self._context(self.caller(), account, action, arn)
        policy = found[0] if found else ""
        return bool(self._iam.evaluate_resource_policy(policy, context).decision == "Allow")

    def bucket_refusal(
        self, key: str, account: str, bucket: str, actions: Iterable[str], path: str = "*"
    ) -> str | None:
        """Return the first of these actions that the access key may not perform in the bucket."""
        owner = self._ministack.s3._bucket_owner_account(bucket)
        text = self._ministack.s3._bucket_policies.get_scoped(owner, None, bucket) or ""
        policy = ResourcePolicy(text, owner or account)
        for action in actions:
            arn = f"arn:aws:s3:::{bucket}"
            if action != "s3:ListBucket":
                arn = f"{arn}/{path}"
            if not self.permits(key, account, action, arn, policy):
                return action
        return None

    def function_refusal(
        self,
        function: Json,
        actions: Iterable[str],
        arn: str,
        policy: ResourcePolicy | None = None,
        keys: Mapping[str, str] | None = None,
    ) -> str | None:
        """Return the first of these that the function's role may not do: "a:B on resource: …"."""
        if not self._ministack.app.AUTH:
            return None
        key, account = self._role_key(function), function["FunctionArn"].split(":")[4]
        for action in actions:
            if not self.permits(key, account, action, arn, policy, keys):
                return f"{action} on resource: {arn}"
        return None

    def decryption_refusal(
        self, function: Json, key: str | None, stream_arn: str, managed: str
    ) -> str | None:
        """Return kms:Decrypt if the function's role lacks it on the stream's key.

        `managed` is the alias of the AWS managed key, which needs no permission.
        """
        found = self._customer_key(key, stream_arn, managed)
        caller = function["FunctionArn"].split(":")[4]
        keys = _through(stream_arn, caller)
        return found and self.function_refusal(function, ("kms:Decrypt",), *found, keys)

    def caller_decryption_refusal(
        self, key: str | None, stream_arn: str, managed: str
    ) -> str | None:
        """Return the ARN of the stream's key, if the caller may not decrypt with it."""
        found = self._customer_key(key, stream_arn, managed)
        if found is None:
            return None
        account = self._ministack.responses.get_account_id()
        keys = _through(stream_arn, account)
        allowed = self.permits(self.caller_key(), account, "kms:Decrypt", *found, keys)
        return None if allowed else found[0]

    def _customer_key(
        self, key: str | None, stream_arn: str, managed: str
    ) -> tuple[str, ResourcePolicy] | None:
        """Return the ARN and the policy of a customer managed key of the stream's account."""
        if key is None or key.endswith(managed):
            return None
        _, _, _, region, owner, *_ = stream_arn.split(":")
        with self._ministack.responses.request_scope(owner, region):
            record = self._ministack.kms._resolve_key(key)
        if record is None:
            return None
        return record["Arn"], ResourcePolicy(record.get("Policy") or "", owner, required=True)

    def role_session(self, function: Json) -> str:
        """Return the ARN of the session in which the function's role makes its calls."""
        if not self._ministack.app.AUTH:
            return ""
        account = function["FunctionArn"].split(":")[4]
        principal = self._iam.resolve_principal(self._role_key(function), account)
        return "" if isinstance(principal, self._iam.AuthError) else str(principal.arn)

    def _role_key(self, function: Json) -> str:
        credentials = self._ministack.lambda_runtime.execution_credentials(function)
        return str(credentials["AWS_ACCESS_KEY_ID"])

    def permits(
        self,
        key: str,
        account: str,
        action: str,
        arn: str,
        policy: ResourcePolicy | None = None,
        keys: Mapping[str, str] | None = None,
    ) -> bool:
        """Return whether this access key's policies and the resource's allow the action.

        `keys`: condition keys of the service's request.
        """
        if not self._ministack.app.AUTH:
            return True
        principal = self._iam.resolve_principal(key, account)
        if isinstance(principal, self._iam.AuthError):
            return False
        context = self._context(principal.arn, principal.account, action, arn, keys)
        if principal.policies is None:  # an account's root
            result = self._iam.EvalResult("Allow", principal.arn)
        else:
            result = self._iam.evaluate(context, principal.policies, *principal.limits)
        if policy is not None:
            result = self._iam.combine_resource_policy(
                result,
                context,
                policy.text,
                policy.owner,
                required=policy.required,
                limits=tuple(principal.limits),
            )
        allowed = bool(result.decision == "Allow")
        if allowed:  # one that is refused stops what it belongs to, which is seen there
            self._recording.note(BEHIND, principal.arn, action, arn)
        return allowed

    def _context(
        self,
        principal: str,
        account: str,
        action: str,
        arn: str,
        keys: Mapping[str, Any] | None = None,
    ) -> Any:
        kind = "AssumedRole" if ":assumed-role/" in principal else "Root"
        return self._iam.EvalContext(
            principal_arn=principal,
            principal_type=kind,
            principal_account=account,
            action=action,
            resource_arn=arn,
            region=self._ministack.responses.get_region(),
            secure_transport=True,
            service_context={name.lower(): value for name, value in (keys or {}).items()},
        )


def _through(stream_arn: str, caller: str) -> Mapping[str, str]:
    """Return what KMS sees of a decryption that a stream's service makes for a caller's account.

    A table's own stream is DynamoDB's, as its table ("How DynamoDB uses AWS KMS").
    """
    _, _, service, region, *_ = stream_arn.split(":")
    return {"kms:ViaService": endpoint(service, region), "kms:CallerAccount": caller}


def mapped_function() -> str | None:
    """Return the value of lambda:FunctionArn in the current request, if it has one.

    "Event source mappings are always associated with a function. You can also use the
    lambda:FunctionArn condition to restrict actions by associated function" (Lambda developer
    guide, lambda-api-permissions-ref.html).
    """
    return _function_arn.get()


def attached_policy() -> str | None:
    """Return the value of iam:PolicyARN in the current request, if it has one.

    "Filters access by the ARN of an IAM policy" (Service Authorization Reference, AWS Identity and
    Access Management; AttachRolePolicy and DetachRolePolicy).
    """
    return _policy_arn.get()


def function_arn(name: str, region: str, account: str) -> str | None:
    """Return the ARN of a function that a request names: by ARN, partial ARN, name or alias."""
    if not name or name.startswith("arn:"):
        return name or None
    owner, found, rest = name.partition(":function:")
    if found:
        account, name = owner, rest
    return f"arn:aws:lambda:{region}:{account}:function:{name}"


def stream_resource(body: bytes, region: str, account: str) -> str:
    """Return the ARN that a request to DynamoDB Streams is checked on.

    ListStreams names none: its documented policies allow it on a table's `stream/*`, or on all.
    """
    return named_resource(body, region, account) or (
        f"arn:aws:dynamodb:{region}:{account}:table/{named(body, 'TableName') or '*'}/stream/*"
    )


def named(body: bytes, field: str) -> str:
    """Return a text field of a JSON request, or "" where there is none."""
    try:
        data = json.loads(body or b"{}")
    except ValueError:
        return ""
    found = data.get(field) if isinstance(data, dict) else None
    return found if isinstance(found, str) else ""


def named_resource(body: bytes, region: str, account: str) -> str | None:
    """Return the ARN that a DynamoDB or Kinesis request has in a field ministack ignores."""
    try:
        data = json.loads(body or b"{}")
    except ValueError:
        return None
    for name in NAMING_FIELDS:
        if isinstance(data.get(name), str):
            return str(data[name])
    table = (data.get("TableCreationParameters") or {}).get("TableName")
    if table:
        return f"arn:aws:dynamodb:{region}:{account}:table/{table}"
    state = shard_iterators.decoded(data.get("ShardIterator"))
    return state["arn"] if state else None
