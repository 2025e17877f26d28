"""The order in which the workers of a parallel run are handed the modules."""

from __future__ import annotations

import pytest

LONGEST_FIRST = (
    "tests/bootstrap/verify/test_chaos",
    "tests/bootstrap/verify/test_on_the_local_cloud",
    "tests/crash/",
    "tests/end_to_end/",
    "tests/bootstrap/verify/test_runs",
    "tests/bootstrap/test_on_the_local_cloud",
    "tests/bootstrap/test_abandon_on_the_local_cloud",
    "tests/infra/local/emulator/test_mappings",
    "tests/infra/monitoring/test_on_the_local_cloud",
    "tests/bootstrap/run/test_killed",
    "tests/infra/test_policies",
    "tests/infra/test_program",
)
"""Those that would be waited for at the end, if they began last.

`--no-loadscope-reorder` keeps this order. What is not named comes after them, as it was collected.
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sorts the modules; within one, nothing moves."""

    def rank(item: pytest.Item) -> int:
        found = (n for n, name in enumerate(LONGEST_FIRST) if item.nodeid.startswith(name))
        return next(found, len(LONGEST_FIRST))

    items.sort(key=rank)
