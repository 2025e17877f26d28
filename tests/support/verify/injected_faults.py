"""Faults that a verification could have, planted into the real one: the runs must find each.

Each is a context manager that changes one thing in `bootstrap.verify` while it lasts. None comes
with a run of its own: the same seeds that the verification passes have to show it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any
from unittest import mock

from bootstrap.core.durations import Timing
from bootstrap.core.outcome import Done
from bootstrap.journal.records import CaughtUp
from bootstrap.journal.verification_records import Verified
from bootstrap.run.steps import catch_up
from bootstrap.verify import export_rounds, repair, verify
from bootstrap.verify.exports.digests import Digester
from bootstrap.verify.judge import point_reads, report
from bootstrap.verify.judge.classify import Judgement, Moments, judge
from replicator import canonical
from replicator.change import Entry

Plant = Callable[[], contextlib.AbstractContextManager[Any]]
FAULTS: dict[str, Plant] = {}


def fault(name: str) -> Callable[[Plant], Plant]:
    def register(plant: Plant) -> Plant:
        FAULTS[name] = plant
        return plant

    return register


@fault("no margin before the source's export")
def no_margin() -> Any:
    return mock.patch.object(export_rounds, "MARGIN", 0)


@fault("an export is taken for exact")
def no_fuzz() -> Any:
    return mock.patch.object(Timing, "export_fuzz", 0.0)


@fault("the target is exported without a proof that changes are applied")
def no_proof() -> Any:
    def caught_up(step_context: Any) -> Any:
        journal = step_context.journal
        journal.put(CaughtUp(journal.now(), "none", 0, 0), "caught up")
        return Done()

    return mock.patch.object(catch_up, "advance", caught_up)


@contextlib.contextmanager
def _normal_form(tag: str, by: Callable[[Any], Any]) -> Iterator[None]:
    """A fault of the canonical form, which every route to a digest then has."""

    def extend(self: Digester, pairs: list[bytes | None], lines: Any) -> None:
        pairs.extend(self._digest_exactly(line) for line in lines)

    with (
        mock.patch.dict(canonical._NORMAL_FORM, {tag: by}),
        mock.patch.object(canonical, "_AS_IT_IS", canonical._AS_IT_IS - {tag}),
        mock.patch.object(Digester, "extend", extend),
    ):
        yield


@fault("a digest leaves out one bit of binary")
def blind_to_a_bit() -> Any:
    return _normal_form("B", lambda value: bytes([value[0] & 0xFE]) + value[1:])


@fault("a digest takes a number for a text of its digits")
def numbers_as_text() -> Any:
    return _normal_form("N", str)


@fault("a digest knows of the order of a set")
def sets_in_order() -> Any:
    return _normal_form("SS", list)


@fault("a foreign write is called a difference")
def foreign_unnamed() -> Any:
    def unnamed(difference: Any, entry: Entry | None, moments: Moments) -> Judgement:
        found = judge(difference, entry, moments)
        return Judgement.DIFFERENCE if found.foreign else found

    return mock.patch.object(report, "judge", unnamed)


@fault("a key that was changed since is called a difference")
def changed_differs() -> Any:
    def hasty(difference: Any, entry: Entry | None, moments: Moments) -> Judgement:
        found = judge(difference, entry, moments)
        return Judgement.DIFFERENCE if found is Judgement.CHANGED_SINCE else found

    return mock.patch.object(report, "judge", hasty)


@fault("what the target's export may not hold yet is judged all the same")
def applied_whenever() -> Any:
    def hasty(difference: Any, entry: Entry | None, moments: Moments) -> Judgement:
        late = replace(moments, applied_by_target=1 << 62, target=1 << 62)
        return judge(difference, entry, late)

    return mock.patch.object(report, "judge", hasty)


@fault("a repair has the time at which it is made")
def repair_now() -> Any:
    apply = repair.apply_repairs

    def now(differences: Iterable[Any], repairer: Any) -> Any:
        clock = repairer.runtime.clock
        return apply(((each, what, clock.now_micros()) for each, what, _ in differences), repairer)

    return mock.patch.object(verify, "apply_repairs", now)


@fault("a repair is dated two minutes later")
def repair_later() -> Any:
    apply = repair.apply_repairs

    def later(differences: Iterable[Any], repairer: Any) -> Any:
        return apply(((each, what, at + 120_000_000) for each, what, at in differences), repairer)

    return mock.patch.object(verify, "apply_repairs", later)


@fault("a repair is not noted before it begins")
def not_noted() -> Any:
    return mock.patch.object(export_rounds.ExportRounds, "begin_repair", lambda self: None)


@fault("what is not judged counts as equal")
def unjudged_is_equal() -> Any:
    verified = verify.Verification._verified

    def equal(self: Any, *about: Any) -> Verified:
        found = verified(self, *about)
        return replace(found, equal=found.equal + found.changed_since, changed_since=0)

    return mock.patch.object(verify.Verification, "_verified", equal)


@fault("an attribute that differs is not named")
def one_unnamed() -> Any:
    add = report.Report.add

    def silent(self: Any, each: Any, *about: Any, **more: Any) -> None:
        add(self, replace(each, attributes=each.attributes[1:]), *about, **more)

    return mock.patch.object(report.Report, "add", silent)


@fault("a read that moved is judged")
def moving_reads() -> Any:
    def hasty(first: Any, seen: Any, again: Any, margin: int) -> Judgement | None:
        if seen.read.image == first.image:
            return None
        return Judgement.DIFFERENCE

    return mock.patch.object(point_reads, "judge_read", hasty)
