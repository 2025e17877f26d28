"""ImportTable: idempotent by its token, from the owner's bucket, with the permissions AWS checks.

Developer guide, S3DataImport.Requesting.html: the table is CREATING and out of reach until the
import is done; the caller reads the bucket and writes the log group itself.
"""

from __future__ import annotations

import contextvars
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from infra.local.emulator.access import IMPORT_READS, PermissionChecks
from infra.local.emulator.patching import Json, Ministack, Response
from infra.local.emulator.settings import EmulatorSettings

TOKEN_SECONDS = 8 * 3600
TOKEN_LENGTH = 112
"""Of ListImports' NextToken, at least (API reference); botocore sends no shorter one back."""
ACCOUNTS_LOGS = (
    "logs:CreateLogGroup",
    "logs:CreateLogStream",
    "logs:DescribeLogGroups",
    "logs:DescribeLogStreams",
    "logs:PutLogEvents",
    "logs:PutRetentionPolicy",
)
DATA_PLANE = (
    "_put_item",
    "_update_item",
    "_delete_item",
    "_batch_write_item",
    "_transact_write_items",
    "_get_item",
    "_query",
    "_scan",
    "_batch_get_item",
    "_transact_get_items",
)

_importing: contextvars.ContextVar[bool] = contextvars.ContextVar("local_importing", default=False)


class ImportJobs:
    """Corrects the start and the end of an import; ministack does the rest."""

    def __init__(
        self, ministack: Ministack, access: PermissionChecks, settings: EmulatorSettings
    ) -> None:
        self._ministack = ministack
        self._access = access
        self._settings = settings
        self._running = 0
        self._start: Callable[[Json], Response]
        self._list: Callable[[Json], Response]
        self._run: Callable[[str, str], None]
        self._finish: Callable[..., None]
        self._objects: Callable[..., tuple[str, list[tuple[str, bytes]]]]
        self._items: Callable[[bytes], Any]

    def install(self) -> None:
        """Replace ministack's functions."""
        replace = self._ministack.replace
        replace("dynamodb", "_IMPORT_COMPLETE_AFTER_SEC", self._settings.import_seconds)
        self._start = replace("dynamodb", "_import_table", self.start)
        self._list = replace("dynamodb", "_list_imports", self.listed)
        self._run = replace("dynamodb", "_run_import", self.run)
        self._finish = replace("dynamodb", "_finish_import", self.finish)
        self._objects = replace("dynamodb", "_import_source_objects", self.source_objects)
        self._items = replace("dynamodb", "_import_dynamodb_json_items", self.items)
        for name in DATA_PLANE:
            handler = getattr(self._ministack.dynamodb, name)
            replace("dynamodb", name, self._unless_importing(handler))

    def start(self, data: Json) -> Response:
        """Answer ImportTable. A known token returns its import, unless its table is there.

        AWS refuses the repetition of an import while its table exists, token or no token
        (boto3#3463), unlike that of an export.
        """
        imports = self._ministack.dynamodb._imports
        created = data.get("TableCreationParameters") or {}
        if created.get("LocalSecondaryIndexes"):
            # No member of TableCreationParameters: botocore refuses it before it is sent.
            return self._ministack.error(
                "ValidationException", "An imported table cannot have local secondary indexes"
            )
        table = created.get("TableName")
        token = None if table in self._ministack.dynamodb._tables else data.get("ClientToken")
        for description in imports.values() if token else ():
            over = description.get("EndTime")
            if description.get("ClientToken") != token or (
                over is not None and time.time() - over > TOKEN_SECONDS
            ):
                continue
            if description["_request"] != data:
                return self._ministack.error(
                    "ImportConflictException",
                    "There was a conflict when importing from the specified S3 source: the client "
                    "token is in use for an import with other parameters",
                )
            shown = self._ministack.dynamodb._import_description(description)
            return self._ministack.ok({"ImportTableDescription": shown})
        known = set(imports.keys())
        response = self._start(data)
        for arn in set(imports.keys()) - known:
            imports[arn] |= {"_request": data, "_caller": self._access.caller_key()}
            self._running += 1
            self._ministack.dynamodb._tables[_table_of(arn)]["TableStatus"] = "CREATING"
        return response

    def listed(self, data: Json) -> Response:
        """Answer ListImports, with a token as long as AWS's."""
        status, headers, body = self._list(data)
        answer = json.loads(body)
        if "NextToken" not in answer:
            return status, headers, body
        return self._ministack.ok(
            answer | {"NextToken": answer["NextToken"].rjust(TOKEN_LENGTH, "0")}
        )

    def run(self, import_arn: str, table_name: str) -> None:
        """Run the import on its own thread. Only that thread may write to the table."""
        with _as_import():
            self._run(import_arn, table_name)

    def finish(
        self, description: Json, status: str, code: str | None = None, message: str | None = None
    ) -> None:
        """End an import: the table becomes ACTIVE with the items imported so far."""
        table = self._ministack.dynamodb._tables.get(_table_of(description["ImportArn"]))
        if table is not None:
            table["TableStatus"] = "ACTIVE"
        self._running -= 1
        self._finish(description, status, code, message)

    def items(self, blob: bytes) -> Any:
        """Return the items of an object. Only a newline ends a line, no other Unicode separator."""
        text = blob.decode("utf-8", errors="replace")
        for separator in "\x85\u2028\u2029":
            text = text.replace(separator, f"\\u{ord(separator):04x}")
        return self._items(text.encode())

    def source_objects(self, source: Json, compression: str) -> tuple[str, list[tuple[str, bytes]]]:
        """Read the source's objects from the account in S3BucketOwner, if the caller may."""
        account = self._ministack.responses.get_account_id()
        region = self._ministack.responses.get_region()
        bucket = source["S3Bucket"]
        owner = self._ministack.s3._bucket_owner_account(bucket)
        if owner is not None and owner != (source.get("S3BucketOwner") or account):
            raise self._denied(f"the bucket belongs to {owner}")
        caller = self._caller_of(source)
        refused = self._access.bucket_refusal(
            caller, account, bucket, IMPORT_READS, f"{source.get('S3KeyPrefix') or ''}any"
        )
        group = f"arn:aws:logs:{region}:{account}:log-group:/aws-dynamodb/imports"
        if refused is None:
            refused = next((a for a in ACCOUNTS_LOGS if not self._may_log(caller, a, group)), None)
        if refused:
            raise self._denied(f"the caller may not {refused}")
        with self._ministack.responses.request_scope(owner or account, region):
            return self._objects(source, compression)

    # -- helpers ---------------------------------------------------------------------------------

    def _may_log(self, caller: str, action: str, group: str) -> bool:
        account = self._ministack.responses.get_account_id()
        stream = f"{group}:log-stream:any"
        return any(
            self._access.permits(caller, account, action, arn)
            for arn in (group, stream, f"{group}:*")
        )

    def _caller_of(self, source: Json) -> str:
        for description in self._ministack.dynamodb._imports.values():
            if description["S3BucketSource"] is source:
                return str(description["_caller"])
        return str(self._ministack.responses.get_account_id())

    def _denied(self, why: str) -> Exception:
        failure: Exception = self._ministack.dynamodb._ImportFailed(
            "S3AccessDenied", f"Access Denied: {why}", table_created=False
        )
        return failure

    def _unless_importing(self, handler: Callable[[Json], Response]) -> Callable[[Json], Response]:
        def guarded(data: Json) -> Response:
            if self._running and not _importing.get():
                tables = self._ministack.dynamodb._tables
                for name in table_names(data):
                    table = tables.get(self._ministack.dynamodb._normalize_table_name(name))
                    if table is not None and table["TableStatus"] == "CREATING":
                        return self._ministack.error(
                            "ResourceNotFoundException", "Requested resource not found"
                        )
            return handler(data)

        return guarded


@contextmanager
def _as_import() -> Iterator[None]:
    token = _importing.set(True)
    try:
        yield
    finally:
        _importing.reset(token)


def _table_of(import_arn: str) -> str:
    return import_arn.split(":table/", 1)[1].split("/", 1)[0]


def table_names(data: Json) -> set[str]:
    """Return the tables that a data-plane request addresses."""
    names: set[Any] = {data.get("TableName"), *(data.get("RequestItems") or ())}
    for member in data.get("TransactItems") or ():
        names |= {action.get("TableName") for action in member.values()}
    return {name for name in names if isinstance(name, str)}
