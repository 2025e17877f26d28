"""What things are called in a simulated stack."""

from __future__ import annotations

SOURCE_TABLE = "orders"
TARGET_TABLE = "orders-replica"
LEDGER_TABLE = "orders-ledger"
JOURNAL_TABLE = "journal"
QUARANTINE_BUCKET = "orders-quarantine"
FAILURES_BUCKET = "orders-failures"
SETTINGS_KEY = {"k": {"B": b"settings"}}
STREAM_LABEL = "2026-01-01T00:00:00.000"
STREAM_ARN = f"arn:aws:dynamodb:eu-west-1:111111111111:table/{SOURCE_TABLE}/stream/{STREAM_LABEL}"
PROBE = b"probe:"
ENDED = b"ended:"
SHARD_INDEX = b"lane-shards:"
LATE_WRITES = b"late:"
SHARD_ROWS = (b"lane:", LATE_WRITES)
