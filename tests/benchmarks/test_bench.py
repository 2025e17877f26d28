"""The bench measures what it says, and the consumer stays far ahead of one put after the other."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.benchmarks.contenders import write_units
from tests.benchmarks.decoding import changes
from tests.benchmarks.events import PAYLOAD, Shape, event
from tests.benchmarks.rows import ROOT, in_a_process, running_stub


@pytest.mark.parametrize("aggregated", [False, True])
def test_a_full_event_fills_the_payload_with_readable_changes(aggregated: bool) -> None:
    batch, count = event(Shape(1024, None, aggregated=aggregated))
    size = sum(len(record["kinesis"]["data"]) for record in batch["Records"])
    assert 0.8 * PAYLOAD < size < PAYLOAD
    assert len(changes(batch)) == count


@pytest.mark.slow
def test_half_of_the_keys_are_repeated_where_half_are_asked_for() -> None:
    found = changes(event(Shape(200, None, repeated=0.5))[0])
    distinct = len({change.key for change in found})
    assert 0.4 < distinct / len(found) < 0.6


def test_a_transaction_costs_double_and_its_ledger_entry_too() -> None:
    assert write_units("blog", 1024, {"bench-replica": 10}) == 10
    assert write_units("ledger", 1024, {"bench-replica": 10, "bench-ledger": 10}) == 40
    assert write_units("ledger", 3000, {"bench-replica": 1, "bench-ledger": 1}) == 8


@pytest.mark.slow
def test_the_consumer_is_an_order_of_magnitude_ahead_of_one_put_after_the_other() -> None:
    with running_stub() as port:
        blog = in_a_process("blog", Shape(1024, 100), 5, port)
        ledger = in_a_process("ledger", Shape(1024, None), 5, port)
        folded = in_a_process("ledger", Shape(1024, None, repeated=0.5), 5, port)
    # 30 and 0.5 are reached on a quiet machine (make bench); tests run on noisy ones.
    assert ledger.changes_per_second > 12 * blog.changes_per_second
    assert ledger.cpu_us_per_change < blog.cpu_us_per_change
    assert ledger.peak_memory_mb < 256
    assert (blog.write_units_per_change, ledger.write_units_per_change) == (1, 4)
    assert folded.write_units_per_change < 0.7 * ledger.write_units_per_change


def test_peak_memory_is_not_that_of_the_process_that_started_the_measurement() -> None:
    hoard = bytearray(b"x") * 400_000_000
    command = "from tests.benchmarks.rows import peak_memory_mb; print(peak_memory_mb())"
    measured = subprocess.run(
        [sys.executable, "-c", command], cwd=ROOT, capture_output=True, text=True, check=True
    )
    del hoard
    assert 5 < float(measured.stdout) < 300
