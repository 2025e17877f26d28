"""Values that Pulumi wraps because they are secret."""

from __future__ import annotations

from typing import Any

SECRET_SIGNATURE = "4dabf18193072939515e22adb298388d"


def without_secrets(value: Any) -> Any:
    """Return the values as the program wrote them: Pulumi wraps what is marked secret."""
    if isinstance(value, dict):
        if SECRET_SIGNATURE in value and "value" in value:
            return without_secrets(value["value"])
        return {key: without_secrets(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [without_secrets(inner) for inner in value]
    return value
