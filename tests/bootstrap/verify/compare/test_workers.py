"""Work in processes: many tasks cost no more than what they do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from bootstrap.verify.compare.workers import run_all


@dataclass
class Doubled:
    """A function that counts how often it is sent to a worker."""

    sent: ClassVar[int] = 0

    def __getstate__(self) -> dict[str, Any]:
        Doubled.sent += 1
        return {}

    def __call__(self, number: int) -> int:
        return 2 * number


@pytest.mark.parametrize("workers", [1, 2])
def test_a_function_is_sent_to_a_worker_once_however_many_its_tasks(workers: int) -> None:
    Doubled.sent = 0
    assert sorted(run_all(Doubled(), range(500), workers)) == list(range(0, 1000, 2))
    assert Doubled.sent <= 2
