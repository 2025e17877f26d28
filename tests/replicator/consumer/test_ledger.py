"""The ledger writer: the common suite, and what is its own: transactions, packs, expiry."""

from __future__ import annotations

from typing import Any

import pytest

from replicator.call_context import CallContext
from replicator.change import Change
from replicator.consumer.ledger import LedgerWriter
from replicator.consumer.outcome import Applied, Rejected, Result, Retry, Superseded
from replicator.consumer.writer import Attempt, ConditionalWriter
from replicator.runtime import Deadline
from tests.support.fakes import errors
from tests.support.fakes.errors import Call, Faults, ScriptedFaults
from tests.support.replicator.consumer_harness import (
    DAY,
    LEDGER,
    START,
    TARGET,
    ConsumerHarness,
    Item,
    change,
    item,
)
from tests.support.replicator.writer_conformance import FailCall, WriterConformance

pytestmark = pytest.mark.promise("C1", "C2", "C4")


class LedgerHarness:
    def __init__(self) -> None:
        self.world = ConsumerHarness()
        self.writer: ConditionalWriter = self.another()

    def another(self) -> ConditionalWriter:
        return LedgerWriter(
            self.world.dynamodb,
            target_table=TARGET,
            ledger_table=LEDGER,
            runtime=self.world.runtime,
        )

    def image(self, key: str) -> Item | None:
        return self.world.target(key)

    def set_faults(self, faults: Faults) -> None:
        self.world.dynamodb.faults = faults

    def context(self, seconds: float = 60, **more: Any) -> CallContext:
        return self.world.context(seconds, **more)


class TestLedgerGuard(WriterConformance):
    @pytest.fixture
    def harness(self) -> LedgerHarness:
        return LedgerHarness()


class TestLedgerGuardWhereARejectionRefusesTheWholeRequest(WriterConformance):
    """As some rejections do at AWS (an empty key), and all of them at some emulators."""

    @pytest.fixture
    def harness(self) -> LedgerHarness:
        harness = LedgerHarness()
        harness.world.dynamodb.transaction_validation = "request"
        return harness


class Calls(ScriptedFaults):
    """Keeps the requests."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[tuple[str, Any]] = []

    def before(self, call: Call) -> None:
        self.requests.append((call.operation, call.request))
        super().before(call)

    def transactions(self) -> list[Any]:
        return [request for name, request in self.requests if name == "TransactWriteItems"]

    def sizes(self) -> list[int]:
        return [len(each["TransactItems"]) // 2 for each in self.transactions()]

    def tokens(self) -> list[str]:
        return [each["ClientRequestToken"] for each in self.transactions()]


@pytest.fixture
def harness() -> LedgerHarness:
    return LedgerHarness()


@pytest.fixture
def calls(harness: LedgerHarness) -> Calls:
    calls = Calls()
    harness.set_faults(calls)
    return calls


def apply(
    harness: LedgerHarness, *changes: Change, redelivered: bool = False, **context: Any
) -> list[Result]:
    attempts = [Attempt(each, redelivered=redelivered) for each in changes]
    return harness.writer.apply(attempts, harness.context(**context))


def inserts(count: int, **more: Any) -> list[Change]:
    return [change(None, item(f"k{n}", **more)) for n in range(count)]


def test_fifty_changes_go_in_a_call(harness: LedgerHarness, calls: Calls) -> None:
    apply(harness, *inserts(120))
    assert calls.sizes() == [50, 50, 20]


def test_a_call_stays_under_four_megabytes(harness: LedgerHarness, calls: Calls) -> None:
    results = apply(harness, *inserts(25, blob={"B": b"x" * 290_000}))
    assert all(isinstance(result, Applied) for result in results)
    assert max(calls.sizes()) <= 13
    assert len(calls.sizes()) == 3


def test_deletes_count_for_what_they_delete(harness: LedgerHarness, calls: Calls) -> None:
    apply(harness, *(change(item(f"k{n}", b={"S": "x" * 390_000}), None) for n in range(12)))
    assert max(calls.sizes()) <= 10


def test_an_entry_holds_time_and_both_digests(harness: LedgerHarness) -> None:
    made = change(item("a", 1), item("a", 2), START + 7)
    apply(harness, made)
    assert harness.world.ledger(made) == {
        "k": {"B": made.key},
        "t": {"N": str(START + 7)},
        "p": {"S": "u"},
        "i": {"B": made.entry.image},
        "o": {"B": made.entry.previous},
    }


def expiry(harness: LedgerHarness, made: Change) -> int | None:
    entry = harness.world.ledger(made)
    assert entry is not None
    return int(entry["x"]["N"]) if "x" in entry else None


def test_no_entry_expires_until_the_settings_say_so(harness: LedgerHarness) -> None:
    made = change(None, item("a"))
    apply(harness, made)
    assert expiry(harness, made) is None


def test_expiry_counts_from_the_moment_of_applying_not_from_the_version(
    harness: LedgerHarness,
) -> None:
    hours_ago = START - 20 * 3600 * 1_000_000
    made = change(None, item("a"), hours_ago)
    apply(harness, made, expire=True)
    assert expiry(harness, made) == START // 1_000_000 + 30 * DAY


def test_no_expiry_while_records_are_a_day_late(harness: LedgerHarness) -> None:
    late = change(None, item("a"), arrival=START / 1e6 - DAY - 1)
    apply(harness, late, expire=True)
    assert expiry(harness, late) is None
    on_time = change(item("a"), item("a", 2), START + 1, arrival=START / 1e6 - DAY + 60)
    apply(harness, on_time, expire=True)
    assert expiry(harness, on_time) is not None


def test_no_expiry_for_an_old_change_that_has_just_arrived(harness: LedgerHarness) -> None:
    """A redrive: an even older change may be waiting in a lane that lags."""
    redriven = change(None, item("a"), START - 2 * DAY * 1_000_000, arrival=START / 1e6)
    apply(harness, redriven, expire=True)
    assert expiry(harness, redriven) is None


def test_throttling_halves_the_packs_and_success_lets_them_grow_again(
    harness: LedgerHarness, calls: Calls
) -> None:
    calls.fail(errors.throttled("TransactWriteItems"), times=2)
    results = apply(harness, *inserts(100))
    assert all(isinstance(result, Applied) for result in results)
    sizes = calls.sizes()
    assert sizes[:3] == [50, 25, 12]
    assert sizes[3] > 12


def test_conflicts_halve_the_packs_down_to_one(harness: LedgerHarness, calls: Calls) -> None:
    calls.cancel({3: "TransactionConflict"}, times=9)
    results = apply(harness, *inserts(50))
    assert all(isinstance(result, Applied) for result in results)
    assert min(calls.sizes()) == 1


def test_the_same_transaction_is_sent_with_the_same_token_and_another_with_a_new_one(
    harness: LedgerHarness, calls: Calls
) -> None:
    calls.fail(errors.server_error("TransactWriteItems"), times=2)
    calls.cancel({0: "TransactionConflict"}, times=8)
    apply(harness, *inserts(40))
    first, second, third, *_ = calls.transactions()
    assert first == second == third
    for one, other in zip(calls.transactions(), calls.transactions()[1:], strict=False):
        same_items = one["TransactItems"] == other["TransactItems"]
        assert (one["ClientRequestToken"] == other["ClientRequestToken"]) == same_items


@pytest.mark.parametrize("count", [1, 40])
def test_a_token_that_stands_for_another_transaction_is_given_up(
    harness: LedgerHarness, calls: Calls, count: int
) -> None:
    """C3: repeated under the same token, it would be refused until the end of time."""
    operation, code = "TransactWriteItems", "IdempotentParameterMismatchException"
    calls.fail(errors.client_error(operation, code, "?"), operation=operation, times=3)
    results = apply(harness, *inserts(count))
    assert {type(result) for result in results} == {Applied}
    assert len(set(calls.tokens())) == len(calls.tokens()) >= 4


def test_a_transaction_that_is_still_running_is_asked_for_by_its_token(
    harness: LedgerHarness, calls: Calls
) -> None:
    operation, code = "TransactWriteItems", "TransactionInProgressException"
    calls.fail(errors.client_error(operation, code, "?"), operation=operation, times=2)
    assert isinstance(apply(harness, *inserts(1))[0], Applied)
    assert len(calls.tokens()) == 3
    assert len(set(calls.tokens())) == 1


def test_a_token_is_at_most_36_characters(harness: LedgerHarness, calls: Calls) -> None:
    apply(harness, *inserts(1))
    assert 1 <= len(calls.tokens()[0]) <= 36


def test_refused_changes_are_dropped_and_the_rest_sent_again_under_a_new_token(
    harness: LedgerHarness, calls: Calls
) -> None:
    newer = [change(None, item(f"k{n}", 2), START + 1) for n in (0, 2)]
    apply(harness, *newer)
    results = apply(harness, *inserts(4))
    assert [type(result) for result in results] == [Superseded, Applied, Superseded, Applied]
    assert calls.sizes() == [2, 4, 2]
    assert len(set(calls.tokens())) == 3


def test_mixed_reasons_are_each_taken_for_what_they_are(
    harness: LedgerHarness, calls: Calls
) -> None:
    apply(harness, change(None, item("k0", 2), START + 1))
    calls.cancel(
        {
            3: "ItemCollectionSizeLimitExceeded",
            5: "ValidationError",
            6: "ThrottlingError",
            9: "ProvisionedThroughputExceeded",
            10: "TransactionConflict",
        }
    )
    results = apply(harness, *inserts(7))
    kinds = [type(result) for result in results]
    assert kinds == [Superseded, Rejected, Rejected, Applied, Applied, Applied, Applied]


class Busy(Calls):
    """Another writer's transactions hold these items: for good, or for a number of attempts."""

    def __init__(self, code: str, **attempts: int) -> None:
        super().__init__()
        self.code, self.attempts = code, attempts

    def reasons(self, call: Call) -> dict[int, str]:
        named = {}
        for index, action in enumerate(call.request["TransactItems"]):
            key = action["Put"]["Item"].get("pk", {}).get("S")
            if self.attempts.get(key, 0) > 0:
                self.attempts[key] -= 1
                named[index] = self.code
        return named


NAMED = ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"]


@pytest.mark.parametrize("code", NAMED)
def test_a_busy_item_does_not_delay_the_others_of_its_pack(
    harness: LedgerHarness, code: str
) -> None:
    busy = Busy(code, k3=1_000)
    harness.set_faults(busy)
    results = apply(harness, *inserts(50))
    assert busy.attempts["k3"] < 1_000
    assert isinstance(results.pop(3), Retry)
    for result in results:
        assert isinstance(result, Applied)
        assert result.micros - START < 1_000_000


def test_a_busy_item_is_applied_as_soon_as_it_is_free(harness: LedgerHarness) -> None:
    harness.set_faults(Busy("TransactionConflict", k3=5))
    assert all(isinstance(result, Applied) for result in apply(harness, *inserts(50)))


def test_one_busy_item_does_not_delay_another(harness: LedgerHarness) -> None:
    harness.set_faults(Busy("TransactionConflict", k3=1_000, k4=3, k5=2))
    results = apply(harness, *inserts(50))
    assert [n for n, result in enumerate(results) if not isinstance(result, Applied)] == [3]


def test_a_pack_of_busy_items_alone_is_split_too(harness: LedgerHarness) -> None:
    harness.set_faults(Busy("TransactionConflict", k0=1_000, k1=2))
    results = apply(harness, *inserts(2))
    assert [type(result) for result in results] == [Retry, Applied]


@pytest.mark.parametrize("code", [*NAMED, "AccessDenied", "A_REASON_OF_NEXT_YEAR"])
def test_busy_items_delay_no_other_where_each_goes_in_a_call_of_its_own(
    harness: LedgerHarness, code: str
) -> None:
    assert isinstance(harness.writer, LedgerWriter)
    harness.writer.pace.size = 1
    harness.set_faults(Busy(code, k0=1_000, k1=1_000))
    results = apply(harness, *inserts(20))
    assert [type(result) for result in results[:2]] == [Retry, Retry]
    for result in results[2:]:
        assert isinstance(result, Applied)
        assert result.micros - START < 1_000_000


def test_an_entry_that_cannot_be_read_does_not_delay_the_others_of_its_pack(
    harness: LedgerHarness,
) -> None:
    made = inserts(50)
    for n in (3, 7, 20):
        harness.world.dynamodb.put_item(TableName=LEDGER, Item={"k": {"B": made[n].key}})
    results = apply(harness, *made)
    for n, result in enumerate(results):
        if n in (3, 7, 20):
            assert isinstance(result, Retry)
        else:
            assert isinstance(result, Applied)
            assert result.micros - START < 1_000_000


def test_a_cancellation_that_gives_no_reasons_ends_nothing(
    harness: LedgerHarness, calls: Calls
) -> None:
    operation, code = "TransactWriteItems", "TransactionCanceledException"
    calls.fail(errors.client_error(operation, code, "cancelled"), operation=operation)
    results = apply(harness, *inserts(3))
    assert [type(result) for result in results] == [Applied] * 3
    assert calls.sizes() == [3, 3]


def test_what_the_ledger_refuses_is_no_fault_of_a_record(
    harness: LedgerHarness, calls: Calls
) -> None:
    calls.cancel({0: "ValidationError"}, times=1_000)
    assert isinstance(apply(harness, *inserts(1))[0], Retry)


@pytest.mark.parametrize("validation", ["reason", "request"])
def test_a_ledger_of_another_schema_is_no_fault_of_a_record(validation: Any) -> None:
    harness = LedgerHarness()
    harness.world.dynamodb.transaction_validation = validation
    harness.world.dynamodb.delete_table(TableName=LEDGER)
    harness.world.dynamodb.create_table(
        TableName=LEDGER,
        KeySchema=[{"AttributeName": "other", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "other", "AttributeType": "B"}],
        BillingMode="PAY_PER_REQUEST",
    )
    assert all(isinstance(result, Retry) for result in apply(harness, *inserts(20)))


def test_a_retried_call_of_ones_own_counts_as_applied(harness: LedgerHarness) -> None:
    """Even where the token has been forgotten, and the entry is met as that of a duplicate."""
    harness.set_faults(Forgetful(harness.world))
    assert isinstance(apply(harness, *inserts(1))[0], Applied)


class Forgetful(FailCall):
    """The first answer is lost, and then the token."""

    def __init__(self, world: ConsumerHarness) -> None:
        super().__init__(1, errors.server_error, after=True)
        self._world = world

    def before(self, call: Call) -> None:
        super().before(call)
        self._world.clock.advance(11) if self._left < 0 else None
        self._world.dynamodb._tokens.clear()


def test_a_redelivered_batch_costs_reads_not_cancelled_writes(
    harness: LedgerHarness, calls: Calls
) -> None:
    changes = inserts(1_000)
    apply(harness, *changes)
    for known, transactions in ((True, 0), (False, 1)):
        calls.requests.clear()
        results = apply(harness, *changes, redelivered=known)
        assert set(results) == {Superseded()}
        assert len(calls.transactions()) == transactions
        assert len(calls.requests) <= 11


def test_unprocessed_keys_are_asked_for_again(harness: LedgerHarness, calls: Calls) -> None:
    changes = inserts(100)
    apply(harness, *changes)
    calls.requests.clear()
    calls.leave_unprocessed(range(30, 100), times=1)
    calls.leave_unprocessed(range(10), times=1)
    assert set(apply(harness, *changes, redelivered=True)) == {Superseded()}
    assert [name for name, _ in calls.requests] == ["BatchGetItem"] * 3


@pytest.mark.parametrize("error", [errors.throttled, errors.server_error, errors.access_denied])
def test_where_reading_fails_writing_still_tells(
    harness: LedgerHarness, calls: Calls, error: Any
) -> None:
    changes = inserts(60)
    apply(harness, *changes[:30])
    calls.fail(error("BatchGetItem"), operation="BatchGetItem", times=2)
    results = apply(harness, *changes, redelivered=True)
    assert [type(result) for result in results] == [Superseded] * 30 + [Applied] * 30


def test_a_stale_read_never_ends_a_change_that_should_be_applied(harness: LedgerHarness) -> None:
    class Stale(Faults):
        def stale(self, call: Call) -> bool:
            return True

    def step(old: int | None, new: int, micros: int) -> list[Change]:
        return [
            change(None if old is None else item(f"k{n}", old), item(f"k{n}", new), micros)
            for n in range(20)
        ]

    apply(harness, *step(None, 1, START))
    apply(harness, *step(1, 2, START + 1))
    harness.set_faults(Stale())
    # What is read before the last of these is of its timestamp, and does not connect with it.
    for newer in (step(2, 3, START + 2), step(3, 4, START + 2), step(4, 5, START + 2)):
        results = apply(harness, *newer, redelivered=True)
        assert all(isinstance(result, Applied) for result in results)


def test_an_entry_that_cannot_be_read_is_waited_for(harness: LedgerHarness) -> None:
    made = change(None, item("a"))
    harness.world.dynamodb.put_item(TableName=LEDGER, Item={"k": {"B": made.key}})
    assert isinstance(apply(harness, made)[0], Retry)
    assert harness.image("a") is None


def test_a_pinned_write_whose_entry_has_moved_is_given_back_at_once() -> None:
    """Its condition can never hold again: the record comes back and is judged anew."""
    world = ConsumerHarness()
    first = change(None, item("a", 1))
    newer = change(item("a", 2), item("a", 3), START + 1)
    writer, context = (
        world.consumer.parts.writer,
        CallContext(Deadline(world.runtime, 60_000), lambda *_: None),
    )
    (applied,) = writer.apply([Attempt(first)], context)
    assert isinstance(applied, Applied)
    before = world.clock.monotonic()
    (result,) = writer.apply([Attempt(newer, change(None, item("a", 9)).entry)], context)
    assert result == Retry("the noted entry has moved")
    assert world.clock.monotonic() == before
    assert world.value("a") == "1"
