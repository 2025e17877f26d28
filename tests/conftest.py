"""Selection of tests by promise, and the order in which parallel workers get the modules."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from zlib import crc32

import pytest

from tests.support.collector import collect_seldom

SAMPLED = 5
"""Of so many cases of a matrix, `make test` plays one."""

LONGEST_FIRST = (
    "tests/simulation/test_injected_faults",
    "tests/end_to_end/test_demo",
    "tests/crash/",
    "tests/pulumi_engine/test_deployer",
    "tests/pulumi_engine/test_killed",
    "tests/infra/least_privilege/",
    "tests/bootstrap/test_bulk_load_on_the_local_cloud",
    "tests/bootstrap/verify/test_on_the_local_cloud",
    "tests/end_to_end/test_switch_demo",
    "tests/bootstrap/verify/test_chaos",
    "tests/bootstrap/test_on_the_local_cloud",
    "tests/pulumi_engine/",
    "tests/end_to_end/",
    "tests/bootstrap/verify/test_runs",
    "tests/bootstrap/test_abandon_on_the_local_cloud",
    "tests/bootstrap/test_promote_on_the_local_cloud",
    "tests/infra/local/emulator/test_dynamodb_streams",
    "tests/infra/local/emulator/test_bulk_operations",
    "tests/infra/local/emulator/test_mappings",
    "tests/infra/monitoring/test_on_the_local_cloud",
    "tests/bootstrap/run/test_killed",
    "tests/infra/test_policies",
    "tests/infra/test_program",
)
"""Modules that would be waited for at the end if they began last.

`--no-loadscope-reorder` keeps this order. What is not named comes after them, as it was collected.
"""


PROMISES = tuple(f"C{n}" for n in range(1, 11))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--promise", choices=PROMISES, help="run only the tests that defend this promise"
    )
    parser.addoption(
        "--whole-matrix", action="store_true", help="run every case that is marked with `matrix`"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Select the tests of one promise, and sort the modules; within one, nothing moves."""
    for item in items:
        unknown = promises(item) - set(PROMISES)
        assert not unknown, f"{item.nodeid} is marked with {unknown}, which is no promise"
    if not _names_cases(config):
        left_out = list(_left_out(items))
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in set(left_out)]
    wanted = config.getoption("--promise")
    if wanted:
        others = [item for item in items if wanted not in promises(item)]
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if wanted in promises(item)]

    def rank(item: pytest.Item) -> int:
        found = (n for n, name in enumerate(LONGEST_FIRST) if item.nodeid.startswith(name))
        return next(found, len(LONGEST_FIRST))

    items.sort(key=rank)


def pytest_collection_finish() -> None:
    """Keep the collector of garbage from what every module has brought along."""
    collect_seldom()


def promises(item: pytest.Item) -> set[str]:
    """Return the promises that a test defends, by the marks of its module and its own."""
    return {name for mark in item.iter_markers("promise") for name in mark.args}


def _names_cases(config: pytest.Config) -> bool:
    """Tell whether every case is wanted, or some are named."""
    named = any("::" in each for each in config.args) or bool(config.option.keyword)
    return named or bool(config.getoption("--whole-matrix"))


def _left_out(items: Iterable[pytest.Item]) -> Iterator[pytest.Item]:
    """Yield the cases of a matrix that a sample leaves out: the same ones each time."""
    seen: Counter[str] = Counter()
    for item in items:
        if item.get_closest_marker("matrix") is None:
            continue
        test = item.nodeid.partition("[")[0]
        number, first = seen[test], crc32(test.encode()) % SAMPLED
        seen[test] += 1
        if number % SAMPLED != first:
            yield item
