"""The error answer of a call, raised where the call is refused."""

from __future__ import annotations

from collections.abc import Callable

from infra.local.emulator.patching import Json, Ministack, Response


class RefusedError(Exception):
    """An error answer: AWS's code and message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def answering(
    ministack: Ministack, operation: Callable[[Json], Response]
) -> Callable[[Json], Response]:
    """Return the operation with its refusals as answers."""

    def answer(data: Json) -> Response:
        try:
            return operation(data)
        except RefusedError as refused:
            return ministack.error(refused.code, refused.message)

    return answer
