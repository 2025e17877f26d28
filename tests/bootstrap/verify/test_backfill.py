"""A gap is closed from exports, and nothing newer is overwritten."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from bootstrap.app.command_options import Selection
from bootstrap.cli import backfill, verify
from bootstrap.cli.main import main
from bootstrap.core.errors import BlockedError, UsageError
from bootstrap.verify.backfill import (
    ALREADY_THERE,
    AMBIGUOUS,
    LONGEST,
    SHORTEST,
    SUPERSEDED,
    BackfillRecord,
    row_name,
    split_windows,
)
from bootstrap.verify.engines import process
from bootstrap.verify.exports.manifest import DamagedExportError
from bootstrap.verify.quarantine_writer import stream_record
from bootstrap.verify.repair import APPLIED
from replicator.call_context import CallContext
from replicator.canonical import digest, key_digest
from replicator.change import Change, Entry, Precision, Version
from replicator.consumer.decode import Record
from replicator.consumer.kinesis_records import content
from replicator.consumer.ledger_entry import to_item
from replicator.consumer.outcome import Superseded
from replicator.consumer.writer import Attempt
from replicator.runtime import Deadline, Runtime
from tests.support.bootstrap.fake_aws import LEDGER
from tests.support.fakes.errors import Killed
from tests.support.verify.exports import BUCKET
from tests.support.verify.twin import Item, Twin, item

pytestmark = pytest.mark.promise("C1", "C2", "C3", "C6")

HOUR = 3600.0


@pytest.fixture
def twin(tmp_path: Path) -> Twin:
    return Twin(tmp_path)


def write(twin: Twin, name: str, new: Item | None, at: float) -> None:
    """A write that the stream did not get."""
    twin.source.written.append((at, name, new))
    if new is None:
        del twin.source.items[name]
    else:
        twin.source.items[name] = new


def remember(twin: Twin, name: str, image: Item | None, at: float) -> None:
    made = Entry(Version(round(at * 1e6), "u"), image=digest(image), previous=digest(None))
    with twin.world.unwatched():
        key = key_digest({"pk": {"S": name}})
        twin.world.dynamodb.put_item(TableName=LEDGER, Item=to_item(key, made))


def test_windows_cover_the_gap_and_keep_to_awss_limits() -> None:
    for begin, end in ((0.5, 60.0), (1e6, 1e6 + 3 * 86_400 + 1), (5e6, 5e6 + 86_400)):
        cut = split_windows(begin, end)
        assert cut[0][0] <= begin
        assert cut[-1][1] >= end
        assert all(SHORTEST <= stop - start <= LONGEST for start, stop in cut)
        assert all(one[1] == other[0] for one, other in itertools.pairwise(cut))


def test_a_gap_of_days_is_closed_with_puts_and_deletes(twin: Twin) -> None:
    """C1."""
    end = twin.world.clock()
    begin = end - 60 * HOUR
    write(twin, "k1", item("k1", v={"N": "2"}), begin + 1)
    write(twin, "k2", None, begin + 30 * HOUR)
    write(twin, "new", item("new", b={"B": "AAE="}), end - 1)
    filling = twin.filling()
    filling.gap(begin, end)
    assert len(twin.source.exports) == 3
    assert filling.counts == {APPLIED: 3}
    assert twin.target.items == twin.source.items
    assert twin.verify().verified.differences == 0


def test_a_backfill_is_verified_by_exports_of_after_it_not_by_those_of_a_stopped_verification(
    twin: Twin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C1: exports of before the gap would call tables equal that differ since."""

    def stopped(*_: object, **__: object) -> None:
        raise Killed("with both exports taken")

    with monkeypatch.context() as patch:
        patch.setattr(process, "compare", stopped)
        with pytest.raises(Killed):
            twin.verify()
    twin.world.clock.advance(24 * HOUR)
    end = float(int(twin.world.clock()))
    write(twin, "k1", item("k1", v={"N": "2"}), end - HOUR + 5)
    twin.source.items["k2"] = item("k2", v={"N": "99"})  # got lost, too, and is in no window
    context, filling = twin.context(), twin.filling(200)
    clients = SimpleNamespace(
        verify_context=lambda *_: context, backfill_context=lambda *_: filling._context
    )
    selection = Selection(context.outputs, context.outputs.tables, {})
    monkeypatch.setattr(backfill, "select", lambda _: selection)
    monkeypatch.setattr(backfill, "clients_of", lambda *_: clients)
    times = [datetime.fromtimestamp(at, UTC).isoformat() for at in (end - HOUR, end)]
    spool = str(twin.directory / "spool")
    options = ["--json", "--from", times[0], "--to", times[1], "--spool", spool]
    ended = CliRunner().invoke(main, ["backfill", "--outputs", "none.json", *options])
    assert ended.exit_code == verify.EXIT_DIFFERENCES, ended.output
    report = json.loads(ended.stdout)
    assert report["backfill"][APPLIED] == 1
    assert report["verification"]["counts"]["different"] == 1
    assert datetime.fromisoformat(report["verification"]["sourceTime"]).timestamp() >= end


def test_what_is_newer_in_the_target_stays(twin: Twin) -> None:
    """C2."""
    end = twin.world.clock()
    write(twin, "k1", item("k1", v={"N": "2"}), end - HOUR)
    remember(twin, "k1", item("k1"), end - HOUR + 60)
    filling = twin.filling()
    filling.gap(end - 2 * HOUR, end)
    assert filling.counts == {SUPERSEDED: 1}
    assert twin.target.items["k1"] == item("k1")


def test_close_to_what_was_applied_neither_wins_if_they_differ(twin: Twin) -> None:
    """C2: it is unknown whether both clocks are the same."""
    end = twin.world.clock()
    at = end - HOUR
    for n, distance in enumerate((-1.9, 1.9, -2.1, 2.1)):
        write(twin, f"k{n}", item(f"k{n}", v={"N": "2"}), at)
        remember(twin, f"k{n}", item(f"k{n}"), at + distance)
    write(twin, "k9", item("k9"), at)
    remember(twin, "k9", item("k9"), at + 1)
    filling = twin.filling()
    filling.gap(end - 2 * HOUR, end)
    assert sorted(twin.noted) == ["k0", "k1"]
    assert filling.counts == {AMBIGUOUS: 2, APPLIED: 1, SUPERSEDED: 1, ALREADY_THERE: 1}
    assert twin.target.items["k0"] == item("k0")
    assert twin.target.items["k2"] == item("k2", v={"N": "2"})


@pytest.mark.parametrize("new", [item("k1", v={"N": "3"}), None])
@pytest.mark.parametrize("precision", ["u", "m"])
def test_a_record_of_the_write_that_was_backfilled_is_superseded_when_it_comes_after_all(
    twin: Twin, new: Item | None, precision: Precision
) -> None:
    """C3: its order needs no settling, though the export does not say what it found."""
    end = twin.world.clock()
    at = end - HOUR
    write(twin, "k1", new, at)
    twin.filling().gap(end - 2 * HOUR, end)
    micros = round(at * 1e6)
    version = Version(micros if precision == "u" else micros // 1000 * 1000, precision)
    between = item("k1", v={"N": "2"})
    late = Change({"pk": {"S": "k1"}}, between, new, version, twin.world.clock())
    guard, runtime = twin.repairer().guard, Runtime(twin.world.clock)
    context = CallContext(Deadline(runtime, 60_000), lambda *report: None)
    (result,) = guard.apply([Attempt(late)], context)
    assert isinstance(result, Superseded)


def test_a_full_export_is_applied_with_its_time_less_two_minutes(twin: Twin) -> None:
    twin.verify()
    (arn, (wanted, _)) = next(iter(twin.source.exports.items()))
    del twin.target.items["k1"]
    twin.target.items["k2"] = item("k2", v={"N": "newer"})
    remember(twin, "k2", twin.target.items["k2"], wanted.time - 60)
    filling = twin.filling()
    filling.full(arn)
    assert filling.counts == {APPLIED: 19, SUPERSEDED: 1}
    assert twin.target.items["k1"] == item("k1")
    assert twin.target.items["k2"] == item("k2", v={"N": "newer"})


def test_what_cannot_be_exported_is_refused_before_anything_is_paid_for(twin: Twin) -> None:
    now = twin.world.clock()
    with pytest.raises(UsageError, match="is empty"):
        twin.filling().gap(now - 1_000, now - 2_000)
    with pytest.raises(UsageError, match="in the future"):
        twin.filling().gap(now - HOUR, now + HOUR)
    with pytest.raises(BlockedError, match="reaches back"):
        twin.filling().gap(-3 * 86_400.0, now)
    with pytest.raises(UsageError, match="not a complete export"):
        twin.filling().full("arn:aws:dynamodb:eu-west-1:1:table/other/export/1")
    assert twin.source.exports == {}


def test_what_the_ledger_may_have_forgotten_is_not_filled(twin: Twin) -> None:
    """C2: a newer change whose entry has expired would be undone, and a deleted item come back."""
    twin.verify()
    arn = next(iter(twin.source.exports))
    begin = twin.world.clock()
    twin.world.clock.advance(31 * 86_400)
    before = dict(twin.target.items)
    write(twin, "k1", item("k1", v={"N": "2"}), begin + 1)
    with pytest.raises(BlockedError, match="keeps a key's entry"):
        twin.filling().gap(begin, begin + HOUR)
    with pytest.raises(BlockedError, match="keeps a key's entry"):
        twin.filling(301).full(arn)
    assert twin.target.items == before
    assert len(twin.source.exports) == 1


def test_a_line_that_is_none_is_an_error_that_names_file_and_line(twin: Twin) -> None:
    twin.source.items["k1"] = {"v": {"N": "1"}, "pk": {"S": "k1"}, "x": {"Y": "z"}}
    with pytest.raises(DamagedExportError):
        twin.verify()
    with pytest.raises(DamagedExportError, match=r"line \d+ is unreadable"):
        twin.filling().full(next(iter(twin.source.exports)))


@pytest.mark.parametrize("step", [7, pytest.param(1, marks=pytest.mark.slow)])
def test_killed_at_any_call_the_next_one_closes_the_gap_with_the_same_exports(
    tmp_path: Path, step: int
) -> None:
    """C6."""

    def gap(directory: Path) -> tuple[Twin, float, float]:
        twin = Twin(directory)
        end = twin.world.clock()
        begin = end - 30 * HOUR
        write(twin, "k1", item("k1", v={"N": "2"}), begin + 1)
        write(twin, "k2", None, end - 1)
        return twin, begin, end

    counted, begin, end = gap(tmp_path / "counted")
    before = counted.world.calls
    counted.filling().gap(begin, end)
    calls = range(before + 1, counted.world.calls)
    for number, after in [(n, after) for n in calls for after in (False, True)][::step]:
        when = f"killed {'after' if after else 'before'} call {number}"
        twin, begin, end = gap(tmp_path / f"{number}-{after}")
        twin.kill_at(number, after)
        with pytest.raises(Killed):
            twin.filling().gap(begin, end)
        twin.live_again()
        row, _ = twin.context(302).store.read(row_name("orders"))
        noted = row.record(BackfillRecord) if row else None
        over = noted is not None and noted.over
        twin.filling(301).gap(begin, end)
        assert twin.target.items == twin.source.items, when
        # Only where its end had been noted does the second one begin anew.
        assert len(twin.source.exports) == (4 if over else 2), when


def test_a_change_of_unknown_order_is_kept_as_the_quarantines_tools_can_read_it() -> None:
    new = {"pk": {"S": "a"}, "b": {"B": b"\x00\xff"}, "l": {"L": [{"BS": [b"x"]}]}}
    old = {"pk": {"S": "a"}}
    at = 1_790_000_000_123_456
    change = Change({"pk": {"S": "a"}}, old, new, Version(at, "u"), at / 1e6)
    record = Record("backfill-1", "7", 0, "", at / 1e6, False, stream_record("orders", change))
    read = content(record, "orders")
    assert isinstance(read, Change)
    assert (read.keys, read.old, read.new) == (change.keys, change.old, change.new)
    assert read.version == change.version


def test_full_export_in_another_bucket_is_applied_from_there(twin: Twin) -> None:
    twin.verify()
    twin.target.items.pop("k1")
    twin.objects.root.joinpath(BUCKET).rename(twin.objects.root / "elsewhere")
    twin.source.bucket = "elsewhere"
    twin.filling().full(next(iter(twin.source.exports)))
    assert "k1" in twin.target.items
