"""What the target is to have of the source's settings."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

from bootstrap.accounts import Expiry, Limits, TableFacts
from bootstrap.states import Wanted

BORN_WARM_WRITES = 4_000
"""Units a second that a new on-demand table takes at once (developer guide, on-demand capacity)."""
WRITE_FACTOR = 2.2
"""A change costs double in a transaction; a tenth on top for changes that are refused."""
CATCH_UP_PACE = 2
"""How much faster than the source is written a backlog is to be worked off."""


def wanted(
    source: TableFacts,
    tags: Mapping[str, str],
    expiry: Expiry,
    peak_writes: float,
    limits: Limits,
) -> Wanted:
    """What CONFIGURING will do. `peak_writes` is in units a second."""
    needed = math.ceil(round(peak_writes * WRITE_FACTOR * CATCH_UP_PACE, 3))
    units = min(needed, limits.table_writes)
    return Wanted(
        table_class=source.table_class,
        tags=json.dumps(dict(tags), sort_keys=True),
        ttl_attribute=expiry.attribute or "" if expiry.enabled else "",
        warm_writes=units if units > BORN_WARM_WRITES else 0,
    )
