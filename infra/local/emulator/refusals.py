"""The error answer of a call, raised where the call is refused."""

from __future__ import annotations


class RefusedError(Exception):
    """An error answer: AWS's code and message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
