"""What things are called in a simulated stack."""

from __future__ import annotations

SOURCE_TABLE = "orders"
TARGET_TABLE = "orders-replica"
LEDGER_TABLE = "orders-ledger"
JOURNAL_TABLE = "journal"
QUARANTINE_BUCKET = "orders-quarantine"
FAILURES_BUCKET = "orders-failures"
SETTINGS_KEY = {"k": {"B": b"settings"}}
PROBE = b"probe:"
SHARD_INDEX = b"lane-shards:"
LATE_WRITES = b"late:"
SHARD_ROWS = (b"lane:", LATE_WRITES)
