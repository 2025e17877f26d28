"""Taking exports and proof, in an order that makes differences judgeable; killed anywhere (C6)."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bootstrap.cli.verify import page, result_json
from bootstrap.core.errors import AccessDeniedError, AccountError, BlockedError, UsageError
from bootstrap.core.state import State
from bootstrap.journal.verification_records import (
    STALE_SECONDS,
    SourceExportRecord,
    TargetExportRecord,
    Verified,
    as_json,
    in_a_line,
    last_verification,
)
from bootstrap.verify import export_rounds, verify
from bootstrap.verify.compare import external_sort
from bootstrap.verify.compare.spool import OtherSpoolError, SpoolSpaceError
from bootstrap.verify.engines import process
from bootstrap.verify.exports.manifest import DamagedExportError
from bootstrap.verify.judge.report import Report
from bootstrap.verify.verify import VerifyResult
from replicator.canonical import digest, key_digest
from replicator.change import Entry, Version
from replicator.consumer.ledger_entry import to_item
from tests.support.bootstrap.fake_aws import LEDGER
from tests.support.fakes.errors import Killed
from tests.support.verify.exports import BUCKET
from tests.support.verify.twin import Item, Twin, item

pytestmark = pytest.mark.promise("C2", "C6")


@pytest.fixture
def twin(tmp_path: Path) -> Twin:
    return Twin(tmp_path)


def report(found: VerifyResult) -> list[dict[str, Any]]:
    return [json.loads(line) for line in found.report.read_text().splitlines()]


def entry(twin: Twin, name: str, image: Item | None, at: float) -> None:
    """What the consumer leaves when it applies a change of that moment."""
    made = Entry(Version(int(at * 1e6), "u"), image=digest(image), previous=digest(None))
    with twin.world.unwatched():
        key = key_digest({"pk": {"S": name}})
        twin.world.dynamodb.put_item(TableName=LEDGER, Item=to_item(key, made))


def test_two_equal_tables_are_equal_and_status_says_since_when(twin: Twin) -> None:
    found = twin.verify().verified
    assert (found.differences, found.equal, found.changed_since) == (0, 20, 0)
    assert found.judged == 1
    context = twin.context()
    shown = last_verification(context.store, "orders")
    assert "equal, 100.00% of the keys judged" in shown.text
    assert shown.json is not None and shown.json["equal"] is True
    assert "stale" not in shown.text
    twin.world.clock.advance(STALE_SECONDS + 1)
    assert "stale" in last_verification(context.store, "orders").text
    assert "never" in last_verification(context.store, "others").text


def test_differences_are_named_with_key_kind_and_attributes_and_without_values(twin: Twin) -> None:
    del twin.target.items["k1"]
    twin.target.items["x"] = item("x")
    twin.target.items["k2"] = item("k2", v={"S": "1"}, more={"S": "secret"})
    found = twin.verify()
    done = found.verified
    assert (done.missing, done.extra, done.different, done.foreign) == (1, 1, 1, 0)
    assert (done.equal, done.differences) == (18, 3)
    by_key = {each["key"]["pk"]["S"]: each for each in report(found)}
    assert by_key["k2"]["attributes"] == ["more", "v"]
    assert by_key["k1"]["kind"] == "missing"
    assert "secret" not in found.report.read_text()
    assert found.report.stat().st_mode & 0o077 == 0


def test_values_are_written_only_when_they_are_asked_for(twin: Twin) -> None:
    twin.target.items["k2"] = item("k2", b={"B": "AAE="})
    (line,) = report(twin.verify(show_values=True))
    assert line["source"] == item("k2")
    assert line["target"] == item("k2", b={"B": "AAE="})


def test_the_target_is_exported_after_the_proof_that_the_sources_changes_are_applied(
    twin: Twin,
) -> None:
    twin.verify()
    context = twin.context()
    context.lease.acquire()
    context.journal.refresh()
    source, target = (
        context.journal.get(SourceExportRecord),
        context.journal.get(TargetExportRecord),
    )
    assert source is not None and target is not None
    put = max(twin.world.times("put_probes"))
    assert source.export_time + 60 <= put
    assert target.export_time >= put + 60


def test_a_key_that_was_changed_since_is_counted_and_not_reported(twin: Twin) -> None:
    twin.source.items["k1"] = item("k1", v={"N": "2"})
    entry(twin, "k1", item("k1", v={"N": "3"}), twin.world.clock() + 10_000)
    found = twin.verify()
    assert (found.verified.differences, found.verified.changed_since) == (0, 1)
    assert found.verified.judged == 0.95
    assert report(found) == []
    assert result_json(found)["equal"] is None
    first = page("orders", found).splitlines()[0]
    assert first == "orders: no difference among the keys judged (1 not judged)"
    line = last_verification(twin.context().store, "orders").text
    assert "no difference among the keys judged (1 not judged), 95.00% of the keys judged" in line


def test_a_sample_proves_no_table_equal(twin: Twin) -> None:
    found = twin.verify(sample=0.5)
    assert found.verified.differences == 0 < found.verified.equal < 20
    assert result_json(found)["equal"] is None
    first = page("orders", found).splitlines()[0]
    assert first == "orders: no difference in a sample of 50.00% of the keys"


def test_where_nothing_is_judged_it_is_not_called_equal(twin: Twin) -> None:
    for n in range(20):
        twin.source.items[f"k{n}"] = item(f"k{n}", v={"N": "2"})
        entry(twin, f"k{n}", item(f"k{n}", v={"N": "3"}), twin.world.clock() + 10_000)
    found = twin.verify()
    assert (found.verified.equal, found.verified.changed_since) == (0, 20)
    assert (result_json(found)["equal"], result_json(found)["judged"]) == (None, 0)
    assert page("orders", found).splitlines()[0] == "orders: nothing judged (20 not judged)"


def test_differences_are_never_equal_though_they_are_mended(twin: Twin) -> None:
    del twin.target.items["k1"]
    assert result_json(twin.verify())["equal"] is False
    assert result_json(twin.verify(repair=True))["equal"] is False
    assert result_json(twin.verify())["equal"] is True


def test_one_key_of_millions_that_is_not_judged_is_no_share_of_all() -> None:
    done = Verified("r", 0, 0, 0, 1.0, 10**8, 10**8, 10**8 - 1, 1, 0, 0, 0, 0)
    shown = as_json(done, 0)
    assert shown["equal"] is None
    assert shown["judged"] < 1
    assert "99.99% of the keys judged" in in_a_line(done, 0)


def test_a_foreign_write_is_named_as_such(twin: Twin) -> None:
    entry(twin, "k1", item("k1"), twin.world.clock() - 5_000)
    twin.target.items["k1"] = item("k1", v={"N": "666"})
    found = twin.verify()
    assert found.verified.foreign == 1
    assert report(found)[0]["foreign"] is True


def test_until_enough_is_judged_later_exports_judge_what_was_changed_since(twin: Twin) -> None:
    twin.source.items["k1"] = item("k1", v={"N": "2"})
    twin.target.items["k2"] = item("k2", v={"N": "0"})
    entry(twin, "k1", item("k1", v={"N": "2"}), twin.world.clock() + 300)
    original = twin.target.start

    def start(*arguments: Any) -> Any:
        if len(twin.source.exports) == 2:
            twin.target.items["k1"] = item("k1", v={"N": "2"})
        return original(*arguments)

    twin.target.start = start  # type: ignore[method-assign, assignment]
    found = twin.verify(until_judged=1.0)
    assert found.rounds == 2
    assert (found.verified.differences, found.verified.changed_since) == (1, 0)
    assert found.verified.equal == 19
    assert [line["key"] for line in report(found)] == [{"pk": {"S": "k2"}}]


@pytest.mark.parametrize("at_once", [1, 3, 1000])
def test_rounds_remember_what_they_judged_however_little_of_it_fits_into_memory(
    twin: Twin, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    """Reported once, though every round finds it; judged by a later one, or by none."""
    monkeypatch.setattr(external_sort, "AT_ONCE", at_once)
    monkeypatch.setattr(verify, "MOST_ROUNDS", 3)
    for n in range(8):
        del twin.target.items[f"k{n}"]
    for n in range(8, 18):
        twin.source.items[f"k{n}"] = item(f"k{n}", v={"N": "2"})
        entry(twin, f"k{n}", item(f"k{n}", v={"N": "3"}), twin.world.clock() + 100_000)
    original = twin.target.start

    def start(*arguments: Any) -> Any:
        # Of before the second round: eight arrive, one is lost and one continues to change. A key
        # that was judged is changed again.
        if len(twin.source.exports) == 2:
            for n in range(8, 16):
                twin.target.items[f"k{n}"] = item(f"k{n}", v={"N": "2"})
            with twin.world.unwatched():
                key = key_digest({"pk": {"S": "k16"}})
                twin.world.dynamodb.delete_item(TableName=LEDGER, Key={"k": {"B": key}})
            entry(twin, "k0", item("k0", v={"N": "3"}), twin.world.clock() + 100_000)
        return original(*arguments)

    twin.target.start = start  # type: ignore[method-assign, assignment]
    found = twin.verify(until_judged=1.0)
    done = found.verified
    assert (found.rounds, done.changed_since) == (3, 1)
    assert (done.missing, done.different, done.equal) == (8, 1, 10)
    names = [line["key"]["pk"]["S"] for line in report(found)]
    assert sorted(names) == sorted([*(f"k{n}" for n in range(8)), "k16"])
    assert not (twin.directory / "spool").exists()


def test_a_key_that_never_rests_ends_the_rounds_and_is_told(twin: Twin) -> None:
    twin.source.items["k1"] = item("k1", v={"N": "2"})
    entry(twin, "k1", item("k1", v={"N": "3"}), twin.world.clock() + 1_000_000)
    found = twin.verify(until_judged=1.0)
    assert found.verified.changed_since == 1
    assert any("95.00% of the keys are judged after 10 rounds" in each for each in twin.said)


# -- refusals ------------------------------------------------------------------------------------


def test_recovery_of_the_target_is_switched_on_only_when_asked_and_off_again(twin: Twin) -> None:
    twin.target.recovery = False
    with pytest.raises(BlockedError, match=r"\$0\.60 a month"):
        twin.verify()
    assert twin.target.switches == []
    assert twin.verify(enable_target_recovery=True).verified.differences == 0
    assert twin.target.switches == [True, False]
    assert any("$0.60 a month" in each for each in twin.said)


def test_recovery_that_was_on_before_stays_on(twin: Twin) -> None:
    twin.verify(enable_target_recovery=True)
    assert twin.target.switches == []


def test_a_source_without_recovery_is_refused_before_anything_is_done(twin: Twin) -> None:
    twin.source.recovery = False
    with pytest.raises(BlockedError, match="source table orders is off"):
        twin.verify()
    assert twin.source.exports == twin.target.exports == {}


def test_a_table_that_does_not_replicate_is_not_verified(twin: Twin) -> None:
    context = twin.context()
    row, _ = context.store.read("orders")
    assert row is not None
    assert row.state is State.REPLICATING
    with twin.world.unwatched():
        twin.world.dynamodb.update_item(
            TableName="journal",
            Key={"pk": {"S": "orders"}, "sk": {"S": "run"}},
            UpdateExpression="SET #s = :s",
            ExpressionAttributeNames={"#s": "state"},
            ExpressionAttributeValues={":s": {"S": "IMPORTING"}},
        )
    with pytest.raises(BlockedError, match="is IMPORTING"):
        twin.verify()


def test_a_damaged_export_is_an_error_the_result_before_it_stands_and_what_it_leaves_on_is_told(
    twin: Twin,
) -> None:
    twin.verify()
    original = twin.objects.put

    def spoil(made: Any) -> None:
        original(made)
        if "/data/" in made.key:
            (twin.objects.root / "snapshots" / made.key).write_bytes(made.body[:-4])

    object.__setattr__(twin.objects, "put", spoil)
    twin.target.recovery = False
    with pytest.raises(DamagedExportError):
        twin.verify(enable_target_recovery=True)
    assert "equal" in last_verification(twin.context().store, "orders").text
    assert twin.target.recovery
    assert "stays on until a verification completes" in twin.said[-1]


def test_a_failed_export_is_reported_and_the_next_verify_takes_another(twin: Twin) -> None:
    twin.source.fails = 1
    with pytest.raises(AccountError, match="failed"):
        twin.verify()
    assert twin.verify(pid=201).verified.differences == 0
    assert len(twin.source.exports) == 2


# -- exports that are there ----------------------------------------------------------------------


def test_exports_that_are_there_are_compared_and_none_is_taken(twin: Twin) -> None:
    twin.target.items["x"] = item("x")
    twin.verify()
    found = twin.verify(
        source_export=next(iter(twin.source.exports)), target_export=next(iter(twin.target.exports))
    ).verified
    assert (found.extra, found.differences) == (1, 1)
    assert len(twin.source.exports) == len(twin.target.exports) == 1


def move_exports(twin: Twin, to: str) -> dict[str, Any]:
    """Move both tables' first exports to another bucket, and name them for a verification."""
    twin.objects.root.joinpath(BUCKET).rename(twin.objects.root / to)
    twin.source.bucket = twin.target.bucket = to
    return {
        "source_export": next(iter(twin.source.exports)),
        "target_export": next(iter(twin.target.exports)),
    }


def test_existing_exports_in_another_bucket_are_read_there(twin: Twin) -> None:
    twin.target.items["x"] = item("x")
    twin.verify()
    found = twin.verify(**move_exports(twin, "elsewhere")).verified
    assert (found.extra, found.differences) == (1, 1)


def test_export_in_another_bucket_that_may_not_be_read_names_permission_and_bucket(
    twin: Twin,
) -> None:
    twin.verify()
    exports = move_exports(twin, "elsewhere")
    twin.objects = replace(twin.objects, denied=frozenset({"elsewhere"}))
    with pytest.raises(AccessDeniedError) as caught:
        twin.verify(**exports)
    prefix = twin.source.exports[exports["source_export"]][0].prefix
    assert f"arn:aws:s3:::elsewhere/{prefix}/*" in caught.value.fix
    for word in ("s3:GetObject", "kms:Decrypt", "elsewhere"):
        assert word in caught.value.fix
    assert "pulumi up" not in caught.value.fix
    assert "elsewhere, which is not the stack's snapshot bucket" in caught.value.what


def test_exports_in_the_wrong_order_or_too_old_are_refused(twin: Twin) -> None:
    twin.verify()
    twin.verify()
    early, late = next(iter(twin.target.exports)), list(twin.source.exports)[1]
    with pytest.raises(UsageError, match="older than the source's"):
        twin.verify(source_export=late, target_export=early)
    twin.world.clock.advance(40 * 86_400)
    first = next(iter(twin.source.exports))
    with pytest.raises(UsageError, match="keeps a key's entry"):
        twin.verify(source_export=first, target_export=early)


def test_a_verification_that_was_stopped_for_longer_than_the_ledger_remembers_begins_anew(
    twin: Twin,
) -> None:
    """C2: its exports could no longer tell what was changed since from what differs."""
    with pytest.raises(Killed):
        twin.kill_at(twin.world.calls + 60, True)
        twin.verify()
    twin.live_again()
    assert len(twin.source.exports) == 1
    twin.world.clock.advance(31 * 86_400)
    twin.source.items["k1"] = twin.target.items["k1"] = item("k1", v={"N": "2"})
    assert twin.verify(pid=201).verified.differences == 0
    assert len(twin.source.exports) == 2


def test_new_exports_take_the_place_of_what_a_stopped_comparison_has_left(
    twin: Twin, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*arguments: Any, **options: Any) -> Any:
        raise Killed("while it compared")

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(process, "compare", stopped)
        twin.verify()
    assert (twin.directory / "spool" / "state.json").exists()
    assert twin.verify(pid=201, fresh=True).verified.differences == 0
    assert len(twin.source.exports) == 2


def test_a_spool_that_is_somebody_elses_is_refused_before_anything_is_exported(twin: Twin) -> None:
    (twin.directory / "spool").mkdir()
    (twin.directory / "spool" / "mine").touch()
    with pytest.raises(OtherSpoolError, match="other files"):
        twin.verify()
    assert twin.source.exports == {}


def test_differences_that_do_not_fit_on_the_disk_are_not_begun_to_be_judged(
    twin: Twin, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (export_rounds, process):
        monkeypatch.setattr(module, "JUDGEMENT_BYTES", 10**18)
    assert twin.verify().verified.equal == 20
    del twin.target.items["k1"]
    with pytest.raises(SpoolSpaceError, match="more bytes"):
        twin.verify()
    assert any(f"{10**18 + 65} bytes more for each key that differs" in each for each in twin.said)


def test_killed_while_it_judges_it_leaves_nothing_of_what_it_judged(
    twin: Twin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C6."""

    def killed(*_: Any, **__: Any) -> None:
        raise Killed("while it writes the report")

    monkeypatch.setattr(external_sort, "AT_ONCE", 1)
    for n in range(3):
        del twin.target.items[f"k{n}"]
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Report, "add", killed)
        twin.verify()
    left = sorted(path.name for path in (twin.directory / "spool").iterdir())
    assert left == ["results", "source", "state.json", "target"]
    found = twin.verify(pid=201)
    assert (found.verified.missing, len(report(found))) == (3, 3)
    assert len(twin.source.exports) == 1


@pytest.mark.parametrize("repair", [False, True])
def test_what_the_ledger_forgets_while_it_judges_is_not_taken_for_unchanged(
    twin: Twin, repair: bool
) -> None:
    """C2: without its entry, a key that was changed since would look like a difference."""
    twin.source.items["k1"] = item("k1", v={"N": "2"})
    context = twin.context()

    class Forgetting:
        def entries(self, keys: Any) -> Any:
            twin.world.clock.advance(31 * 86_400)
            return {}

    forgetful = replace(context, ledger=Forgetting())  # type: ignore[arg-type]
    with pytest.raises(BlockedError, match="may have expired"):
        verify.Verification(forgetful, twin.options(repair=repair)).run()
    assert not (twin.directory / "report.jsonl").read_text()
    assert twin.target.items["k1"] == item("k1")


# -- killed --------------------------------------------------------------------------------------


def calls(tmp_path: Path) -> tuple[int, int]:
    """The first and the last call of a verification."""
    twin = Twin(tmp_path / "counted")
    before = twin.world.calls
    twin.verify(enable_target_recovery=True)
    return before + 1, twin.world.calls


@pytest.mark.parametrize("step", [11, pytest.param(1, marks=pytest.mark.slow)])
def test_killed_at_any_call_the_next_one_goes_on_with_the_same_exports(
    tmp_path: Path, step: int
) -> None:
    """C6."""
    first, end = calls(tmp_path)
    moments = [(n, after) for n in range(first, end + 1) for after in (False, True)]
    for number, after in moments[::step]:
        when = f"killed {'after' if after else 'before'} call {number}"
        twin = Twin(tmp_path / f"{number}-{after}")
        del twin.target.items["k3"]
        twin.target.recovery = False
        twin.kill_at(number, after)
        with pytest.raises(Killed):
            twin.verify(enable_target_recovery=True)
        twin.live_again()
        over = last_verification(twin.context(202).store, "orders").verified is not None
        found = twin.verify(pid=201, enable_target_recovery=True).verified
        assert (found.missing, found.differences) == (1, 1), when
        # Only where the result had been noted does the second one begin anew.
        taken = (len(twin.source.exports), len(twin.target.exports))
        assert taken == ((2, 2) if over else (1, 1)), when
        assert twin.target.recovery is False, when
