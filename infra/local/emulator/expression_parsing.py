"""Expressions of requests, each read once: ministack reads one again for every item.

A consumer sends the same few conditions with every transaction. A fifth of the emulator's work for
a write was to find the words of its condition and to check their order.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from infra.local.emulator.patching import Ministack

EXPRESSIONS = 5_000
"""Expressions that are kept."""


class ExpressionParsing:
    """Keeps what ministack has found in the text of an expression."""

    def __init__(self, ministack: Ministack) -> None:
        self._ministack = ministack
        self._tokens: Callable[[str], tuple[Any, ...]]

    def install(self) -> None:
        """Replace ministack's functions."""
        service = self._ministack.dynamodb
        keep = functools.lru_cache(EXPRESSIONS)
        tokenize = service._tokenize
        self._tokens = keep(lambda expression: tuple(tokenize(expression)))
        self._ministack.replace("dynamodb", "_tokenize", self.tokenize)
        check = keep(service._condition_syntax_error)
        self._ministack.replace("dynamodb", "_condition_syntax_error", check)

    def tokenize(self, expression: str) -> list[Any]:
        """Return the words of an expression, in a list of the caller's own."""
        return list(self._tokens(expression))
