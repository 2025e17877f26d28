"""Blocks of public access that a stack lets go, and that have to stay."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pulumi

from infra.held_resources import last_tables
from infra.stack_config import StackConfig


def find_lost_blocks(config: StackConfig, before: Mapping[str, Any]) -> Iterator[str]:
    """Yield a refusal to let blocks of public access go before the state says that they stay.

    Whether a resource that leaves the program is deleted, the engine takes from the state
    (Pulumi's documentation of `retainOnDelete`), and a program before 0.2.0 put nothing there.
    """
    if config.buckets.block_public_access:
        return
    # Since the release that keeps the blocks, each table has this output.
    if any("metricDimensions" not in table for table in last_tables(before)):
        yield (
            "buckets.blockPublicAccess: got false, and the last `pulumi up` of the stack "
            f"{pulumi.get_stack()} was of an older release, whose blocks of public access this "
            "one would delete.\n"
            "Try: remove buckets.blockPublicAccess, then pulumi up, which notes that the blocks "
            "stay; then set it again, and pulumi up"
        )
