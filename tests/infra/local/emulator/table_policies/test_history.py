"""A changed policy takes hold late and unevenly per caller, and is read back a little later."""

from __future__ import annotations

import itertools

from infra.local.emulator.table_policies.history import PolicyHistory, PolicySpread

CALLERS = [f"arn:aws:iam::1:role/app-{n}" for n in range(40)]
SPREAD = PolicySpread(seconds=30, read_seconds=2.7, seed=7)


def history(spread: PolicySpread = SPREAD) -> PolicyHistory:
    return PolicyHistory("arn:aws:dynamodb:eu-west-1:1:table/t", spread)


def seeing(policies: PolicyHistory, text: str | None, now: float) -> int:
    return sum(policies.seen_by(caller, now) == text for caller in CALLERS)


def test_callers_see_a_change_one_after_the_other_and_all_within_the_spread() -> None:
    policies = history()
    policies.change("deny", at=1000)
    counts = [seeing(policies, "deny", 1000 + seconds) for seconds in range(32)]
    assert counts[0] == 0
    assert counts[-2] == counts[-1] == len(CALLERS)
    assert counts == sorted(counts)
    assert 5 < counts[15] < 35, "about half of them after half of the spread"


def test_a_caller_that_has_seen_a_change_never_sees_an_earlier_one_again() -> None:
    policies = history()
    for n, text in enumerate(("one", "two", None, "three")):
        policies.change(text, at=1000 + n * 10)
    order = [None, "one", "two", None, "three"]
    for caller in CALLERS[:10]:
        seen = [policies.seen_by(caller, 1000 + half / 2) for half in range(160)]
        steps = [a for a, b in zip(seen, [*seen[1:], "end"], strict=True) if a != b]
        place = 0
        for step in steps:
            place = order.index(step, place) + 1
        assert steps[-1] == "three"


def test_the_seed_and_the_table_decide_the_delays() -> None:
    first, again = history(), history()
    other = history(PolicySpread(seconds=30, read_seconds=2.7, seed=8))
    elsewhere = PolicyHistory("arn:aws:dynamodb:eu-west-1:1:table/u", SPREAD)
    for policies in (first, again, other, elsewhere):
        policies.change("deny", at=1000)
    pattern = [first.seen_by(caller, 1012) for caller in CALLERS]
    assert [again.seen_by(caller, 1012) for caller in CALLERS] == pattern
    assert [other.seen_by(caller, 1012) for caller in CALLERS] != pattern
    assert [elsewhere.seen_by(caller, 1012) for caller in CALLERS] != pattern


def test_each_change_has_delays_of_its_own() -> None:
    policies = history()
    policies.change("one", at=1000)
    policies.change("two", at=2000)
    firsts = [policies.seen_by(caller, 1012) == "one" for caller in CALLERS]
    seconds = [policies.seen_by(caller, 2012) == "two" for caller in CALLERS]
    assert firsts != seconds


def test_without_a_spread_everyone_sees_a_change_at_once() -> None:
    policies = history(PolicySpread(seconds=0, read_seconds=0, seed=7))
    policies.change("deny", at=1000)
    assert seeing(policies, "deny", 1000) == len(CALLERS)
    assert policies.readable(1000).text == "deny"


def test_it_is_read_back_a_little_later_once_and_for_good() -> None:
    policies = history()
    policies.change("one", at=1000)
    read = [policies.readable(1000 + tenth / 10).text for tenth in range(40)]
    assert read[0] is None
    assert read[-1] == "one"
    assert sum(a != b for a, b in itertools.pairwise(read)) == 1
    policies.change("two", at=2000)
    assert policies.readable(2000).text == "one"
    assert policies.readable(2003).text == "two"


def test_a_policy_that_a_table_is_created_with_holds_at_once() -> None:
    policies = history()
    policies.change("deny", at=1000, at_once=True)
    assert seeing(policies, "deny", 1000) == len(CALLERS)


def test_changes_that_all_have_seen_are_forgotten() -> None:
    policies = history()
    for n in range(100):
        policies.change(str(n), at=1000 + n * 100)
    assert policies.remembered <= 2
    assert policies.seen_by(CALLERS[0], 20_000) == "99"
