"""The input and the result of a binding."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from infra.local.bindings.inputs import BindingError, Inputs

PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class Created:
    """A resource that now exists. `outputs` are the properties that AWS would have filled in."""

    id: str
    outputs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    """One resource to create. `client(service)` is of the resource's account and Region."""

    name: str
    inputs: Inputs
    stack: str
    account_id: str
    region: str
    client: Callable[[str], Any]
    tags: Mapping[str, str] = field(default_factory=dict)
    """The provider's default tags. Only what the operator's tool lists by them gets them."""

    @property
    def tag_list(self) -> list[dict[str, str]]:
        """Return the tags in the form that most services take."""
        return [{"Key": key, "Value": value} for key, value in self.tags.items()]

    def physical_name(self, key: str) -> str:
        """Return the name that the program sets, or a stable one as long as Pulumi's."""
        given = self.inputs.get(key)
        if given:
            return str(given)
        seed = f"{self.stack}/{self.account_id}/{self.region}/{self.name}"
        return f"{self.name}-{uuid.uuid5(uuid.NAMESPACE_URL, seed).hex[:7]}"

    def wait_until(self, what: str, arrived: Callable[[], bool]) -> None:
        """Wait until a resource is usable, as AWS's provider does."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not arrived():
            if time.monotonic() > deadline:
                raise BindingError(f"{what} did not happen within {PATIENCE_SECONDS:.0f} s")
            time.sleep(0.02)


Binding = Callable[[Request], Created]
