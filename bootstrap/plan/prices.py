"""One dated list of prices, in US dollars.

List prices of us-east-1 as of `AS_OF`. They are estimates for planning: AWS's price pages count,
and other Regions differ. Any can be replaced: `dataclasses.replace(PRICES, …)`.
"""

from __future__ import annotations

from dataclasses import dataclass

AS_OF = "2026-11-23"
REGION = "us-east-1"


@dataclass(frozen=True)
class Prices:
    """US dollars."""

    stream_hour: float = 0.04
    """A stream on demand, an hour."""
    stream_in_gb: float = 0.08
    """Written to a stream on demand, a GB; each record counts in whole KB."""
    stream_out_gb: float = 0.04
    """Read from a stream on demand, a GB."""
    shard_hour: float = 0.015
    """A shard of a provisioned stream, an hour."""
    put_units_million: float = 0.014
    """Put payload units of a provisioned stream, a million: 25 KB or a part of a record each."""
    extended_shard_hour: float = 0.02
    """Retention of a provisioned stream from the second to the seventh day, a shard and hour."""
    extended_gb_month: float = 0.10
    """Kept on a stream on demand from the second to the seventh day, a GB and month."""
    long_term_gb_month: float = 0.023
    """Kept from the eighth to the 365th day, a GB and month."""
    stream_reads_million: float = 0.20
    """Reads of a table's own stream (GetRecords), a million. Lambda's are free (developer guide,
    CostOptimization_StreamsUsage), and so are the first 2.5 million of a month."""
    change_capture_million: float = 0.10
    """Change data capture units, a million: one for each KB of the larger image."""
    write_units_million: float = 0.625
    """DynamoDB write request units on demand, a million."""
    infrequent_write_units_million: float = 0.78
    """The same on a table of the class Standard-Infrequent Access."""
    table_gb_month: float = 0.25
    infrequent_table_gb_month: float = 0.10
    """A table of the class Standard-Infrequent Access."""
    recovery_gb_month: float = 0.20
    """Point-in-time recovery, a GB of table and month."""
    export_gb: float = 0.10
    import_gb: float = 0.15
    bulk_put_gb: float | None = None
    """Written by a bulk put, a GB of its BulkPutBytes: of the table and its indexes. None: unknown,
    and not in the bill."""
    bucket_gb_month: float = 0.023
    function_gb_second: float = 0.0000133334
    """A Lambda function on arm64."""
    function_requests_million: float = 0.20
    logs_in_gb: float = 0.50
    """Written to CloudWatch Logs, a GB."""
    logs_gb_month: float = 0.03
    """Kept in CloudWatch Logs, a GB and month."""
    glue_dpu_hour: float = 0.44
    """A data processing unit of a job on AWS Glue, an hour; by the second, from one minute on."""
    key_month: float = 1.0
    metric_month: float = 0.30
    alarm_month: float = 0.10
    other_region_gb: float = 0.02
    """Sent to another Region, a GB."""


PRICES = Prices()
