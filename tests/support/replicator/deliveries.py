"""Every order and repetition in which a few changes may arrive."""

from __future__ import annotations

import itertools
from collections.abc import Iterator


def deliveries(length: int) -> Iterator[tuple[int, ...]]:
    """Every order in which `length` changes can arrive, each once or twice."""
    for copies in itertools.product([1, 2], repeat=length):
        yield from set(itertools.permutations([i for i in range(length) for _ in range(copies[i])]))
