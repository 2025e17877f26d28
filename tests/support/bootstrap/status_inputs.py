"""What `status` of a table that has caught up is made from, without an account."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from bootstrap.core.journal_rows import Row
from bootstrap.core.state import State
from bootstrap.journal.records import CaughtUp, Exported, Skipped
from bootstrap.status.inputs import StatusInputs
from replicator.watchdog.finding import Finding

NOW = 1_767_225_600.0
COMMAND = "python -m bootstrap {} --stack prod --table orders"
CAUGHT_UP = CaughtUp(NOW - 7200, "probe", 1, 1.0)


def inputs(*findings: Finding, records: Sequence[Exported | Skipped] = ()) -> StatusInputs:
    texts = {each.key: json.dumps(asdict(each)) for each in (CAUGHT_UP, *records)}
    row = Row(generation=1, run_id="run", state=State.REPLICATING, since=NOW - 9000, records=texts)
    return StatusInputs("orders", "replica", row, NOW, command=COMMAND, findings=findings)
