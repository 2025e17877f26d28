"""What the stand-in provider knows of a type of resource, apart from its creation."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

Values = Mapping[str, Any]


@dataclass(frozen=True)
class Resource:
    """One resource as the state knows it. `client(service)` is of its account and Region."""

    id: str
    state: Values
    client: Callable[[str], Any]


@dataclass(frozen=True)
class ResourceType:
    """How resources of one type are read, changed, deleted and named.

    `read` returns what AWS says in the terms of the program's inputs, or None where the resource is
    gone; inputs that it leaves out are taken to be unchanged.
    """

    read: Callable[[Resource], dict[str, Any] | None]
    delete: Callable[[Resource], None]
    update: Callable[[Resource, Values], None] | None = None
    """None: one Put creates and changes it, so that the binding is called again."""
    replaced_by: frozenset[str] = frozenset()
    """Inputs of which a change replaces the resource (ForceNew in the AWS provider's source)."""
    name: str = ""
    """The input with the physical name, where the provider makes one up."""
    longest_name: int = 0
    computed: frozenset[str] = frozenset()
    """Outputs that are not known before the resource exists."""


def document(found: object, known: Values, key: str) -> str:
    """Return the known text of a policy if AWS's says the same, and AWS's if not."""
    said = found if isinstance(found, dict) else json.loads(str(found))
    text = str(known.get(key, ""))
    same = bool(text) and _unwrapped(said) == _unwrapped(json.loads(text))
    return text if same else json.dumps(said)


def _unwrapped(policy: Any) -> Any:
    """Return a policy in which a single value is never in a list: AWS takes both for the same."""
    if isinstance(policy, dict):
        return {name: _unwrapped(value) for name, value in policy.items()}
    if isinstance(policy, list):
        values = [_unwrapped(value) for value in policy]
        return values[0] if len(values) == 1 else values
    return policy


def never(resource: Resource, new: Values) -> None:
    """Stand for the change of a resource of which every input replaces it."""
    raise AssertionError(f"{resource.id} cannot be changed, only replaced: {dict(new)}")


def is_gone(error: Exception) -> bool:
    """Tell whether AWS answered that what was asked for does not exist."""
    if not isinstance(error, ClientError):
        return False
    code = str(error.response["Error"]["Code"])
    return code == "404" or any(word in code for word in ("NotFound", "NoSuch"))
