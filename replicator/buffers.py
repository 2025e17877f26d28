"""Buffers that a table's changes can wait in. This module imports no other."""

from __future__ import annotations

KINESIS = "kinesis"
"""A Kinesis data stream, which keeps changes for up to 365 days."""
STREAMS = "streams"
"""The table's own stream (DynamoDB Streams), which keeps changes for 24 hours."""
BUFFERS = (KINESIS, STREAMS)
