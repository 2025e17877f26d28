"""Changes that a living stack cannot take: each kind is found by a module of its own, and an `up`
names all of them at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import pulumi


class RefusedChangeError(pulumi.RunError):
    """Changes that this stack cannot take, shown by the engine without a traceback."""

    def __init__(self, refusals: Sequence[str]) -> None:
        super().__init__("\n\n".join(refusals))


def refuse(refusals: Iterable[str]) -> None:
    """End the run if there is a refusal.

    Raises:
        RefusedChangeError: with every text, each of which says what to do.
    """
    found = list(refusals)
    if found:
        raise RefusedChangeError(found)


def listed(title: str, lines: Iterable[str], advice: str) -> Iterator[str]:
    """Yield one refusal that names every line; none where there is no line."""
    found = list(lines)
    if found:
        yield "\n".join([f"{title}:", *(f"  - {line}" for line in found), advice])
