"""Numbers that the documents quote are those of the code."""

from __future__ import annotations

import pytest

from bootstrap.core.durations import Timing
from bootstrap.core.table_stream_facts import KEPT_HOURS
from bootstrap.journal.lease import LEASE_SECONDS
from bootstrap.journal.verification_records import STALE_SECONDS
from bootstrap.plan.buffer_choice import MOST_HOURS
from bootstrap.plan.cost_inputs import EXAMPLE, stream_gb_per_day
from bootstrap.plan.cost_model import million_changes
from bootstrap.plan.prices import AS_OF, PRICES
from bootstrap.verify.compare.spool import MOST_PARTITIONS, RECORD_BYTES
from bootstrap.verify.repair import MOST_UNCONFIRMED
from infra.consumer import RESOLVED_DAYS
from infra.local.demo_options import DemoOptions
from infra.local.results.switch_report import FIXED
from infra.stack_config import LONGEST_RETENTION_HOURS
from infra.table_config import TableConfig
from infra.watchdog import INTERVAL_MINUTES
from replicator.consumer import ledger
from replicator.consumer.consumer import STREAM_PATIENCE_SECONDS
from replicator.settings import SettingsRow
from tests.crash.matrix import CASES
from tests.docs.pages import ROOT
from tests.simulation import injected_faults as faults_of_the_consumer
from tests.simulation.many import MANY
from tests.support.verify import injected_faults as faults_of_verification

TIMING = Timing()
BURST, LEDGER_DAYS = TableConfig.quarantine_burst, TableConfig.ledger_retention_days
WORDS = {
    2: "two",
    5: "five",
    10: "ten",
    15: "fifteen",
    18: "eighteen",
    20: "twenty",
    21: "twenty-one",
}
YEAR = LONGEST_RETENTION_HOURS // 24
FENCE = [wait.seconds for wait in FIXED["on"]]
GB_A_DAY = stream_gb_per_day(EXAMPLE)

QUOTED = (
    ("README.md", f"buffers changes for up to {YEAR} days"),
    ("README.md", f"creates a table with {DemoOptions.items:,} items"),
    ("docs/cost.md", f"list prices of us-east-1 as of {AS_OF}"),
    ("docs/cost.md", f"about {GB_A_DAY:.0f} GB a day, and a year of that is "),
    ("docs/cost.md", f"a year of that is {GB_A_DAY * YEAR / 1000:.0f} TB"),
    ("docs/cost.md", f"of 1 KB cost ${million_changes(1024):.2f};"),
    ("docs/benchmarks.md", f"At ${PRICES.write_units_million} per million write units"),
    ("docs/benchmarks.md", f"takes {RECORD_BYTES} bytes for each item and side"),
    ("docs/benchmarks.md", f"at most {MOST_PARTITIONS:,} partitions"),
    ("docs/benchmarks.md", f"waits of `--fence` are {sum(FENCE) / 60:.0f} minutes on AWS"),
    (
        "docs/benchmarks.md",
        f"{FENCE[1]:.0f} s in which DynamoDB's metrics of the last writes settle",
    ),
    ("docs/design.md", f"a spool of {RECORD_BYTES} bytes for each item and side"),
    ("docs/design.md", f"{WORDS[round(TIMING.export_margin / 60)]} minutes after that observation"),
    ("docs/design.md", f"minus {WORDS[round(TIMING.floor_margin / 60)]} minutes are in the"),
    ("docs/design.md", f"({LEDGER_DAYS} by default, never under 8)"),
    ("docs/design.md", f"Up to {ledger.CHANGES_PER_CALL} changes and just under 4 MB"),
    ("docs/design.md", f"cached for at most {SettingsRow.CACHE_SECONDS:.0f} seconds"),
    ("docs/design.md", f"by a lease of {LEASE_SECONDS:.0f} seconds"),
    ("docs/design.md", f"{YEAR} days of retention"),
    ("docs/design.md", f"Every {WORDS[INTERVAL_MINUTES]} minutes it puts probes"),
    ("docs/operate.md", f"Its lease lasts {LEASE_SECONDS:.0f} seconds"),
    ("docs/operate.md", f"under `resolved/` for {RESOLVED_DAYS} days"),
    ("docs/operate.md", f"Within {SettingsRow.CACHE_SECONDS:.0f} seconds the consumer"),
    ("docs/operate.md", f"more than {WORDS[BURST]} records of one invocation"),
    ("docs/operate.md", f"the stream forgets: after {YEAR} days by default"),
    ("docs/operate.md", f"after **{KEPT_HOURS} hours** where the buffer is the table's own stream"),
    ("docs/buffers.md", f"DynamoDB forgets a change {KEPT_HOURS} hours after it was made"),
    ("docs/buffers.md", f"export and load together may take longer than {MOST_HOURS} hours"),
    ("docs/buffers.md", f"until the oldest is {STREAM_PATIENCE_SECONDS / 3600:.0f} hours old"),
    ("docs/design.md", f"export and load together need no more than {MOST_HOURS}."),
    (
        "docs/design.md",
        f"ends once {TIMING.stream_settling:.0f} seconds have passed since the mark",
    ),
    ("docs/operate.md", f"The watchdog runs every {WORDS[INTERVAL_MINUTES]} minutes"),
    ("docs/verify.md", f"More than {MOST_UNCONFIRMED:,} keys are only shown"),
    ("docs/verify.md", f"{WORDS[len(faults_of_verification.FAULTS)].title()} faults planted"),
    ("docs/glossary.md", f"the right to work on a table, {LEASE_SECONDS:.0f} seconds long"),
    ("CONTRIBUTING.md", f"plays {MANY:,} histories"),
    ("CONTRIBUTING.md", f"{WORDS[len(faults_of_the_consumer.FAULTS)].capitalize()} faults planted"),
    ("CONTRIBUTING.md", f"plays {CASES} of these cases"),
)


def said(document: str) -> str:
    """Read a document with its lines joined."""
    return " ".join((ROOT / document).read_text(encoding="utf-8").split())


@pytest.mark.parametrize(("document", "sentence"), QUOTED)
def test_the_number_is_the_one_of_the_code(document: str, sentence: str) -> None:
    assert sentence in said(document)


def test_durations_that_the_documents_put_into_words() -> None:
    assert TIMING.patience == 15 * 60, "deploy.md: retried for a quarter of an hour"
    assert STALE_SECONDS == 7 * 86_400, "verify.md: calls it stale after a week"
