"""Killed at any moment, the next run resumes from where the world is (C6)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from bootstrap.journal.records import Exported
from tests.support.bootstrap.kill_points import calls_of_a_run, check, finish, kill_at, quick
from tests.support.bootstrap.killed_process import Process
from tests.support.fakes.errors import Killed

pytestmark = pytest.mark.promise("C6")

READS = ("GetItem", "Query", "BatchGetItem", "describe_", "find_", "destinations", "mapping")


def moments() -> list[tuple[int, bool]]:
    """Before each call; and after each that changes something, its answer lost."""
    calls = calls_of_a_run()
    before = [(n, False) for n in range(1, len(calls) + 1)]
    after = [(n, True) for n, name in enumerate(calls, 1) if not name.startswith(READS)]
    return before + after


def some_moments() -> list[tuple[int, bool]]:
    """A few of the moments that differ in more than how often was polled before."""
    calls = ["", "", *calls_of_a_run()]
    first: dict[tuple[object, ...], tuple[int, bool]] = {}
    for number, after in moments():
        first.setdefault((after, *calls[number - 1 : number + 2]), (number, after))
    return list(first.values())[::16]


def every_fifth(first: int) -> Callable[[], list[tuple[int, bool]]]:
    """Return what chooses a fifth of the moments, from all parts of a run."""
    return lambda: moments()[first::5]


FIFTHS = [
    pytest.param(every_fifth(n), id=f"fifth-{n}", marks=(pytest.mark.slow, pytest.mark.matrix))
    for n in range(5)
]


@pytest.mark.parametrize("chosen", [some_moments, *FIFTHS])
def test_killed_at_any_call_a_second_run_replicates_with_one_export_and_one_import(
    chosen: Callable[[], list[tuple[int, bool]]],
) -> None:
    for number, after in chosen():
        world = quick()
        kill_at(world, number, after)
        with pytest.raises(Killed):
            Process(world, pid=1).go()
        process = finish(world, pid=2)
        check(world, process, f"killed {'after' if after else 'before'} call {number}")


def test_killed_after_every_act_in_turn_by_one_process_after_the_other_it_still_gets_there() -> (
    None
):
    world = quick()
    acts = ("export", "import_table", "protect", "enable_mapping", "put_probes", "UpdateItem")
    killed: set[str] = set()

    def watch(number: int, name: str, after: bool) -> None:
        if after and name in acts and name not in killed:
            killed.add(name)
            raise Killed(name)

    world.on_call = watch
    for pid in range(1, 20):
        process = Process(world, pid=pid)
        try:
            process.go()
        except Killed:
            continue
        break
    assert killed == set(acts)
    check(world, process, "killed after each act")


@pytest.mark.parametrize("hours", [1, 7.5, 9, 24 * 30])
def test_an_export_whose_answer_was_lost_is_found_however_late(hours: float) -> None:
    world = quick()
    number = calls_of_a_run().index("export") + 1
    kill_at(world, number, after_the_work=True)
    with pytest.raises(Killed):
        Process(world, pid=1).go()
    world.clock.advance(hours * 3_600)
    process = finish(world, pid=2)
    check(world, process, f"{hours} hours later")


@pytest.mark.parametrize(("hours", "listings"), [(0, 0), (6, 0), (9, 1)])
def test_an_export_is_found_by_its_token_while_that_is_valid_and_then_by_its_time(
    hours: float, listings: int
) -> None:
    world = quick()
    kill_at(world, calls_of_a_run().index("export") + 1, after_the_work=True)
    with pytest.raises(Killed):
        Process(world, pid=1).go()
    world.clock.advance(hours * 3_600)
    process = finish(world, pid=2)
    check(world, process, f"{hours} hours later")
    spans = [each.detail for each in world.seen if each.name == "find_export"]
    assert len(spans) == listings
    for earliest, latest in spans:
        ((_, began),) = world.exports.values()
        assert earliest < began < latest < began + 10 * 3_600


def test_an_export_that_began_with_other_parameters_is_found_by_its_prefix() -> None:
    """As where the stack has got a key for the bucket between the call and its repetition."""
    world = quick()
    kill_at(world, calls_of_a_run().index("export") + 1, after_the_work=True)
    with pytest.raises(Killed):
        Process(world, pid=1).go()
    ((arn, (request, began)),) = world.exports.items()
    world.exports[arn] = (dataclasses.replace(request, key="arn:key"), began)
    process = finish(world, pid=2)
    exported = process.run.journal.get(Exported)
    assert exported is not None
    assert (exported.arn, len(world.exports)) == (arn, 1)
    assert world.times("find_export")


@pytest.mark.parametrize("hours", [1, 9])
def test_an_import_whose_answer_was_lost_is_found_however_late(hours: float) -> None:
    world = quick()
    kill_at(world, calls_of_a_run().index("import_table") + 1, after_the_work=True)
    with pytest.raises(Killed):
        Process(world, pid=1).go()
    world.clock.advance(hours * 3_600)
    check(world, finish(world, pid=2), f"{hours} hours later")


def test_an_intention_older_than_its_token_makes_a_new_one_if_no_export_is_found() -> None:
    world = quick()
    kill_at(world, calls_of_a_run().index("export") + 1, after_the_work=False)
    with pytest.raises(Killed):
        Process(world, pid=1).go()
    world.clock.advance(9 * 3_600)
    resumed = world.clock()
    process = finish(world, pid=2)
    check(world, process, "9 hours later")
    exported = process.run.journal.get(Exported)
    assert exported is not None
    assert exported.attempt == 2
    assert exported.export_time >= resumed + 120, "as of a moment watched by this process"


def test_intentions_are_journaled_before_the_call_with_token_and_export_time() -> None:
    world = quick()
    seen: list[Exported | None] = []
    process = Process(world)

    def watch(number: int, name: str, after: bool) -> None:
        if name == "export" and not after:
            with world.unwatched():
                row, _ = process.store.read("orders")
            assert row is not None
            seen.append(row.record(Exported))

    world.on_call = watch
    process.go()
    (intention,) = seen
    ((request, _),) = world.exports.values()
    assert intention is not None
    assert (intention.token, intention.export_time) == (request.token, request.export_time)
