"""The names of ministack that this emulator replaces or relies on, checked at start-up.

They are private names of one pinned version: a missing one would otherwise leave ministack's own,
silently different behaviour in place.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

PINNED_VERSION = "1.5.33"

Json = dict[str, Any]
Response = tuple[int, dict[str, str], bytes]

MODULES: Mapping[str, str] = {
    "app": "ministack.app",
    "responses": "ministack.core.responses",
    "concurrency": "ministack.core.concurrency",
    "iam_actions": "ministack.core.iam_actions",
    "iam_evaluator": "ministack.core.iam_evaluator",
    "lambda_runtime": "ministack.core.lambda_runtime",
    "dynamodb": "ministack.services.dynamodb",
    "dynamodb_streams": "ministack.services.dynamodb_streams",
    "iam": "ministack.services.iam",
    "kinesis": "ministack.services.kinesis",
    "kms": "ministack.services.kms",
    "lambda_svc": "ministack.services.lambda_svc",
    "s3": "ministack.services.s3",
    "sns": "ministack.services.sns",
    "sqs": "ministack.services.sqs",
    "cloudwatch": "ministack.services.cloudwatch",
    "cloudwatch_logs": "ministack.services.cloudwatch_logs",
    "eventbridge": "ministack.services.eventbridge",
    "tagging": "ministack.services.tagging",
    "glue": "ministack.services.glue",
}

REPLACED: Mapping[str, tuple[str, ...]] = {
    "app": ("pin_request_origin",),
    "iam_actions": (
        "extract_iam_action",
        "extract_resource_arn",
        "_lambda_action",
        "dynamodb_transaction_checks",
        "access_denied_response",
    ),
    "iam_evaluator": ("_principal_matches", "_resolve_condition_key", "enforce"),
    "lambda_runtime": ("_PYTHON_WORKER_SCRIPT", "subprocess", "zipfile"),
    "dynamodb": (
        # writes, atomic with the change record they emit
        "_put_item",
        "_update_item",
        "_delete_item",
        "_batch_write_item",
        "_transact_write_items",
        "_execute_statement",
        "_batch_execute_statement",
        "_execute_transaction",
        "_set_item",
        "_remove_item",
        # reads of a table that is still being imported
        "_get_item",
        "_query",
        "_scan",
        "_batch_get_item",
        "_transact_get_items",
        # the text of expressions
        "_tokenize",
        "_condition_syntax_error",
        # secondary indexes
        "_apply_index_projection",
        "_index_key_type_reason",
        # tables
        "handle_request",
        "_create_table",
        "_update_table",
        "_table_description",
        "_delete_table",
        # resource policies
        "_put_resource_policy",
        "_get_resource_policy",
        "_delete_resource_policy",
        # change data capture
        "_emit_stream_event",
        "drop_stream_records",
        "_fan_out_to_kinesis",
        "_enable_kinesis_streaming_destination",
        "_disable_kinesis_streaming_destination",
        "_describe_kinesis_streaming_destination",
        "_update_kinesis_streaming_destination",
        # limits
        "_DDB_TXN_MAX_BYTES",
        # arithmetic
        "_apply_update_expression",
        # point-in-time recovery, export, import
        "_describe_continuous_backups",
        "_update_continuous_backups",
        "_update_ttl",
        "_export_table_to_point_in_time",
        "_describe_export",
        "_list_exports",
        "_import_table",
        "_list_imports",
        "_run_import",
        "_finish_import",
        "_import_source_objects",
        "_import_dynamodb_json_items",
        "_IMPORT_COMPLETE_AFTER_SEC",
    ),
    "dynamodb_streams": ("handle_request",),
    "kinesis": (
        "handle_request",
        "_next_sequence_number",
        "_expire_iterators",
        "_expire_records",
        "_create_stream",
        "_shard_out",
        "_describe_stream",
        "_describe_stream_summary",
        "_list_shards",
        "_put_record",
        "_put_records",
        "put_record_internal",
        "_get_shard_iterator",
        "_get_records",
        "_split_shard",
        "_merge_shards",
        "_update_shard_count",
    ),
    "kms": ("_create_alias", "_update_alias", "_delete_alias"),
    "lambda_svc": (
        "_create_esm",
        "_update_esm",
        "_delete_esm",
        "_esm_response",
        "_poll_kinesis",
        "_poll_dynamodb_streams",
        "_validate_event_source_arn",
        "_emit_lambda_logs",
    ),
    "s3": ("_foreign_bucket_allows",),
    "cloudwatch": ("_evaluate_alarm", "_evaluate_all_alarms"),
    "cloudwatch_logs": ("_filter_log_events", "handle_request"),
    "glue": (
        "_create_job",
        "_update_job",
        "_start_job_run",
        "_get_job_run",
        "_get_job_runs",
        "_batch_stop_job_run",
    ),
    "eventbridge": ("_parse_rate_seconds", "_SCHEDULER_TICK_INTERVAL", "_dispatch_to_lambda"),
}

ADDED: Mapping[str, tuple[str, ...]] = {
    # operations that ministack lacks; one that has them is another ministack
    "dynamodb": (
        "_start_bulk_put_items",
        "_describe_bulk_operation",
        "_list_bulk_operations",
        "_cancel_bulk_operation",
    ),
}

RELIED_ON: Mapping[str, tuple[str, ...]] = {
    "app": ("app", "AUTH"),
    "iam_actions": ("_param", "_s3_action", "s3_service_context", "identity_denial_message"),
    "responses": (
        "error_response_json",
        "get_account_id",
        "get_region",
        "json_response",
        "request_scope",
    ),
    "concurrency": ("spawn_background",),
    "iam_evaluator": (
        "AuthError",
        "EvalContext",
        "_verified_key",
        "EvalResult",
        "caller_arn",
        "combine_resource_policy",
        "evaluate",
        "evaluate_resource_policy",
        "resolve_principal",
    ),
    "lambda_runtime": ("Worker", "execution_credentials"),
    "dynamodb": (
        "_tables",
        "_ttl_settings",
        "_pitr_settings",
        "_kinesis_destinations",
        "_exports",
        "_imports",
        "_validate_kinesis_destination_request",
        "_VALID_PRECISIONS",
        "_item_size_bytes",
        "_index_write_view",
        "_parse_projection_path",
        "_normalize_table_name",
        "_table_name_from_arn",
        "_extract_key_val",
        "_replicate_write",
        "_ddb_canonicalize_number",
        "_ImportFailed",
        "_import_description",
        "_parse_partiql",
    ),
    "iam": ("_roles", "_users"),
    "kinesis": (
        "_streams",
        "_consumers",
        "_resolve_stream",
        "stream_policy_for_arn",
        "_encode_list_shards_token",
        "_decode_list_shards_token",
    ),
    "kms": ("_resolve_key",),
    "lambda_svc": (
        "_esms",
        "_functions",
        "parse_arn",
        "_get_func_record_for_qualifier",
        "_get_func_record_for_ref",
        "_execution_record_for_config",
        "_resolve_request_scoped_name_and_qualifier",
        "_execute_function",
        "_execute_function_with_config_scope",
        "_apply_filter_criteria",
        "_probe_peak_memory_mb",
    ),
    "s3": (
        "_put_object",
        "_get_object_data",
        "_buckets",
        "_bucket_owner_account",
        "_bucket_policies",
    ),
    "sns": ("_fanout", "_topic_by_arn_any_scope"),
    "sqs": ("_queue_by_arn",),
    "glue": ("_jobs",),
    "tagging": ("_COLLECTORS", "_normalise_flat"),
    "cloudwatch": (
        "_metric_bucket",
        "_dims_key",
        "_store_datum",
        "_alarms",
        "_metrics",
        "_calc_stats",
        "_stat_value",
        "_record_history",
        "_dispatch_alarm_actions",
        "_evaluate_parent_alarms",
    ),
    "cloudwatch_logs": (
        "_log_groups",
        "_make_group_arn",
        "_append_log_events",
        "_resolve_log_group_name",
        "_compile_filter_pattern",
        "_log_events_lock",
        "_fanout_to_subscription_filters",
    ),
}

# Methods of ministack's Lambda worker, which are replaced on the class.
WORKER_METHODS = ("invoke", "_spawn", "_drain_stderr")

# Deletes expired items without a change record; `ttl` does it instead.
UNWANTED_THREAD = "dynamodb-ttl-reaper"


class EmulatorMismatchError(RuntimeError):
    """The installed ministack is not the one these corrections were written for."""


@dataclass(frozen=True)
class Ministack:
    """The modules of ministack by short names, and the one way to replace a name in them."""

    version: str
    modules: Mapping[str, Any]

    def __getattr__(self, name: str) -> Any:
        try:
            return self.modules[name]
        except KeyError:
            raise AttributeError(name) from None

    def ok(self, body: Json) -> Response:
        """Return a successful answer of a JSON service."""
        response: Response = self.responses.json_response(body)
        return response

    def error(self, code: str, message: str, status: int = 400) -> Response:
        """Return an error of a JSON service."""
        response: Response = self.responses.error_response_json(code, message, status)
        return response

    def replace(self, module: str, name: str, new: Any) -> Any:
        """Replace `module.name` by `new` and return the original.

        Raises `EmulatorMismatchError` for a name that `REPLACED` does not declare.
        """
        if name not in (*REPLACED.get(module, ()), *ADDED.get(module, ())):
            raise EmulatorMismatchError(
                f"{MODULES[module]}.{name} is replaced but not declared. "
                "Try: declare it in infra/local/emulator/patching.py"
            )
        old = getattr(self.modules[module], name)
        setattr(self.modules[module], name, new)
        return old

    def add(self, module: str, name: str, new: Any) -> None:
        """Add a name that the module lacks. Raises `EmulatorMismatchError` if it has one."""
        if name not in ADDED.get(module, ()) or hasattr(self.modules[module], name):
            raise EmulatorMismatchError(
                f"{MODULES[module]}.{name} is added but not declared, or ministack has it. "
                "Try: compare infra/local/emulator/patching.py with ministack's own"
            )
        setattr(self.modules[module], name, new)


def missing_names(modules: Mapping[str, Any]) -> list[str]:
    """Return the declared names that these modules lack, as dotted paths."""
    declared = [
        (module, name)
        for table in (REPLACED, RELIED_ON)
        for module in table
        for name in table[module]
    ]
    missing = [f"{MODULES[m]}.{n}" for m, n in declared if not hasattr(modules[m], n)]
    worker = getattr(modules["lambda_runtime"], "Worker", None)
    missing += [
        f"{MODULES['lambda_runtime']}.Worker.{n}"
        for n in WORKER_METHODS
        if worker is not None and not hasattr(worker, n)
    ]
    return missing


def check(version: str, modules: Mapping[str, Any]) -> Ministack:
    """Return the checked modules. Raise `EmulatorMismatchError` with the missing names."""
    missing = missing_names(modules)
    if missing:
        raise EmulatorMismatchError(
            f"ministack {version} does not have {', '.join(missing)}, which the local cloud "
            f"corrects (it was written for ministack {PINNED_VERSION}).\n"
            f"Try: pip install -r requirements.txt, which pins ministack=={PINNED_VERSION}"
        )
    return Ministack(version, modules)


def load() -> Ministack:
    """Import ministack and check it. Its settings are environment variables, read at import."""
    with _never_started(UNWANTED_THREAD) as seen:
        modules: dict[str, ModuleType] = {
            name: importlib.import_module(path) for name, path in MODULES.items()
        }
    version = importlib.import_module("importlib.metadata").version("ministack")
    if UNWANTED_THREAD not in seen:
        raise EmulatorMismatchError(
            f"ministack {version} no longer starts the thread {UNWANTED_THREAD}, which the local "
            "cloud holds back because it deletes expired items without a change record.\n"
            f"Try: pip install -r requirements.txt, which pins ministack=={PINNED_VERSION}"
        )
    return check(version, modules)


@contextmanager
def _never_started(thread_name: str) -> Iterator[set[str]]:
    """Hold back threads of this name while it lasts; yield the names that were held back."""
    held: set[str] = set()
    start: Callable[[threading.Thread], None] = threading.Thread.start

    def start_others(thread: threading.Thread) -> None:
        if thread.name == thread_name:
            held.add(thread_name)
        else:
            start(thread)

    threading.Thread.start = start_others  # type: ignore[method-assign, assignment]
    try:
        yield held
    finally:
        threading.Thread.start = start  # type: ignore[method-assign, assignment]
