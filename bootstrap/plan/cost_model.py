"""A cost model: the bill of a replication line by line, from its inputs and a list of prices."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bootstrap.plan.cost_inputs import (
    BILLED_CHUNK,
    DAYS_A_MONTH,
    EXAMPLE,
    HOURS_A_MONTH,
    SECONDS_A_MONTH,
    STANDARD_DAYS,
    CostInputs,
    gb_per_day,
    ledger_write_units,
    record_bytes,
    retained,
)
from bootstrap.plan.prices import PRICES, Prices

ALARMS, METRICS = 35, 30
"""Alarms of a table, and metrics of our own. A test counts them."""
PROOFS_A_MONTH, READS_PER_PROOF = 30, 100
"""Assumed: a proof a day, and reads of a shard for each."""
MILLION = 1_000_000
PUT_UNIT_BYTES = 25_600
"""Of a record, rounded up, for each put payload unit of a provisioned stream."""

FUNCTION_SECONDS_PER_CHANGE = 0.002
FUNCTION_GB = 1769 / 1024
"""Assumed; the REPORT lines in the function's log have the figure for your items."""
CHANGES_PER_INVOCATION = 500
"""At most: the default of batchSize. A shard with any change is read about once a second."""
LOG_BYTES_PER_INVOCATION = 2_000
"""Metrics in a line of JSON, and Lambda's own lines about the start and the end."""
LOG_BYTES_PER_CHANGE = 12
"""Its lag, a number in that line."""
LOG_DAYS = 90
"""Days that the stack keeps logs by default. A test compares it with the stack's."""

ROUNDS_A_DAY = 288
"""Of the watchdog, which puts probes. A test compares it with the stack's schedule."""
PROBES_PER_PARALLEL_SHARD = 128
"""Probes of a shard and round at a parallelization factor above 1. A test compares it."""


def million_changes(item_bytes: int, prices: Prices = PRICES, *, infrequent: bool = False) -> float:
    """Return the US dollars of a million applied changes, written to target and ledger.

    `infrequent`: the target has another table class. The ledger has the standard one.
    """
    ledger = 2
    target = ledger_write_units(item_bytes) - ledger
    return target * _unit_price(prices, infrequent) + ledger * prices.write_units_million


@dataclass(frozen=True)
class CostLine:
    """One line of the bill. `monthly` is the cost of a month; None: there is none of it."""

    resource: str
    driver: str
    price: str
    monthly: float | None
    once: float = 0.0


def bill(inputs: CostInputs, prices: Prices = PRICES) -> Sequence[CostLine]:
    """List the costs of a replication with a full stream."""
    return (
        *_changes(inputs, prices),
        *_traffic(inputs, prices),
        *_tables(inputs, prices),
        *_own_reads(inputs, prices),
        CostLine(
            "Keys, alarms, metrics",
            "tables in the stack, and keys that it makes",
            f"{_usd(prices.key_month)} a key, {_usd(prices.alarm_month)} an alarm, "
            f"{_usd(prices.metric_month)} a metric, a month",
            inputs.keys * prices.key_month
            + ALARMS * prices.alarm_month
            + METRICS * prices.metric_month,
        ),
    )


@dataclass(frozen=True)
class _ChangeCosts:
    """US dollars a month of a rate of changes, from the source to the target."""

    writes: float
    retention: float
    stream: float
    capture: float
    function: float

    @property
    def together(self) -> float:
        return self.writes + self.retention + self.stream + self.capture + self.function


def _change_costs(inputs: CostInputs, rate: float, prices: Prices) -> _ChangeCosts:
    """Cost of `rate` changes a second, whatever made them. No part is paid without changes."""
    millions = rate * SECONDS_A_MONTH / MILLION
    record = record_bytes(inputs.item_bytes, inputs.update_share)
    extended, long_term = retained(inputs, gb_per_day(inputs, rate))
    seconds = millions * MILLION * FUNCTION_SECONDS_PER_CHANGE
    writes = millions * million_changes(
        inputs.item_bytes, prices, infrequent=inputs.infrequent_access
    )
    function = seconds * FUNCTION_GB * prices.function_gb_second
    if inputs.table_stream:
        return _ChangeCosts(writes, retention=0.0, stream=0.0, capture=0.0, function=function)
    if inputs.provisioned:
        stream = millions * math.ceil(record / PUT_UNIT_BYTES) * prices.put_units_million
        extended = 0.0  # by the shard, whatever is in it
    else:
        billed = millions * math.ceil(record / BILLED_CHUNK) * BILLED_CHUNK * MILLION / 1e9
        out = millions * record * MILLION / 1e9
        stream = billed * prices.stream_in_gb + out * prices.stream_out_gb
    return _ChangeCosts(
        writes=writes,
        retention=extended * prices.extended_gb_month + long_term * prices.long_term_gb_month,
        stream=stream,
        capture=millions
        * math.ceil(inputs.item_bytes / BILLED_CHUNK)
        * prices.change_capture_million,
        function=function,
    )


def _changes(inputs: CostInputs, prices: Prices) -> Iterator[CostLine]:
    """List what grows with the changes, writes and deletions by time to live apart."""
    written = _change_costs(inputs, inputs.changes_per_second, prices)
    expired = _change_costs(inputs, inputs.expired_per_second, prices)
    requests = _invocations(inputs) * SECONDS_A_MONTH / MILLION * prices.function_requests_million
    yield CostLine(
        "Target and ledger writes",
        "each applied change: 2n + 2 write units for an item of n KB",
        f"{_usd(million_changes(1024, prices))} per million changes of 1 KB; with the table class "
        f"Standard-IA {_usd(million_changes(1024, prices, infrequent=True))}",
        written.writes,
    )
    yield CostLine(
        "Index writes",
        "write units of the source's global secondary indexes: the target's cost the same",
        f"{_usd(prices.write_units_million)} per million units; with the table class Standard-IA "
        f"{_usd(prices.infrequent_write_units_million)}",
        _if_any(
            inputs.index_units_per_second,
            inputs.index_units_per_second
            * SECONDS_A_MONTH
            / MILLION
            * _unit_price(prices, inputs.infrequent_access),
        ),
    )
    yield CostLine(
        "Deletions by time to live",
        "each is a change too: stream, capture, function and writes, all in this line",
        "free in the source; as the lines of the changes",
        _if_any(inputs.expired_per_second, expired.together),
    )
    yield CostLine(
        "Stream, retention",
        "changes × size × days kept: **the surprise**, and it grows for the whole retention",
        f"{_usd(prices.extended_gb_month)} a GB-month to day 7 (provisioned: "
        f"{_usd(prices.extended_shard_hour)} a shard and hour), "
        f"{_usd(prices.long_term_gb_month)} from then on",
        written.retention + _extended_shards(inputs, prices),
    )
    yield CostLine(
        "Stream, in and out",
        "changes × size; provisioned: shards",
        f"{_usd(prices.stream_in_gb)} + {_usd(prices.stream_out_gb)} a GB, "
        f"{_usd(prices.stream_hour)} an hour; provisioned: {_usd(prices.shard_hour)} a shard and "
        f"hour, {_usd(prices.put_units_million)} per million puts of 25 KB",
        written.stream + HOURS_A_MONTH * _stream_hour(inputs, prices),
    )
    yield CostLine(
        "Change data capture",
        "changes × KB of the larger image",
        f"{_usd(prices.change_capture_million)} per million units",
        written.capture,
    )
    yield CostLine(
        "Function",
        "changes × time for each, and memory; invocations",
        f"{_usd(prices.function_gb_second * 3600)} a GB-hour, "
        f"{_usd(prices.function_requests_million)} per million invocations",
        written.function + requests,
    )


def _traffic(inputs: CostInputs, prices: Prices) -> Iterator[CostLine]:
    """List what the changes leave on the way: logs, probes, and bytes to another Region."""
    rate = inputs.changes_per_second + inputs.expired_per_second
    logged = _invocations(inputs) * LOG_BYTES_PER_INVOCATION + rate * LOG_BYTES_PER_CHANGE
    logs_gb = logged * SECONDS_A_MONTH / 1e9
    probes = inputs.shards * (PROBES_PER_PARALLEL_SHARD if inputs.parallelization_factor > 1 else 1)
    millions = probes * ROUNDS_A_DAY * DAYS_A_MONTH / MILLION
    sent = rate * inputs.item_bytes * SECONDS_A_MONTH / 1e9
    put = (
        prices.put_units_million if inputs.provisioned else prices.stream_in_gb * BILLED_CHUNK / 1e3
    )
    yield CostLine(
        "Logs",
        "invocations, and a number for each change",
        f"{_usd(prices.logs_in_gb)} a GB, then {_usd(prices.logs_gb_month)} a GB-month for "
        f"{LOG_DAYS} days",
        logs_gb * (prices.logs_in_gb + prices.logs_gb_month * LOG_DAYS / DAYS_A_MONTH),
    )
    yield CostLine(
        "Probes",
        f"shards × {ROUNDS_A_DAY} rounds a day; × {PROBES_PER_PARALLEL_SHARD} where "
        "parallelizationFactor is above 1",
        f"a record and a write unit each: {_usd(put + prices.write_units_million)} per million",
        None if inputs.table_stream else millions * (put + prices.write_units_million),
    )
    yield CostLine(
        "To another Region",
        "changes × size, where the target is in one",
        f"{_usd(prices.other_region_gb)} a GB",
        sent * prices.other_region_gb if inputs.other_region else None,
    )


def _tables(inputs: CostInputs, prices: Prices) -> Iterator[CostLine]:
    """List what grows with the table's size."""
    own = inputs.table_gb + inputs.local_index_gb
    held = own + inputs.index_gb
    kept = prices.infrequent_table_gb_month if inputs.infrequent_access else prices.table_gb_month
    yield CostLine(
        "Target table",
        "its size, with its indexes",
        f"{_usd(prices.table_gb_month)} a GB-month; with the table class Standard-IA "
        f"{_usd(prices.infrequent_table_gb_month)}",
        held * kept,
    )
    yield CostLine(
        "Point-in-time recovery",
        "the size of the target, and of the source where it was not on before",
        f"{_usd(prices.recovery_gb_month)} a GB-month each",
        2 * own * prices.recovery_gb_month,
    )
    yield from _snapshot(inputs, prices, own, held)


def _snapshot(inputs: CostInputs, prices: Prices, own: float, held: float) -> Iterator[CostLine]:
    """List the export and the load. `own`: GB of the table with its local indexes; `held`: of all.

    An export is billed by the size of the table and its local indexes (developer guide,
    S3DataExport.HowItWorks), and has the items alone.
    """
    kept = inputs.table_gb * prices.bucket_gb_month
    if not inputs.bulk:
        yield CostLine(
            "Snapshot",
            "the table's size: export and import, once; the bucket until it is removed",
            f"{_usd(prices.export_gb)} + {_usd(prices.import_gb)} a GB, "
            f"then {_usd(prices.bucket_gb_month)} a GB-month",
            kept,
            own * prices.export_gb + inputs.table_gb * prices.import_gb,
        )
        return
    yield CostLine(
        "Snapshot",
        "the table's size with its local indexes: the export, once; the bucket until it is removed",
        f"{_usd(prices.export_gb)} a GB, then {_usd(prices.bucket_gb_month)} a GB-month",
        kept,
        own * prices.export_gb,
    )
    yield CostLine(
        "Bulk put",
        "the items and the entries of all indexes, once",
        "unknown" if prices.bulk_put_gb is None else f"{_usd(prices.bulk_put_gb)} a GB",
        None,
        held * (prices.bulk_put_gb or 0.0),
    )


def unpriced(inputs: CostInputs, prices: Prices = PRICES) -> Sequence[str]:
    """Name what the bill lacks because no price is known: the load by bulk put."""
    if not inputs.bulk or prices.bulk_put_gb is not None:
        return ()
    return (
        "DynamoDB's price for bulk puts is not in the price list, and cost once lacks it: set "
        "bulk_put_gb (US dollars a GB of table and indexes) in a file for plan --prices",
    )


def _invocations(inputs: CostInputs) -> float:
    """Return the invocations a second: a full batch each, or one a second for each busy lane."""
    rate = inputs.changes_per_second + inputs.expired_per_second
    lanes = inputs.shards * inputs.parallelization_factor
    return max(rate / CHANGES_PER_INVOCATION, min(rate, lanes))


def _unit_price(prices: Prices, infrequent: bool) -> float:
    """Return the price of a million write units of the target."""
    return prices.infrequent_write_units_million if infrequent else prices.write_units_million


def _own_reads(inputs: CostInputs, prices: Prices) -> Iterator[CostLine]:
    """List the reads of the proof that a table's own stream is through. Lambda's are free."""
    if inputs.table_stream:
        reads = PROOFS_A_MONTH * inputs.shards * READS_PER_PROOF
        yield CostLine(
            "Reads of the table's stream",
            "shards × proofs that everything is applied (run, resume, switch); Lambda's are free",
            f"{_usd(prices.stream_reads_million)} per million",
            reads / MILLION * prices.stream_reads_million,
        )


def _stream_hour(inputs: CostInputs, prices: Prices) -> float:
    if inputs.table_stream:
        return 0.0
    return inputs.shards * prices.shard_hour if inputs.provisioned else prices.stream_hour


def _extended_shards(inputs: CostInputs, prices: Prices) -> float:
    if inputs.table_stream or not inputs.provisioned or inputs.retention_days <= STANDARD_DAYS:
        return 0.0
    return HOURS_A_MONTH * inputs.shards * prices.extended_shard_hour


def _if_any(quantity: float, cost: float) -> float | None:
    return cost if quantity else None


def table(inputs: CostInputs = EXAMPLE, prices: Prices = PRICES) -> str:
    """Render the bill as a table of the documents."""
    rows = ["| resource | what drives it | price | a month |", "| --- | --- | --- | ---: |"]
    for line in bill(inputs, prices):
        month = "" if line.monthly is None else f"${line.monthly:,.0f}"
        if line.once:
            month += f" (and ${line.once:,.0f} once)"
        rows.append(f"| {line.resource} | {line.driver} | {line.price} | {month} |")
    total = sum(line.monthly or 0.0 for line in bill(inputs, prices))
    rows.append(f"| **together** | | | **${total:,.0f}** |")
    return "\n".join(rows)


BUFFER_EXAMPLES = (
    dataclasses.replace(EXAMPLE, changes_per_second=10, table_gb=10),
    dataclasses.replace(EXAMPLE, changes_per_second=100, table_gb=100),
    EXAMPLE,
)


def buffer_table(prices: Prices = PRICES) -> str:
    """Render a month with each buffer as a table of the documents, for tables of several sizes."""
    rows = [
        "| table, changes a second | Kinesis, 365 days | Kinesis, 7 days | own stream, 24 hours |",
        "| --- | ---: | ---: | ---: |",
    ]
    for inputs in BUFFER_EXAMPLES:
        months = [
            _together(dataclasses.replace(inputs, retention_days=365), prices),
            _together(dataclasses.replace(inputs, retention_days=7), prices),
            _together(dataclasses.replace(inputs, table_stream=True, keys=0), prices),
        ]
        cells = " | ".join(f"${month:,.0f}" for month in months)
        rows.append(f"| {inputs.table_gb:,.0f} GB, {inputs.changes_per_second:,.0f} | {cells} |")
    return "\n".join(rows)


def _together(inputs: CostInputs, prices: Prices) -> float:
    return sum(line.monthly or 0.0 for line in bill(inputs, prices))


def _usd(amount: float) -> str:
    """Format a price, with cents at least and more digits where it has them."""
    text = f"{amount:.4f}".rstrip("0")
    whole, _, cents = text.partition(".")
    return f"${whole}.{cents:0<2}"
