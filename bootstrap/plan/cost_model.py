"""A cost model: the bill of a replication line by line, and one dated list of prices.

List prices of us-east-1 in US dollars, as of `AS_OF`. They are estimates for planning: AWS's price
pages count, and other Regions differ. Any can be replaced: `dataclasses.replace(PRICES, …)`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

AS_OF = "2026-11-23"
REGION = "us-east-1"

DAYS_A_MONTH = 365 / 12
SECONDS_A_DAY = 86_400
ALARMS, METRICS = 30, 26
"""Alarms of a table, and metrics of our own. A test counts them."""
MILLION = 1_000_000
BILLED_CHUNK = 1024
"""Bytes that DynamoDB rounds each write and each captured change up to."""

FUNCTION_SECONDS_PER_CHANGE = 0.002
FUNCTION_GB = 1769 / 1024
"""Assumed; the REPORT lines in the function's log have the figure for your items."""

STANDARD_DAYS = 1
"""Days that a stream keeps records without extra charge."""
EXTENDED_DAYS = 7
"""Extended retention up to here, long-term retention beyond."""


@dataclass(frozen=True)
class Prices:
    """US dollars."""

    stream_hour: float = 0.04
    """A stream on demand, an hour."""
    stream_in_gb: float = 0.08
    """Written to a stream on demand, a GB."""
    stream_out_gb: float = 0.04
    """Read from a stream on demand, a GB."""
    extended_gb_month: float = 0.10
    """Kept from the second to the seventh day, a GB and month."""
    long_term_gb_month: float = 0.023
    """Kept from the eighth to the 365th day, a GB and month."""
    change_capture_million: float = 0.10
    """Change data capture units, a million: one for each KB of the larger image."""
    write_units_million: float = 0.625
    """DynamoDB write request units on demand, a million."""
    table_gb_month: float = 0.25
    recovery_gb_month: float = 0.20
    """Point-in-time recovery, a GB of table and month."""
    export_gb: float = 0.10
    import_gb: float = 0.15
    bucket_gb_month: float = 0.023
    function_gb_second: float = 0.0000133334
    """A Lambda function on arm64."""
    key_month: float = 1.0
    metric_month: float = 0.30
    alarm_month: float = 0.10
    other_region_gb: float = 0.02
    """Sent to another Region, a GB."""


PRICES = Prices()


@dataclass(frozen=True)
class Load:
    """A table's size and rate of changes."""

    changes_per_second: float
    item_bytes: int
    table_gb: float
    update_share: float = 0.25
    """Changes that modify an item rather than make or delete one, from 0 to 1."""
    retention_days: float = 365


EXAMPLE = Load(changes_per_second=1000, item_bytes=1024, table_gb=100)


def ledger_write_units(item_bytes: int) -> int:
    """Return the write units of one applied change in `ledger` order, for an item of n KB: 2n + 2.

    A transaction of the item and of its ledger entry, which is under 1 KB; transactions cost double
    (Amazon DynamoDB Developer Guide, transaction-apis).
    """
    return 2 * math.ceil(item_bytes / BILLED_CHUNK) + 2


def million_changes(item_bytes: int, prices: Prices = PRICES) -> float:
    """Return the US dollars of a million applied changes, written to target and ledger."""
    return ledger_write_units(item_bytes) * prices.write_units_million


def record_bytes(item_bytes: int, update_share: float) -> float:
    """Return the size of the average change record on the stream, by AWS's own sizing rule.

    (4 + share of updates) times the item: a record has both images of an update, and the JSON of
    an image is larger than the item (Amazon DynamoDB Developer Guide,
    kds_using-shards-and-metrics).
    """
    return (4 + update_share) * item_bytes


def stream_gb_per_day(load: Load) -> float:
    """Return the daily inflow of the stream, in GB of 10^9 bytes."""
    size = record_bytes(load.item_bytes, load.update_share)
    return load.changes_per_second * size * SECONDS_A_DAY / 1e9


def retained_gb(load: Load) -> tuple[float, float]:
    """Return the GB in a full stream: under extended and under long-term retention."""
    daily = stream_gb_per_day(load)
    extended = min(load.retention_days, EXTENDED_DAYS) - STANDARD_DAYS
    long_term = load.retention_days - EXTENDED_DAYS
    return daily * max(0.0, extended), daily * max(0.0, long_term)


@dataclass(frozen=True)
class CostLine:
    """One line of the bill. `monthly` is for a load in a month; None for what is paid once."""

    resource: str
    driver: str
    price: str
    monthly: float | None
    once: float = 0.0


def bill(load: Load, prices: Prices = PRICES) -> Sequence[CostLine]:
    """List the costs of a load, with a full stream."""
    changes = load.changes_per_second * SECONDS_A_DAY * DAYS_A_MONTH / MILLION
    gb = stream_gb_per_day(load) * DAYS_A_MONTH
    extended, long_term = retained_gb(load)
    kept = extended * prices.extended_gb_month + long_term * prices.long_term_gb_month
    chunks = math.ceil(load.item_bytes / BILLED_CHUNK)
    table = prices.table_gb_month + prices.recovery_gb_month
    return (
        CostLine(
            "Target and ledger writes",
            "each applied change: 2n + 2 write units for an item of n KB",
            f"{_usd(million_changes(1024, prices))} per million changes of 1 KB",
            changes * million_changes(load.item_bytes, prices),
        ),
        CostLine(
            "Stream, retention",
            "changes × size × days kept: **the surprise**, and it grows for the whole retention",
            f"{_usd(prices.extended_gb_month)} a GB-month to day 7, "
            f"{_usd(prices.long_term_gb_month)} from then on",
            kept,
        ),
        CostLine(
            "Stream, in and out",
            "changes × size",
            f"{_usd(prices.stream_in_gb)} + {_usd(prices.stream_out_gb)} a GB, "
            f"{_usd(prices.stream_hour)} an hour",
            gb * (prices.stream_in_gb + prices.stream_out_gb)
            + prices.stream_hour * 24 * DAYS_A_MONTH,
        ),
        CostLine(
            "Change data capture",
            "changes × KB of the larger image",
            f"{_usd(prices.change_capture_million)} per million units",
            changes * chunks * prices.change_capture_million,
        ),
        CostLine(
            "Function",
            "changes × time for each, and memory",
            f"{_usd(prices.function_gb_second * 3600)} a GB-hour",
            changes
            * MILLION
            * FUNCTION_SECONDS_PER_CHANGE
            * FUNCTION_GB
            * prices.function_gb_second,
        ),
        CostLine(
            "To another Region",
            "changes × size, where the target is in one",
            f"{_usd(prices.other_region_gb)} a GB",
            None,
        ),
        CostLine(
            "Target table",
            "its size, with point-in-time recovery",
            f"{_usd(table)} a GB-month",
            load.table_gb * table,
        ),
        CostLine(
            "Point-in-time recovery of the source",
            "its size, where it was not on before",
            f"{_usd(prices.recovery_gb_month)} a GB-month",
            load.table_gb * prices.recovery_gb_month,
        ),
        CostLine(
            "Snapshot",
            "the table's size: export and import, once; the bucket until it is removed",
            f"{_usd(prices.export_gb)} + {_usd(prices.import_gb)} a GB, "
            f"then {_usd(prices.bucket_gb_month)} a GB-month",
            load.table_gb * prices.bucket_gb_month,
            load.table_gb * (prices.export_gb + prices.import_gb),
        ),
        CostLine(
            "Keys, alarms, metrics",
            "tables in the stack",
            f"{_usd(prices.key_month)} a key, {_usd(prices.alarm_month)} an alarm, "
            f"{_usd(prices.metric_month)} a metric, a month",
            prices.key_month + ALARMS * prices.alarm_month + METRICS * prices.metric_month,
        ),
    )


def table(load: Load = EXAMPLE, prices: Prices = PRICES) -> str:
    """Render the bill as a table of the documents."""
    rows = ["| resource | what drives it | price | a month |", "| --- | --- | --- | ---: |"]
    for line in bill(load, prices):
        month = "" if line.monthly is None else f"${line.monthly:,.0f}"
        if line.once:
            month += f" (and ${line.once:,.0f} once)"
        rows.append(f"| {line.resource} | {line.driver} | {line.price} | {month} |")
    total = sum(line.monthly or 0.0 for line in bill(load, prices))
    rows.append(f"| **together** | | | **${total:,.0f}** |")
    return "\n".join(rows)


def _usd(amount: float) -> str:
    """Format a price, with cents at least and more digits where it has them."""
    text = f"{amount:.4f}".rstrip("0")
    whole, _, cents = text.partition(".")
    return f"${whole}.{cents:0<2}"
